"""Every solver against the plain scan, in values and gradients, on whatever device JAX finds.

    python -m benchmarks.agreement --out docs/agreement.gpu.json [cell ...]

float64 and float32, 96 steps with masks and resets; prints the largest error, relative to the larger of 1 and the
largest entry. The tests hold the same on a CPU; this is for a machine with an accelerator. Rows already in the file are
kept: a new cell, or a run that was cut off, adds what is missing.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

import recurrent as rec
from benchmarks.rows import kept
from experiments.errors import guarded, unheard_too

SOLVERS = (
    rec.Sequential(projection=None),
    rec.Checkpointed(),
    rec.Associative(),
    rec.Associative(chunk=32),
    rec.Newton(window=32),
    rec.Newton(window=32, jacobian="diagonal", max_iters=40),
)
STEPS, BATCH = 96, 4
DTYPES = ("float64", "float32")


def outcome(cell: Any, solver: Any, dtype: Any) -> list[Any]:
    """Final state, outputs and gradients."""
    params = jax.tree.map(lambda leaf: leaf.astype(dtype), cell.init(jax.random.key(0)))
    xs = jax.tree.map(
        lambda shape: jax.random.normal(jax.random.key(1), (STEPS, BATCH, *shape), dtype),
        cell.input_shape,
        is_leaf=rec.arrays.is_shape,
    )
    mask = jax.random.bernoulli(jax.random.key(2), 0.8, (STEPS, BATCH))
    reset = jax.random.bernoulli(jax.random.key(3), 0.05, (STEPS, BATCH))

    def loss(params: Any, xs: Any) -> Any:
        values = rec.unroll(cell, params, xs, mask=mask, reset=reset, solver=solver)
        return sum(jnp.sum(jnp.sin(y)) for y in jax.tree.leaves(values[1])), values

    return jax.tree.leaves(jax.jit(jax.grad(loss, argnums=(0, 1), has_aux=True))(params, xs))


def error(found: list[Any], expected: list[Any]) -> float:
    """The largest of all arrays."""
    pairs = zip(found, expected, strict=True)
    return max(float(jnp.max(jnp.abs(a - b)) / jnp.maximum(1.0, jnp.max(jnp.abs(b)))) for a, b in pairs)


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument(
        "cells",
        nargs="*",
        default=[name for name, build in rec.CELLS.items() if isinstance(build(3, 4), rec.Cell)],
    )
    options = parser.parse_args()
    jax.config.update("jax_enable_x64", True)
    jax.config.update("jax_default_matmul_precision", "highest")
    about = {"device": jax.devices()[0].device_kind, "jax": jax.__version__, "steps": STEPS, "batch": BATCH}
    rows = kept(options.out, about["device"])
    known = {row["cell"] for row in rows}
    for name in [name for name in options.cells if name not in known]:
        cell = rec.CELLS[name](3, 4)
        plain = {dtype: outcome(cell, rec.Sequential(), dtype) for dtype in DTYPES}
        for solver in SOLVERS:
            if not rec.refusal(cell, solver):
                errors = {dtype: error(outcome(cell, solver, dtype), plain[dtype]) for dtype in DTYPES}
                rows.append({"cell": name, "solver": str(solver), **errors})
                print(rows[-1], flush=True)
        options.out.write_text(json.dumps({"about": about, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    with unheard_too():
        sys.exit(guarded(main))
