"""The tables about solvers: what was measured of their time, memory and accuracy (docs/*.json)."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import recurrent as rec

DOCS = Path(__file__).resolve().parents[2] / "docs"
KINDS = {
    "Sequential": rec.Sequential(),
    "Checkpointed": rec.Checkpointed(),
    "Associative": rec.Associative(),
    "Newton": rec.Newton(),
    "Newton, diagonal": rec.Newton(jacobian="diagonal"),
}


def markdown(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table."""
    lines = [list(head)]
    lines += [["---"] * len(lines[0]), *(list(row) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def measured(name: str) -> dict[str, Any]:
    """A committed measurement."""
    return json.loads((DOCS / f"{name}.json").read_text(encoding="utf-8"))


def _ways_table(name: str) -> str:
    """One row for each cell and length, one column a solver: milliseconds, and MiB of temporaries."""
    rows = measured(name)["rows"]
    solvers = list(dict.fromkeys(row["solver"] for row in rows))
    found = {(row["cell"], row["steps"], row["solver"]): row for row in rows}

    def entry(cell: str, steps: int, solver: str) -> str:
        row = found.get((cell, steps, solver))
        if row is None:
            return ""
        time = f"{row['milliseconds']:,.3g} ms" if "milliseconds" in row else "not run"
        return f"{time}, {row['bytes'] / 2**20:,.3g} MiB"

    keys = list(dict.fromkeys((row["cell"], row["steps"]) for row in rows))
    lines = (
        (cell, f"{steps:,}", *(entry(cell, steps, solver) for solver in solvers))
        for cell, steps in sorted(keys)
    )
    return markdown(("cell", "steps", *(f"`{_short(solver)}`" for solver in solvers)), lines)


def _short(solver: str) -> str:
    """The solver without the options that stand at their defaults."""
    name, _, options = solver.partition("(")
    plain = str(KINDS.get(name, ""))
    changed = [
        option for option in options.rstrip(")").split(", ") if f"{option}," not in plain.replace(")", ",")
    ]
    return f"{name}({', '.join(changed)})"


def _mebibytes(count: int) -> str:
    size = count / 2**20
    return f"{size:,.0f}" if size >= 100 else f"{size:.3g}"


def auto_table() -> str:
    """By the size of the states of all steps: both solvers' times, their ratio, and their temporaries."""
    rows = sorted(measured("auto.cpu")["rows"], key=lambda row: (row["cell"], row["steps"]))
    lines = []
    for row in rows:
        times = row.get("milliseconds", {})
        ratio = f"{times['Checkpointed'] / times['Sequential']:.2f}" if times else "not run"
        memory = [_mebibytes(row["bytes"][kind]) for kind in ("Sequential", "Checkpointed")]
        sizes = f"{row['steps']:,}", _mebibytes(row["state_bytes"])
        lines.append((row["cell"], *sizes, ratio, " → ".join(memory)))
    return markdown(
        ("cell", "steps", "MiB of states", "time, `Checkpointed` / `Sequential`", "MiB of temporaries"), lines
    )


def streaming_table() -> str:
    """The latency of one step, by device."""
    rows = []
    for name in ("ways.cpu", "ways.h100"):
        content = measured(name)
        rows += [
            (row["cell"], content["about"]["device"], f"{row['microseconds']:,.0f}")
            for row in content["streaming"]
        ]
    return markdown(("cell, batch 1", "device", "microseconds a step"), rows)


def newton_table() -> str:
    """Iterations against the exponent, in the order of the exponents."""
    rows = sorted(measured("newton")["rows"], key=lambda row: row["exponent"])
    return markdown(
        ("network", "exponent", "iterations, slowest window", "converged", "largest error"),
        (
            (
                row["setting"],
                f"{row['exponent']:.3f}",
                str(row["iterations"]),
                "yes" if row["converged"] else "no",
                "" if row["error"] is None else f"{row['error']:.0e}",
            )
            for row in rows
        ),
    )


def online_table() -> str:
    """How an online rule's gradient lies to the exact one, for each parameter."""
    return markdown(
        ("network", "rule", "parameter", "cosine", "norm ratio"),
        (
            (
                row["network"],
                f"`{row['rule']}`",
                f"`{row['parameter']}`",
                f"{row['cosine']:.3f}",
                f"{row['ratio']:.3f}",
            )
            for row in measured("online")["rows"]
        ),
    )


TABLES: dict[str, Callable[[], str]] = {
    "ways_cpu": lambda: _ways_table("ways.cpu"),
    "ways_h100": lambda: _ways_table("ways.h100"),
    "auto": auto_table,
    "streaming": streaming_table,
    "newton": newton_table,
    "online": online_table,
}
