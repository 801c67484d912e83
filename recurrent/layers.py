"""Layers: what needs whole sequences. They have parameters and a state like cells, and go through `unroll`.

Over 300 lines, because `Dilated` brings along the cell that defines it and the way its sequences are interleaved.
"""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from recurrent import arrays
from recurrent.arrays import Key, Shape
from recurrent.cell import Cell, Layer, Noisy
from recurrent.dropout import check_rate, drop, keep_masks
from recurrent.solvers import Problem, Solver
from recurrent.unroll import unroll
from recurrent.wrappers import Wrapper, take_steps

__all__ = ["Bidirectional", "BidirectionalParams", "BidirectionalState", "Dilated", "Stack", "stack"]


def _part_key(key: Key | None, part: int) -> Key | None:
    return None if key is None else jax.random.fold_in(key, part)


@dataclasses.dataclass(frozen=True)
class Stack(Layer):
    """Cells and layers one above the other, see `stack`; parameters and states are tuples, one entry a part."""

    parts: tuple[Cell | Layer, ...]
    residual: bool = False
    dropout: float | int = 0.0

    def __post_init__(self) -> None:
        """Check that the shapes fit, and the rate."""
        check_rate("dropout", self.dropout)
        if not self.parts:
            raise ValueError("parts: expected at least one cell")
        for below, above in zip(self.parts, self.parts[1:], strict=False):
            if below.output_shape != above.input_shape:
                raise ValueError(
                    f"parts: {above} expects inputs of shape {above.input_shape}, got {below.output_shape}"
                )
        for part in self.parts[1:] if self.residual else ():
            if part.output_shape != part.input_shape:
                raise ValueError(
                    f"residual: {part} expects inputs of shape {part.input_shape} and emits {part.output_shape}"
                )

    @property
    def input_shape(self) -> Shape:
        """As of the lowest part."""
        return self.parts[0].input_shape

    @property
    def output_shape(self) -> Shape:
        """As of the highest part."""
        return self.parts[-1].output_shape

    def init(self, key: Key) -> tuple[Any, ...]:
        """Each part from its own key."""
        keys = jax.random.split(key, len(self.parts))
        return tuple(part.init(part_key) for part, part_key in zip(self.parts, keys, strict=True))

    def prepare(self, params: tuple[Any, ...]) -> tuple[Any, ...]:
        """Part by part."""
        return tuple(part.prepare(own) for part, own in zip(self.parts, params, strict=True))

    def initial_state(self, weights: tuple[Any, ...], batch_shape: tuple[int, ...]) -> tuple[Any, ...]:
        """Part by part."""
        return tuple(
            part.initial_state(own, batch_shape) for part, own in zip(self.parts, weights, strict=True)
        )

    def project(self, weights: tuple[Any, ...], x: Any) -> Any:
        """``x``: only the lowest part could project before its state is known."""
        return x

    def step(self, weights: tuple[Any, ...], state: tuple[Any, ...], u: Any) -> tuple[tuple[Any, ...], Any]:
        """One step through all parts; TypeError where a part needs whole sequences."""
        new, y = [], u
        parts: tuple[Any, ...] = self.parts
        for part, own, part_state in zip(parts, weights, state, strict=True):
            if not hasattr(part, "step"):
                raise TypeError(f"{type(part).__name__} needs whole sequences: it has no step")
            below = y
            part_state, y = part.step(own, part_state, part.project(own, below))
            y = self._around(below, y, None)
            new.append(part_state)
        return tuple(new), y

    def unroll(
        self, params: Any, xs: Any, *, state: Any, mask: Any, reset: Any, reverse: bool, key: Any, solver: Any
    ) -> tuple[Any, Any]:
        """Layer by layer; ``solver`` is one solver, or a tuple with one a part."""
        count = len(self.parts)
        solvers = solver if isinstance(solver, tuple) else (solver,) * count
        states = (None,) * count if state is None else state
        if not len(solvers) == len(states) == len(params) == count:
            raise ValueError(
                f"expected {count} entries, one a part: solver has {len(solvers)}, state {len(states)}, "
                f"params {len(params)}"
            )
        final, ys = [], xs
        for index, part in enumerate(self.parts):
            below = ys
            part_state, ys = unroll(
                part,
                params[index],
                below,
                state=states[index],
                mask=mask,
                reset=reset,
                reverse=reverse,
                key=_part_key(key, index),
                solver=solvers[index],
            )
            if self.dropout and key is not None and index + 1 < count:
                key_between = jax.random.fold_in(key, count + index)  # below ``count`` stand the parts' own
                leading = arrays.batch_shape(xs, self.input_shape)
                keep = keep_masks(key_between, self.dropout, leading, part.output_shape)
                ys = drop(ys, keep, self.dropout)
            ys = self._around(below, ys, mask)
            final.append(part_state)
        return tuple(final), ys

    def _around(self, below: Any, y: Any, mask: Any) -> Any:
        """``below + y`` where a connection leads around the part; nothing passes at masked steps."""
        if not self.residual or arrays.tree_shape(below) != arrays.tree_shape(y):
            return y
        return jax.tree.map(jnp.add, below if mask is None else arrays.where(mask, below, 0.0), y)


