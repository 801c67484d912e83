"""What a run leaves in ``summary.json``, and the table that is made from it."""

import json
import os
import platform
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from experiments.errors import Fault
from experiments.lab.job import Job
from experiments.lab.plan import configs
from experiments.lab.plan.machine import Resolved
from experiments.lab.storage import folders
from experiments.lab.storage.hashing import params_sha256
from experiments.lab.storage.records import read_json

TABLE = "table.json"
NEEDED = {"cell", "test", "seeds", "facts", "baseline", "num_updates", "wall_seconds"}


def environment(resolved: Resolved) -> dict[str, Any]:
    """What a run was computed with."""
    return {
        **{name: value for name, value in resolved.items() if name != "notes"},
        "platform": platform.platform(),
        "xla_flags": os.environ.get("XLA_FLAGS", ""),
        "commit": _commit(),
    }


def _commit() -> str | None:
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


def make(job: Job, records: Any, params: Any, test: dict[str, Any], wall_seconds: float) -> dict[str, Any]:
    """The summary of a run whose networks, fillers included, are stacked along the first axis."""
    config, task = job.config, job.parts.task
    seeds = range(config.num_seeds)

    def of_seed(index: int) -> dict[str, Any]:
        solved_at, frozen_at = int(records.solved_at[index]), int(records.frozen_at[index])
        return {
            "seed_index": index,
            "seed": config.seed + index,
            "solved": solved_at >= 0,
            "updates_to_solve": solved_at if solved_at >= 0 else None,
            "sequences_to_solve": solved_at * config.batch_size if solved_at >= 0 else None,
            "frozen_at": frozen_at if frozen_at >= 0 else None,
            "tested_update": int(records.best_at[index])
            if config.select == "validation"
            else config.num_updates,
            "params_sha256": params_sha256(jax.tree.map(lambda leaf: leaf[index], params)),
        }

    return {
        "experiment": job.experiment.name,
        "preset": job.preset,
        "cell": job.label,
        "config": configs.as_json(config),
        "task": repr(task),
        "data": task.data,
        "baseline": task.baseline,
        "lag": task.lag,
        "criterion": repr(task.criterion),
        "num_parameters": sum(int(np.prod(leaf.shape[1:])) for leaf in jax.tree.leaves(params)),
        "num_updates": config.num_updates,
        "num_sequences": config.num_updates * config.batch_size,
        "test": {
            name: {
                "mean": float(np.mean(values[: config.num_seeds])),
                "seeds": [float(values[index]) for index in seeds],
            }
            for name, values in test.items()
        },
        "seeds": [of_seed(index) for index in seeds],
        "facts": dict(job.experiment.facts(config)),
        "wall_seconds": round(wall_seconds, 2),
        "notes": job.resolved["notes"],
        "environment": environment(job.resolved),
    }


def has_rows(out: Path, summaries: Sequence[dict[str, Any]]) -> bool:
    """Whether the table in ``out`` is whole and says what these summaries say."""
    try:
        rows = json.loads((out / TABLE).read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(rows, list) and all(table_row(summary) in rows for summary in summaries)


def table_row(summary: dict[str, Any]) -> dict[str, Any]:
    """One line of the table."""
    metrics = {name: value["mean"] for name, value in summary["test"].items() if name != "loss"}
    seeds = summary["seeds"]
    return {
        "cell": summary["cell"],
        **{f"test {name.replace('_', ' ')}": value for name, value in metrics.items()},
        "baseline": summary["baseline"],
        **summary["facts"],
        "solved": f"{sum(seed['solved'] for seed in seeds)} of {len(seeds)}",
        "updates to solve": " ".join(_shown(seed["updates_to_solve"]) for seed in seeds),
        "seconds": summary["wall_seconds"],
    }


def render(rows: Sequence[dict[str, Any]]) -> str:
    """The table as text, numbers to four digits.

    >>> print(render([{"cell": "lstm", "test mse": 0.00012345, "solved": "3 of 3"}]))
    cell  test mse   solved
    lstm  0.0001234  3 of 3
    """
    names = list(dict.fromkeys(name for row in rows for name in row))
    cells = [names, *([_shown(row.get(name)) for name in names] for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(names))]
    lines = ("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)) for line in cells)
    return "\n".join(line.rstrip() for line in lines)


def _shown(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
