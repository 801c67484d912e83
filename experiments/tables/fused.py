"""The tables about `Fused` beside `Sequential` (docs/fused.cpu.json): for a page, and for what `AUTO` decides by."""

import math
import statistics
from collections.abc import Callable
from typing import Any

from experiments.tables.ways import markdown, measured
from recurrent import registry
from recurrent.wrappers.base import Wrapper

FORMS = ("single", "looped")


def ratio(row: dict[str, Any]) -> float:
    """The time of an update by `Fused` over that by `Sequential`: of one alone and of one in a loop, their mean."""
    return math.sqrt(math.prod(row[form]["Fused"] / row[form]["Sequential"] for form in FORMS))


def _rows() -> list[dict[str, Any]]:
    return [row for row in measured("fused.cpu")["rows"] if all(form in row for form in FORMS)]


def points_code() -> str:
    """The points, in Python."""
    points = tuple((batch, units) for batch, _, _, units in measured("fused.cpu")["about"]["points"].values())
    return f"POINTS = {points}"


def ratios_code() -> str:
    """The ratios by the class of the cell, in Python; a wrapper counts as what it wraps."""
    points = list(measured("fused.cpu")["about"]["points"])
    cells = {entry.name: entry.build(2, 16) for entry in registry.entries()}
    found: dict[str, dict[str, list[float]]] = {}
    for row in _rows():
        cell = cells.get(row["cell"])
        if cell is not None and not isinstance(cell, Wrapper):
            found.setdefault(type(cell).__name__, {}).setdefault(row["point"], []).append(ratio(row))
    lines = [
        f'    "{kind}": ({", ".join(f"{statistics.geometric_mean(by[point]):.2f}" for point in points)}),'
        for kind, by in sorted(found.items())
        if set(by) == set(points)
    ]
    return "\n".join(["FUSED: dict[str, tuple[float, ...]] = {", *lines, "}"])


def table() -> str:
    """One row a cell, one column a point and way of calling, and the mean over all cells."""
    points = measured("fused.cpu")["about"]["points"]
    by = {(row["cell"], row["point"]): row for row in _rows()}
    cells = list(dict.fromkeys(cell for cell, _ in by))
    columns = [(point, form) for form in FORMS for point in points]

    def shown(cell: str, point: str, form: str) -> str:
        row = by.get((cell, point))
        return "" if row is None else f"{row[form]['Fused'] / row[form]['Sequential']:.2f}"

    def mean(point: str, form: str) -> str:
        rows = [row for (_, where), row in by.items() if where == point]
        return (
            f"{statistics.geometric_mean(row[form]['Fused'] / row[form]['Sequential'] for row in rows):.2f}"
        )

    head = ("cell", *(f"{form}, {', '.join(map(str, points[point]))}" for point, form in columns))
    rows = [(f"`{cell}`", *(shown(cell, *column) for column in columns)) for cell in cells]
    return markdown(head, [*rows, ("geometric mean", *(mean(*column) for column in columns))])


TABLES: dict[str, Callable[[], str]] = {
    "fused": table,
    "fused_points": points_code,
    "fused_ratios": ratios_code,
}
