"""When does a device compute states again sooner than it fetches them? What `recurrent.AUTO` decides by.

    python -m benchmarks.auto --out docs/auto.cpu.json [--rounds 5]

A training step, the gradient of a loss of all outputs by all parameters, by `Sequential` and by `Checkpointed` in turn,
compiled beforehand, in float32 with batches of 32 sequences and 128 inputs; medians. Temporaries are what the compiler
plans.
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

BATCH, INPUTS = 32, 128
CELLS = {
    "elman, 32 units": rec.Elman(INPUTS, 32),
    "lstm, 32 units": rec.LSTM(INPUTS, 32),
    "lstm, 128 units": rec.LSTM(INPUTS, 128),
    "gru, 128 units": rec.GRU(INPUTS, 128),
    "lru, 128 units": rec.LRU(INPUTS, 128),
    "s6, 128 units": rec.S6(INPUTS, 128),
    "mlstm, 4 heads of 32": rec.MLSTM(INPUTS, 128, num_heads=4),
    "mlstm, 1 head of 128": rec.MLSTM(INPUTS, 128),
}
STEPS = (32, 128, 512, 2048)
SOLVERS = {"Sequential": rec.Sequential(), "Checkpointed": rec.Checkpointed()}
MOST = 4 * 2**30  # bytes of temporaries above which nothing is run


def plan(cell: rec.Cell, solver: Any, steps: int) -> tuple[Any, Any]:
    """The compiled training step and its arguments."""
    params = cell.init(jax.random.key(0))
    xs = jax.random.uniform(jax.random.key(1), (steps, BATCH, *cell.input_shape))

    def loss(params: Any, xs: Any) -> Any:
        return jnp.mean(rec.unroll(cell, params, xs, solver=solver)[1] ** 2)

    return jax.jit(jax.value_and_grad(loss)).lower(params, xs).compile(), (params, xs)


def state_bytes(cell: rec.Cell, steps: int) -> int:
    """Bytes of the states of all steps."""
    state = jax.eval_shape(
        lambda key: cell.initial_state(cell.prepare(cell.init(key)), (BATCH,)), jax.random.key(0)
    )
    return steps * sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(state))


def measure(name: str, steps: int, rounds: int) -> dict[str, Any]:
    """One row."""
    plans = {kind: plan(CELLS[name], solver, steps) for kind, solver in SOLVERS.items()}
    row: dict[str, Any] = {"cell": name, "steps": steps, "state_bytes": state_bytes(CELLS[name], steps)}
    row["bytes"] = {kind: step.memory_analysis().temp_size_in_bytes for kind, (step, _) in plans.items()}
    if max(row["bytes"].values()) < MOST:
        for planned in plans.values():
            seconds(*planned)
        times = [{kind: seconds(*planned) for kind, planned in plans.items()} for _ in range(rounds)]
        row["milliseconds"] = {
            kind: round(1000 * statistics.median(each[kind] for each in times), 3) for kind in plans
        }
    return row


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    rows = []
    for name in CELLS:
        for steps in STEPS:
            rows.append(measure(name, steps, options.rounds))
            print(rows[-1], flush=True)
    about = {"device": jax.devices()[0].device_kind, "jax": jax.__version__, "rounds": options.rounds}
    lines = ",\n".join(f"  {json.dumps(row)}" for row in rows)
    options.out.write_text(f'{{\n "about": {json.dumps(about)},\n "rows": [\n{lines}\n ]\n}}\n')


if __name__ == "__main__":
    with unheard_too():
        sys.exit(guarded(main))
