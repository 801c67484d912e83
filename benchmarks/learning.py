"""Does every cell learn? The adding problem with one budget for all, and the gradient by lag before and after.

    python -m benchmarks.learning long --out docs/learning.long.json [--cell NAME ...] [--workers 2]

Every cell gets the same network, updates and data; options and a learning rate of its own only where its entry in
`recurrent.registry` has them. What is written is one training of one seed: a check that a cell learns, not a comparison
of cells tuned to their best.
The gradient is that of the last loss by the state that each step reads; for layers by the input of each step. Both are
medians over sequences, at the lags that ``about`` lists.
Rows already in the file are kept, so that a run that was cut off goes on.
"""

import argparse
import concurrent.futures
import json
import multiprocessing
import os
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

import recurrent as rec
from benchmarks.rows import kept
from experiments.errors import guarded, unheard_too
from experiments.lab.training.trainer import DIAGNOSED, Trainer, named_leaves
from experiments.models.base import LastStep
from experiments.models.cell_with_readout import with_readout
from experiments.tasks.adding import Adding
from recurrent import registry


class Budget(NamedTuple):
    """What every cell is given. ``learning_rate`` falls to 0 along a cosine; gradients are clipped at norm 1."""

    num_steps: int
    hidden_size: int
    batch_size: int
    num_updates: int
    learning_rate: float
    num_evaluation: int


HELD_OUT = 1000  # the seed of the sequences that are evaluated
BUDGETS = {
    "short": Budget(20, 32, 32, 400, 1e-2, 512),
    "long": Budget(100, 64, 64, 1600, 5e-3, 1024),
}


def own_rate(name: str, budget: Budget) -> float:
    """The learning rate of a cell: the budget's, times the cell's factor where it does not learn at that."""
    return budget.learning_rate * registry.entry(name).learning_rate_factor


def trainer(name: str, budget: Budget) -> Trainer:
    """The cell with its readout, the task, and Adam."""
    task = Adding(num_steps=budget.num_steps, num_evaluation=budget.num_evaluation)
    (size,) = task.input_shape
    entry = registry.entry(name)
    cell = entry.build(input_size=size, hidden_size=budget.hidden_size, **entry.learning_options)
    schedule = optax.cosine_decay_schedule(own_rate(name, budget), budget.num_updates)
    optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(schedule))
    return Trainer(
        task,
        with_readout(cell, 1, LastStep(), rec.Sequential()),
        optimizer,
        budget.batch_size,
        budget.num_evaluation,
    )


def held_out_targets(budget: Budget) -> Any:
    """The sums of the very sequences that are evaluated."""
    task = Adding(num_steps=budget.num_steps, num_evaluation=budget.num_evaluation)
    key = jax.random.key(HELD_OUT)
    return task.evaluation((), "validation", jnp.array(0), key, budget.num_evaluation).targets


def error_of_one(budget: Budget) -> float:
    """The mean squared error of always answering 1 on the sequences that are evaluated; 1/6 in expectation."""
    return float(jnp.mean((held_out_targets(budget) - 1.0) ** 2))


def error_of_the_best_constant(budget: Budget) -> float:
    """No answer that ignores its input can do better on the sequences that are evaluated: the variance of the sums."""
    return float(jnp.var(held_out_targets(budget)))


def looks_at(budget: Budget) -> list[int]:
    """The lags at which a gradient is written: some twenty, evenly, and the longest."""
    last = budget.num_steps - 1
    return sorted({*range(0, last, max(budget.num_steps // 20, 1)), last})


def input_gradients(own: Trainer, params: Any, key: Any) -> Any:
    """By lag, like `Trainer.diagnose`, the norm of the gradient by the input of each step."""
    batch = own.task.evaluation((), "validation", jnp.array(0), key, DIAGNOSED)

    def last_loss(xs: Any) -> Any:
        outputs, _ = own.model.apply(params, batch._replace(inputs=xs), carry=(), key=None)
        return own.task.loss(outputs, batch)[0]

    norms = rec.diagnostics.gradient_norms(jax.grad(last_loss)(batch.inputs))
    return jnp.median(rec.diagnostics.gradient_by_lag(norms, own.task.num_steps - 1), axis=1)


def learn(name: str, budget: Budget, seed: int = 0) -> dict[str, Any]:
    """One training: validation errors and gradients by lag, before and after, and what it took."""
    own = trainer(name, budget)
    has_state = isinstance(own.model.cell, rec.Cell)

    @jax.jit
    def run(key: Any, held_out: Any) -> Any:
        before = own.init(key)
        after, _ = own.train(before, (), jnp.array(budget.num_updates))

        def look(params: Any) -> Any:
            metrics, _ = own.measure(params, (), "validation", held_out)
            if has_state:
                return metrics["mse"], own.diagnose(before._replace(params=params), (), held_out)["all"]
            return metrics["mse"], input_gradients(own, params, held_out)

        # one look in a loop of two: twice in a row it would be compiled twice
        looks = jax.lax.map(look, jax.tree.map(lambda *pair: jnp.stack(pair), before.params, after.params))
        moved = jax.tree.map(lambda new, old: jnp.any(new != old), after.params, before.params)
        return looks, after.records.finite, moved

    keys = jax.random.key(seed), jax.random.key(HELD_OUT)
    compiled = run.lower(*keys).compile()
    started = time.perf_counter()
    looks, finite, moved = jax.device_get(compiled(*keys))
    row: dict[str, Any] = {
        "cell": name,
        "jax": jax.__version__,
        "seconds": round(time.perf_counter() - started, 1),
        "finite": bool(finite),
    }
    row["stuck"] = [path for path, has_moved in named_leaves(moved) if not has_moved]
    row["options"] = dict(registry.entry(name).learning_options)
    row["rate"] = own_rate(name, budget)
    row["gradient_of"] = "state" if has_state else "input"
    for when, mse, by_lag in zip(("before", "after"), *looks, strict=True):
        row[f"mse_{when}"] = float(mse)
        row[f"gradient_{when}"] = [float(f"{by_lag[lag]:.4g}") for lag in looks_at(budget)]
    return row


def written(table: dict[str, Any]) -> str:
    """JSON, a row a line: curves are long, and a changed row should be a changed line."""
    rows = ",\n".join(f"  {json.dumps(row)}" for row in table["rows"])
    return f'{{\n "about": {json.dumps(table["about"])},\n "rows": [\n{rows}\n ]\n}}\n'


def _one_thread() -> None:
    os.environ |= {"XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false", "OPENBLAS_NUM_THREADS": "1"}


def main() -> None:
    """Train and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("budget", choices=BUDGETS)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--cell", nargs="*", default=list(rec.CELLS))
    options = parser.parse_args()
    budget = BUDGETS[options.budget]
    about = {"task": f"adding, T = {budget.num_steps}", "baseline": error_of_one(budget)}
    about |= {"device": jax.default_backend(), **budget._asdict(), "lags": looks_at(budget)}
    rows = kept(options.out, about["device"])
    todo = [name for name in options.cell if name not in {row["cell"] for row in rows}]
    spawn = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(options.workers, spawn, _one_thread) as pool:
        for future in concurrent.futures.as_completed([pool.submit(learn, name, budget) for name in todo]):
            rows.append(future.result())
            rows.sort(key=lambda row: list(rec.CELLS).index(row["cell"]))
            print(future.result(), flush=True)
            options.out.write_text(written({"about": about, "rows": rows}))


if __name__ == "__main__":
    with unheard_too():
        sys.exit(guarded(main))
