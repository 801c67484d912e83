"""The laboratory: configurations, training, run folders, pictures and the command line."""

from experiments.lab.plan.cell_names import parse_cell
from experiments.lab.plan.machine import start
from experiments.lab.run import Run, open_run, run

__all__ = ["Run", "open_run", "parse_cell", "run", "start"]
