"""What a grid found: the result against what varies."""

import dataclasses
import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from experiments.lab.pictures.base import Drawn, colour, literal, save, subplots
from experiments.lab.plan import cell_names, configs, grids

MOST = 9  # panels
WIDE = 10.0  # largest value over smallest: from here on an axis is logarithmic
MARKERS = "os^Dv*PXpd"


@dataclasses.dataclass(frozen=True)
class Layout:
    """The axis, the fields that vary together with it, and the values of all others, one panel each."""

    x: str
    together: tuple[str, ...]
    panels: tuple[dict[str, Any], ...]


def draw(runs: Sequence[Drawn], out: Path) -> None:
    """``grid.png``: the first test metric against what varies, and the test loss below it, with the baseline.

    A line a cell, through the means over networks; a dot a network. Runs that differ in their seed alone are networks
    of one point. Nothing is drawn where nothing beside the cell varies among the runs that have ended.
    """
    runs = [run for run in runs if run.summary]
    flat = [configs.flat(run.config) for run in runs]
    layout = layout_of(flat)
    if layout is None:
        return
    panels = layout.panels[:MOST]
    if len(panels) < len(layout.panels):
        print(f"note: grid.png shows the first {MOST} of {len(layout.panels)} panels", file=sys.stderr)
    names = metrics(run.summary for run in runs)
    if len(panels) > 3:  # the rows are needed for panels
        columns = min(3, math.ceil(math.sqrt(len(panels))))
        places = [(names[0], panel) for panel in panels]
    else:
        columns = len(panels)
        places = [(name, panel) for name in names for panel in panels]
    rows = math.ceil(len(places) / columns)
    size = max(3.6 * columns, 5.5) + 2.2, 0.7 + 2.9 * rows
    shared = {"squeeze": False, "sharex": True, "sharey": "all" if len(panels) > 3 else "row"}
    figure, grid = subplots(rows, columns, figsize=size, layout="constrained", **shared)
    cells = list(dict.fromkeys(cell_names.label(run.config.cell) for run in runs))
    spots = positions([one[layout.x] for one in flat])
    for axes in list(grid.flat)[len(places) :]:
        axes.set_visible(False)
    for (name, panel), axes in zip(places, grid.flat, strict=False):
        inside = [index for index, one in enumerate(flat) if panel.items() <= one.items()]
        for order, cell in enumerate(cells):
            own = [index for index in inside if cell_names.label(runs[index].config.cell) == cell]
            found = points([(flat[index][layout.x], runs[index].summary["test"].get(name)) for index in own])
            _draw_line(axes, [spots[x] for x in found], list(found.values()), order, cell)
        if is_loss(name, [run.summary for run in runs]):
            _draw_baseline(
                axes, [(spots[flat[index][layout.x]], runs[index].task.baseline) for index in inside]
            )
        axes.set_title(_title(panel), fontsize=9)
        axes.grid(alpha=0.25)
    _finish(figure, grid, layout, spots, [name for name, _ in places[::columns]])
    title = f"{runs[0].experiment.name}, test split\nline: mean over networks, dot: a network"
    figure.suptitle(title, fontsize=10, x=0.02, ha="left")
    _explain(figure, grid)
    save(figure, out / "grid.png")


