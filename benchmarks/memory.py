"""Time and memory of a training step over long sequences, by every solver that keeps less than all.

    python -m benchmarks memory --out docs/memory.cpu.json [--rounds 3]

An LSTM of 128 units over 8 sequences of 2 inputs, in float32: the gradient of the mean of the squares of all outputs by
all parameters. Solvers take turns, compiled beforehand; medians. Temporaries are what the compiler plans.
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
from experiments.errors import guarded, unheard_too

BATCH = 8
CELL = rec.LSTM(2, 128)
STEPS = (1_000, 5_000, 20_000)
SOLVERS = {
    "Sequential()": rec.Sequential(),
    "Fused()": rec.Fused(),
    "Checkpointed()": rec.Checkpointed(),
    "Checkpointed(inside=Fused())": rec.Checkpointed(inside=rec.Fused()),
}


def plan(solver: Any, steps: int) -> tuple[Any, Any]:
    """The compiled training step and its arguments."""
    params = CELL.init(jax.random.key(0))
    xs = jax.random.uniform(jax.random.key(1), (steps, BATCH, *CELL.input_shape))

    def loss(params: Any, xs: Any) -> Any:
        return jnp.mean(rec.unroll(CELL, params, xs, solver=solver)[1] ** 2)

    return jax.jit(jax.value_and_grad(loss)).lower(params, xs).compile(), (params, xs)


def measure(steps: int, rounds: int) -> list[dict[str, Any]]:
    """A row for every solver."""
    plans = {name: plan(solver, steps) for name, solver in SOLVERS.items()}
    for planned in plans.values():
        seconds(*planned)
    times = [{name: seconds(*planned) for name, planned in plans.items()} for _ in range(rounds)]
    return [
        {
            "solver": name,
            "steps": steps,
            "bytes": step.memory_analysis().temp_size_in_bytes,
            "milliseconds": round(1000 * statistics.median(each[name] for each in times), 1),
        }
        for name, (step, _) in plans.items()
    ]


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    about = {"device": jax.devices()[0].device_kind, "jax": jax.__version__, "rounds": options.rounds}
    rows: list[dict[str, Any]] = []
    for steps in STEPS:
        rows += measure(steps, options.rounds)
        print(*rows[-len(SOLVERS) :], sep="\n", flush=True)
    lines = ",\n".join(f"  {json.dumps(row)}" for row in rows)
    options.out.write_text(f'{{\n "about": {json.dumps(about)},\n "rows": [\n{lines}\n ]\n}}\n')


if __name__ == "__main__":
    with unheard_too():
        sys.exit(guarded(main))
