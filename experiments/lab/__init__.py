"""The laboratory: what an experiment declares, configurations, grids, runs, data frames and the command line."""

from experiments.lab.cli import main
from experiments.lab.frames import frame, metrics
from experiments.lab.opened import Run, open_run
from experiments.lab.parts import parts
from experiments.lab.plan.cell_names import parse_cell
from experiments.lab.plan.configs import Config, TaskFlags, configuration
from experiments.lab.plan.experiment import Experiment, OfConfig, OfRun, Parts, presets
from experiments.lab.plan.grids import grid
from experiments.lab.plan.machine import start
from experiments.lab.run import plan, run
from experiments.models.base import EveryStep, LastStep

__all__ = [
    "Config",
    "EveryStep",
    "Experiment",
    "LastStep",
    "OfConfig",
    "OfRun",
    "Parts",
    "Run",
    "TaskFlags",
    "configuration",
    "frame",
    "grid",
    "main",
    "metrics",
    "open_run",
    "parse_cell",
    "parts",
    "plan",
    "presets",
    "run",
    "start",
]
