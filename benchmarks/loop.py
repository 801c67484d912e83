"""A whole training run beside its bare updates, and beside an idiomatic loop in torch.

    python -m benchmarks loop --out docs/loop.cpu.json [--updates 600] [--rounds 3]

The adding problem with one LSTM, by default 100 steps, 64 sequences an update and 64 units. ``run`` is one of
`experiments.lab` with all that it does by default: fresh sequences, gradient norms, metrics, evaluation, checkpoints;
the seconds of its summary by its updates, behind a short run that compiles the same programs. ``bare`` is the gradient
and Adam on one fixed batch, in one compiled loop. ``torch loop`` draws a batch, calls the module, and steps Adam, as
its tutorials do, and reads the loss every 100 updates; ``torch bare`` is the same on one fixed batch. All take turns.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import optax

from benchmarks import quiet
from experiments import adding_problem, lab
from experiments.errors import guarded, unheard_too
from experiments.lab.plan.cell_names import CellSpec
from recurrent import losses

WARM = 50


def configuration(updates: int, seed: int) -> Any:
    """One network."""
    return adding_problem.AddingConfig(
        cell=CellSpec("lstm"), num_updates=updates, num_seeds=1, seed=seed, learning_rate=1e-3
    )


def whole_run(updates: int) -> float:
    """Seconds an update of a run, compilation apart."""
    with tempfile.TemporaryDirectory() as folder:
        configs = [configuration(WARM, 0), configuration(updates, 1)]
        runs = lab.run(configs, experiment=adding_problem.EXPERIMENT, out=folder, progress=False)
        summary = runs[1].summary
    return summary["wall_seconds"] / updates


def bare(updates: int) -> Callable[[], float]:
    """Seconds an update of gradient and Adam alone."""
    config = configuration(updates, 0)
    task, model, _ = adding_problem.build(config)
    params = model.init(jax.random.key(0))
    batch = task.sample(jax.random.key(1), config.batch_size)
    adam = optax.adam(1e-3)

    def update(_: Any, state: Any) -> Any:
        params, moments = state

        def loss(params: Any) -> Any:
            return losses.mean(task.loss(model.apply(params, batch, carry=(), key=None)[0], batch))

        grads = jax.grad(loss)(params)
        steps, moments = adam.update(grads, moments, params)
        return optax.apply_updates(params, steps), moments

    run = jax.jit(lambda state: jax.lax.fori_loop(0, updates, update, state))
    state = params, adam.init(params)
    jax.block_until_ready(run(state))

    def timed() -> float:
        started = time.perf_counter()
        jax.block_until_ready(run(state))
        return (time.perf_counter() - started) / updates

    return timed


def torch_loop(updates: int, fresh: bool) -> Callable[[], float]:
    """Seconds an update of the loop that torch's tutorials show; ``fresh`` batches, or one."""
    import torch

    config = configuration(updates, 0)
    steps, batch = config.task.num_steps, config.batch_size
    cell = torch.nn.LSTM(2, config.hidden_size)
    readout = torch.nn.Linear(config.hidden_size, 1)
    adam = torch.optim.Adam([*cell.parameters(), *readout.parameters()], lr=1e-3)

    def draw() -> tuple[Any, Any]:
        values = torch.rand(steps, batch)
        columns = torch.arange(batch)
        places = torch.randint(0, steps // 2, (2, batch)) + torch.tensor([[0], [steps // 2]])
        markers = torch.zeros(steps, batch)
        markers[places, columns] = 1.0
        return torch.stack([values, markers], -1), (values * markers).sum(0)[:, None]

    fixed = draw()

    def timed() -> float:
        started = time.perf_counter()
        for update in range(updates):
            xs, targets = draw() if fresh else fixed
            adam.zero_grad()
            loss = torch.nn.functional.mse_loss(readout(cell(xs)[0][-1]), targets)
            loss.backward()
            adam.step()
            if update % 100 == 0:
                loss.item()
        return (time.perf_counter() - started) / updates

    return timed


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--updates", type=int, default=600)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--busy", action="store_true", help="measure on a busy machine, too")
    options = parser.parse_args()
    if not options.busy:
        quiet.wait()
    lab.start()
    calls = {"run": lambda: whole_run(options.updates), "bare": bare(options.updates)}
    calls |= {f"torch {name}": torch_loop(options.updates, name == "loop") for name in ("loop", "bare")}
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(options.rounds):
        for name, call in calls.items():
            times[name].append(call())
            print(name, f"{1000 * times[name][-1]:.2f} ms an update", flush=True)
    content = {
        "about": {"device": jax.devices()[0].device_kind, "jax": jax.__version__, "rounds": options.rounds},
        "updates": options.updates,
        "milliseconds": {name: round(1000 * statistics.median(each), 3) for name, each in times.items()},
    }
    options.out.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    with unheard_too():
        sys.exit(guarded(main))
