"""A wrapper that keeps entries of the state at their old value at random."""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from recurrent.arrays import Key
from recurrent.cell import Cell
from recurrent.wrappers.base import NoisyWrapper, state_fields

__all__ = ["Zoneout", "zoneout"]


class ZoneoutInput(NamedTuple):
    """The projected input of a `Zoneout` cell: which entries keep their old value, and the cell's own input."""

    keep: Any
    u: Any


@dataclasses.dataclass(frozen=True)
class Zoneout(NoisyWrapper):
    """A cell whose state entries keep their old value at random; see `zoneout`."""

    rates: tuple[tuple[str, float | int], ...] = ()

    def __post_init__(self) -> None:
        """ValueError unless every rate is in [0, 1) and named after a field of the state."""
        super().__post_init__()
        fields = state_fields(self.cell)
        for name, rate in self.rates:
            if name not in fields:
                raise ValueError(f"rates: expected a field of the state ({', '.join(fields)}), got {name!r}")
            if not 0 <= rate < 1:
                raise ValueError(f"{name}: expected a rate in [0, 1), got {rate}")

    def project(self, weights: Any, x: Any) -> ZoneoutInput:
        """What the wrapped cell projects, beside which state entries keep their value."""
        own, x, inner = self.unpair(x)
        return ZoneoutInput(own, self.project_inside(weights, x, inner))

    def next_state(self, weights: Any, state: Any, u: ZoneoutInput) -> Any:
        """The state after one step: old entries where the noise says so; without noise the expectation of that."""
        new = self.cell.next_state(weights, state, u.u)
        zoned = {}
        for name, rate in self.rates:
            old_field, new_field = getattr(state, name), getattr(new, name)
            if u.keep is None:
                zoned[name] = rate * old_field + (1 - rate) * new_field
            else:
                zoned[name] = jnp.where(u.keep[name], old_field, new_field)
        return new._replace(**zoned)

    def output(self, weights: Any, state: Any, u: ZoneoutInput) -> Any:
        """The output of the wrapped cell, read from the state after zoneout."""
        return self.cell.output(weights, state, u.u)

    def own_noise(self, key: Key, num_steps: int, batch_shape: tuple[int, ...], reset: Any) -> dict[str, Any]:
        """For each field with a rate, which of its entries keep their old value: truth values ``[t, *b, ...]``."""
        fields = state_fields(self.cell)
        keep = {}
        for index, (name, rate) in enumerate(self.rates):
            shape = (num_steps, *batch_shape, *fields[name].shape)
            keep[name] = jax.random.bernoulli(jax.random.fold_in(key, index), rate, shape)
        return keep


def zoneout(cell: Cell, **rates: float | int) -> Zoneout:
    """The cell in which each entry of the named state fields keeps its old value with the given probability.

    During evaluation (``key=None``) a field takes the expectation, rate · old + (1 - rate) · new. The new values of
    all fields are computed first: zoning out c does not change the h of the same step.
    Source: Krueger et al. (2017), "Zoneout: regularizing RNNs by randomly preserving hidden activations".

    >>> import recurrent as rec
    >>> zoneout(rec.LSTM(2, 3), h=0.05, c=0.5).rates
    (('h', 0.05), ('c', 0.5))
    """
    return Zoneout(cell, tuple(rates.items()))
