"""How many iterations Newton's method needs, against the largest Lyapunov exponent of the driven network.

    python -m benchmarks.newton --out docs/newton

Twenty networks of 16 units, driven by white noise for 4,096 steps in float64: tanh networks of growing gain, GRUs of
growing gain, LSTMs of growing forget bias. Writes docs/newton.json and docs/newton.png.
"""

import argparse
import json
import platform
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import recurrent as rec
from experiments.errors import guarded, unheard_too
from recurrent.cell import state_vector

STEPS, BATCH, INPUTS, HIDDEN = 4096, 2, 2, 16
SOLVER = rec.Newton()


def settings() -> dict[str, tuple[rec.Cell, Any]]:
    """The networks by name: a cell and a function of its initial parameters."""
    elman, gru = rec.Elman(INPUTS, HIDDEN), rec.GRU(INPUTS, HIDDEN)
    named: dict[str, tuple[rec.Cell, Any]] = {}
    for gain in (0.5, 0.9, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 6.0):
        named[f"tanh gain {gain}"] = elman, lambda p, gain=gain: p._replace(w_h=gain * p.w_h)
    for gain in (0.5, 1.0, 2.0, 4.0, 8.0, 12.0):
        named[f"GRU gain {gain}"] = gru, lambda p, gain=gain: p._replace(w_h=gain * p.w_h)
    for bias in (-2.0, 0.0, 1.0, 2.0, 5.0):
        named[f"LSTM forget bias {bias}"] = rec.LSTM(INPUTS, HIDDEN, forget_bias=bias), lambda p: p
    return named


def exponent(cell: rec.Cell, params: Any, xs: Any) -> float:
    """The largest Lyapunov exponent in nats a step: the mean growth of a tangent vector, the first half left out."""
    weights = cell.prepare(params)
    start = cell.initial_state(weights, xs.shape[1:-1])
    vector, restore = state_vector(start)
    us = cell.project(weights, xs)

    def step(carry: Any, u: Any) -> Any:
        state, tangent = carry
        state, tangent = jax.jvp(lambda s: cell.next_state(weights, s, u), (state,), (tangent,))
        # every sequence of the batch has a tangent of its own
        norm = jnp.sqrt(sum(jnp.sum(leaf**2, axis=-1) for leaf in tangent))
        return (state, jax.tree.map(lambda leaf: leaf / norm[:, None], tangent)), jnp.log(norm)

    first = restore(jax.random.normal(jax.random.key(3), vector.shape, vector.dtype))
    _, growth = jax.jit(lambda: jax.lax.scan(step, (start, first), us))()
    return float(growth[STEPS // 2 :].mean())


def measure(names: Iterable[str]) -> list[dict[str, Any]]:
    """One row a setting."""
    rows = []
    for name in names:
        cell, change = settings()[name]
        params = change(jax.tree.map(lambda leaf: leaf.astype(float), cell.init(jax.random.key(0))))
        xs = jax.random.normal(jax.random.key(1), (STEPS, BATCH, INPUTS), float)
        _, ys, report = jax.jit(lambda p, x, cell=cell: rec.solve_report(cell, p, x, solver=SOLVER))(
            params, xs
        )
        expected = rec.unroll(cell, params, xs)[1]
        windows = np.asarray(report.iterations)[:: SOLVER.window]
        failed = bool(np.isnan(ys).any())
        row = {
            "setting": name,
            "exponent": round(exponent(cell, params, xs), 3),
            "iterations": int(windows.max()),
            "median": float(np.median(windows)),
            "converged": not failed,
            "error": None if failed else float(np.max(np.abs(ys - expected))),
        }
        print(row, flush=True)
        rows.append(row)
    return rows


def picture(rows: list[dict[str, Any]], path: Path) -> None:
    """Iterations of the slowest window against the exponent."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    for kind, marker in (("tanh", "o"), ("GRU", "s"), ("LSTM", "^")):
        for converged in (True, False):
            chosen = [
                row for row in rows if row["setting"].startswith(kind) and row["converged"] is converged
            ]
            axes.scatter(
                [row["exponent"] for row in chosen],
                [row["iterations"] for row in chosen],
                marker=marker,
                facecolors="C0" if converged else "none",
                edgecolors="C0" if converged else "C3",
                label=f"{kind}{'' if converged else ', not converged'}",
            )
    axes.axvline(0, color="0.7", linewidth=1)
    axes.axhline(SOLVER.max_iters, color="0.7", linewidth=1, linestyle="--")
    axes.set_xlabel("largest Lyapunov exponent (nats a step)")
    axes.set_ylabel("iterations of the slowest window")
    axes.set_title(f"Newton's method: {STEPS:,} steps in windows of {SOLVER.window}")
    axes.legend(fontsize=8)
    figure.savefig(path, dpi=150)


def main() -> None:
    """Measure, write, draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("docs/newton"))
    out = parser.parse_args().out
    jax.config.update("jax_enable_x64", True)
    rows = measure(settings())
    about = {
        "solver": str(SOLVER),
        "steps": STEPS,
        "batch": BATCH,
        "units": HIDDEN,
        "dtype": "float64",
        "device": jax.devices()[0].device_kind,
        "machine": platform.machine(),
        "jax": jax.__version__,
    }
    out.with_suffix(".json").write_text(json.dumps({"about": about, "rows": rows}, indent=1) + "\n")
    picture(rows, out.with_suffix(".png"))


if __name__ == "__main__":
    with unheard_too():
        sys.exit(guarded(main))