def stack(*parts: Cell | Layer, residual: bool = False, dropout: float | int = 0.0) -> Stack:
    """Parts one above the other: the outputs of each are the inputs of the next.

    Args:
        parts: cells and layers, the lowest first.
        residual: what each part reads is added to what it emits, but for a lowest part whose two shapes differ;
            ValueError where they differ further up.
        dropout: the rate at which what a part emits is dropped, at each step afresh, before it is added or handed up;
            not after the highest part, and not where ``key`` is None. The masks between parts i and i + 1 of n are
            drawn from ``fold_in(key, n + i)``, the noise of part i from ``fold_in(key, i)``.

    Source: dropout between layers, Zaremba, Sutskever & Vinyals (2014), "Recurrent neural network regularization";
    residual connections around them, Wu et al. (2016), "Google's neural machine translation system".

    >>> import recurrent as rec
    >>> layer = stack(rec.LSTM(2, 3), rec.GRU(3, 4))
    >>> state, ys = rec.unroll(layer, layer.init(jax.random.key(0)), jnp.ones((5, 2)))
    >>> ys.shape, state[1].h.shape
    ((5, 4), (4,))
    """
    return Stack(tuple(parts), residual, dropout)


class BidirectionalParams(NamedTuple):
    """The parameters of both directions."""

    forward: Any
    backward: Any


class BidirectionalState(NamedTuple):
    """The states of both directions; the backward one is the state after its last step travelled, t = 0."""

    forward: Any
    backward: Any


_MERGES = {
    "concat": lambda forward, backward: jnp.concatenate([forward, backward], axis=-1),
    "sum": jnp.add,
}


