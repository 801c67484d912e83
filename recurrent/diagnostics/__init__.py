"""Diagnostics: pure functions ``(cell, params, xs) -> arrays`` that say why a network does not learn."""

from recurrent.diagnostics.gradients import gradient_by_lag, gradient_norms, state_gradients

__all__ = ["gradient_by_lag", "gradient_norms", "state_gradients"]
