"""A wrapper that makes states over time an output: the cell emits its state beside its output."""

import dataclasses
from typing import Any

from recurrent.cell import Cell
from recurrent.wrappers.base import Wrapper

__all__ = ["WithStates", "with_states"]


@dataclasses.dataclass(frozen=True)
class WithStates(Wrapper):
    """A cell that emits ``(y, state after the step)``; see `with_states`."""

    keeps_map = True

    def output(self, weights: Any, state: Any, u: Any) -> tuple[Any, Any]:
        """What is emitted: ``(y, state)``, the output of the wrapped cell and the new state."""
        return self.cell.output(weights, state, u), state

    def mask_output(self, mask: Any, y: tuple[Any, Any]) -> tuple[Any, Any]:
        """What is emitted at a masked step: y = 0 beside the state that is carried through."""
        return self.cell.mask_output(mask, y[0]), y[1]


def with_states(cell: Cell) -> WithStates:
    """The cell that emits ``(y, state after the step)``: states over time from any solver.

    >>> import jax, jax.numpy as jnp, recurrent as rec
    >>> cell = rec.LSTM(2, 3)
    >>> _, (ys, states) = rec.unroll(with_states(cell), cell.init(jax.random.key(0)), jnp.ones((5, 2)))
    >>> states.c.shape
    (5, 3)
    """
    return WithStates(cell)
