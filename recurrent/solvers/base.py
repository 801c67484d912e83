"""What a solver is given, a `Problem`, and what it is, a `Solver`.

A solver is a value with one method, ``solve(problem) -> (final_state, ys)``. `recurrent.unroll` settles everything
that solvers need not know about (direction, noise, checks), so that they all solve the same `Problem`.
"""

import abc
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, PyTree

from recurrent import arrays, sizes
from recurrent.cell import Cell, Noisy, Unsupported

__all__ = ["Problem", "Solver", "by_segments", "check_known", "check_length", "divisor_near"]


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
        """The length of the time axis of the inputs."""
        return arrays.num_steps(self.xs)

    def over_time(self) -> PyTree:
        """Inputs, noise, mask and reset as one pytree to scan over; `step` reads one index of it, `at` any number."""
        return self.xs, self.noise, self.mask, self.reset

    def at(self, steps: PyTree, state: PyTree) -> "Problem":
        """The problem of the consecutive ``steps`` alone, cut from `over_time`, which starts from ``state``."""
        xs, noise, mask, reset = steps
        return self._replace(xs=xs, noise=noise, mask=mask, reset=reset, state=state)

    def project(self, x: PyTree, noise: PyTree, mask: Any) -> PyTree:
        """``u`` of any number of steps: padding becomes 0, noise is paired with its input, the cell projects."""
        clean = x if mask is None else arrays.where(mask, x, 0.0)
        return self.cell.project(self.weights, Noisy(clean, noise) if self.cell.is_stochastic else clean)

    def emit(self, state: PyTree, u: PyTree, mask: Any) -> PyTree:
        """What the cell emits from the states that are carried; at masked steps what `Cell.mask_output` says."""
        y = self.cell.output(self.weights, state, u)
        return y if mask is None else self.cell.mask_output(mask, y)

    def move(self, state: PyTree, u: PyTree, mask: Any, reset: Any) -> PyTree:
        """The state after one step given its ``u`` and flags, in the order reset, step, mask."""
        if reset is not None:
            state = arrays.where(reset, self.initial, state)
        new = self.cell.next_state(self.weights, state, u)
        return new if mask is None else arrays.where(mask, new, state)

    def advance(self, state: PyTree, projected: PyTree) -> tuple[PyTree, PyTree]:
        """``(state, y)`` after one step, from its ``(u, mask, reset)``."""
        u, mask, reset = projected
        new = self.move(state, u, mask, reset)
        return new, self.emit(new, u, mask)

    def step(self, state: PyTree, now: PyTree) -> tuple[PyTree, PyTree]:
        """``(state, y)`` after one step, from its inputs and flags: the definition that all solvers agree with."""
        x, noise, mask, reset = now
        return self.advance(state, (self.project(x, noise, mask), mask, reset))


class Solver(abc.ABC):
    """A method of evaluating a recurrence; all of them compute the function that `Sequential` computes."""

    def __post_init__(self) -> None:
        """Settle the fields that are annotated `recurrent.sizes.Size`; a subclass with checks of its own calls this."""
        sizes.settle(self)

    @abc.abstractmethod
    def solve(self, problem: Problem) -> tuple[PyTree, PyTree]:
        """``(final_state, ys)`` of a problem; raises `Unsupported` rather than use another method than its own."""


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
    """ValueError, naming the field, where a solver is told to take more steps together than there are, as far as their
    number is known.
    """
    if size is not None and arrays.is_known(num_steps) and 0 < num_steps < size:
        raise ValueError(f"{name}: expected at most {num_steps}, the length of the time axis, got {size}")


def check_known(solver: Solver, problem: Problem) -> None:
    """`Unsupported` where a solver cuts or halves the time axis, and its length is a symbol."""
    if not arrays.is_known(problem.num_steps):
        raise Unsupported(
            solver,
            problem.cell,
            f"the length {problem.num_steps} is a symbol of jax.export; take Sequential()",
        )


def divisor_near(length: int, target: float | int) -> int:
    """The divisor of ``length`` nearest to ``target``, within a factor of 2; ``target`` where there is none."""
    near = max(1, round(target))
    divisors = [size for size in range(max(1, near // 2), 2 * near + 1) if length and length % size == 0]
    return min(divisors, key=lambda size: abs(math.log(size / near)), default=near)
