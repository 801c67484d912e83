"""The tables of the README, made from the code and from the committed results; a test compares them."""

import inspect
import json
import re
import shutil
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import recurrent as rec
from experiments.errors import Fault
from experiments.lab import folder as folders
from experiments.lab.experiment import load_experiment, names

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "experiments" / "results"


def keep(run: Path) -> Path:
    """Copy the summary of a finished run to the committed results; where it is now."""
    place = folders.find_run(run)
    summary = place / folders.SUMMARY
    if not summary.exists():
        raise Fault(f"{place} has not ended: it has no {folders.SUMMARY}")
    content = json.loads(summary.read_text(encoding="utf-8"))
    kept = RESULTS / content["experiment"] / content["preset"] / f"{place.name}.json"
    kept.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(summary, kept)
    return kept


def results(experiment: str) -> list[dict[str, Any]]:
    """The committed summaries of one experiment, in the order of their paths."""
    return [
        json.loads(path.read_text(encoding="utf-8"))
        for path in sorted(RESULTS.glob(f"{experiment}/*/*.json"))
    ]


def cells_table() -> str:
    """Name, what it is, source file, and whether it can be computed in parallel."""
    rows = []
    for name, builder in sorted(rec.CELLS.items()):
        cell = builder(input_size=2, hidden_size=4)
        what = (inspect.getdoc(builder) or "").partition("\n")[0].rstrip(".")
        module = type(cell).__module__
        path = f"{module.replace('.', '/')}.py"
        source = re.search(r"Source: ([^\n,;]*\(\d{4}\))", sys.modules[module].__doc__ or "")
        parallel = "yes" if cell.has_linear_form else "no"
        rows.append((f"`{name}`", what, source[1] if source else "", f"[{path}]({path})", parallel))
    return _markdown(("cell", "what it is", "source", "file", "linear in the state"), rows)


def experiments_table() -> str:
    """Question, command, minutes."""
    rows = []
    for name in names():
        experiment = load_experiment(name)
        rows.append((f"`{experiment.command}`", experiment.question, f"{experiment.minutes:g}"))
    return _markdown(("command", "question", "minutes, two cores"), rows)


def results_table() -> str:
    """What the committed runs measured, one row a run, with the command that makes it again."""
    rows = []
    for name in names():
        for summary in results(name):
            metrics = {key: value for key, value in summary["test"].items() if key != "loss"}
            shown = ", ".join(
                f"{key.replace('_', ' ')} {value['mean']:.4g}" for key, value in metrics.items()
            )
            solved = sum(seed["solved"] for seed in summary["seeds"])
            rows.append(
                (
                    f"`{command_of(summary)}`",
                    f"{summary['baseline']:.4g}",
                    shown,
                    f"{solved} of {len(summary['seeds'])}",
                    f"{summary['wall_seconds']:.0f}",
                    f"{summary['environment']['device_kind']}, {summary['environment']['num_cores']} cores",
                )
            )
    return _markdown(("command", "baseline", "test", "solved", "seconds", "device"), rows)


def command_of(summary: dict[str, Any]) -> str:
    """The command that makes a run again: its preset, its cell, and what differs from the preset."""
    experiment = load_experiment(summary["experiment"])
    preset = experiment.presets[summary["preset"]]
    stored = {key: value for key, value in summary["config"].items() if key != "cell"}
    flags = [
        f" --{key.replace('_', '-')} {value}"
        for key, value in stored.items()
        if getattr(preset, key) != value
    ]
    word = "" if summary["preset"] == "default" else f" {summary['preset']}"
    cell = summary["cell"] if re.fullmatch(r"\w+", summary["cell"]) else f"'{summary['cell']}'"
    return f"{experiment.command}{word} --cell {cell}{''.join(flags)}"


def _markdown(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [list(head)]
    lines += [["---"] * len(lines[0]), *(list(row) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


TABLES: dict[str, Callable[[], str]] = {
    "cells": cells_table,
    "experiments": experiments_table,
    "results": results_table,
}


def filled(text: str) -> str:
    """``text`` with every table between ``<!-- table: NAME -->`` and ``<!-- end -->`` made anew."""

    def replace(found: re.Match[str]) -> str:
        if found[1] not in TABLES:
            raise Fault(f"README: no table is called {found[1]!r} (known: {', '.join(TABLES)})")
        return f"<!-- table: {found[1]} -->\n{TABLES[found[1]]()}\n<!-- end -->"

    return re.sub(r"<!-- table: (\w+) -->\n.*?<!-- end -->", replace, text, flags=re.DOTALL)


def write_readme() -> Path:
    """Make the tables of the README anew."""
    path = ROOT / "README.md"
    path.write_text(filled(path.read_text(encoding="utf-8")), encoding="utf-8")
    return path
