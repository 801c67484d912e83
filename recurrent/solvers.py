"""What a solver is given and what it is, and the solvers that go step by step.

A solver is a value with one method, ``solve(problem) -> (final_state, ys)``. `recurrent.unroll` settles everything
that solvers need not know about (direction, noise, checks), so that they all solve the same `Problem`.
"""

import abc
import dataclasses
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, PyTree

from recurrent import arrays
from recurrent.cell import Cell, Noisy

__all__ = ["AUTO", "Auto", "Checkpointed", "Problem", "Sequential", "Solver", "by_segments"]


class Problem(NamedTuple):
    """One cell, its weights and its inputs, forward in time; what a solver is given.

    ``state`` is the state before the first step, ``initial`` the one at the start of a segment.
    Within a step the order is reset, step, mask.
    """

    cell: Cell
    weights: PyTree
    xs: PyTree
    noise: PyTree
    state: PyTree
    initial: PyTree
    mask: Bool[Array, "t *b"] | None
    reset: Bool[Array, "t *b"] | None

    @property
    def num_steps(self) -> int:
        """The length of the time axis."""
        return arrays.num_steps(self.xs)

    def over_time(self) -> PyTree:
        """Everything with a time axis, for a scan; `step` reads one index of it, `at` any number."""
        return self.xs, self.noise, self.mask, self.reset

    def at(self, steps: PyTree, state: PyTree) -> "Problem":
        """The problem of some consecutive ``steps`` (of `over_time`) from ``state``."""
        xs, noise, mask, reset = steps
        return self._replace(xs=xs, noise=noise, mask=mask, reset=reset, state=state)

    def project(self, x: PyTree, noise: PyTree, mask: Any) -> PyTree:
        """``u`` of any number of steps: padding replaced by 0, noise paired with the input."""
        clean = x if mask is None else arrays.where(mask, x, 0.0)
        return self.cell.project(self.weights, Noisy(clean, noise) if self.cell.is_stochastic else clean)

    def emit(self, state: PyTree, u: PyTree, mask: Any) -> PyTree:
        """What the cell emits from the states carried."""
        y = self.cell.output(self.weights, state, u)
        return y if mask is None else self.cell.mask_output(mask, y)

    def move(self, state: PyTree, u: PyTree, mask: Any, reset: Any) -> PyTree:
        """The state map with its flags: reset, step, mask."""
        if reset is not None:
            state = arrays.where(reset, self.initial, state)
        new = self.cell.next_state(self.weights, state, u)
        return new if mask is None else arrays.where(mask, new, state)

    def advance(self, state: PyTree, projected: PyTree) -> tuple[PyTree, PyTree]:
        """One step from ``(u, mask, reset)``."""
        u, mask, reset = projected
        new = self.move(state, u, mask, reset)
        return new, self.emit(new, u, mask)

    def step(self, state: PyTree, now: PyTree) -> tuple[PyTree, PyTree]:
        """The definition of one step."""
        x, noise, mask, reset = now
        return self.advance(state, (self.project(x, noise, mask), mask, reset))


class Solver(abc.ABC):
    """A method of evaluating a recurrence; all of them compute the function that `Sequential` computes."""

    @abc.abstractmethod
    def solve(self, problem: Problem) -> tuple[PyTree, PyTree]:
        """``(final_state, ys)``; raises `Unsupported` rather than use another method than its own."""


Run = Callable[[PyTree, PyTree], tuple[PyTree, PyTree]]


