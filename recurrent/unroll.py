"""`unroll`: the one way through time, and the two solvers that go step by step.

A solver is a value with one method, ``solve(problem) -> (final_state, ys)``. `unroll` settles everything
that solvers need not know about (direction, noise, checks), so that they all solve the same `Problem`.
"""

import abc
import dataclasses
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int, PyTree

from recurrent import arrays
from recurrent.arrays import Key
from recurrent.cell import Cell, Layer, Noisy

__all__ = ["AUTO", "Auto", "Checkpointed", "Problem", "Sequential", "Solver", "mask_from_lengths", "unroll"]


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

    def inputs(self, x: PyTree, noise: PyTree, mask: Any) -> PyTree:
        """What ``project`` gets for steps ``x``: padding replaced by 0, noise paired with it."""
        clean = x if mask is None else arrays.where(mask, x, 0.0)
        return Noisy(clean, noise) if self.cell.is_stochastic else clean

    def emit(self, state: PyTree, u: PyTree, mask: Any) -> PyTree:
        """What the cell emits from the states carried."""
        y = self.cell.output(self.weights, state, u)
        return y if mask is None else self.cell.mask_output(mask, y)

    def over_time(self) -> PyTree:
        """Everything with a time axis, for a scan; `step` reads one index of it."""
        return self.xs, self.noise, self.mask, self.reset

    def step(self, state: PyTree, now: PyTree) -> tuple[PyTree, PyTree]:
        """The definition of one step: reset, step, mask."""
        x, noise, mask, reset = now
        if reset is not None:
            state = arrays.where(reset, self.initial, state)
        u = self.cell.project(self.weights, self.inputs(x, noise, mask))
        new = self.cell.next_state(self.weights, state, u)
        if mask is not None:
            new = arrays.where(mask, new, state)
        return new, self.emit(new, u, mask)


class Solver(abc.ABC):
    """A method of evaluating a recurrence; all of them compute the function that `Sequential` computes."""

    @abc.abstractmethod
    def solve(self, problem: Problem) -> tuple[PyTree, PyTree]:
        """``(final_state, ys)``; raises `Unsupported` rather than use another method than its own."""


@dataclasses.dataclass(frozen=True)
class Sequential(Solver):
    """One step after another: the definition, and the oracle of every other solver."""

    def solve(self, problem: Problem) -> tuple[PyTree, PyTree]:
        """One `jax.lax.scan` over time."""
        return jax.lax.scan(problem.step, problem.state, problem.over_time())


