"""Where the gradient goes."""

import dataclasses
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import recurrent as rec
from experiments.lab.pictures.base import FEW, Drawn, colours, literal, rows_of, save, subplots
from experiments.lab.plan import cell_names
from experiments.lab.planning import DataSets
from experiments.lab.training.trainer import DIAGNOSED, INIT, gradients_by_lag, lags

FLOOR = 1e-30  # below it nothing is shown: what float32 has lost leaves the picture
SMALLEST = 1e-38  # the least normal number of float32, rounded down
REFERENCE_COLOURS = ("#888888", "#b8860b", "#7b68ee", "#2e8b57")


CAPTION = (
    "Norm of the derivative of the last loss with respect to the state read k steps before it (of c where there "
    "is one), divided by its value at lag 0; median over sequences. A gradient that arrives is not yet a network that "
    "learns: curves.png shows whether it does."
)


def caption(runs: Sequence[Drawn]) -> str:
    """What the lines are, and what they say of each run at the longest lag, in words made from its metrics."""
    said = [CAPTION]
    for run in runs if len(runs) <= FEW else ():
        rows = [rows_of(run, "validation", index) for index in range(run.config.num_seeds)]
        rows = [[row for row in each if "state_gradient" in row] for each in rows]
        before, after = (
            np.median([relative(each[which]["state_gradient"])[-1] for each in rows]) for which in (0, -1)
        )
        lag = rows[0][0]["state_gradient"]["lag"][-1]
        solved = sum(seed["solved"] for seed in run.summary["seeds"]) if run.summary else 0
        said.append(
            f"{run.label}: {_shown(before)} at lag {lag} at the start, {_shown(after)} at the end; "
            f"{solved} of {run.config.num_seeds} solved."
        )
    return " ".join(said)


def _shown(ratio: float) -> str:
    """A relative norm with one digit; what float32 has lost is not 0 but less than it can hold.

    >>> _shown(0.0123), _shown(0.0)
    ('1e-02', '< 1e-38')
    """
    return f"< {SMALLEST:.0e}" if ratio < SMALLEST else f"{ratio:.0e}"


def references(num_steps: int) -> dict[str, Any]:
    """Four initialisations that every picture shows: builders ``(input_size, hidden_size) -> cell``."""
    uniform = ("uniform",)

    def tanh_uniform(d: int, h: int) -> rec.Cell:
        return rec.Elman(d, h, input_init=uniform, recurrent_init=uniform)

    return {
        "tanh RNN, U(±1/√h)": tanh_uniform,
        "tanh RNN, orthogonal": rec.Elman,
        "LSTM, forget bias 1, orthogonal": rec.LSTM,
        f"LSTM, chrono({num_steps})": lambda d, h: rec.LSTM(d, h, forget_bias=("chrono", num_steps)),
    }


def reference_gradients(run: Drawn) -> tuple[tuple[int, ...], dict[str, np.ndarray]]:
    """The lags, and for each of `references` the relative norm of its state gradient on the run's task."""
    data = DataSets().of(run.task)
    key = jax.random.key(run.config.evaluation_seed)
    batch = run.task.evaluation(data, "validation", jnp.array(0), key, DIAGNOSED)
    num_steps = jax.tree.leaves(batch.inputs)[0].shape[0]
    (input_size,) = run.task.input_shape
    found = {}
    for name, builder in references(num_steps).items():
        model = dataclasses.replace(run.model, cell=builder(input_size, run.config.hidden_size))
        params = model.init(jax.random.fold_in(jax.random.key(run.config.seed), INIT))
        norms = jax.jit(lambda params, model=model: gradients_by_lag(model, params, batch, run.task.loss))(
            params
        )
        found[name] = relative(jax.device_get(norms))
    return lags(num_steps), found


def relative(norms: dict[str, Any]) -> np.ndarray:
    """The memory cell's norm by lag (the whole state's where there is none), divided by lag 0."""
    values = np.array([np.nan if value is None else value for value in norms.get("c", norms["all"])], float)
    with np.errstate(
        invalid="ignore", divide="ignore"
    ):  # a saturated network passes nothing on, at lag 0 either
        return values / values[0]


def _name(run: Drawn, seed_index: int, runs: Sequence[Drawn], *, at_end: bool) -> str | None:
    """What the legend calls a line: few networks each by its seed, many by their runs, and none of many runs."""
    by_run = sum(each.config.num_seeds for each in runs) > FEW
    if len(runs) > FEW or (by_run and seed_index):
        return None
    if not at_end:
        return f"{run.label}, as given" if seed_index == 0 else None
    seeds = run.summary["seeds"] if run.summary else []
    if by_run:
        return f"{run.label}: {sum(seed['solved'] for seed in seeds)} of {run.config.num_seeds} solved"
    solved = bool(seeds) and seeds[seed_index]["solved"]
    return f"{run.label}, seed {run.config.seed + seed_index}: {'solved' if solved else 'not solved'}"


def draw(runs: Sequence[Drawn], out: Path) -> None:
    """``gradient_flow.png``: the state gradient against the lag, at the start and at the end of training."""
    runs = [run for run in runs if any("state_gradient" in row for row in run.metrics)]
    if not runs:
        return
    figure, (start, end) = subplots(1, 2, figsize=(12, 7), sharey=True, sharex=True)
    lag, found = reference_gradients(runs[0])
    for (name, values), shade in zip(found.items(), REFERENCE_COLOURS, strict=True):
        start.plot(lag, np.maximum(values, FLOOR**2), color=shade, lw=2.5, label=name)
    shades = colours([cell_names.label(run.config.cell) for run in runs])
    for run, shade in zip(runs, shades, strict=True):
        for seed_index in range(run.config.num_seeds):
            rows = [row for row in rows_of(run, "validation", seed_index) if "state_gradient" in row]
            solved = bool(run.summary) and run.summary["seeds"][seed_index]["solved"]
            for axes, row in ((start, rows[0]), (end, rows[-1])):
                name = _name(run, seed_index, runs, at_end=axes is end)
                axes.plot(
                    row["state_gradient"]["lag"],
                    np.maximum(relative(row["state_gradient"]), FLOOR**2),
                    color=shade,
                    lw=1.1,
                    ls="--" if axes is start or not solved else "-",
                    label=name and literal(name),
                )
    start.set(title="at the start: initialisations", yscale="log", ylabel="gradient norm, relative to lag 0")
    end.set(title="at the end: what each trained network has become", yscale="log")
    shown = np.concatenate(
        [np.asarray(line.get_ydata(), float) for axes in (start, end) for line in axes.lines]
    )
    shown = shown[np.isfinite(shown) & (shown > FLOOR)]
    start.set_ylim(min(shown, default=FLOOR) / 3, None)
    for axes in (start, end):
        axes.set_xlabel("lag: steps before the last prediction")
        axes.grid(alpha=0.25)
        if axes.get_legend_handles_labels()[1]:
            # below its panel: within it there is no place that no curve goes through
            axes.legend(fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.11), ncol=2, frameon=False)
    if len(runs) > FEW:
        end.set_title("at the end; solid: solved; colours as in curves.png", fontsize=11)
    figure.subplots_adjust(left=0.07, right=0.99, top=0.95, bottom=0.3, wspace=0.05)
    figure.text(0.07, 0.02, textwrap.fill(caption(runs), 165), fontsize=9, va="bottom")
    save(figure, out / "gradient_flow.png")
