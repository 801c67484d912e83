"""Time and memory of a training step against the number of steps, for every solver.

    python -m benchmarks.ways --out docs/ways.cpu.json [--longest 16384] [--rounds 5]

A training step is the loss of all outputs and its gradient by all parameters, in float32, compiled beforehand. The
solvers take turns in one process; times are medians of the rounds. Memory is what the compiler sets aside for
temporaries, beyond inputs and outputs. `streaming` is one step of batch 1 as `recurrent.stream` runs it, from the
input on the host to the output on the host.
"""

import argparse
import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import recurrent as rec
from experiments.errors import guarded, unheard_too

CELLS = {
    "lstm, 128 units": (rec.LSTM(2, 128), 8),
    "lru, 128 units": (rec.LRU(2, 128), 8),
    "gru, 4 units": (rec.GRU(2, 4), 8),
}
SOLVERS = (
    rec.Sequential(),
    rec.Sequential(projection=None),
    rec.Checkpointed(),
    rec.Associative(),
    rec.Associative(chunk=256),
    rec.Newton(),
)
LENGTHS = (256, 1024, 4096, 16_384, 65_536)
MOST_BYTES = 2**32  # a plan that needs more temporaries is not run
ENOUGH_SECONDS = 60.0  # nor one whose first run took longer: one round of it, or none


def training_step(cell: rec.Cell, solver: Any) -> Any:
    """Loss and gradient, to be compiled."""

    def loss(params: Any, xs: Any) -> Any:
        return jnp.mean(rec.unroll(cell, params, xs, solver=solver)[1] ** 2)

    return jax.jit(jax.value_and_grad(loss))


def seconds(step: Any, *arguments: Any) -> float:
    """The wall time of one call."""
    started = time.perf_counter()
    jax.block_until_ready(step(*arguments))
    return time.perf_counter() - started


def measure(name: str, num_steps: int, rounds: int) -> list[dict[str, Any]]:
    """One row a solver that runs."""
    cell, batch = CELLS[name]
    params = cell.init(jax.random.key(0))
    xs = jax.random.normal(jax.random.key(1), (num_steps, batch, 2))
    steps, rows = {}, []
    for solver in SOLVERS:
        size = max((n for n in vars(solver).values() if isinstance(n, int) and n), default=0)
        if (isinstance(solver, rec.Associative) and size > num_steps) or rec.refusal(
            cell, solver, (num_steps,)
        ):
            continue
        if isinstance(solver, rec.Newton) and num_steps > 4096:
            continue
        compiled = training_step(cell, solver).lower(params, xs).compile()
        memory = compiled.memory_analysis().temp_size_in_bytes
        row = {"cell": name, "batch": batch, "steps": num_steps, "solver": str(solver), "bytes": memory}
        rows.append(row)
        if memory < MOST_BYTES and seconds(compiled, params, xs) < ENOUGH_SECONDS:
            steps[len(rows) - 1] = compiled
    times: dict[int, list[float]] = {index: [] for index in steps}
    for _ in range(rounds):
        for index, step in steps.items():
            times[index].append(seconds(step, params, xs))
    for index, found in times.items():
        rows[index]["milliseconds"] = round(1000 * statistics.median(found), 3)
    for row in rows:
        print(row, flush=True)
    return rows


def streaming(rounds: int) -> list[dict[str, Any]]:
    """The latency of a step."""
    rows = []
    for name, (cell, _) in CELLS.items():
        state, step = rec.stream(cell, cell.init(jax.random.key(0)))
        x, times = np.ones(2, np.float32), []
        for _ in range(200 + 100 * rounds):
            started = time.perf_counter()
            state, y = step(state, x)
            np.asarray(y)
            times.append(time.perf_counter() - started)
        rows.append({"cell": name, "microseconds": round(1e6 * statistics.median(times[200:]), 1)})
        print(rows[-1], flush=True)
    return rows


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--longest", type=int, default=LENGTHS[-1])
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    about = {"device": jax.devices()[0].device_kind, "jax": jax.__version__, "rounds": options.rounds}
    found: dict[str, Any] = {"about": about, "rows": [], "streaming": streaming(options.rounds)}
    for num_steps in LENGTHS:
        for name in CELLS:
            if num_steps <= options.longest:
                found["rows"] += measure(name, num_steps, options.rounds)
                options.out.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    with unheard_too():
        sys.exit(guarded(main))
