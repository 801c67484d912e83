"""States over time: a cell that emits its state beside its output."""

import dataclasses
from typing import Any

from recurrent.cell import Cell
from recurrent.wrappers.base import Wrapper

__all__ = ["WithStates", "with_states"]


@dataclasses.dataclass(frozen=True)
class WithStates(Wrapper):
    """Emits ``(y, state after the step)``; see `with_states`."""

    keeps_map = True

    def output(self, weights: Any, state: Any, u: Any) -> tuple[Any, Any]:
        """The cell's output and its state."""
        return self.cell.output(weights, state, u), state

    def mask_output(self, mask: Any, y: tuple[Any, Any]) -> tuple[Any, Any]:
        """The output is 0 at a masked step, the state is the one carried."""
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
