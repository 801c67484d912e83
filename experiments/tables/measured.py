"""The tables of what was measured about every cell (docs/cells.*.json, docs/learning.*.json).

A cell may stand in none of these files: measuring takes a quiet machine, or an accelerator. Its row then says so.
"""

import math
from typing import Any

from experiments.tables.catalogue import num_parameters
from experiments.tables.ways import markdown, measured
from recurrent import arrays, registry

DEVICES = {"CPU": "cells.cpu", "H100": "cells.h100"}
SOLVERS = ("Sequential", "Fused", "Checkpointed", "Associative")
STEPS = 512  # of the training step that `benchmarks.cells` times
WIDTH = 128  # numbers in the input and in the output of every cell that it times
SLOW = 4.0
MISSING = "not measured yet"


def wide_cell(name: str) -> Any:
    """The cell that `benchmarks.cells` times: `WIDTH` numbers come in, as many go out.

    A vector has them itself; an image has them in all its pixels together: 8 x 8 of 2 channels.
    """
    build = registry.entry(name).build
    wide = build(input_size=WIDTH, hidden_size=WIDTH)
    pixels = max(math.prod(shape[:-1]) for shape in arrays.shape_leaves(wide.input_shape))
    size = WIDTH // pixels
    return build(input_size=size, hidden_size=size)


def rows_of(name: str) -> dict[str, dict[str, Any]]:
    """The rows of a measurement by cell."""
    return {row["cell"]: row for row in measured(name)["rows"]}


def ratio(entry: dict[str, Any]) -> float:
    """Times as long as the LSTM that ran beside it."""
    return entry["milliseconds"] / entry["lstm_milliseconds"]


def slow_cells(factor: float = SLOW) -> set[str]:
    """The cells whose step by `Sequential` took more than ``factor`` times as long as an LSTM's on some device."""
    found = (rows_of(name) for name in DEVICES.values())
    return {cell for rows in found for cell, row in rows.items() if ratio(row["Sequential"]) > factor}


def speed_table() -> str:
    """Steps a second, their ratio to an LSTM's, and MiB of temporaries, by device and solver."""
    tables = {device: rows_of(name) for device, name in DEVICES.items()}
    columns = [
        (device, solver)
        for device, rows in tables.items()
        for solver in SOLVERS
        if any(solver in row for row in rows.values())
    ]
    lines = []
    for cell in (entry.name for entry in registry.entries()):
        entries = [_speed(tables[device].get(cell), solver) for device, solver in columns]
        lines.append((f"`{cell}`", f"{num_parameters(wide_cell(cell)):,}", *entries))
    return markdown(["cell", "parameters", *(f"{device}, {solver}" for device, solver in columns)], lines)


def _speed(row: dict[str, Any] | None, solver: str) -> str:
    if row is None:
        return MISSING if solver == SOLVERS[0] else ""  # which of the others run the cell, its row would say
    entry = row.get(solver)
    if entry is None:
        return ""
    memory = f"{entry['bytes'] / 2**20:,.0f} MiB"
    if "milliseconds" not in entry:
        return f"not run, {memory}"
    return f"{STEPS / entry['milliseconds']:,.3g}k ({ratio(entry):.2g} x), {memory}"


def reasons_table() -> str:
    """Why the cells are slow that take more than `SLOW` times as long as an LSTM."""
    return markdown(
        ("cell", "why it takes more than four times as long as an LSTM"),
        ((f"`{entry.name}`", entry.why_slow) for entry in registry.entries() if entry.why_slow),
    )


def learning_table(name: str) -> str:
    """Error before and after, and how much of the gradient reaches the first step; below, how many learned."""
    about = measured(name)["about"]
    rows, half, lag = rows_of(name), about["baseline"] / 2, about["lags"][-1]

    def share(gradient: list[float]) -> str:
        return f"{gradient[-1] / gradient[0]:.0e}" if gradient[0] else "none left"

    def line(entry: registry.Entry) -> tuple[str, ...]:
        row = rows.get(entry.name)
        if row is None:
            return f"`{entry.name}`", MISSING, "", "", "", "", ""
        options = ", ".join(f"{key}={value!r}" for key, value in row["options"].items())
        errors = f"{row['mse_before']:.3g}", f"{row['mse_after']:.4f}"
        gradients = share(row["gradient_before"]), share(row["gradient_after"])
        return f"`{entry.name}`", options, f"{row['rate']:g}", *errors, *gradients

    head = (
        "cell",
        "options",
        "rate",
        "error before",
        "error after",
        f"gradient at lag {lag} / lag 0, before",
        "after",
    )
    learned = sum(row["mse_after"] < half for row in rows.values())
    table = markdown(head, map(line, registry.entries()))
    return f"{table}\n\n{learned} of {len(rows)} end below half of what always answering 1 makes."


TABLES = {
    "speed": speed_table,
    "slow": reasons_table,
    "learning_long": lambda: learning_table("learning.long"),
}
