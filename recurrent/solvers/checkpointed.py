"""The solver that keeps few states and computes the others again for the backward pass."""

import dataclasses
import math

import jax
from jaxtyping import PyTree

from recurrent.sizes import Size
from recurrent.solvers.base import Problem, Run, Solver, by_segments, check_known, check_length, divisor_near
from recurrent.solvers.sequential import Sequential

__all__ = ["Checkpointed"]


# Up to here √T segments of √T steps; beyond, the states at their starts are too many to keep as well.
TWO_LEVELS = 65_536
STEP_BY_STEP = Sequential()


@dataclasses.dataclass(frozen=True)
class Checkpointed(Solver):
    """Step by step, keeping only the state at the start of each segment for the backward pass.

    The gradient needs O(T / segment + segment) memory and one more forward pass. ``segment`` None: the length nearest
    to √T that divides T, or √T where none is near; above 65,536 steps two levels, segments of T^⅔ steps cut into
    segments of T^⅓. A tuple gives the lengths of any number of levels, the longest first. ``inside`` runs the shortest
    segments: `Sequential`, or `Fused`, which takes less time for them.
    """

    segment: Size | tuple[Size, ...] | None = None
    inside: Solver = STEP_BY_STEP

    def __repr__(self) -> str:
        """The text of the dataclass; it leaves out ``inside`` where that is the default."""
        inside = "" if self.inside == STEP_BY_STEP else f", inside={self.inside}"
        return f"Checkpointed(segment={self.segment}{inside})"

    def __post_init__(self) -> None:
        """ValueError unless every segment has at least 1 step and fits into the one around it."""
        super().__post_init__()
        lengths = self.segment if isinstance(self.segment, tuple) else (self.segment,)
        if sorted(set(lengths), key=lambda length: -(length or 0)) != list(lengths):
            raise ValueError(f"segment: expected lengths that shrink, got {self.segment}")

    def segments(self, num_steps: int) -> tuple[int, ...]:
        """The lengths of the segments of each level for a sequence of ``num_steps``.

        >>> Checkpointed().segments(10_000), Checkpointed().segments(1_000_000)
        ((100,), (10000, 100))
        """
        if isinstance(self.segment, tuple):
            return self.segment
        if self.segment is not None:
            return (self.segment,)
        if num_steps <= TWO_LEVELS:
            return (divisor_near(num_steps, math.sqrt(num_steps)),)
        outer = divisor_near(num_steps, num_steps ** (2 / 3))
        return outer, divisor_near(outer, math.sqrt(outer))

    def solve(self, problem: Problem) -> tuple[PyTree, PyTree]:
        """``(final_state, ys)`` by scans over segments, each computed again when its gradient is due."""
        check_known(self, problem)
        segments = self.segments(problem.num_steps)
        check_length("segment", segments[0], problem.num_steps)
        return _checkpointed(problem, segments, self.inside)(problem.state, problem.over_time())


def _checkpointed(problem: Problem, segments: tuple[int, ...], inside: Solver) -> Run:
    """A run over any number of steps that keeps the states at the starts of segments, level by level."""

    def plain(state: PyTree, steps: PyTree) -> tuple[PyTree, PyTree]:
        return inside.solve(problem.at(steps, state))

    if not segments:
        return plain
    inner = _checkpointed(problem, segments[1:], inside)

    def run(state: PyTree, steps: PyTree) -> tuple[PyTree, PyTree]:
        # a scanned body cannot be merged with its own recomputation, so the barrier against that is not needed
        scanned = jax.checkpoint(inner, prevent_cse=False)
        return by_segments(scanned, state, steps, segments[0], rest=jax.checkpoint(inner))

    return run
