"""Solvers that are parallel in time."""

import dataclasses

import jax
from jaxtyping import PyTree

from recurrent import arrays
from recurrent.cell import Unsupported
from recurrent.unroll import Problem, Solver

__all__ = ["Associative"]


@dataclasses.dataclass(frozen=True)
class Associative(Solver):
    """All prefixes of a linear recurrence by a parallel scan over its linear form, in O(log T) depth.

    ``chunk`` steps at a time, or all at once (None). For cells whose state map is linear in the state.
    Source: Blelloch (1990), "Prefix sums and their applications"; for networks Martin & Cundy (2018).
    """

    chunk: int | None = None

    def __post_init__(self) -> None:
        """Check the range."""
        if self.chunk is not None and self.chunk < 1:
            raise ValueError(f"chunk: expected at least 1, got {self.chunk}")

    def solve(self, problem: Problem) -> tuple[PyTree, PyTree]:
        """Project the whole sequence, scan the forms, read the outputs."""
        cell, weights = problem.cell, problem.weights
        if not cell.has_linear_form:
            raise Unsupported(self, cell, "its state map has no linear form")
        us = cell.project(weights, problem.inputs(problem.xs, problem.noise, problem.mask))
        forms = cell.linear(weights, us)
        states = forms.scan(problem.state, problem.mask, problem.reset, problem.initial, self.chunk)
        ys = problem.emit(states, us, problem.mask)
        if arrays.num_steps(problem.xs) == 0:
            return problem.state, ys
        return jax.tree.map(lambda leaf: leaf[-1], states), ys
