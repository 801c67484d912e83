"""Languages that count: which symbols may come next in a^n b^n and a^n b^n c^n?"""

import dataclasses
from typing import ClassVar, Literal, Self

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from experiments.tasks.base import Batch, Criterion, Generated, Total, require_at_least, require_known
from experiments.tasks.criteria import Evaluated
from recurrent import losses

BLOCKS = {"anbn": 2, "anbncn": 3}


@dataclasses.dataclass(frozen=True)
class Counting(Generated):
    """Predict all symbols that may come next in a string of n equal symbols, then n others, and so on.

    Each sequence draws its n uniformly from [``min_count``, ``max_count``]; ``at_length(n)`` asks for one n. It
    reads a start S, then the string; inputs one-hot over S, a, b (, c). At each step the targets, over a, b (, c) and
    the end T, are 1 for a symbol that may come next and -1 for one that may not: after S a; after an a, a or b;
    after a later symbol the same again, until there are n; then the next kind, after the last kind T. A
    prediction is right where each output has the sign of its target; a string is accepted where all predictions
    are. The padding on the right is 0 and not in ``mask``.

    ``anbn``: a^n b^n, context-free. ``anbncn``: a^n b^n c^n, context-sensitive. Source: Gers & Schmidhuber (2001),
    who train on n from 1 to 10 and more and test on up to 1,000. Differs: n are drawn, not gone through; solved where
    every string of the validation split is accepted.

    Example: a a b b of ``anbn`` reads S a a b b, and the symbols that may come next are a, ab, ab, b, T.

    Baseline: the squared error, summed over the outputs. At step t a symbol may come next with chance q over the n
    whose string has that step; the best prediction 2q - 1 then loses 4q(1 - q). The mean over steps and n.

    >>> round(Counting().baseline, 4), Counting().lag
    (0.8819, 18)
    """

    length_field: ClassVar[str] = "max_count"

    min_count: int = 1
    """The smallest n."""
    max_count: int = 10
    """The largest n."""
    language: Literal["anbn", "anbncn"] = "anbn"
    """How many kinds of symbols there are."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_known("language", self.language, BLOCKS)
        require_at_least("min_count", self.min_count, 1)
        require_at_least("max_count", self.max_count, self.min_count, "(min_count)")

    def at_length(self, length: int) -> Self:
        """This task, in which every string has ``length`` symbols of each kind."""
        return dataclasses.replace(self, min_count=length, max_count=length)

    @property
    def _num_kinds(self) -> int:
        return BLOCKS[self.language]

    @property
    def num_steps(self) -> int:
        """The start and the longest string."""
        return 1 + self._num_kinds * self.max_count

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The start and the kinds of symbols, one-hot."""
        return (self._num_kinds + 1,)

    @property
    def output_shape(self) -> tuple[int, ...]:
        """The kinds of symbols and the end."""
        return (self._num_kinds + 1,)

    @property
    def baseline(self) -> float:
        """The squared error of the mean targets of each step."""
        counts = np.arange(self.min_count, self.max_count + 1)
        legal, mask = (
            np.asarray(part) for part in _legal(jnp.asarray(counts), self._num_kinds, self.num_steps)
        )
        num_strings = mask.sum(axis=1)
        chances = np.sum(legal & mask[..., None], axis=1) / np.maximum(num_strings, 1)[:, None]
        return float(np.sum(num_strings[:, None] * 4 * chances * (1 - chances)) / num_strings.sum())

    @property
    def lag(self) -> int:
        """To the last symbol of the longest string from its second, the first that may be an a or a b."""
        return max(self.num_steps - 3, 0)

    @property
    def criterion(self) -> Criterion:
        """Every string accepted."""
        return AllAccepted()

    def sample(self, key: PRNGKeyArray, batch_size: int) -> Batch:
        """Inputs ``[t, b, kinds + 1]``, targets ``[t, b, kinds + 1]`` of 1 and -1, weights ``[t, b]``."""
        counts = jax.random.randint(key, (batch_size,), self.min_count, self.max_count + 1)
        legal, mask = _legal(counts, self._num_kinds, self.num_steps)
        steps = jnp.arange(self.num_steps)[:, None]
        symbols = (steps - 1) // counts[None, :] + 1
        inputs = jax.nn.one_hot(symbols, *self.input_shape, dtype=jnp.float32)
        inputs = jnp.where(mask[..., None], inputs, 0.0)
        targets = jnp.where(mask[..., None], 2.0 * legal - 1.0, 0.0).astype(jnp.float32)
        return Batch(inputs, targets, mask.astype(jnp.float32), mask)

    def loss(self, outputs: Float[Array, "t b k"], batch: Batch) -> Total:
        """Squared error."""
        return losses.squared_error(outputs, batch.targets, batch.weights)

    def metrics(self, outputs: Float[Array, "t b k"], batch: Batch) -> dict[str, Total]:
        """Squared error, right predictions, accepted strings."""
        right = right_predictions(outputs, batch)
        return {
            "mse": self.loss(outputs, batch),
            "accuracy": (jnp.sum(right * batch.weights), jnp.sum(batch.weights)),
            "accepted": accepted(outputs, batch),
        }


@dataclasses.dataclass(frozen=True)
class AllAccepted(Evaluated):
    """Every string of the split is accepted."""

    def measure(self, outputs: Float[Array, "t b k"], batch: Batch) -> Total:
        """Accepted and all strings."""
        return accepted(outputs, batch)

    def reached(self, average: Float[Array, ""]) -> Bool[Array, ""]:
        """All of them."""
        return average >= 1.0


def right_predictions(outputs: Float[Array, "t b k"], batch: Batch) -> Bool[Array, "t b"]:
    """Where all outputs have the sign of their targets; 0 and NaN have none."""
    return jnp.all(outputs * batch.targets > 0, axis=-1)


def accepted(outputs: Float[Array, "t b k"], batch: Batch) -> Total:
    """Strings without a wrong prediction, and all strings that count."""
    asked = batch.weights != 0
    kept = jnp.any(asked, axis=0)
    whole = kept & jnp.all(right_predictions(outputs, batch) | ~asked, axis=0)
    return jnp.sum(whole, dtype=jnp.float32), jnp.sum(kept, dtype=jnp.float32)


def _legal(counts: Array, num_kinds: int, num_steps: int) -> tuple[Bool[Array, "t b k"], Bool[Array, "t b"]]:
    """What may follow after each step, over the kinds and the end, and which steps there are."""
    steps = jnp.arange(num_steps)[:, None]
    kind = (steps - 1) // counts[None, :]  # -1 at the start
    is_last = steps % counts[None, :] == 0  # of its kind; the start counts as one
    same, following = (jax.nn.one_hot(number, num_kinds + 1, dtype=bool) for number in (kind, kind + 1))
    may_repeat = (kind == 0) | ((kind > 0) & ~is_last)
    may_change = (kind == 0) | is_last
    legal = (same & may_repeat[..., None]) | (following & may_change[..., None])
    return legal, steps <= num_kinds * counts[None, :]
