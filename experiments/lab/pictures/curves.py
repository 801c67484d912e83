"""Learning curves."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from experiments.lab.pictures.base import Drawn, colours, explain, literal, rows_of, save, subplots
from experiments.lab.plan import cell_names


def draw(runs: Sequence[Drawn], out: Path) -> None:
    """``curves.png``: training and validation loss of every network, and the baseline."""
    if runs:
        save(figure_of(runs), out / "curves.png")


def figure_of(runs: Sequence[Drawn]) -> Any:
    """Training loss beside validation loss, one line a network."""
    figure, (left, right) = subplots(1, 2, figsize=(11, 4.2), sharey=True, layout="constrained")
    cells = [cell_names.label(run.config.cell) for run in runs]
    for run, colour in zip(runs, colours(cells), strict=True):
        for seed_index in range(run.config.num_seeds):
            for axes, split in ((left, "training"), (right, "validation")):
                rows = rows_of(run, split, seed_index)
                losses = [row["loss"] or np.nan for row in rows]  # the logarithm has no place for 0
                name = literal(run.label) if seed_index == 0 else None
                axes.plot(
                    [row["update"] for row in rows], losses, color=colour, lw=1.2, alpha=0.8, label=name
                )
    for axes, title in ((left, "training loss"), (right, "validation loss")):
        axes.set(title=title, xlabel="update", yscale="log")
        if runs[0].task.baseline:
            axes.axhline(runs[0].task.baseline, color="black", ls="--", lw=0.8, label="baseline: no memory")
        axes.grid(alpha=0.25)
    left.set_ylabel("loss")
    explain(figure, right)
    figure.suptitle(f"{runs[0].experiment.name}: one line a network", fontsize=11)
    return figure
