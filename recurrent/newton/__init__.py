"""The solver that is parallel in time for any recurrence: Newton's method on the whole trajectory."""

from recurrent.newton.report import solve_report
from recurrent.newton.solver import Newton, Report

__all__ = ["Newton", "Report", "solve_report"]
