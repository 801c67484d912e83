"""A wrapper that stops the gradient: the named state fields pass none to earlier steps."""

import dataclasses
from typing import Any

import jax

from recurrent.cell import Cell
from recurrent.wrappers.base import Wrapper, state_fields

__all__ = ["Cut", "cut"]


@dataclasses.dataclass(frozen=True)
class Cut(Wrapper):
    """A cell whose named state fields pass no gradient to earlier steps; see `cut`."""

    fields: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """ValueError where one of ``fields`` is no field of the state."""
        super().__post_init__()
        known = state_fields(self.cell)
        for name in self.fields:
            if name not in known:
                raise ValueError(f"fields: expected a field of the state ({', '.join(known)}), got {name!r}")

    def next_state(self, weights: Any, state: Any, u: Any) -> Any:
        """The state of the wrapped cell after one step; by the named fields of the old state its derivative is 0."""
        stopped = {name: jax.lax.stop_gradient(getattr(state, name)) for name in self.fields}
        return self.cell.next_state(weights, state._replace(**stopped), u)


def cut(cell: Cell, fields: tuple[str, ...]) -> Cut:
    """The cell whose named state fields pass no gradient to earlier steps.

    With every field but the memory cell cut, this is the truncation of Hochreiter & Schmidhuber (1997):
    errors travel back in time through c alone.

    >>> import recurrent as rec
    >>> cut(rec.LSTM(2, 3), ("h",)).fields
    ('h',)
    """
    return Cut(cell, tuple(fields))
