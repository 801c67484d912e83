"""A wrapper that drops what is written into memory: a cell's candidate, never the memory that it already holds."""

import dataclasses
from typing import Any, NamedTuple

from recurrent.arrays import Key
from recurrent.cell import Cell
from recurrent.wrappers.base import NoisyWrapper, hold, state_fields
from recurrent.wrappers.dropout import check_rate, drop, keep_masks

__all__ = ["RecurrentDropout", "recurrent_dropout"]


class CandidateInput(NamedTuple):
    """The projected input of a `RecurrentDropout` cell: which entries of the candidate are kept, and its own input."""

    keep: Any
    u: Any


@dataclasses.dataclass(frozen=True)
class RecurrentDropout(NoisyWrapper):
    """A cell whose candidate is dropped at random before it is written; see `recurrent_dropout`."""

    rate: float | int = 0.0
    per_sequence: bool = False

    def __post_init__(self) -> None:
        """ValueError unless ``rate`` is in [0, 1) and the cell lets its candidate be changed."""
        super().__post_init__()
        check_rate("rate", self.rate)
        if not self.cell.has_candidate:
            raise ValueError(
                f"cell: expected one with next_state_with, such as LSTM or GRU, got {type(self.cell).__name__}"
            )

    def project(self, weights: Any, x: Any) -> CandidateInput:
        """What the wrapped cell projects, beside the mask of its candidate."""
        own, x, inner = self.unpair(x)
        return CandidateInput(own, self.project_inside(weights, x, inner))

    def next_state(self, weights: Any, state: Any, u: CandidateInput) -> Any:
        """The state of the wrapped cell after one step whose candidate is dropped."""
        if u.keep is None:
            return self.cell.next_state(weights, state, u.u)
        return self.cell.next_state_with(
            weights, state, u.u, lambda candidate: drop(candidate, u.keep, self.rate)
        )

    def output(self, weights: Any, state: Any, u: CandidateInput) -> Any:
        """The output of the wrapped cell."""
        return self.cell.output(weights, state, u.u)

    def own_noise(self, key: Key, num_steps: int, batch_shape: tuple[int, ...], reset: Any) -> Any:
        """Which entries of the candidate are kept, drawn at each step or once a segment."""
        shape = state_fields(self.cell)["h"].shape
        keep = keep_masks(key, self.rate, (num_steps, *batch_shape), shape)
        return hold(keep, reset) if self.per_sequence else keep


def recurrent_dropout(cell: Cell, rate: float | int, per_sequence: bool = False) -> RecurrentDropout:
    """The cell whose candidate alone is dropped: a unit whose candidate is dropped writes nothing, and forgets as it
    would.

        d(v) = z ⊙ v / (1 - rate),  z ~ Bernoulli(1 - rate)
        LSTM    c' = f ⊙ c + i ⊙ d(tanh(g))
        GRU     h' = (1 - z) ⊙ d(n) + z ⊙ h

    Memory is never scaled, so nothing grows or fades as (1 - rate)^±t; in training h of a GRU is within 1 / (1 - rate).
    The mask is fresh at each step; with ``per_sequence`` it holds from each segment's start, and each call of
    `recurrent.unroll` draws its own. Evaluation (``key=None``) is the cell's own map.

    Any cell will do that has a method ``next_state_with(weights, state, u, change)``, the state after a step whose
    candidate, of the shape of h, went through ``change``: `LSTM` and `GRU`; ValueError for others. A wrapper has none:
    it goes outside, ``zoneout(recurrent_dropout(cell, rate), c=0.5)``.

    Source: Semeniuta, Severyn & Barth (2016), "Recurrent dropout without memory loss"; the equations are those of the
    authors' code (stas-semeniuta/drop-rnn), which knows both masks.
    Differs: what is kept is divided by 1 - rate in training; that code multiplies by 1 - rate in evaluation.

    >>> import jax
    >>> import recurrent as rec
    >>> cell = recurrent_dropout(rec.LSTM(2, 3), 0.5)
    >>> (keep,), _ = cell.noise(jax.random.key(0), 5, (4,), None)
    >>> keep.shape
    (5, 4, 3)
    """
    return RecurrentDropout(cell, rate, per_sequence)
