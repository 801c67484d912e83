"""When the drawn tasks count as solved: frozen thresholds, with a small state of arrays."""

import abc
import dataclasses
from typing import Any, ClassVar, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from experiments.tasks.base import Batch, Total
from recurrent import arrays, losses


def absolute_error(outputs: Float[Array, "b 1"], batch: Batch) -> Float[Array, "b"]:
    """Distance of a scalar answer from its target; 0 where the weight is 0."""
    kept = batch.weights != 0
    return jnp.abs(arrays.where(kept, outputs, 0.0) - arrays.where(kept, batch.targets, 0.0))[:, 0]


def wrong_sequences(outputs: Float[Array, "t b k"], batch: Batch) -> Total:
    """Sequences with a wrong prediction at any step that counts, and all sequences with one."""
    counted = batch.weights != 0
    right = (jnp.argmax(outputs, axis=-1) == batch.targets) & ~jnp.any(jnp.isnan(outputs), axis=-1)
    return jnp.sum(jnp.any(counted & ~right, axis=0) * 1.0), jnp.sum(jnp.any(counted, axis=0) * 1.0)


@dataclasses.dataclass(frozen=True)
class Evaluated(abc.ABC):
    """Base of the criteria on one pass over the validation split: a sum and a count over its batches."""

    on: ClassVar[str] = "evaluation"

    @abc.abstractmethod
    def measure(self, outputs: Any, batch: Batch) -> Total:
        """What one batch adds to the sum and to the count."""

    @abc.abstractmethod
    def reached(self, average: Float[Array, ""]) -> Bool[Array, ""]:
        """Whether the average over the whole split is good enough."""

    def init(self) -> Total:
        """The state before the first batch."""
        return jnp.zeros(()), jnp.zeros(())

    def update(self, state: Total, outputs: Any, batch: Batch) -> Total:
        """Add one batch of the pass."""
        total, count = self.measure(outputs, batch)
        return state[0] + total, state[1] + count

    def solved(self, state: Total) -> Bool[Array, ""]:
        """Whether the pass so far meets the threshold; an empty one does not."""
        return (state[1] > 0) & self.reached(losses.mean(state))


@dataclasses.dataclass(frozen=True)
class SquaredErrorBelow(Evaluated):
    """The mean squared error is below ``threshold``."""

    threshold: float

    def measure(self, outputs: Float[Array, "b k"], batch: Batch) -> Total:
        """Squared errors and their number."""
        return losses.squared_error(outputs, batch.targets, batch.weights)

    def reached(self, average: Float[Array, ""]) -> Bool[Array, ""]:
        """Strictly below."""
        return average < self.threshold


@dataclasses.dataclass(frozen=True)
class LargeErrorsBelow(Evaluated):
    """Fewer than ``fraction`` of the sequences have a squared error above ``squared_error``."""

    fraction: float
    squared_error: float

    def measure(self, outputs: Float[Array, "b 1"], batch: Batch) -> Total:
        """Wrong sequences and all sequences."""
        wrong = ~(absolute_error(outputs, batch) ** 2 <= self.squared_error)  # so that NaN is wrong
        return jnp.sum(wrong * batch.weights), jnp.sum(batch.weights)

    def reached(self, average: Float[Array, ""]) -> Bool[Array, ""]:
        """Strictly below."""
        return average < self.fraction


@dataclasses.dataclass(frozen=True)
class AccuracyAtLeast(Evaluated):
    """The fraction of right predictions is ``threshold`` or more."""

    threshold: float

    def measure(self, outputs: Float[Array, "*b k"], batch: Batch) -> Total:
        """Right predictions and all predictions."""
        return losses.accuracy(outputs, batch.targets, batch.weights)

    def reached(self, average: Float[Array, ""]) -> Bool[Array, ""]:
        """At the threshold or above."""
        return average >= self.threshold


@dataclasses.dataclass(frozen=True)
class ErrorRateBelow(Evaluated):
    """The fraction of wrong predictions is below ``threshold``."""

    threshold: float

    def measure(self, outputs: Float[Array, "*b k"], batch: Batch) -> Total:
        """Wrong predictions and all predictions."""
        right, count = losses.accuracy(outputs, batch.targets, batch.weights)
        return count - right, count

    def reached(self, average: Float[Array, ""]) -> Bool[Array, ""]:
        """Strictly below."""
        return average < self.threshold


