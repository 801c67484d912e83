"""The layer of two recurrences over the same inputs, one in each direction."""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from recurrent import arrays
from recurrent.arrays import Key, Shape
from recurrent.cell import Cell, Layer
from recurrent.layers.base import part_key
from recurrent.unroll import unroll

__all__ = ["Bidirectional", "BidirectionalParams", "BidirectionalState"]


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
        """ValueError unless ``merge`` is known and the shapes of both directions go with it."""
        super().__post_init__()
        if self.merge not in _MERGES:
            raise ValueError(f"merge: expected {' or '.join(_MERGES)}, got {self.merge!r}")
        if self.forward.input_shape != self.backward.input_shape:
            raise ValueError(
                f"backward: expected inputs of shape {self.forward.input_shape}, got {self.backward.input_shape}"
            )

    @property
    def input_shape(self) -> Shape:
        """The shape of one input, which both directions read."""
        return self.forward.input_shape

    @property
    def output_shape(self) -> Shape:
        """The shape of one output, the outputs of both directions merged."""

        def outputs(part: Cell | Layer) -> Any:
            return jax.tree.map(jnp.zeros, part.output_shape, is_leaf=arrays.is_shape)

        merged = jax.eval_shape(lambda: self._merge(outputs(self.forward), outputs(self.backward)))
        return arrays.tree_shape(merged)

    @property
    def uses_key(self) -> bool:
        """Where a direction uses one."""
        return self.forward.uses_key or self.backward.uses_key

    def init(self, key: Key) -> BidirectionalParams:
        """The parameters of both directions, each drawn from its own key."""
        key_forward, key_backward = jax.random.split(key)
        return BidirectionalParams(self.forward.init(key_forward), self.backward.init(key_backward))

    def prepare(self, params: BidirectionalParams) -> BidirectionalParams:
        """The weights of both directions, each prepared from its own parameters."""
        return BidirectionalParams(
            self.forward.prepare(params.forward), self.backward.prepare(params.backward)
        )

    def initial_state(self, weights: BidirectionalParams, batch_shape: tuple[int, ...]) -> BidirectionalState:
        """The states of both directions before the first step that each of them travels."""
        return BidirectionalState(
            self.forward.initial_state(weights.forward, batch_shape),
            self.backward.initial_state(weights.backward, batch_shape),
        )

    def cast(self, x: Any, dtype: Any) -> Any:
        """``x`` as the forward direction casts it."""
        return self.forward.cast(x, dtype)

    def unroll(
        self, params: Any, xs: Any, *, state: Any, mask: Any, reset: Any, reverse: bool, key: Any, solver: Any
    ) -> tuple[Any, Any]:
        """``(final_state, ys)``, outputs merged; ``solver`` is one for both, or a tuple (forward, backward)."""
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
            key=part_key(key, 0),
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
            key=part_key(key, 1),
            solver=solvers[1],
        )
        return BidirectionalState(forward_state, backward_state), self._merge(forward, backward)

    def _merge(self, forward: Any, backward: Any) -> Any:
        return jax.tree.map(_MERGES[self.merge], forward, backward)
