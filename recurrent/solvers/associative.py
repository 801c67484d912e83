"""The solver that computes all steps of a linear recurrence in parallel."""

import dataclasses

import jax
from jaxtyping import PyTree

from recurrent.cell import Unsupported
from recurrent.sizes import Size
from recurrent.solvers.base import Problem, Solver, by_segments, check_known, check_length

__all__ = ["Associative"]


@dataclasses.dataclass(frozen=True)
class Associative(Solver):
    """All states of a linear recurrence at once, from its linear form (`recurrent.forms`), in O(log T) depth.

    For cells whose state map is linear in the state. ``chunk`` steps at a time bound the memory: neither inputs
    projected nor states of more than one chunk exist at once, and the backward pass computes each chunk again from
    the state at its start. None: the whole sequence.
    Source: Blelloch (1990), "Prefix sums and their applications"; for networks Martin & Cundy (2018).
    """

    chunk: Size | None = None

    def solve(self, problem: Problem) -> tuple[PyTree, PyTree]:
        """``(final_state, ys)``: project all inputs, scan the linear forms, read the outputs."""
        if not problem.cell.has_linear_form:
            raise Unsupported(self, problem.cell, "its state map has no linear form")
        check_known(self, problem)
        check_length("chunk", self.chunk, problem.num_steps)

        def run(state: PyTree, steps: PyTree) -> tuple[PyTree, PyTree]:
            return _all_at_once(problem.at(steps, state))

        if self.chunk is None:
            return run(problem.state, problem.over_time())
        scanned = jax.checkpoint(run, prevent_cse=False)
        return by_segments(scanned, problem.state, problem.over_time(), self.chunk, rest=jax.checkpoint(run))


def _all_at_once(problem: Problem) -> tuple[PyTree, PyTree]:
    cell, weights = problem.cell, problem.weights
    us = problem.project(problem.xs, problem.noise, problem.mask)
    if problem.num_steps == 0:
        states = jax.tree.map(lambda leaf: leaf[None][:0], problem.state)
        return problem.state, problem.emit(states, us, problem.mask)
    states = cell.linear(weights, us).scan(problem.state, problem.mask, problem.reset, problem.initial)
    return jax.tree.map(lambda leaf: leaf[-1], states), problem.emit(states, us, problem.mask)
