"""Flax NNX modules around any cell or layer: for models that also embed, normalise, drop out or attend.

A module holds the parameters as one `nnx.Param` whose value is the cell's own pytree. Split once into (graph,
parameters), a model is a pure function of a pytree: the training step needs plain `jax.jit` and `jax.grad` only.
"""

from typing import Any

from flax import nnx
from jaxtyping import Array, Bool, PyTree

from recurrent.arrays import Key
from recurrent.cell import Cell, Layer
from recurrent.unroll import AUTO, unroll

__all__ = ["Recurrent"]


class Recurrent(nnx.Module):
    """A module that holds the parameters of a cell or layer and calls `recurrent.unroll` with them.

    >>> import jax, recurrent as rec
    >>> module = Recurrent(rec.LSTM(input_size=2, hidden_size=3), rngs=nnx.Rngs(0))
    >>> state, ys = module(jax.numpy.ones((5, 4, 2)))
    >>> ys.shape
    (5, 4, 3)
    >>> graph, params = nnx.split(module, nnx.Param)
    >>> bool((nnx.merge(graph, params)(jax.numpy.ones((5, 4, 2)))[1] == ys).all())
    True
    """

    def __init__(self, cell: Cell | Layer, *, rngs: nnx.Rngs) -> None:
        """Draw the parameters from the stream ``params`` of ``rngs``."""
        self.cell = nnx.static(cell)
        self.params = nnx.Param(cell.init(rngs.params()))

    @property
    def cell_params(self) -> PyTree:
        """The parameters as ``cell.init`` returns them."""
        return self.params.get_value()

    def initial_state(self, batch_shape: tuple[int, ...]) -> PyTree:
        """The state before the first step of each of ``batch_shape`` sequences."""
        return self.cell.initial_state(self.cell.prepare(self.cell_params), batch_shape)

    def __call__(
        self,
        xs: PyTree,
        *,
        state: PyTree = None,
        mask: Bool[Array, "t *b"] | None = None,
        reset: Bool[Array, "t *b"] | None = None,
        reverse: bool = False,
        key: Key | None = None,
        solver: Any = AUTO,
    ) -> tuple[PyTree, PyTree]:
        """``(final_state, ys)`` of the inputs ``xs``; the arguments are those of `recurrent.unroll`."""
        return unroll(
            self.cell,
            self.cell_params,
            xs,
            state=state,
            mask=mask,
            reset=reset,
            reverse=reverse,
            key=key,
            solver=solver,
        )