@dataclasses.dataclass(frozen=True)
class RecallAbove(Evaluated):
    """The fraction of right predictions over the last ``num_recalled`` steps is above ``threshold``."""

    num_recalled: int
    threshold: float

    def measure(self, outputs: Float[Array, "t b k"], batch: Batch) -> Total:
        """Right and all predictions of the last steps."""
        last = slice(-self.num_recalled, None)
        return losses.accuracy(outputs[last], batch.targets[last], batch.weights[last])

    def reached(self, average: Float[Array, ""]) -> Bool[Array, ""]:
        """Strictly above."""
        return average > self.threshold


@dataclasses.dataclass(frozen=True)
class SymbolsAbove(Evaluated):
    """The fraction of right predictions where a symbol is asked for, not blank 0, is above ``threshold``."""

    threshold: float

    def measure(self, outputs: Float[Array, "t b k"], batch: Batch) -> Total:
        """Right and all predictions of symbols."""
        return losses.accuracy(outputs, batch.targets, jnp.where(batch.targets != 0, batch.weights, 0.0))

    def reached(self, average: Float[Array, ""]) -> Bool[Array, ""]:
        """Strictly above."""
        return average > self.threshold


@dataclasses.dataclass(frozen=True)
class WrongSequencesBelow(Evaluated):
    """The fraction of sequences with a wrong prediction at any step is below ``threshold``."""

    threshold: float

    def measure(self, outputs: Float[Array, "t b k"], batch: Batch) -> Total:
        """Sequences with a wrong prediction, and all sequences."""
        return wrong_sequences(outputs, batch)

    def reached(self, average: Float[Array, ""]) -> Bool[Array, ""]:
        """Strictly below."""
        return average < self.threshold


class StreakState(NamedTuple):
    """``streak`` right sequences in a row; ``errors`` a ring of the last ones, written next at ``cursor``."""

    streak: Int[Array, ""]
    errors: Float[Array, "window"]
    cursor: Int[Array, ""]


@dataclasses.dataclass(frozen=True)
class Streak:
    """The last ``window`` training sequences all had |e| < ``error``, and their mean |e| is below ``mean_error``.

    The rule of Hochreiter & Schmidhuber (1997), experiment 4, who trained on one sequence at a time.
    Here the sequences of a batch follow one another in the order of the batch axis, all with the
    parameters before the update; those of weight 0 are passed over. `solved` is read after a whole batch.
    Differs: the paper does not say over what its average training error runs; here, over the window.
    """

    on: ClassVar[str] = "training"

    window: int = 2000
    error: float = 0.04
    mean_error: float = 0.01

    def init(self) -> StreakState:
        """The state before the first batch."""
        zero = jnp.zeros((), jnp.int32)
        return StreakState(zero, jnp.zeros(self.window), zero)

    def update(self, state: StreakState, outputs: Float[Array, "b 1"], batch: Batch) -> StreakState:
        """Append the sequences of one batch."""
        errors, kept = absolute_error(outputs, batch), batch.weights != 0
        number = jnp.cumsum(kept, dtype=jnp.int32)  # 1, 2, ... over the kept sequences
        wrong = kept & ~(errors < self.error)  # so that NaN is wrong
        last_wrong = jnp.max(jnp.where(wrong, number, 0))
        streak = number[-1] - last_wrong + jnp.where(last_wrong == 0, state.streak, 0)
        return StreakState(
            jnp.minimum(streak, self.window), *append(state.errors, state.cursor, errors, kept)
        )

    def solved(self, state: StreakState) -> Bool[Array, ""]:
        """Whether the streak fills the window and the window's mean error is small."""
        return (state.streak >= self.window) & (jnp.mean(state.errors) < self.mean_error)


def append(
    ring: Float[Array, "window"], cursor: Int[Array, ""], errors: Float[Array, "b"], kept: Bool[Array, "b"]
) -> tuple[Float[Array, "window"], Int[Array, ""]]:
    """The ring with the kept errors written in their order from ``cursor`` on, and the next place to write at."""
    window = len(ring)
    number = jnp.cumsum(kept, dtype=jnp.int32)  # 1, 2, ... over the kept sequences
    count = number[-1]
    fits = kept & (number > count - window)  # a batch may be longer than the ring
    slots = jnp.where(fits, (cursor + number - 1) % window, window)
    return ring.at[slots].set(errors.astype(ring.dtype), mode="drop"), (cursor + count) % window
