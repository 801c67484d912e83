"""The contract of cells and layers, executed: `check_cell` and `check_layer`, for cells of one's own too."""

from recurrent.testing.clauses import BrokenContract
from recurrent.testing.contract import SOLVERS, check_cell, check_layer

__all__ = ["SOLVERS", "BrokenContract", "check_cell", "check_layer"]
