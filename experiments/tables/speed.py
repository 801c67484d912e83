"""The tables of docs/speed.md: a training step and a forward pass beside other libraries (docs/speed.cpu.json)."""

import math
from collections.abc import Callable, Iterable
from typing import Any

from experiments.tables.ways import markdown, measured

IN_JAX = ("nnx", "keras", "equinox", "haiku")
NAMES = {"lstm": "LSTM", "gru": "GRU", "elman": "tanh RNN"}


def ratio(row: dict[str, Any], kind: str, mine: str, peers: Iterable[str]) -> float | None:
    """Our time over that of the fastest of ``peers`` that were measured; None where none was, or ``mine`` was not.

    >>> ratio({"milliseconds": {"step ours": 3.0, "step nnx": 4.0, "step keras": 2.0}}, "step", "ours", IN_JAX)
    1.5
    """
    times = row["milliseconds"]
    others = [times[f"{kind} {peer}"] for peer in peers if f"{kind} {peer}" in times]
    own = times.get(f"{kind} {mine}")
    return own / min(others) if others and own is not None else None


def geometric_mean(values: Iterable[float | None]) -> float | None:
    """The geometric mean of the values that are there; None where there is none.

    >>> geometric_mean([2.0, None, 8.0])
    4.0
    """
    found = [math.log(value) for value in values if value is not None]
    return math.exp(sum(found) / len(found)) if found else None


COLUMNS: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "step / torch": ("step", "ours", ("torch",)),
    "step / best in JAX": ("step", "ours", IN_JAX),
    "step / `Sequential()`": ("step", "ours", ("sequential",)),
    "split step / torch": ("step", "split", ("torch",)),
    "split step / best in JAX": ("step", "split", IN_JAX),
    "forward / torch": ("forward", "ours", ("torch",)),
}


def _text(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def points_table() -> str:
    """One row for each cell and point: our milliseconds and GFLOP/s, and our time over others'."""
    lines = []
    for row in measured("speed.cpu")["rows"]:
        sizes = ", ".join(f"{size:,}" for size in row["point"])
        own = f"{row['milliseconds']['step ours']:,.1f}", f"{row['gflops']:,.0f} of {row['peak_gflops']:,.0f}"
        ratios = [_text(ratio(row, *column)) for column in COLUMNS.values()]
        lines.append((NAMES[row["cell"]], sizes, *own, *ratios))
    return markdown(("cell", "B, T, D, H", "step, ms", "GFLOP/s of peak", *COLUMNS), lines)


def means_table() -> str:
    """The geometric means over the points of more than one sequence, by cell."""
    rows = [row for row in measured("speed.cpu")["rows"] if row["point"][0] > 1]
    lines = []
    for cell in dict.fromkeys(row["cell"] for row in rows):
        own = [row for row in rows if row["cell"] == cell]
        means = [_text(geometric_mean(ratio(row, *column) for row in own)) for column in COLUMNS.values()]
        lines.append((NAMES[cell], str(len(own)), *means))
    return markdown(("cell", "points", *COLUMNS), lines)


def about_line() -> str:
    """The machine and the versions."""
    about = measured("speed.cpu")["about"]
    names = ("jax", "torch", "flax", "keras", "equinox", "dm-haiku")
    versions = ", ".join(f"{name} {about[name]}" for name in names if about.get(name, "absent") != "absent")
    return (
        f"{about['processor']}, {about['cores']} cores, Python {about['python']}, {versions}; "
        f"commit {about['commit']}, allocator: {about['allocator']}; medians of {about['rounds']} rounds."
    )


TABLES: dict[str, Callable[[], str]] = {
    "speed_points": points_table,
    "speed_means": means_table,
    "speed_about": about_line,
}