def layout_of(flat: Sequence[Mapping[str, Any]]) -> Layout | None:
    """How flat configurations are laid out; None where nothing beside the cell varies.

    The axis is the numeric field with most values, or where there is none any field with most.

    >>> layout_of([{"cell": "a", "delay": d, "clip": c} for d in (5, 9, 20) for c in (1.0, 2.0)])
    Layout(x='delay', together=(), panels=({'clip': 1.0}, {'clip': 2.0}))
    """
    fields = [name for name in grids.varying(flat) if name != "cell"]
    fields = [name for name in fields if name != "seed"] or fields  # seeds are networks
    if not fields:
        return None
    values = {name: list(dict.fromkeys(one.get(name) for one in flat)) for name in fields}
    numeric = [name for name in fields if all(map(_is_number, values[name]))]
    x = max(numeric or fields, key=lambda name: len(values[name]))
    others = [name for name in fields if name != x]
    together = tuple(
        name for name in others if len({(one[x], one.get(name)) for one in flat}) == len(values[x])
    )
    apart = [name for name in others if name not in together]
    panels = dict.fromkeys(tuple(one.get(name) for name in apart) for one in flat)
    return Layout(
        x, together, tuple(dict(zip(apart, panel, strict=True)) for panel in sorted(panels, key=_order))
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _order(values: Iterable[Any]) -> list[Any]:
    return [(0, value, "") if _is_number(value) else (1, 0, str(value)) for value in values]


def positions(values: Iterable[Any]) -> dict[Any, float]:
    """Where each value stands on the axis: a number at itself, anything else one after another."""
    known = sorted(set(values), key=lambda value: _order([value]))
    if all(map(_is_number, known)):
        return {value: float(value) for value in known}
    return {value: float(place) for place, value in enumerate(known)}


def metrics(summaries: Iterable[Mapping[str, Any]]) -> list[str]:
    """The first test metric that is no other name of the loss, and the loss."""
    summaries = list(summaries)
    names = dict.fromkeys(name for summary in summaries for name in summary["test"])
    return [
        *[name for name in names if not is_loss(name, summaries)][:1],
        *[name for name in names if name == "loss"],
    ]


def is_loss(name: str, summaries: Iterable[Mapping[str, Any]]) -> bool:
    """Whether a metric is the loss, if by another name: only then the baseline is one of its values."""
    return all(summary["test"].get(name) == summary["test"].get("loss") for summary in summaries)


def points(measured: Iterable[tuple[Any, Mapping[str, Any] | None]]) -> dict[Any, list[float]]:
    """The numbers of all networks by the value on the axis, in its order."""
    found: dict[Any, list[float]] = {}
    for x, values in measured:
        if values is not None:
            found.setdefault(x, []).extend(np.nan if one is None else one for one in values["seeds"])
    return {x: found[x] for x in sorted(found, key=lambda value: _order([value]))}


def _draw_line(axes: Any, xs: list[float], networks: list[list[float]], order: int, cell: str) -> None:
    if not xs:
        return
    shade, marker = colour(order), MARKERS[order // 10 % len(MARKERS)]
    means = [np.nanmean(values) if np.isfinite(values).any() else np.nan for values in networks]
    axes.plot(xs, means, color=shade, lw=1.6, label=literal(cell))
    spread = [(x, value) for x, values in zip(xs, networks, strict=True) for value in values]
    axes.plot(*zip(*spread, strict=True), color=shade, ls="", marker=marker, ms=4, alpha=0.6, mew=0)


def _draw_baseline(axes: Any, known: Iterable[tuple[float, float | None]]) -> None:
    line = sorted({(x, baseline) for x, baseline in known if baseline})
    if line:
        if len({baseline for _, baseline in line}) == 1:
            axes.axhline(line[0][1], color="black", ls="--", lw=0.9, label="baseline: no memory")
        else:
            axes.plot(*zip(*line, strict=True), color="black", ls="--", lw=0.9, label="baseline: no memory")


def _title(panel: Mapping[str, Any]) -> str:
    return literal("\n".join(grids.label("", panel, [name]).strip().replace("_", " ") for name in panel))


def _finish(figure: Any, grid: Any, layout: Layout, spots: Mapping[Any, float], names: Sequence[str]) -> None:
    """The axes: shared over the figure, logarithmic where the values are far apart."""
    from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

    for axes in grid.flat:
        if _far_apart(spots.values()) and all(map(_is_number, spots)):
            axes.set_xscale("log")
        if len(spots) <= 8 or not all(map(_is_number, spots)):  # each value, as it was typed
            axes.xaxis.set_major_locator(FixedLocator(list(spots.values())))
            axes.xaxis.set_major_formatter(
                FixedFormatter([f"{x:g}" if _is_number(x) else literal(str(x)) for x in spots])
            )
            axes.xaxis.set_minor_locator(NullLocator())
        axes.tick_params(
            axis="x", labelrotation=45 if max(len(str(x)) for x in spots) * len(spots) > 30 else 0
        )
        axes.margins(x=0.08)
    together = "".join(f", with its {name}" for name in layout.together)
    figure.supxlabel(f"{layout.x}{together}".replace("_", " "), fontsize=10)
    for row, name in zip(grid, names, strict=True):
        row[0].set_ylabel(name.replace("_", " "))
        drawn = [value for axes in row for line in axes.lines for value in np.ravel(line.get_ydata())]
        if name == "loss" and _far_apart(drawn):
            row[0].set_yscale("log")


def _far_apart(values: Iterable[float]) -> bool:
    finite = [value for value in values if np.isfinite(value)]
    return bool(finite) and min(finite) > 0 and max(finite) >= WIDE * min(finite)


def _explain(figure: Any, grid: Any) -> None:
    """One legend for all panels, beside them."""
    found: dict[str, Any] = {}
    for axes in grid.flat:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    longest = max(map(len, found))
    width, height = figure.get_size_inches()
    figure.set_size_inches(width + 0.06 * max(longest - 20, 0), max(height, 0.8 + 0.2 * len(found)))
    figure.legend(list(found.values()), list(found), loc="outside right upper", fontsize=8)
