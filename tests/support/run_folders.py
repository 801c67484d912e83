"""Run folders made by hand: the JSON files that a run leaves, with numbers that a test chooses; no checkpoints."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from experiments import adding_problem
from experiments.lab.plan import cell_names, configs
from experiments.lab.plan.experiment import Experiment

RESOLVED = {"device_kind": "cpu", "num_cores": 2, "num_devices": 1, "versions": {"jax": "0.10.2"}}
RESOLVED |= {"solver": "sequential", "seed_mapping": "one_by_one", "notes": []}
NETWORKS: dict[str, list[float | None]] = {"accuracy": [0.25, 0.75], "loss": [0.5, 0.125]}


def make(
    folder: Path,
    *,
    experiment: Experiment = adding_problem.EXPERIMENT,
    cell: str = "lstm",
    test: dict[str, list[float | None]] | None = NETWORKS,
    updates: int = 40,
    frozen: Sequence[int] = (),
    baseline: float = 1 / 6,
    stopped: str | None = None,
    progress: dict[str, Any] | None = None,
    **changes: Any,
) -> Path:
    """A run of two networks after ``updates``; it has ended unless ``test``, a list of both networks a metric, is None.

    ``frozen`` are the indices of lost networks, ``changes`` what differs from the smoke preset.
    """
    config = configs.changed(experiment.presets["smoke"], num_seeds=2, cell=cell, **changes)
    folder.mkdir(parents=True)
    stored = {"experiment": experiment.name, "preset": "smoke", "config": configs.as_json(config)}
    write(folder / "config.json", {**stored, "resolved": RESOLVED})
    lines = [
        {
            "update": update,
            "seed_index": index,
            "split": split,
            "loss": 1.0 / (1 + update + index),
            "norms": [1, 2],
        }
        for update in range(0, updates + 1, 20)
        for split in ("training", "validation")
        for index in range(2)
    ]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    if progress is not None:
        write(folder / "progress.json", {"process": os.getpid(), **progress})
    if test is not None:
        summary = {
            **stored,
            "cell": cell_names.label(config.cell),
            "baseline": baseline,
            "lag": 9,
            "num_updates": updates,
            "test": {
                name: {"mean": sum(v or 0.0 for v in both) / 2, "seeds": both} for name, both in test.items()
            },
            "seeds": [seed(config.seed, index, index in frozen) for index in range(2)],
            "facts": {},
            "wall_seconds": 8.0,
        }
        write(folder / "summary.json", summary | ({"stopped": stopped} if stopped else {}))
    return folder


def seed(first: int, index: int, is_frozen: bool) -> dict[str, Any]:
    """One network of a summary: the first has been solved."""
    return {
        "seed_index": index,
        "seed": first + index,
        "solved": index == 0,
        "updates_to_solve": 20 if index == 0 else None,
        "frozen_at": 7 if is_frozen else None,
        "params_sha256": f"{index}" * 64,
    }


def write(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content))


def dead() -> int:
    """The number of a process that has ended."""
    with subprocess.Popen([sys.executable, "-S", "-c", ""]) as child:
        child.wait()
    return child.pid
