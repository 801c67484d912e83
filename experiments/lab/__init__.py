"""The laboratory: configurations, grids, training, run folders, pictures and the command line."""

from experiments.lab.plan.cell_names import parse_cell
from experiments.lab.plan.grids import grid
from experiments.lab.plan.machine import start
from experiments.lab.run import Run, open_run, plan, run

__all__ = ["Run", "grid", "open_run", "parse_cell", "plan", "run", "start"]
