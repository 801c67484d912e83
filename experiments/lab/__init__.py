"""The laboratory: configurations, grids, training, run folders, data frames, pictures and the command line."""

from experiments.lab.frames import frame, metrics
from experiments.lab.plan.cell_names import parse_cell
from experiments.lab.plan.grids import grid
from experiments.lab.plan.machine import start
from experiments.lab.run import Run, open_run, plan, run

__all__ = ["Run", "frame", "grid", "metrics", "open_run", "parse_cell", "plan", "run", "start"]
