"""The copy memory task: read a few symbols, wait, and repeat them when told to."""

import dataclasses
import math
from collections.abc import Callable
from typing import ClassVar, Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from experiments.tasks import criteria
from experiments.tasks.base import Batch, Criterion, Generated, Total, require_at_least, require_known
from recurrent import losses

BLANK = 0


@dataclasses.dataclass(frozen=True)
class Variant:
    """One layout: the steps that read the marker and those whose answer counts.

    Both are functions of (answer, num_steps): the step of the first recalled symbol, and the length.
    """

    markers: Callable[[int, int], range]
    scored: Callable[[int, int], range]


@dataclasses.dataclass(frozen=True)
class Copying(Generated):
    """Repeat K = ``num_recalled`` symbols of S = ``num_symbols`` kinds, D = ``delay`` + K steps after each.

    All variants have D + K = ``delay`` + 2K steps; one-hot inputs over blank 0, the symbols 1..S and the
    marker S + 1; integer targets over blank and symbols, blank at all steps but the last K. Symbol i is
    read at step i and asked for at step D + i, so the lag is D for every symbol.

    ``canonical``: s_1..s_K, ``delay`` - 1 blanks, the marker at D - 1, K blanks: the answer starts one
    step after the marker. The loss counts all steps. Source: Arjovsky, Shah & Bengio (2016), their code.

    ``on_marker``: s_1..s_K, ``delay`` blanks, the marker at D, K - 1 blanks: the answer starts at the
    marker's step. The loss counts all steps. Source: Lezcano-Casado & Martinez-Rubio (2019), their code.

    ``recall_markers``: s_1..s_K, ``delay`` blanks, K markers, one for each answer. The loss counts those
    K steps only. Source: the code of Gu, Dao et al. (2020) and Gu, Goel & Re (2022).

    Baseline: without memory the blanks are certain and the recalled symbols uniform, ln S nats each:
    K ln S / (``delay`` + 2K) over all steps, ln S over the recalled ones. Solved: an accuracy above 0.99
    over the last K steps. An accuracy over all steps would say little, for most of them are blank.

    >>> round(Copying(delay=100).baseline, 5), Copying(delay=100).lag
    (0.17329, 110)
    """

    length_field: ClassVar[str] = "delay"

    delay: int = 20
    """Steps T between the symbols and their repetition; a sequence has T + 2K steps, K of them to repeat."""
    variant: Literal["canonical", "on_marker", "recall_markers"] = "canonical"
    """Layout of the sequence."""
    num_symbols: int = 8
    """Kinds of symbols."""
    num_recalled: int = 10
    """Symbols K to repeat."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_known("variant", self.variant, VARIANTS)
        require_at_least("delay", self.delay, 1, "for copying")
        require_at_least("num_symbols", self.num_symbols, 2, "for copying")
        require_at_least("num_recalled", self.num_recalled, 1, "for copying")

    @property
    def num_steps(self) -> int:
        """The length of every sequence."""
        return self.delay + 2 * self.num_recalled

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Blank, symbols and marker, one-hot."""
        return (self.num_symbols + 2,)

    @property
    def output_shape(self) -> tuple[int, ...]:
        """Logits of blank and symbols."""
        return (self.num_symbols + 1,)

    @property
    def baseline(self) -> float:
        """The cross-entropy of blank everywhere, then uniform over the symbols."""
        return self.num_recalled * math.log(self.num_symbols) / len(self._scored)

    @property
    def lag(self) -> int:
        """From reading a symbol to repeating it, the same for each: ``delay`` + ``num_recalled``."""
        return self.delay + self.num_recalled

    @property
    def criterion(self) -> Criterion:
        """Recall above 0.99."""
        return criteria.RecallAbove(self.num_recalled, 0.99)

    @property
    def _scored(self) -> range:
        return VARIANTS[self.variant].scored(self.lag, self.num_steps)

    def sample(self, key: PRNGKeyArray, batch_size: int) -> Batch:
        """Inputs ``[t, b, S + 2]``, targets and weights ``[t, b]``."""
        markers = VARIANTS[self.variant].markers(self.lag, self.num_steps)
        symbols = jax.random.randint(key, (self.num_recalled, batch_size), 1, self.num_symbols + 1)
        blanks = jnp.full((self.num_steps, batch_size), BLANK, symbols.dtype)
        tokens = blanks.at[: self.num_recalled].set(symbols)
        tokens = tokens.at[markers.start : markers.stop].set(self.num_symbols + 1)
        weights = jnp.zeros(blanks.shape, jnp.float32).at[self._scored.start : self._scored.stop].set(1.0)
        inputs = jax.nn.one_hot(tokens, *self.input_shape, dtype=jnp.float32)
        return Batch(inputs, blanks.at[self.lag :].set(symbols), weights)

    def loss(self, outputs: Float[Array, "t b k"], batch: Batch) -> Total:
        """Cross-entropy over the steps that count."""
        return losses.cross_entropy(outputs, batch.targets, batch.weights)

    def metrics(self, outputs: Float[Array, "t b k"], batch: Batch) -> dict[str, Total]:
        """Cross-entropy over the steps that count, and the accuracy over the recalled symbols."""
        last = slice(-self.num_recalled, None)
        return {
            "cross_entropy": self.loss(outputs, batch),
            "recall_accuracy": losses.accuracy(outputs[last], batch.targets[last], batch.weights[last]),
        }


def _all_steps(answer: int, num_steps: int) -> range:
    return range(num_steps)


def _recalled_steps(answer: int, num_steps: int) -> range:
    return range(answer, num_steps)


VARIANTS = {
    "canonical": Variant(lambda answer, num_steps: range(answer - 1, answer), _all_steps),
    "on_marker": Variant(lambda answer, num_steps: range(answer, answer + 1), _all_steps),
    "recall_markers": Variant(_recalled_steps, _recalled_steps),
}
