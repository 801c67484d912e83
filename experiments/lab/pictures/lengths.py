"""What was learned at one length, asked at others."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from experiments.lab.pictures.base import Drawn, colours, explain, literal, save, subplots
from experiments.lab.plan import cell_names


def draw(runs: Sequence[Drawn], out: Path) -> None:
    """``lengths.png``: the test metric by length, for the runs with ``--test-lengths``; nothing where there is none."""
    asked = [run for run in runs if run.summary.get("lengths")]
    if asked:
        save(figure_of(asked), out / "lengths.png")


def metric_of(run: Drawn) -> str:
    """The metric that is shown: the first accuracy or share, else the first of the task's own."""
    names = [name for name in run.summary["test"] if name != "loss"]
    shares = [name for name in names if "accuracy" in name or "correct" in name]
    return (shares or names or ["loss"])[0]


def figure_of(runs: Sequence[Drawn]) -> Any:
    """One line a run, its mean over the networks, a dot a network; a vertical line at the length of the training."""
    figure, axes_of_all = subplots(1, 1, figsize=(7, 4.2), layout="constrained")
    axes: Any = axes_of_all
    metric = metric_of(runs[0])
    shades = colours([cell_names.label(run.config.cell) for run in runs])
    for run, shade in zip(runs, shades, strict=True):
        found = {int(length): metrics[metric] for length, metrics in run.summary["lengths"].items()}
        lengths = sorted(found)
        axes.plot(
            lengths, [found[length]["mean"] for length in lengths], color=shade, label=literal(run.label)
        )
        for length in lengths:
            seeds = np.array(found[length]["seeds"], float)
            axes.plot([length] * len(seeds), seeds, "o", color=shade, ms=4, alpha=0.5, mew=0)
    for trained in sorted({length for run in runs if (length := trained_length(run.task)) is not None}):
        axes.axvline(trained, color="black", ls=":", lw=0.9)
        axes.text(trained, 1.01, " trained", fontsize=8, transform=axes.get_xaxis_transform())
    axes.set(xlabel="length", ylabel=f"test {metric.replace('_', ' ')}")
    axes.grid(alpha=0.25)
    explain(figure, axes)
    return figure


def trained_length(task: Any) -> int | None:
    """The length that the task trains on, the largest where there are several; None where it does not say."""
    return getattr(task, getattr(task, "length_field", ""), None)
