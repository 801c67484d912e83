"""The solver that goes one step after another: the definition of what all solvers compute."""

import dataclasses

import jax
from jaxtyping import PyTree

from recurrent.sizes import Size
from recurrent.solvers.base import Problem, Solver, by_segments, check_known, check_length

__all__ = ["Sequential"]


@dataclasses.dataclass(frozen=True)
class Sequential(Solver):
    """One step after another: the definition, and the oracle of every other solver.

    ``projection`` steps are projected together, ahead of the loop over them: 1, inside the loop, keeps what is
    projected in cache; more make larger products; None, the whole sequence at once, suits a GPU.
    """

    projection: Size | None = 1

    def solve(self, problem: Problem) -> tuple[PyTree, PyTree]:
        """``(final_state, ys)`` by one `jax.lax.scan` over time, or one for each stretch that is projected together."""
        check_length("projection", self.projection, problem.num_steps)

        def run(state: PyTree, steps: PyTree) -> tuple[PyTree, PyTree]:
            x, noise, mask, reset = steps
            projected = problem.project(x, noise, mask), mask, reset
            return jax.lax.scan(problem.advance, state, projected)

        if self.projection == 1:
            return jax.lax.scan(problem.step, problem.state, problem.over_time())
        if self.projection is None:
            return run(problem.state, problem.over_time())
        check_known(self, problem)
        return by_segments(run, problem.state, problem.over_time(), self.projection)