def by_segments(run: Run, state: PyTree, steps: PyTree, segment: int, rest: Run | None = None) -> Any:
    """``run(state, steps) -> (state, ys)`` over one segment of steps after another, in a scan.

    What is left behind the last whole segment goes through ``rest`` (None: ``run``).
    """
    length = arrays.num_steps(steps)
    whole = length - length % segment
    blocks = jax.tree.map(
        lambda leaf: leaf[:whole].reshape(whole // segment, segment, *leaf.shape[1:]), steps
    )
    state, ys = jax.lax.scan(run, state, blocks)
    ys = jax.tree.map(lambda leaf: leaf.reshape(whole, *leaf.shape[2:]), ys)
    if whole == length:
        return state, ys
    state, last = (rest or run)(state, jax.tree.map(lambda leaf: leaf[whole:], steps))
    return state, jax.tree.map(lambda a, b: jnp.concatenate([a, b]), ys, last)


def check_length(name: str, size: int | None, num_steps: int) -> None:
    """ValueError, naming the field, where a solver is told to take more steps together than there are."""
    if size is not None and num_steps and size > num_steps:
        raise ValueError(f"{name}: expected at most {num_steps}, the length of the time axis, got {size}")


def check_positive(name: str, size: int | None) -> None:
    """ValueError, naming the field, where a solver is told to take less than one step."""
    if size is not None and size < 1:
        raise ValueError(f"{name}: expected at least 1, got {size}")


@dataclasses.dataclass(frozen=True)
class Sequential(Solver):
    """One step after another: the definition, and the oracle of every other solver.

    ``projection`` steps are projected together, ahead of the loop over them: 1, inside the loop, keeps what is
    projected in cache; more make larger products; None, the whole sequence at once, suits a GPU.
    """

    projection: int | None = 1

    def __post_init__(self) -> None:
        """Check the range."""
        check_positive("projection", self.projection)

    def solve(self, problem: Problem) -> tuple[PyTree, PyTree]:
        """One `jax.lax.scan` over time, or one for each stretch that is projected together."""
        check_length("projection", self.projection, problem.num_steps)

        def run(state: PyTree, steps: PyTree) -> tuple[PyTree, PyTree]:
            x, noise, mask, reset = steps
            projected = problem.project(x, noise, mask), mask, reset
            return jax.lax.scan(problem.advance, state, projected)

        if self.projection == 1:
            return jax.lax.scan(problem.step, problem.state, problem.over_time())
        if self.projection is None:
            return run(problem.state, problem.over_time())
        return by_segments(run, problem.state, problem.over_time(), self.projection)


# Up to here √T segments of √T steps; beyond, the states at their starts are too many to keep as well.
TWO_LEVELS = 65_536


@dataclasses.dataclass(frozen=True)
class Checkpointed(Solver):
    """Step by step, keeping only the state at the start of each segment for the backward pass.

    The gradient needs O(T / segment + segment) memory and one more forward pass. ``segment`` None: the length nearest
    to √T that divides T, or √T where none is near; above 65,536 steps two levels, segments of T^⅔ steps cut into
    segments of T^⅓. A tuple gives the lengths of any number of levels, the longest first.
    """

    segment: int | tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        """Check the range."""
        lengths = self.segment if isinstance(self.segment, tuple) else (self.segment,)
        for length in lengths:
            check_positive("segment", length)
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
            return (_divisor_near(num_steps, math.sqrt(num_steps)),)
        outer = _divisor_near(num_steps, num_steps ** (2 / 3))
        return outer, _divisor_near(outer, math.sqrt(outer))

    def solve(self, problem: Problem) -> tuple[PyTree, PyTree]:
        """Scans over segments whose inner scan is computed again when its gradient is due."""
        segments = self.segments(problem.num_steps)
        check_length("segment", segments[0], problem.num_steps)
        return _checkpointed(problem, segments)(problem.state, problem.over_time())


def _checkpointed(problem: Problem, segments: tuple[int, ...]) -> Run:
    """A run over any number of steps that keeps the states at the starts of segments, level by level."""

    def plain(state: PyTree, steps: PyTree) -> tuple[PyTree, PyTree]:
        return jax.lax.scan(problem.step, state, steps)

    if not segments:
        return plain
    inner = _checkpointed(problem, segments[1:])

    def run(state: PyTree, steps: PyTree) -> tuple[PyTree, PyTree]:
        # a scanned body cannot be merged with its own recomputation, so the barrier against that is not needed
        scanned = jax.checkpoint(inner, prevent_cse=False)
        return by_segments(scanned, state, steps, segments[0], rest=jax.checkpoint(inner))

    return run


def _divisor_near(length: int, target: float) -> int:
    """The divisor of ``length`` nearest to ``target``, within a factor of 2; ``target`` where there is none."""
    near = max(1, round(target))
    divisors = [size for size in range(max(1, near // 2), 2 * near + 1) if length and length % size == 0]
    return min(divisors, key=lambda size: abs(math.log(size / near)), default=near)


# From so many bytes of states on, a CPU computes those of a linear cell again faster than it reads them back, as
# measured by `benchmarks.auto` (docs/auto.cpu.json) and `benchmarks.cells`.
RECOMPUTED = 16 * 2**20


@dataclasses.dataclass(frozen=True)
class Auto(Solver):
    """The default: a function of the cell, its shapes and the kind of device, among solvers that run every cell.

    `Checkpointed` on a CPU for a cell that is linear in a large state (a matrix memory, a state space): its gradient
    takes no more time with it, and a fraction of the memory. Else `Sequential`. Others may be faster for a cell, on a
    GPU above all, and have to be asked for.
    """

    def choose_for(
        self, cell: Cell, num_steps: int, state: PyTree, platform: str | None = None
    ) -> tuple[Solver, str]:
        """The solver that runs, and why.

        ``state`` ``[*b, ...]`` is the one before the first step, or its shapes; ``platform`` None: the one JAX runs on.
        """
        where = jax.default_backend() if platform is None else platform
        kept = num_steps * sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(state))
        if where == "cpu" and cell.has_linear_form and kept >= RECOMPUTED:
            size = f"{kept / 2**20:,.0f} MiB of states"
            return (
                Checkpointed(),
                f"for a gradient a CPU computes {size} again faster than it reads them back",
            )
        return Sequential(), "what AUTO takes unless states are large, and linear, on a CPU"

    def solve(self, problem: Problem) -> tuple[PyTree, PyTree]:
        """Hand over to the chosen solver."""
        chosen, _ = self.choose_for(problem.cell, problem.num_steps, problem.state)
        return chosen.solve(problem)


AUTO = Auto()
"""The default solver."""
