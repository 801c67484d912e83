"""A run that is ready to start: whatever could be refused has been checked before its first update."""

import dataclasses
from pathlib import Path
from typing import Any

from experiments.lab.plan.configs import Config
from experiments.lab.plan.experiment import Experiment, Parts
from experiments.lab.plan.resolved import Resolved


@dataclasses.dataclass(frozen=True)
class Job:
    """One run: its folder, its name, its configuration, what that stands for, its data, and what was resolved.

    The model goes by the solver that ``resolved`` names. ``label`` is the cell and what varies beside it.
    """

    folder: Path
    label: str
    experiment: Experiment
    preset: str
    config: Config
    parts: Parts
    data: Any
    resolved: Resolved
    initial: Any = None
    """Parameters of all networks, stacked, where the run starts from those of another; else None."""
