"""The layer that runs a cell at every so many steps, as interleaved sequences."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from recurrent import arrays
from recurrent.cell import Cell, LayerAround, Noisy
from recurrent.sizes import Size
from recurrent.solvers.base import Problem, Solver
from recurrent.unroll import unroll
from recurrent.wrappers.base import Wrapper, take_steps

__all__ = ["Dilated"]


@dataclasses.dataclass(frozen=True)
class _Delayed(Wrapper):
    """The cell that `Dilated` is by definition: each state field holds ``dilation`` states, the oldest first, behind
    the batch axes.
    """

    dilation: Size = 1

    def initial_state(self, weights: Any, batch_shape: tuple[int, ...]) -> Any:
        """The state before the first step: ``dilation`` initial states of the cell inside."""
        return self.cell.initial_state(weights, (*batch_shape, self.dilation))

    def next_state(self, weights: Any, state: Any, u: Any) -> Any:
        """The state after one step: the oldest state is read and leaves, the new one comes last."""
        new = self.cell.next_state(weights, self._lane(0, weights, state), u)

        def push(leaf: Any, last: Any, axis: int) -> Any:
            rest = jax.lax.slice_in_dim(leaf, 1, None, axis=axis)
            return jnp.concatenate([rest, jnp.expand_dims(last, axis)], axis)

        return jax.tree.map(push, state, new, self._axes(weights, state))

    def output(self, weights: Any, state: Any, u: Any) -> Any:
        """What the cell inside emits, read from the newest state."""
        return self.cell.output(weights, self._lane(-1, weights, state), u)

    def _lane(self, index: int, weights: Any, state: Any) -> Any:
        axes = self._axes(weights, state)
        return jax.tree.map(
            lambda leaf, axis: jax.lax.index_in_dim(leaf, index, axis, keepdims=False), state, axes
        )

    def _axes(self, weights: Any, state: Any) -> Any:
        one = jax.eval_shape(lambda: self.cell.initial_state(weights, ()))
        return jax.tree.map(lambda leaf, event: jnp.ndim(leaf) - event.ndim - 1, state, one)


@dataclasses.dataclass(frozen=True)
class _Interleaved(Solver):
    """Solves the problem of a `_Delayed` cell as ``dilation`` sequences ("lanes") of the cell inside, side by side.

    The existing steps of each sequence are dealt to the lanes in turn, so lane l reads state l and step l first. In
    front of the batch axes the lanes are one more: ``[t, *b] -> [ceil(t / dilation), dilation, *b]``.
    """

    solver: Solver

    def solve(self, problem: Problem) -> tuple[Any, Any]:
        """``(final_state, ys)``: deal the steps to the lanes, solve them side by side, gather the outputs."""
        delayed, length = problem.cell, problem.num_steps
        assert isinstance(delayed, _Delayed)
        batch = arrays.batch_shape(problem.xs, delayed.input_shape)[1:]
        steps, mask, count, lanes = (problem.xs, problem.noise), problem.mask, length, delayed.dilation
        # resets still to come after each step: as it is dealt, a step starts a segment where this number changes
        ahead, resets = None, 0
        if problem.reset is not None:
            resets = jnp.sum(problem.reset, axis=0, dtype=jnp.int32)
            ahead = resets - jnp.cumsum(problem.reset, axis=0, dtype=jnp.int32)
        if mask is not None:
            order = jnp.argsort(~mask, axis=0, stable=True)
            count = jnp.sum(mask, axis=0)
            steps, ahead, mask = take_steps((steps, ahead, mask), order)
            ahead = None if ahead is None else jnp.where(mask, ahead, 0)
        elif not arrays.is_known(length) or length % lanes:
            mask = jnp.ones((length, *batch), bool)

        def to_front(tree: Any) -> Any:
            return jax.tree.map(lambda leaf: jnp.moveaxis(leaf, len(batch), 0), tree)

        (xs, noise), mask, ahead = _deal((steps, mask, ahead), lanes)
        state, initial, reset = to_front(problem.state), to_front(problem.initial), None
        if ahead is not None:
            ahead = jnp.concatenate([jnp.broadcast_to(resets, (1, lanes, *batch)), ahead])
            reset = ahead[1:] != ahead[:-1]
        inner = Problem(delayed.cell, problem.weights, xs, noise, state, initial, mask, reset)
        final, ys = self.solver.solve(inner)
        if ahead is not None:
            final = arrays.where(ahead[-1] == 0, final, initial)
        oldest_first = (count + jnp.arange(lanes).reshape(-1, *(1 for _ in batch))) % lanes
        final = take_steps(final, jnp.broadcast_to(oldest_first, (lanes, *batch)))
        ys = jax.tree.map(lambda leaf: leaf.reshape(leaf.shape[0] * lanes, *leaf.shape[2:])[:length], ys)
        if problem.mask is not None:
            place = jnp.maximum(jnp.cumsum(problem.mask, axis=0) - 1, 0)
            ys = arrays.where(problem.mask, take_steps(ys, place), 0.0)
        return jax.tree.map(lambda leaf: jnp.moveaxis(leaf, 0, len(batch)), final), ys


def _deal(tree: Any, lanes: int) -> Any:
    """Steps dealt to lanes in turn, ``[t, ...] -> [ceil(t / lanes), lanes, ...]``, filled up with zeros."""

    def one(leaf: Any) -> Any:
        rounds = -(-leaf.shape[0] // lanes)
        missing = rounds * lanes - leaf.shape[0]
        if not arrays.is_known(missing) or missing:
            leaf = jnp.concatenate([leaf, jnp.zeros((missing, *leaf.shape[1:]), leaf.dtype)])
        return leaf.reshape(rounds, lanes, *leaf.shape[1:])

    return jax.tree.map(one, tree)


@dataclasses.dataclass(frozen=True)
class Dilated(LayerAround):
    """A cell whose step t continues from the state of step t - dilation.

        s_t = f(s_{t - dilation}, x_t)          y_t is read from s_t

    That is one recurrence over every ``dilation``-th step, ``dilation`` of them interleaved: they run side by side,
    and ``solver`` solves ceil(T / dilation) steps of each. The state is the cell's, every field with one more axis
    behind the batch axes: the last ``dilation`` states, the oldest first, so a sequence may be cut into chunks of any
    length. A reset restarts them all; a step that does not exist (``mask``) is not counted, and all that is emitted
    there is 0.
    Source: Chang et al. (2017), "Dilated recurrent neural networks": a stack of such layers whose dilations grow as
    powers of a number.
    Initialisation: that of the cell; the authors' code takes the default of its cells, and so names none.
    Learning rate: RMSprop at 1e-3 with decay 0.9 in the authors' code, for permuted MNIST.

    >>> import recurrent as rec
    >>> layer = rec.stack(Dilated(rec.GRU(2, 3), 1), Dilated(rec.GRU(3, 3), 2), Dilated(rec.GRU(3, 3), 4))
    >>> state, ys = rec.unroll(layer, layer.init(jax.random.key(0)), jnp.ones((9, 2)))
    >>> state[2].h.shape, ys.shape
    ((4, 3), (9, 3))
    """

    cell: Cell
    dilation: Size

    @property
    def _delayed(self) -> _Delayed:
        return _Delayed(self.cell, self.dilation)

    def initial_state(self, weights: Any, batch_shape: tuple[int, ...]) -> Any:
        """The state before the first step: ``dilation`` initial states of the cell."""
        return self._delayed.initial_state(weights, batch_shape)

    @property
    def has_step(self) -> bool:
        """Whether a single step can be taken: always."""
        return True

    def step(self, weights: Any, state: Any, u: Any) -> tuple[Any, Any]:
        """``(state, y)`` of one step from the oldest state, in evaluation where the cell is stochastic."""
        projected = self.cell.project(weights, Noisy.of(u) if self.cell.is_stochastic else u)
        return self._delayed.step(weights, state, projected)

    def unroll(
        self, params: Any, xs: Any, *, state: Any, mask: Any, reset: Any, reverse: bool, key: Any, solver: Any
    ) -> tuple[Any, Any]:
        """``(final_state, ys)`` of the interleaved sequences, side by side; ``solver`` is one that runs the cell."""
        if not isinstance(solver, Solver):
            raise ValueError(f"solver: expected a solver such as Sequential(), got {solver!r}")
        flags = {"mask": mask, "reset": reset, "reverse": reverse}
        return unroll(self._delayed, params, xs, state=state, **flags, key=key, solver=_Interleaved(solver))
