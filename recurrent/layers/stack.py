"""The layer of cells and layers one above the other."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from recurrent import arrays
from recurrent.arrays import Key, Shape
from recurrent.cell import Cell, Layer
from recurrent.layers.base import part_key
from recurrent.unroll import unroll
from recurrent.wrappers.dropout import check_rate, drop, keep_masks

__all__ = ["Stack", "stack"]


@dataclasses.dataclass(frozen=True)
class Stack(Layer):
    """Cells and layers one above the other; see `stack`. Parameters and states are tuples, one entry a part."""

    parts: tuple[Cell | Layer, ...]
    residual: bool = False
    dropout: float | int = 0.0

    def __post_init__(self) -> None:
        """ValueError unless each part reads what the one below emits, and the dropout rate is in [0, 1)."""
        super().__post_init__()
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
        """The shape of one input, that of the lowest part."""
        return self.parts[0].input_shape

    @property
    def output_shape(self) -> Shape:
        """The shape of one output, that of the highest part."""
        return self.parts[-1].output_shape

    @property
    def uses_key(self) -> bool:
        """Where there is dropout between parts, or a part uses one."""
        return self.dropout > 0 or any(part.uses_key for part in self.parts)

    def init(self, key: Key) -> tuple[Any, ...]:
        """The parameters of all parts, each drawn from its own key."""
        keys = jax.random.split(key, len(self.parts))
        return tuple(part.init(part_key) for part, part_key in zip(self.parts, keys, strict=True))

    def prepare(self, params: tuple[Any, ...]) -> tuple[Any, ...]:
        """The weights of all parts, each prepared from its own parameters."""
        return tuple(part.prepare(own) for part, own in zip(self.parts, params, strict=True))

    def initial_state(self, weights: tuple[Any, ...], batch_shape: tuple[int, ...]) -> tuple[Any, ...]:
        """The states of all parts before the first step."""
        return tuple(
            part.initial_state(own, batch_shape) for part, own in zip(self.parts, weights, strict=True)
        )

    def cast(self, x: Any, dtype: Any) -> Any:
        """``x`` as the lowest part casts it."""
        return self.parts[0].cast(x, dtype)

    @property
    def has_step(self) -> bool:
        """Whether all parts have one."""
        return all(part.has_step for part in self.parts)

    def step(self, weights: tuple[Any, ...], state: tuple[Any, ...], u: Any) -> tuple[tuple[Any, ...], Any]:
        """``(state, y)`` of one step through all parts; TypeError where a part needs whole sequences."""
        new, y = [], u
        for part, own, part_state in zip(self.parts, weights, state, strict=True):
            below = part.cast(y, arrays.real_dtype(part_state))
            part_state, y = part.step(own, part_state, part.project(own, below))
            y = self._around(below, y, None)
            new.append(part_state)
        return tuple(new), y

    def unroll(
        self, params: Any, xs: Any, *, state: Any, mask: Any, reset: Any, reverse: bool, key: Any, solver: Any
    ) -> tuple[Any, Any]:
        """``(final_state, ys)``, one part after another; ``solver`` is one solver, or a tuple with one a part."""
        count = len(self.parts)
        solvers = solver if isinstance(solver, tuple) else (solver,) * count
        states = (None,) * count if state is None else state
        if not len(solvers) == len(states) == len(params) == count:
            raise ValueError(
                f"stack: expected {count} entries, one a part: solver has {len(solvers)}, state {len(states)}, "
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
                key=part_key(key, index),
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
        below = below if mask is None else arrays.where(mask, below, 0.0)
        # in the dtype of the part: that of its parameters, whatever the inputs have
        return jax.tree.map(lambda a, b: jnp.add(arrays.cast(a, arrays.real_dtype(b)), b), below, y)


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
