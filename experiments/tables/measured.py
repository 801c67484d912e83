"""The tables of what was measured about every cell (docs/cells.*.json, docs/learning.*.json)."""

from typing import Any

import recurrent as rec
from experiments.tables.ways import markdown, measured

DEVICES = {"CPU": "cells.cpu", "H100": "cells.h100"}
SOLVERS = ("Sequential", "Checkpointed", "Associative")
STEPS = 512  # of the training step that `benchmarks.cells` times
SLOW = 4.0
_MATRIX = (
    "on a CPU: with one head of 128 units its state is 16,384 numbers a sequence, an LSTM's 256, and each step reads "
    "and writes all of them; n heads divide that by n, and Checkpointed, the default there, keeps few of them"
)
WHY_SLOW: dict[str, str] = {
    **dict.fromkeys(("gla", "delta_net", "gated_delta_net", "mlstm"), _MATRIX),
    "hyper_lstm": "on a CPU, barely: a second LSTM runs beside it, and each gate has vectors of its own for the "
    "scales of its two products and a normalisation, work on many small arrays",
}
"""Why a cell takes more than `SLOW` times as long as an LSTM."""


def rows_of(name: str) -> dict[str, dict[str, Any]]:
    """The rows of a measurement by cell."""
    return {row["cell"]: row for row in measured(name)["rows"]}


def ratio(entry: dict[str, Any]) -> float:
    """Times as long as the LSTM that ran beside it."""
    return entry["milliseconds"] / entry["lstm_milliseconds"]


def slow_cells(factor: float = SLOW) -> set[str]:
    """Those that took more than ``factor`` times as long as an LSTM on some device, by `Sequential`."""
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
    for cell in rec.CELLS:
        entries = [tables[device].get(cell, {}).get(solver) for device, solver in columns]
        lines.append((f"`{cell}`", f"{tables['CPU'][cell]['parameters']:,}", *map(_speed, entries)))
    return markdown(["cell", "parameters", *(f"{device}, {solver}" for device, solver in columns)], lines)


def _speed(entry: dict[str, Any] | None) -> str:
    if entry is None:
        return ""
    memory = f"{entry['bytes'] / 2**20:,.0f} MiB"
    if "milliseconds" not in entry:
        return f"not run, {memory}"
    return f"{STEPS / entry['milliseconds']:,.3g}k ({ratio(entry):.2g} x), {memory}"


def reasons_table() -> str:
    """Why the slow ones are slow."""
    return markdown(
        ("cell", "why it takes more than four times as long as an LSTM"),
        ((f"`{cell}`", WHY_SLOW[cell]) for cell in rec.CELLS if cell in WHY_SLOW),
    )


def learning_table(name: str) -> str:
    """Error before and after, and how much of the gradient reaches the first step; below, how many learned."""

    def share(gradient: list[float]) -> str:
        return f"{gradient[-1] / gradient[0]:.0e}" if gradient[0] else "none left"

    def line(cell: str, row: dict[str, Any]) -> tuple[str, ...]:
        options = ", ".join(f"{key}={value!r}" for key, value in row["options"].items())
        errors = f"{row['mse_before']:.3g}", f"{row['mse_after']:.4f}"
        gradients = share(row["gradient_before"]), share(row["gradient_after"])
        return f"`{cell}`", options, f"{row['rate']:g}", *errors, *gradients

    about = measured(name)["about"]
    rows, half, lag = rows_of(name), about["baseline"] / 2, about["lags"][-1]
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
    table = markdown(head, (line(cell, rows[cell]) for cell in rec.CELLS))
    return f"{table}\n\n{learned} of {len(rows)} end below half of what always answering 1 makes."


TABLES = {
    "speed": speed_table,
    "slow": reasons_table,
    "learning_long": lambda: learning_table("learning.long"),
}
