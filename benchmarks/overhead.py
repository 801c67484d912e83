"""What an update of the laboratory costs beyond the raw gradient step, at the default of the adding problem.

Each part runs alone in a compiled loop: the gradient of batches that were drawn before, the sampling of batches, the
optimizer on fixed gradients; then the whole update as experiments run it. The parts take turns in one
process; medians of the rounds.

    python -m benchmarks.overhead [--rounds 15] [--updates 30]
"""

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from experiments import adding_problem
from experiments.errors import guarded, unheard_too
from experiments.lab.plan import cell_names
from experiments.lab.plan.machine import start
from experiments.lab.planning import build
from experiments.lab.training.trainer import Trainer
from recurrent import losses

DRAWN = 8


def loops(name: str) -> dict[str, Callable[[int], Any]]:
    """Each part as a compiled function of the number of updates."""
    config = adding_problem.AddingConfig().with_cell(cell_names.parse_cell(name))
    task, model, rule = build(adding_problem.EXPERIMENT, config)
    optimizer = rule.transformation(config.learning_rate)
    trainer = Trainer(task, model, optimizer, config.batch_size, config.evaluation_batch_size)
    state = jax.jit(trainer.init)(jax.random.key(0))
    # several, for what depends on one batch alone would be computed once, outside the loop
    draw = jax.jit(jax.vmap(lambda update: task.batch((), state.key, update, config.batch_size)))
    batches = draw(jnp.arange(DRAWN))

    def drawn(update: Any) -> Any:
        return jax.tree.map(lambda leaf: leaf[update % DRAWN], batches)

    def loss(params: Any, batch: Any) -> Any:
        outputs, _ = model.apply(params, batch, carry=(), key=None)
        return losses.mean(task.loss(outputs, batch))

    grads = jax.jit(jax.grad(loss))(state.params, drawn(0))

    def gradient(update: Any, params: Any) -> Any:
        # the next gradient depends on this one, or the compiler would take it out of the loop
        found = jax.grad(loss)(params, drawn(update))
        return jax.tree.map(lambda param, grad: param - 1e-12 * grad, params, found)

    def sampling(update: Any, total: Any) -> Any:
        # the whole batch stands in memory, as a gradient needs it; a sum alone would never write it
        batch = jax.lax.optimization_barrier(task.batch((), state.key, update, config.batch_size))
        return total + sum(jnp.sum(leaf) for leaf in jax.tree.leaves(batch))

    def optimizing(_: Any, carry: Any) -> Any:
        steps, opt_state = optimizer.update(grads, carry[1], carry[0])
        return optax.apply_updates(carry[0], steps), opt_state

    def whole(count: Any) -> Any:
        return trainer.train(state, (), count)[1]["loss"]

    return {
        "gradient": jax.jit(lambda n: jax.lax.fori_loop(0, n, gradient, state.params)),
        "sampling": jax.jit(lambda n: jax.lax.fori_loop(0, n, sampling, 0.0)),
        "optimizer": jax.jit(lambda n: jax.lax.fori_loop(0, n, optimizing, (state.params, state.opt_state))),
        "update": jax.jit(whole),
    }


def measure(name: str, rounds: int, updates: int) -> dict[str, float]:
    """Median milliseconds an update of every part, and the overhead in percent of the gradient."""
    parts = loops(name)
    seconds: dict[str, list[float]] = {part: [] for part in parts}
    for turn in range(rounds + 1):
        for part, function in parts.items():
            began = time.perf_counter()
            jax.block_until_ready(function(updates))
            if turn:  # the first turn compiles
                seconds[part].append((time.perf_counter() - began) / updates)
    overheads = [
        100 * (update - gradient - sampling - optimizer) / gradient
        for update, gradient, sampling, optimizer in zip(
            *(seconds[part] for part in ("update", "gradient", "sampling", "optimizer")), strict=True
        )
    ]
    medians = {part: 1000 * statistics.median(values) for part, values in seconds.items()}
    return {**medians, "overhead %": statistics.median(overheads)}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15, help="turns of each part (default: 15)")
    parser.add_argument("--updates", type=int, default=30, help="updates a turn (default: 30)")
    options = parser.parse_args()
    resolved, _ = start("auto")
    print(f"{resolved.device_kind}, {os.cpu_count()} cores, jax {resolved.versions['jax']}; ms an update")
    for name in ("elman", "lstm"):
        print(
            name,
            {part: round(value, 3) for part, value in measure(name, options.rounds, options.updates).items()},
        )


if __name__ == "__main__":
    with unheard_too():
        sys.exit(guarded(main))
