"""The heat map of a suite: a row a cell, the best first, a column a task, the score written into each field."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from experiments.lab.pictures.base import literal, save, subplots
from experiments.suite.ranks import Placed, shown

PICTURE = "leaderboard.png"
ROW = 0.205  # inches: a row of 60 is read without a glass
COLUMN = 0.62
DARK = 0.55  # scores from here on stand on a dark ground


def draw(placed: Sequence[Placed], names: Sequence[str], path: Path, marked: Sequence[str] = ()) -> None:
    """Write the picture; the labels of the cells in ``marked`` are bold."""
    save(figure_of(placed, names, marked), path)


def figure_of(placed: Sequence[Placed], names: Sequence[str], marked: Sequence[str] = ()) -> Any:
    """The figure. A field with a stroke is a task that the cell does not run; it counts 0."""
    widest = max(len(one.result.cell) for one in placed)
    width = 1.2 + 0.075 * widest + COLUMN * (len(names) + 1)
    figure, axes_of_all = subplots(
        1, 1, figsize=(width, 1.3 + ROW * max(len(placed), 3)), layout="constrained"
    )
    axes: Any = axes_of_all
    table = [[one.score, *(one.result.score_of(name) for name in names)] for one in placed]
    axes.imshow(
        [[0.0 if score is None else score for score in row] for row in table],
        cmap="YlGnBu",
        vmin=0,
        vmax=1,
        aspect="auto",
    )
    for y, row in enumerate(table):
        for x, score in enumerate(row):
            axes.text(
                x,
                y,
                "–" if score is None else f"{score:.2f}",
                ha="center",
                va="center",
                fontsize=7.5,
                color="white" if score is not None and score >= DARK else "black",
                fontweight="bold" if x == 0 else "normal",
            )
    axes.set_xticks(range(len(names) + 1), ["mean", *map(literal, names)], rotation=40, ha="left", fontsize=8)
    axes.xaxis.tick_top()
    labels = [f"{literal(one.result.cell)}  {shown(one.rank)}" for one in placed]
    axes.set_yticks(range(len(placed)), labels, fontsize=8)
    for tick, one in zip(axes.get_yticklabels(), placed, strict=True):
        tick.set_fontweight("bold" if one.result.cell in marked else "normal")
    axes.axvline(0.5, color="white", lw=3)
    axes.tick_params(length=0)
    for edge in axes.spines.values():
        edge.set_visible(False)
    return figure
