"""Criteria on absolute errors of output units, and on sets of legal symbols: the rules of 1997 and 2000."""

import dataclasses
import math
from typing import ClassVar, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from experiments.tasks.base import Batch, Total
from experiments.tasks.criteria import Evaluated, append
from experiments.tasks.output_units import UNITS, OutputUnit
from recurrent import losses


def largest_errors(unit: OutputUnit, outputs: Float[Array, "*t b k"], batch: Batch) -> Float[Array, "b"]:
    """The largest distance of any unit from its target, over all predictions of each sequence."""
    errors = jnp.max(unit.errors(outputs, batch.targets, batch.weights), axis=-1)
    return jnp.max(jnp.atleast_2d(errors), axis=0)


def legal_most_active(outputs: Float[Array, "t b k"], batch: Batch) -> Bool[Array, "t b"]:
    """Whether every unit that is legal, by ``batch.info``, is more active than every other; not where one is NaN."""
    least_legal = jnp.min(jnp.where(batch.info, outputs, jnp.inf), axis=-1)
    return least_legal > jnp.max(jnp.where(batch.info, -jnp.inf, outputs), axis=-1)


@dataclasses.dataclass(frozen=True)
class LegalMostActive(Evaluated):
    """At every step the units of all symbols that may come next are more active than all others.

    The rule of Hochreiter & Schmidhuber (1997), experiment 1. ``batch.info`` says which symbols are legal.
    """

    def measure(self, outputs: Float[Array, "t b k"], batch: Batch) -> Total:
        """Steps at which another unit is as active, and all steps."""
        wrong = ~legal_most_active(outputs, batch)
        return jnp.sum(wrong * batch.weights), jnp.sum(batch.weights)

    def reached(self, average: Float[Array, ""]) -> Bool[Array, ""]:
        """None."""
        return average <= 0


@dataclasses.dataclass(frozen=True)
class AllWithin(Evaluated):
    """At every step every output unit has |e| < ``error``; ``unit`` is one of `output_units.UNITS`."""

    error: float
    unit: str = "linear"

    def right(self, outputs: Float[Array, "*b k"], batch: Batch) -> Bool[Array, "*b"]:
        """Which predictions are right; those of weight 0 are."""
        errors = UNITS[self.unit].errors(outputs, batch.targets, batch.weights)
        return jnp.max(errors, axis=-1) < self.error  # so that NaN is wrong

    def measure(self, outputs: Float[Array, "*b k"], batch: Batch) -> Total:
        """Wrong predictions and all predictions."""
        wrong = ~self.right(outputs, batch)
        return jnp.sum(wrong * batch.weights), jnp.sum(batch.weights)

    def reached(self, average: Float[Array, ""]) -> Bool[Array, ""]:
        """None is wrong."""
        return average <= 0


class ErrorCounts(NamedTuple):
    """Sequences with a large error, the sum of all errors, and how many sequences there were."""

    wrong: Float[Array, ""]
    total: Float[Array, ""]
    count: Float[Array, ""]


@dataclasses.dataclass(frozen=True)
class FewErrors:
    """Fewer than ``num_wrong`` validation sequences have |e| >= ``error``, and their mean |e| is below ``mean_error``.

    The rules ST1 and ST2 of Hochreiter & Schmidhuber (1997), experiment 3. ``batch.info`` holds the targets without
    noise, from which |e| is taken; ``unit`` is one of `output_units.UNITS`.
    """

    on: ClassVar[str] = "evaluation"

    error: float
    num_wrong: int = 1
    mean_error: float = math.inf
    unit: str = "linear"

    def init(self) -> ErrorCounts:
        """The state before the first batch."""
        return ErrorCounts(jnp.zeros(()), jnp.zeros(()), jnp.zeros(()))

    def update(self, state: ErrorCounts, outputs: Float[Array, "b k"], batch: Batch) -> ErrorCounts:
        """Add one batch of the pass."""
        errors = largest_errors(UNITS[self.unit], outputs, batch._replace(targets=batch.info))
        wrong = jnp.sum(~(errors < self.error) * batch.weights)  # so that NaN is wrong
        total, count = jnp.sum(errors * batch.weights), jnp.sum(batch.weights)
        return ErrorCounts(state.wrong + wrong, state.total + total, state.count + count)

    def solved(self, state: ErrorCounts) -> Bool[Array, ""]:
        """Whether the pass so far meets both thresholds; an empty one does not."""
        mean_error = losses.mean((state.total, state.count))
        return (state.count > 0) & (state.wrong < self.num_wrong) & (mean_error < self.mean_error)


class RecentState(NamedTuple):
    """``seen`` sequences, at most the window; ``errors`` a ring of the last ones, written next at ``cursor``."""

    seen: Int[Array, ""]
    errors: Float[Array, "window"]
    cursor: Int[Array, ""]


@dataclasses.dataclass(frozen=True)
class RecentErrors:
    """Fewer than ``num_wrong`` of the last ``window`` training sequences are wrong: a `criteria.Streak` with room.

    The error |e| of a sequence is the largest of all its output units and steps, or of its last ``num_last`` steps;
    a sequence is wrong unless |e| < ``error``. ``mean_error`` bounds the mean of |e|; ``unit`` is one of
    `output_units.UNITS`. With one linear unit and ``num_wrong`` 1 this is a `criteria.Streak`.
    """

    on: ClassVar[str] = "training"

    window: int
    error: float
    num_wrong: int = 1
    mean_error: float = math.inf
    unit: str = "linear"
    num_last: int | None = None

    def init(self) -> RecentState:
        """The state before the first batch."""
        zero = jnp.zeros((), jnp.int32)
        return RecentState(zero, jnp.zeros(self.window), zero)

    def errors(
        self, outputs: Float[Array, "*t b k"], batch: Batch
    ) -> tuple[Float[Array, "b"], Bool[Array, "b"]]:
        """|e| of each sequence, and whether it counts: not where all its weights are 0."""
        if self.num_last is not None:
            last = slice(-self.num_last, None)
            outputs, batch = outputs[last], Batch(None, batch.targets[last], batch.weights[last])
        kept = jnp.any(jnp.atleast_2d(batch.weights) != 0, axis=0)
        return largest_errors(UNITS[self.unit], outputs, batch), kept

    def fraction_correct(self, outputs: Float[Array, "*t b k"], batch: Batch) -> Total:
        """How many sequences are right, and how many there are."""
        errors, kept = self.errors(outputs, batch)
        return jnp.sum(kept & (errors < self.error), dtype=float), jnp.sum(kept, dtype=float)

    def update(self, state: RecentState, outputs: Float[Array, "*t b k"], batch: Batch) -> RecentState:
        """Append the sequences of one batch."""
        errors, kept = self.errors(outputs, batch)
        seen = jnp.minimum(state.seen + jnp.sum(kept, dtype=jnp.int32), self.window)
        return RecentState(seen, *append(state.errors, state.cursor, errors, kept))

    def solved(self, state: RecentState) -> Bool[Array, ""]:
        """Whether the window is full, and few of its sequences are wrong."""
        wrong = jnp.sum(~(state.errors < self.error))  # so that NaN is wrong
        full = state.seen >= self.window
        return full & (wrong < self.num_wrong) & (jnp.mean(state.errors) < self.mean_error)