@dataclasses.dataclass(frozen=True)
class Bidirectional(Layer):
    """Two recurrences over the same inputs, one in each direction, their outputs merged.

    ``merge`` is ``'concat'`` (along the last event axis, forward first) or ``'sum'``.
    Source: Schuster & Paliwal (1997), "Bidirectional recurrent neural networks".

    >>> import recurrent as rec
    >>> layer = Bidirectional(rec.GRU(2, 3), rec.GRU(2, 3))
    >>> rec.unroll(layer, layer.init(jax.random.key(0)), jnp.ones((5, 2)))[1].shape
    (5, 6)
    """

    forward: Cell | Layer
    backward: Cell | Layer
    merge: str = "concat"

    def __post_init__(self) -> None:
        """Check the merge and the shapes."""
        if self.merge not in _MERGES:
            raise ValueError(f"merge: expected {' or '.join(_MERGES)}, got {self.merge!r}")
        if self.forward.input_shape != self.backward.input_shape:
            raise ValueError(
                f"backward: expected inputs of shape {self.forward.input_shape}, got {self.backward.input_shape}"
            )

    @property
    def input_shape(self) -> Shape:
        """As of either direction."""
        return self.forward.input_shape

    @property
    def output_shape(self) -> Shape:
        """Of the merged outputs."""

        def outputs(part: Cell | Layer) -> Any:
            return jax.tree.map(jnp.zeros, part.output_shape, is_leaf=arrays.is_shape)

        merged = jax.eval_shape(lambda: self._merge(outputs(self.forward), outputs(self.backward)))
        return arrays.tree_shape(merged)

    def init(self, key: Key) -> BidirectionalParams:
        """Each direction from its own key."""
        key_forward, key_backward = jax.random.split(key)
        return BidirectionalParams(self.forward.init(key_forward), self.backward.init(key_backward))

    def prepare(self, params: BidirectionalParams) -> BidirectionalParams:
        """Each direction apart."""
        return BidirectionalParams(
            self.forward.prepare(params.forward), self.backward.prepare(params.backward)
        )

    def initial_state(self, weights: BidirectionalParams, batch_shape: tuple[int, ...]) -> BidirectionalState:
        """Each direction apart."""
        return BidirectionalState(
            self.forward.initial_state(weights.forward, batch_shape),
            self.backward.initial_state(weights.backward, batch_shape),
        )

    def unroll(
        self, params: Any, xs: Any, *, state: Any, mask: Any, reset: Any, reverse: bool, key: Any, solver: Any
    ) -> tuple[Any, Any]:
        """Both directions; ``solver`` is one solver, or a tuple (forward, backward)."""
        solvers = solver if isinstance(solver, tuple) else (solver, solver)
        states = (None, None) if state is None else state
        if len(solvers) != 2:
            raise ValueError(f"solver: expected (forward, backward), got {len(solvers)} entries")
        forward_state, forward = unroll(
            self.forward,
            params.forward,
            xs,
            state=states[0],
            mask=mask,
            reset=reset,
            reverse=reverse,
            key=_part_key(key, 0),
            solver=solvers[0],
        )
        backward_state, backward = unroll(
            self.backward,
            params.backward,
            xs,
            state=states[1],
            mask=mask,
            reset=reset,
            reverse=not reverse,
            key=_part_key(key, 1),
            solver=solvers[1],
        )
        return BidirectionalState(forward_state, backward_state), self._merge(forward, backward)

    def _merge(self, forward: Any, backward: Any) -> Any:
        return jax.tree.map(_MERGES[self.merge], forward, backward)


@dataclasses.dataclass(frozen=True)
class _Delayed(Wrapper):
    """`Dilated` by definition: every state field holds ``dilation`` states behind the batch axes, the oldest first."""

    dilation: int = 1

    def initial_state(self, weights: Any, batch_shape: tuple[int, ...]) -> Any:
        """As many initial states."""
        return self.cell.initial_state(weights, (*batch_shape, self.dilation))

    def next_state(self, weights: Any, state: Any, u: Any) -> Any:
        """The oldest state is read and leaves, the new one comes last."""
        new = self.cell.next_state(weights, self._lane(0, weights, state), u)

        def push(leaf: Any, last: Any, axis: int) -> Any:
            rest = jax.lax.slice_in_dim(leaf, 1, None, axis=axis)
            return jnp.concatenate([rest, jnp.expand_dims(last, axis)], axis)

        return jax.tree.map(push, state, new, self._axes(weights, state))

    def output(self, weights: Any, state: Any, u: Any) -> Any:
        """Read from the newest state."""
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
        """Deal, solve, gather."""
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
        elif length % lanes:
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
        ys = jax.tree.map(lambda leaf: leaf.reshape(len(leaf) * lanes, *leaf.shape[2:])[:length], ys)
        if problem.mask is not None:
            place = jnp.maximum(jnp.cumsum(problem.mask, axis=0) - 1, 0)
            ys = arrays.where(problem.mask, take_steps(ys, place), 0.0)
        return jax.tree.map(lambda leaf: jnp.moveaxis(leaf, 0, len(batch)), final), ys


