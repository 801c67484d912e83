"""Every cell side by side: time, memory and parameters of one training step.

    python -m benchmarks.cells --out docs/cells.cpu.json [--rounds 5] [--cell NAME ...]

32 sequences of 512 steps, 128 inputs and 128 units in float32; a training step is the loss of all outputs and its
gradient by all parameters, compiled beforehand. An LSTM takes its turn beside every cell, in the same process, and
what counts is the ratio of the medians. Memory is what the compiler sets aside for temporaries. Images are 8 x 8 of 2
channels, which are 128 numbers too. Rows already in the file are kept, so that a run that was cut off goes on.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

import recurrent as rec
from benchmarks.rows import kept
from experiments.errors import guarded, unheard_too
from experiments.tables.catalogue import num_parameters
from experiments.tables.measured import wide_cell

BATCH, STEPS = 32, 512
SOLVERS = {
    "Sequential": rec.Sequential(),
    "Fused": rec.Fused(),
    "Checkpointed": rec.Checkpointed(),
    "Associative": rec.Associative(),
}
LINEAR_ALONE = ("Checkpointed", "Associative")  # measured for cells with a linear form
COMPILERS = 8  # threads; a compilation on a GPU leaves most cores idle


def solvers_of(name: str) -> dict[str, Any]:
    """The solvers to be measured."""
    cell = wide_cell(name)
    linear = isinstance(cell, rec.Cell) and cell.has_linear_form
    asked = {kind: solver for kind, solver in SOLVERS.items() if linear or kind not in LINEAR_ALONE}
    return {kind: solver for kind, solver in asked.items() if rec.refusal(cell, solver) is None}


def plan(name: str, solver: Any) -> tuple[Any, Any]:
    """The compiled training step and its arguments."""
    cell = wide_cell(name)
    params = cell.init(jax.random.key(0))
    shapes = cell.input_shape
    is_shape = rec.arrays.is_shape
    xs = jax.tree.map(
        lambda shape: jax.random.uniform(jax.random.key(1), (STEPS, BATCH, *shape)), shapes, is_leaf=is_shape
    )

    def loss(params: Any, xs: Any) -> Any:
        return jnp.mean(rec.unroll(cell, params, xs, solver=solver)[1] ** 2)

    compiled = jax.jit(jax.value_and_grad(loss)).lower(params, xs).compile()
    return compiled, (params, xs)


def seconds(step: Callable[..., Any], arguments: Any) -> float:
    """The wall time of one call."""
    started = time.perf_counter()
    jax.block_until_ready(step(*arguments))
    return time.perf_counter() - started


def measure(
    name: str, found: dict[str, Any], lstm: tuple[Any, Any], rounds: int, most: float
) -> dict[str, Any]:
    """The row of one cell: its training steps, by solver, taking turns with the LSTM's."""
    row: dict[str, Any] = {"cell": name, "parameters": num_parameters(wide_cell(name))}
    for solver, planned in found.items():
        step, arguments = planned
        memory = step.memory_analysis().temp_size_in_bytes
        entry: dict[str, Any] = {"bytes": memory}
        if memory < most:
            seconds(step, arguments)
            # the LSTM twice: its first call behind one of gigabytes waits for its own pages
            times = [(seconds(step, arguments), seconds(*lstm), seconds(*lstm)) for _ in range(rounds)]
            own, _, beside = (statistics.median(column) for column in zip(*times, strict=True))
            entry |= {"milliseconds": round(1000 * own, 3), "lstm_milliseconds": round(1000 * beside, 3)}
        row[solver] = entry
    return row


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--most", type=float, default=8.0, help="GiB of temporaries above which nothing is run"
    )
    parser.add_argument("--cell", nargs="*", default=list(rec.CELLS))
    options = parser.parse_args()
    about = {"device": jax.devices()[0].device_kind, "jax": jax.__version__, "rounds": options.rounds}
    rows = kept(options.out, about["device"])
    todo = [name for name in options.cell if name not in {row["cell"] for row in rows}]
    lstm = plan("lstm", rec.Sequential())
    seconds(*lstm)
    on_gpu = jax.default_backend() != "cpu"

    def compiled(name: str) -> dict[str, Any]:
        return {kind: plan(name, solver) for kind, solver in solvers_of(name).items()}

    with ThreadPoolExecutor(COMPILERS if on_gpu else 1) as pool:
        # On a GPU everything is compiled first: nothing is timed beside a compilation.
        ahead = dict(zip(todo, pool.map(compiled, todo), strict=True)) if on_gpu else {}
    for name in todo:
        rows.append(
            measure(name, ahead.get(name) or compiled(name), lstm, options.rounds, options.most * 2**30)
        )
        rows.sort(key=lambda row: list(rec.CELLS).index(row["cell"]))
        print(rows[-1] if name == rows[-1]["cell"] else name, flush=True)
        options.out.write_text(json.dumps({"about": about, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    with unheard_too():
        sys.exit(guarded(main))
