"""What pictures share: what they read of a run, and how they are drawn, coloured, explained and saved."""

import colorsys
import io
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from experiments.lab.plan.configs import Config
from experiments.lab.plan.experiment import Experiment
from experiments.lab.storage.records import unwritten

FEW = 10  # runs that ten colours tell apart, and whose legend finds room inside
COLUMN = 28  # entries in one column of a longer legend, which stands beside the picture
ENTRY = 0.19  # inches of one of them


class Drawn(Protocol):
    """What a picture reads of a run, as `experiments.lab.Run` has it: that module draws, so none here imports it."""

    @property
    def folder(self) -> Path: ...
    @property
    def label(self) -> str: ...
    @property
    def experiment(self) -> Experiment: ...
    @property
    def config(self) -> Config: ...
    @property
    def task(self) -> Any: ...
    @property
    def model(self) -> Any: ...
    @property
    def metrics(self) -> list[dict[str, Any]]: ...
    @property
    def summary(self) -> dict[str, Any]: ...


def subplots(rows: int, columns: int, *, figsize: tuple[float, float], layout: Any = None, **shared: Any):
    """A figure and its axes, as pyplot's function of this name, but pyplot's state and backend stay as they are."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=figsize, layout=layout)
    FigureCanvasAgg(figure)
    return figure, figure.subplots(rows, columns, **shared)


def save(figure: Any, path: Path) -> None:
    """Write a figure at one stroke."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(png(figure))
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise unwritten(path, error) from error


def png(figure: Any, dpi: int = 130) -> bytes:
    """A figure as the content of a file: the same figure, the same bytes."""
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=dpi, metadata={"Software": None})
    return content.getvalue()


def colour(index: int) -> str:
    """The colour of the run with this index, among few."""
    return f"C{index % FEW}"


def colours(cells: Sequence[str]) -> list[Any]:
    """A colour for each run, given its cell: one of ten, or of many runs a hue a cell and a shade for what varies.

    >>> colours(["lstm", "gru", "gru"])
    ['C0', 'C1', 'C2']
    """
    from matplotlib.colors import to_rgb

    if len(cells) <= FEW:
        return [colour(index) for index in range(len(cells))]
    known = list(dict.fromkeys(cells))
    found = []
    for index, cell in enumerate(cells):
        hue, _, saturation = colorsys.rgb_to_hls(*to_rgb(colour(known.index(cell))))
        place = cells[:index].count(cell) / max(cells.count(cell) - 1, 1)  # 0 to 1, from dark to light
        found.append(colorsys.hls_to_rgb(hue, 0.22 + 0.46 * place, saturation))
    return found


def explain(figure: Any, axes: Any) -> None:
    """The legend of ``axes``: inside, or beside the picture, which grows by it, where there are more than a few."""
    handles, labels = axes.get_legend_handles_labels()
    if len(handles) <= FEW + 1:  # the baseline is one more
        axes.legend()
        return
    columns = math.ceil(len(handles) / COLUMN)
    width, height = figure.get_size_inches()
    longest = max(map(len, labels))
    rows = math.ceil(len(handles) / columns)
    figure.set_size_inches(width + columns * (0.5 + 0.068 * longest), max(height, 0.6 + ENTRY * rows))
    figure.legend(handles, labels, loc="outside right upper", ncols=columns, fontsize=8)


def literal(text: str) -> str:
    """A text in which matplotlib sees no formula, for it may have come from a person or a path.

    >>> print(literal("runs/$HOME$"))
    runs/\\$HOME\\$
    """
    return text.replace("$", r"\$")


def rows_of(run: Drawn, split: str, seed_index: int) -> list[dict[str, Any]]:
    """The lines of metrics of one network."""
    return [row for row in run.metrics if row["split"] == split and row["seed_index"] == seed_index]
