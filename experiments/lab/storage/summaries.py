"""What a run leaves in ``summary.json``, and the table that is made from it."""

import json
import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from experiments.errors import Fault
from experiments.lab.plan import cell_names, configs, grids
from experiments.lab.plan.job import Job
from experiments.lab.plan.resolved import Resolved
from experiments.lab.storage import folders
from experiments.lab.storage.hashing import params_sha256
from experiments.lab.storage.records import read_json
from experiments.models.base import HasState
from experiments.tasks.base import HasMilestones

SPREAD = "± "
COUNTS = {"num_parameters": "parameters", "num_state": "state"}
"""How large the model of a run is: the fields of its summary, and the columns of the table."""

NEEDED = {"cell", "test", "seeds", "facts", "baseline", "num_updates", "wall_seconds"}


def environment(resolved: Resolved) -> dict[str, Any]:
    """What a run was computed with."""
    return {
        **{name: value for name, value in resolved.as_json().items() if name != "notes"},
        "platform": platform.platform(),
        "xla_flags": os.environ.get("XLA_FLAGS", ""),
        "commit": commit(),
    }


def commit() -> str | None:
    """The commit of this checkout, with ``-dirty`` behind it where files have changed; None where git knows none."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--abbrev=40"]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None


def read(folder: Path) -> dict[str, Any]:
    """The summary of a run; {} until it has ended."""
    path = folder / folders.SUMMARY
    found = read_json(path) if path.exists() else {}
    if not isinstance(found, dict) or (path.exists() and not NEEDED <= found.keys()):
        raise Fault(f"{path} is not a run's summary")
    return found


def num_updates(folder: Path) -> int:
    """How many updates the last finished run of a folder had; 0 where none has ended."""
    return read(folder).get("num_updates", 0)


def facts_of(job: Job) -> dict[str, Any]:
    """What a summary says of the task, whatever was measured."""
    task = job.parts.task
    return {
        "task": repr(task),
        "data": task.data,
        "baseline": task.baseline,
        "lag": task.lag,
        "criterion": repr(task.criterion),
        "facts": dict(job.experiment.facts(job.config)),
    }


def lost(label: str, seed: int, update: int, cause: str | None) -> str:
    """A network that was lost in an update, in one line; ``cause`` is None in runs that were stored without it."""
    what = {None: "", "parameters": "the new parameters are "}.get(cause, f"the {cause} is ")
    return f"{label}, seed {seed}: {what}not finite at update {update}; it stays at its parameters before that update"


def make(
    job: Job,
    num_updates: int,
    records: Any,
    params: Any,
    test: dict[str, Any],
    wall_seconds: float,
    lost_to: Mapping[str, str],
) -> dict[str, Any]:
    """The summary of a run whose networks, fillers included, are stacked along the first axis.

    ``num_updates`` are those that it had: fewer than asked for where it stopped because all was solved or lost.
    ``lost_to`` says what was not finite, by the index of each network that was lost.
    """
    config = job.config
    seeds = range(config.num_seeds)
    criterion = job.parts.task.criterion
    reached = criterion.milestones(records.criterion) if isinstance(criterion, HasMilestones) else {}

    def of_seed(index: int) -> dict[str, Any]:
        solved_at, frozen_at = int(records.solved_at[index]), int(records.frozen_at[index])
        selected = {"validation": int(records.best_at[index]), "solved": solved_at}.get(config.select, -1)
        return {
            "seed_index": index,
            "seed": config.seed + index,
            "solved": solved_at >= 0,
            "updates_to_solve": solved_at if solved_at >= 0 else None,
            "sequences_to_solve": solved_at * config.batch_size if solved_at >= 0 else None,
            **({"milestones": {name: _count(at[index]) for name, at in reached.items()}} if reached else {}),
            "frozen_at": frozen_at if frozen_at >= 0 else None,
            "not_finite": lost_to.get(str(index)),
            "tested_update": selected if selected >= 0 else num_updates,
            "params_sha256": params_sha256(jax.tree.map(lambda leaf: leaf[index], params)),
        }

    return {
        "experiment": job.experiment.name,
        "preset": job.preset,
        "cell": cell_names.label(config.cell),
        "config": configs.as_json(config),
        **facts_of(job),
        "num_parameters": sum(int(np.prod(leaf.shape[1:])) for leaf in jax.tree.leaves(params)),
        "num_state": job.parts.model.num_state() if isinstance(job.parts.model, HasState) else None,
        "num_updates": num_updates,
        "num_sequences": num_updates * config.batch_size,
        "test": over_seeds(test, config.num_seeds),
        "seeds": [of_seed(index) for index in seeds],
        "wall_seconds": round(wall_seconds, 2),
        "notes": list(job.resolved.notes),
        "environment": environment(job.resolved),
    }


def _count(number: Any) -> int | None:
    return int(number) if number >= 0 else None


def over_seeds(metrics: Mapping[str, Any], num_seeds: int) -> dict[str, Any]:
    """For each metric its mean over the networks, without fillers, and that of each network."""
    return {
        name: {
            "mean": float(np.mean(values[:num_seeds])),
            "seeds": [float(values[index]) for index in range(num_seeds)],
        }
        for name, values in metrics.items()
    }


def has_rows(out: Path, summaries: Sequence[dict[str, Any]]) -> bool:
    """Whether the table in ``out`` is whole and has a row for each of these summaries."""
    try:
        rows = json.loads((out / folders.TABLE).read_bytes())
    except (OSError, ValueError):
        return False
    keys = [_row(summary, ()) for summary in summaries]
    return isinstance(rows, list) and all(any(key.items() <= row.items() for row in rows) for key in keys)


def table(summaries: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """One line a run: the cell, what varies beside it, the test metrics and their spread, what was solved.

    Among several runs, or where sizes were matched, also how large each model is, as far as summaries tell.
    """
    fields = grids.varying([{**summary["config"], "cell": summary["cell"]} for summary in summaries])
    matched = any(summary["config"].get("match") for summary in summaries)
    if matched:
        fields = tuple(dict.fromkeys(["hidden_size", *fields]))
    counts = [
        name
        for name in COUNTS
        if (matched or len(summaries) > 1) and any(summary.get(name) is not None for summary in summaries)
    ]
    return [_row(summary, [name for name in fields if name != "cell"], counts) for summary in summaries]


def _row(summary: dict[str, Any], varying: Sequence[str], counts: Sequence[str] = ()) -> dict[str, Any]:
    seeds = summary["seeds"]
    num_lost = sum(seed["frozen_at"] is not None for seed in seeds)
    metrics: dict[str, Any] = {}
    for name, value in summary["test"].items():
        if name != "loss":
            metrics[f"test {name.replace('_', ' ')}"] = value["mean"]
            if len(seeds) > 1:
                spread = np.std(np.array(value["seeds"], float))  # JSON's null, of a lost network, as NaN
                metrics[f"{SPREAD}test {name.replace('_', ' ')}"] = float(spread)
    return {
        "cell": summary["cell"],
        **{name.replace("_", " "): summary["config"].get(name) for name in varying},
        **{COUNTS[name]: summary.get(name) for name in counts},
        **metrics,
        "baseline": summary["baseline"],
        **summary["facts"],
        "solved": f"{sum(seed['solved'] for seed in seeds)} of {len(seeds)}",
        **({"lost": f"{num_lost} of {len(seeds)}"} if num_lost else {}),
        "updates": summary["num_updates"],
        "updates to solve": " ".join(_shown(seed["updates_to_solve"]) for seed in seeds),
        "seconds": summary["wall_seconds"],
    }


def render(rows: Sequence[dict[str, Any]]) -> str:
    """The table as text, numbers to four digits; the standard deviation over seeds stands behind its mean.

    >>> print(render([{"cell": "lstm", "test mse": 0.00012345, "± test mse": 1e-5, "solved": "3 of 3"}]))
    cell  test mse           solved
    lstm  0.0001234 ± 1e-05  3 of 3
    """
    names = [name for name in dict.fromkeys(name for row in rows for name in row) if SPREAD not in name]
    lines = [names, *([entries(row).get(name, _shown(None)) for name in names] for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(names))]
    texts = ("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)) for line in lines)
    return "\n".join(line.rstrip() for line in texts)


def entries(row: dict[str, Any]) -> dict[str, str]:
    """A line of the table as text: numbers to four digits, the spread behind its mean."""

    def entry(name: str) -> str:
        spread = row.get(SPREAD + name)
        return _shown(row[name]) + ("" if spread is None else f" {SPREAD}{_shown(spread, 2)}")

    return {name: entry(name) for name in row if SPREAD not in name}


def _shown(value: Any, digits: int = 4) -> str:
    if value is None:
        return "-"
    return f"{value:.{digits}g}" if isinstance(value, float) else str(value)