def _deal(tree: Any, lanes: int) -> Any:
    """``[t, ...] -> [ceil(t / lanes), lanes, ...]``, filled up with zeros."""

    def one(leaf: Any) -> Any:
        missing = -len(leaf) % lanes
        filled = (
            jnp.concatenate([leaf, jnp.zeros((missing, *leaf.shape[1:]), leaf.dtype)]) if missing else leaf
        )
        return filled.reshape(len(filled) // lanes, lanes, *leaf.shape[1:])

    return jax.tree.map(one, tree)


@dataclasses.dataclass(frozen=True)
class Dilated(Layer):
    """A cell whose step t continues from the state of step t - dilation.

        s_t = f(s_{t - dilation}, x_t)          y_t is read from s_t

    That is one recurrence over every ``dilation``-th step, ``dilation`` of them interleaved: they run side by side,
    and ``solver`` solves ceil(T / dilation) steps of each. The state is the cell's, every field with one more axis
    behind the batch axes: the last ``dilation`` states, the oldest first, so a sequence may be cut into chunks of any
    length. A reset restarts them all; a step that does not exist (``mask``) is not counted, and all that is emitted
    there is 0.
    Source: Chang et al. (2017), "Dilated recurrent neural networks": a stack of such layers whose dilations grow as
    powers of a number.

    >>> import recurrent as rec
    >>> layer = stack(Dilated(rec.GRU(2, 3), 1), Dilated(rec.GRU(3, 3), 2), Dilated(rec.GRU(3, 3), 4))
    >>> state, ys = rec.unroll(layer, layer.init(jax.random.key(0)), jnp.ones((9, 2)))
    >>> state[2].h.shape, ys.shape
    ((4, 3), (9, 3))
    """

    cell: Cell
    dilation: int

    def __post_init__(self) -> None:
        """Check the range."""
        if self.dilation < 1:
            raise ValueError(f"dilation: expected at least 1, got {self.dilation}")

    @property
    def _delayed(self) -> _Delayed:
        return _Delayed(self.cell, self.dilation)

    @property
    def input_shape(self) -> Shape:
        """As of the cell."""
        return self.cell.input_shape

    @property
    def output_shape(self) -> Shape:
        """As of the cell."""
        return self.cell.output_shape

    def init(self, key: Key) -> Any:
        """As of the cell."""
        return self.cell.init(key)

    def prepare(self, params: Any) -> Any:
        """As of the cell."""
        return self.cell.prepare(params)

    def initial_state(self, weights: Any, batch_shape: tuple[int, ...]) -> Any:
        """``dilation`` initial states."""
        return self._delayed.initial_state(weights, batch_shape)

    def project(self, weights: Any, x: Any) -> Any:
        """``x``, like every layer."""
        return x

    def step(self, weights: Any, state: Any, u: Any) -> tuple[Any, Any]:
        """One step from the oldest state, in evaluation where the cell is stochastic."""
        projected = self.cell.project(weights, Noisy.of(u) if self.cell.is_stochastic else u)
        return self._delayed.step(weights, state, projected)

    def unroll(
        self, params: Any, xs: Any, *, state: Any, mask: Any, reset: Any, reverse: bool, key: Any, solver: Any
    ) -> tuple[Any, Any]:
        """Side by side; ``solver`` is one that runs the cell."""
        if not isinstance(solver, Solver):
            raise ValueError(f"solver: expected a solver such as Sequential(), got {solver!r}")
        flags = {"mask": mask, "reset": reset, "reverse": reverse}
        return unroll(self._delayed, params, xs, state=state, **flags, key=key, solver=_Interleaved(solver))
