"""Which cells train in less time by `Fused` than by `Sequential`? What `recurrent.AUTO` decides by.

    python -m benchmarks fused --out docs/fused.cpu.json [--rounds 5] [--cell NAME ...]

Updates by plain gradient descent on the mean of the squares of all outputs, in float32. ``single`` is the time of a
call that makes one, ``looped`` that of one of several in one compiled loop: `MANY` less one, by `MANY` - 1. Solvers
take turns, compiled beforehand; medians over the rounds. Rows already in the file are kept.
"""

import argparse
import json
import statistics
import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

import recurrent as rec
from benchmarks.cells import seconds
from benchmarks.rows import kept
from experiments.errors import guarded, unheard_too
from recurrent import registry

POINTS = {"small": (16, 100, 2, 16), "middle": (64, 100, 2, 64), "large": (32, 128, 64, 128)}
"""Sequences, steps, inputs and units."""
SOLVERS = {"Sequential": rec.Sequential(), "Fused": rec.Fused()}
MANY = 5
MOST = 2 * 2**30  # bytes of temporaries above which nothing is run


def names() -> list[str]:
    """The cells that read vectors and that `Fused` runs."""
    found = []
    for entry in registry.entries():
        cell = entry.build(2, 16)
        if isinstance(cell, rec.Cell) and cell.input_shape == (2,) and not rec.refusal(cell, rec.Fused()):
            found.append(entry.name)
    return found


def plan(cell: rec.Cell, solver: Any, batch: int, steps: int) -> tuple[Any, Any]:
    """The compiled loop of updates, and its arguments but their number."""
    params = cell.init(jax.random.key(0))
    xs = jax.random.normal(jax.random.key(1), (steps, batch, *cell.input_shape))
    key = jax.random.key(2) if cell.is_stochastic else None

    def loss(params: Any, xs: Any) -> Any:
        return jnp.mean(rec.unroll(cell, params, xs, solver=solver, key=key)[1] ** 2)

    def run(params: Any, xs: Any, count: Any) -> Any:
        def update(_: Any, params: Any) -> Any:
            return jax.tree.map(lambda p, g: p - 1e-4 * g, params, jax.grad(loss)(params, xs))

        return jax.lax.fori_loop(0, count, update, params)

    return jax.jit(run).lower(params, xs, jnp.int32(1)).compile(), (params, xs)


def measure(name: str, point: str, rounds: int) -> dict[str, Any] | None:
    """One row; None where it would take too much memory."""
    batch, steps, inputs, units = POINTS[point]
    cell = registry.entry(name).build(inputs, units)
    plans = {kind: plan(cell, solver, batch, steps) for kind, solver in SOLVERS.items()}
    row: dict[str, Any] = {"cell": name, "point": point}
    row["bytes"] = {kind: step.memory_analysis().temp_size_in_bytes for kind, (step, _) in plans.items()}
    if max(row["bytes"].values()) > MOST:
        return row
    one, many = jnp.int32(1), jnp.int32(MANY)
    times: dict[tuple[str, str], list[float]] = {}
    for turn in range(rounds + 1):
        for kind, (step, arguments) in plans.items():
            single, several = (seconds(step, (*arguments, count)) for count in (one, many))
            if turn:  # the first turn warms up
                times.setdefault(("single", kind), []).append(single)
                times.setdefault(("looped", kind), []).append((several - single) / (MANY - 1))
    for form in ("single", "looped"):
        row[form] = {kind: round(1000 * statistics.median(times[form, kind]), 3) for kind in plans}
    return row


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--cell", nargs="*")
    parser.add_argument("--point", nargs="*", choices=list(POINTS), default=list(POINTS))
    options = parser.parse_args()
    about = {"device": jax.devices()[0].device_kind, "jax": jax.__version__, "rounds": options.rounds}
    about["points"] = POINTS
    rows = kept(options.out, about["device"])
    done = {(row["cell"], row["point"]) for row in rows}
    for name in options.cell or names():
        for point in options.point:
            if (name, point) in done:
                continue
            row = measure(name, point, options.rounds)
            rows.append(row)
            print(row, flush=True)
            lines = ",\n".join(f"  {json.dumps(row)}" for row in rows)
            options.out.write_text(f'{{\n "about": {json.dumps(about)},\n "rows": [\n{lines}\n ]\n}}\n')


if __name__ == "__main__":
    with unheard_too():
        sys.exit(guarded(main))