@dataclasses.dataclass(frozen=True)
class Checkpointed(Solver):
    """Step by step, keeping only the state at the start of each segment for the backward pass.

    The gradient needs O(T / segment + segment) memory and one more forward pass. ``segment`` None: the
    length nearest to √T that divides T, or √T where none is near.
    """

    segment: int | None = None

    def __post_init__(self) -> None:
        """Check the range."""
        if self.segment is not None and self.segment < 1:
            raise ValueError(f"segment: expected at least 1, got {self.segment}")

    def solve(self, problem: Problem) -> tuple[PyTree, PyTree]:
        """A scan over segments whose inner scan is computed again when its gradient is due."""
        length = arrays.num_steps(problem.over_time())
        segment = min(self.segment or _segment_near_sqrt(length), max(length, 1))
        whole = length - length % segment

        def run_segment(state: PyTree, steps: PyTree) -> tuple[PyTree, PyTree]:
            return jax.lax.scan(problem.step, state, steps)

        blocks = jax.tree.map(
            lambda leaf: leaf[:whole].reshape(whole // segment, segment, *leaf.shape[1:]), problem.over_time()
        )
        # a scanned body cannot be merged with its own recomputation, so the barrier against that is not needed
        state, ys = jax.lax.scan(jax.checkpoint(run_segment, prevent_cse=False), problem.state, blocks)
        ys = jax.tree.map(lambda leaf: leaf.reshape(whole, *leaf.shape[2:]), ys)
        if whole == length:
            return state, ys
        rest = jax.tree.map(lambda leaf: leaf[whole:], problem.over_time())
        state, last = jax.checkpoint(run_segment)(state, rest)
        return state, jax.tree.map(lambda a, b: jnp.concatenate([a, b]), ys, last)


def _segment_near_sqrt(length: int) -> int:
    root = max(1, round(math.sqrt(length)))
    divisors = [size for size in range(max(1, root // 2), 2 * root + 1) if length and length % size == 0]
    return min(divisors, key=lambda size: abs(math.log(size / root)), default=root)


@dataclasses.dataclass(frozen=True)
class Auto(Solver):
    """The solver that measurements recommend for a cell and its shapes; `Sequential` until there are any."""

    def solve(self, problem: Problem) -> tuple[PyTree, PyTree]:
        """Hand over to the chosen solver."""
        return Sequential().solve(problem)


AUTO = Auto()


def unroll(
    cell: Cell | Layer,
    params: PyTree,
    xs: PyTree,
    *,
    state: PyTree = None,
    mask: Bool[Array, "t *b"] | None = None,
    reset: Bool[Array, "t *b"] | None = None,
    reverse: bool = False,
    key: Key | None = None,
    solver: Any = AUTO,
) -> tuple[PyTree, PyTree]:
    """Run a cell (or a layer) over a sequence.

    Args:
        cell: a `Cell` or a `Layer`.
        params: what ``cell.init`` returned.
        xs: inputs ``[t, *b, *cell.input_shape]``.
        state: the state before the first step travelled; None: ``cell.initial_state``.
        mask: True where a step exists. Elsewhere the input counts as 0 (NaN padding can enter neither
            outputs nor gradients), the state is carried through and the output is 0.
        reset: True where a new segment starts: no state crosses between t - 1 and t in either
            direction; the segment starts from ``cell.initial_state``. Resets count at masked steps too.
        reverse: travel from the last step to the first; outputs stay at their steps.
        key: draws the noise of a stochastic wrapper; None: evaluation.
        solver: how to compute it; for a `stack`, also a tuple with one solver a part.

    Returns:
        ``(final_state, ys)``: the state after the last step travelled, and outputs ``[t, *b, *output_shape]``.

    Raises:
        ValueError: an argument's shape or dtype is not as described.
        Unsupported: the solver has no method of its own for this cell.

    >>> import recurrent as rec
    >>> cell = rec.LSTM(input_size=10, hidden_size=128)
    >>> state, ys = unroll(cell, cell.init(jax.random.key(0)), jnp.ones((7, 32, 10)))
    >>> state.c.shape, ys.shape
    ((32, 128), (7, 32, 128))
    """
    batch = _check(cell, xs, mask, reset)
    if isinstance(cell, Layer):
        return cell.unroll(
            params, xs, state=state, mask=mask, reset=reset, reverse=reverse, key=key, solver=solver
        )
    if not isinstance(solver, Solver):
        raise ValueError(f"solver: expected a solver such as Sequential(), got {solver!r}")
    length = arrays.num_steps(xs)
    noise = None
    if cell.is_stochastic and key is not None:
        noise = cell.noise(key, length, batch, reset)
    weights = cell.prepare(params)
    initial = cell.initial_state(weights, batch)
    if state is not None:
        _check_state(state, initial)
    if reverse:
        # no state may cross between t - 1 and t: travelling back, the start of a segment is put back before t - 1
        moved = None if reset is None else jnp.concatenate([reset[1:], jnp.zeros_like(reset[:1])])
        xs, noise, mask, reset = _flip((xs, noise, mask, moved))
    problem = Problem(cell, weights, xs, noise, initial if state is None else state, initial, mask, reset)
    final_state, ys = solver.solve(problem)
    return final_state, _flip(ys) if reverse else ys


def _flip(tree: PyTree) -> PyTree:
    return jax.tree.map(lambda leaf: jnp.flip(leaf, axis=0), tree)


def _check(cell: Any, xs: PyTree, mask: Any, reset: Any) -> tuple[int, ...]:
    if not isinstance(cell, (Cell, Layer)):
        raise ValueError(f"cell: expected a Cell or a Layer, got {cell!r}")
    leading = arrays.batch_shape(xs, cell.input_shape)
    if not leading:
        raise ValueError(f"xs: expected a time axis in front of {cell.input_shape}")
    for name, flag in (("mask", mask), ("reset", reset)):
        if flag is None:
            continue
        if flag.dtype != jnp.bool_:
            raise ValueError(f"{name}: expected booleans, got {flag.dtype}")
        if flag.shape != leading:
            raise ValueError(f"{name}: expected shape {leading}, the leading axes of xs, got {flag.shape}")
    return leading[1:]


def _check_state(state: PyTree, initial: PyTree) -> None:
    given, expected = (
        [f"{jnp.result_type(leaf)}{list(jnp.shape(leaf))}" for leaf in jax.tree.leaves(tree)]
        for tree in (state, initial)
    )
    if jax.tree.structure(state) != jax.tree.structure(initial) or given != expected:
        kinds = type(initial).__name__, type(state).__name__
        raise ValueError(
            f"state: expected {kinds[0]} of {', '.join(expected)}, got {kinds[1]} of {', '.join(given)}"
        )


def mask_from_lengths(lengths: Int[Array, "*b"], num_steps: int) -> Bool[Array, "t *b"]:
    """True at the first ``lengths`` steps of each sequence.

    >>> mask_from_lengths(jnp.array([1, 3]), 3).astype(int).tolist()
    [[1, 1], [0, 1], [0, 1]]
    """
    steps = jnp.arange(num_steps)
    return steps.reshape(-1, *(1 for _ in lengths.shape)) < lengths[None]
