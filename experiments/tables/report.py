"""The tables of README and docs, made from the code and from what is committed; a test compares them."""

import json
import re
import shlex
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from experiments.errors import Fault
from experiments.lab.plan import configs
from experiments.lab.plan.finding import load_experiment, names
from experiments.tables import (
    catalogue,
    fused,
    keeping,
    leaderboard,
    measured,
    outcomes,
    provenance,
    published,
    ratios,
    reproduced,
    speed,
    ways,
)
from experiments.tables.ways import markdown

ROOT = Path(__file__).resolve().parents[2]
FAMILIES = ("hs97", "continual", "formal", "recall", "dynamics")
"""The folders of experiments that have a table of their own in docs/experiments.md."""


def results(experiment: str) -> list[dict[str, Any]]:
    """The committed summaries of one experiment, in the order of their paths.

    Those of a published number stand in RESULTS.md, and those of a preset ``smoke`` are for tests: neither is here.
    """
    paths = sorted(keeping.RESULTS.glob(f"{experiment}/*/*.json"))
    return [
        json.loads(path.read_text(encoding="utf-8"))
        for path in paths
        if not published.is_of_a_row(path.stem) and path.parent.name != "smoke"
    ]


def experiments_table(family: str = "") -> str:
    """Question, command, minutes of the experiments in one folder; without a name, of those that stand in none."""
    rows = []
    for name in names():
        if name.rpartition(".")[0] != family:
            continue
        experiment = load_experiment(name)
        rows.append((f"`{experiment.command}`", experiment.question, f"{experiment.minutes:g}"))
    return markdown(("command", "question", "minutes, two cores"), rows)


def results_table() -> str:
    """What the committed runs of experiments without a family measured, with the command that makes each again."""
    rows = []
    for name in names():
        if "." in name:  # RESULTS.md has those of the families
            continue
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
                    provenance.told(summary),
                )
            )
    return markdown(("command", "baseline", "test", "solved", "seconds", "device", "code"), rows)


def command_of(summary: dict[str, Any]) -> str:
    """The command that makes a run again: its preset, its cell, and what differs from the preset."""
    experiment = load_experiment(summary["experiment"])
    preset = experiment.presets[summary["preset"]]
    config = configs.from_json(experiment.config, summary["config"])
    before = configs.flat(preset)
    chosen = ("cell", "hidden_size") if config.match else ("cell",)
    flags = [
        f" --{name.replace('_', '-')} {shlex.quote(configs.as_word(value))}"
        for name, value in configs.flat(config).items()
        if name not in chosen and value != before[name]
    ]
    word = "" if summary["preset"] == "default" else f" {summary['preset']}"
    return f"{experiment.command}{word} --cell {_quoted(summary['cell'])}{''.join(flags)}"


def _quoted(cell: str) -> str:
    """A cell's label as a word of a shell.

    >>> print(_quoted("lstm"), _quoted("lstm(forget_bias=5)"), _quoted("hs97(bias='gates')"))
    lstm 'lstm(forget_bias=5)' "hs97(bias='gates')"
    """
    if re.fullmatch(r"\w+", cell):
        return cell
    return f'"{cell}"' if "'" in cell and not set(cell) & set('"$`\\') else shlex.quote(cell)


TABLES: dict[str, Callable[[], str]] = {
    "cells": catalogue.table,
    "families": catalogue.families,
    "not_implemented": catalogue.not_implemented,
    "experiments": experiments_table,
    **{f"experiments_{family}": partial(experiments_table, family) for family in FAMILIES},
    "results": results_table,
    **ways.TABLES,
    **speed.TABLES,
    **measured.TABLES,
    **fused.TABLES,
    **reproduced.tables(),
    **leaderboard.TABLES,
}


def filled(text: str) -> str:
    """``text`` with every table between ``<!-- table: NAME -->`` and ``<!-- end -->`` made anew; in Python both stand
    behind a ``# ``.
    """

    def replace(found: re.Match[str]) -> str:
        comment, name = found.groups()
        if name not in TABLES:
            raise Fault(f"report: no table is called {name!r} (known: {', '.join(TABLES)})")
        return f"{comment}<!-- table: {name} -->\n{TABLES[name]()}\n{comment}<!-- end -->"

    return re.sub(r"((?:# )?)<!-- table: (\w+) -->\n.*?\1<!-- end -->", replace, text, flags=re.DOTALL)


def documents() -> list[Path]:
    """The pages, and the module, that hold tables."""
    pages = [ROOT / "README.md", ROOT / "RESULTS.md", *sorted((ROOT / "docs").glob("*.md"))]
    modules = [ROOT / "recurrent" / "solvers" / "measured.py"]
    return [path for path in pages + modules if "<!-- table:" in path.read_text(encoding="utf-8")]


def write() -> list[Path]:
    """Make every table anew, and the pictures of what was reproduced and of the leaderboard."""
    for path in documents():
        path.write_text(filled(path.read_text(encoding="utf-8")), encoding="utf-8")
    drawn = ratios.draw(outcomes.outcomes(published.load()), ROOT / reproduced.PICTURE)
    return [*documents(), *([drawn] if drawn else []), *leaderboard.draw()]
