"""Selective copying: symbols stand at random steps among blanks, and are repeated in their order at the end."""

import dataclasses
import math
from collections.abc import Callable
from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, PRNGKeyArray

from experiments.tasks.base import Batch, require_at_least, require_known
from experiments.tasks.recall.tokens import TokenTask, put, subset

BLANK = 0


@dataclasses.dataclass(frozen=True)
class Variant:
    """One layout: where symbols stand, and how many markers are read from the end of the context on.

    ``places(key, count, context, batch_size)`` gives the steps of the symbols, increasing. ``cues(count)`` is the
    number of markers; ``extra`` is the number of steps between the context and the first answer.
    """

    places: Callable[[PRNGKeyArray, int, int, int], Int[Array, "count b"]]
    cues: Callable[[int], int]
    extra: int


@dataclasses.dataclass(frozen=True)
class SelectiveCopying(TokenTask):
    """Repeat K = ``num_recalled`` symbols of S = ``num_symbols`` kinds, which stand at random steps, in their order.

    A sequence has T = ``num_steps`` steps. One-hot inputs over blank 0, the symbols 1..S and the marker S + 1;
    the answers are classes 0..S - 1 for the symbols 1..S, asked for at the last K steps alone.

    ``canonical``: the symbols stand at K distinct steps of the context [0, T - K), all sets of steps equally
    likely, the rest is blank; then K markers are read, one for each answer. Source: Gu & Dao (2023), section 4.1.1
    and appendix E.1, in the layout of the code of Gu, Goel & Re (2022) with scattered tokens. T is 4,096 there,
    with 16 symbols to repeat and a vocabulary of 16. Differs: T is 272 by default, for two cores, and counts the
    answers. Steps are drawn without replacement: some public versions draw them with replacement, so that one
    symbol overwrites another and no network can be right.

    ``mad``: the context [0, T - K - 1) is made of the K symbols, with each blank put before a symbol that is drawn
    for it alone; then one marker is read, and K blanks, one for each answer. Therefore the last symbol always
    stands right before the marker. Source: the code of Poli et al. (2024), where T is 256, K is 16 and S is 14.

    Baseline: the answers are uniform over the symbols at every step: ln S. The lag is T - K, from the i-th symbol
    at step i, its earliest, to the i-th answer. Solved: an accuracy of 0.99 or more; the papers name no rule.

    Example, ``canonical`` with T = 9, K = 2, S = 3, where ``m`` is the marker and ``.`` nothing asked:
    read ``0 2 0 0 0 3 0 m m``, answer ``. . . . . . . 1 2`` (symbols 2 and 3).

    >>> round(SelectiveCopying().baseline, 4), SelectiveCopying().lag
    (2.6391, 256)
    """

    num_steps: int = 272
    """Length T of the sequences, answers included, in steps."""
    variant: Literal["canonical", "mad"] = "canonical"
    """Layout of the sequence."""
    num_symbols: int = 14
    """Kinds of symbols."""
    num_recalled: int = 16
    """Symbols K to repeat."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_known("variant", self.variant, VARIANTS)
        require_at_least("num_symbols", self.num_symbols, 2, "for selective copying")
        require_at_least("num_recalled", self.num_recalled, 1, "for selective copying")
        shortest = 2 * self.num_recalled + self._variant.extra + 1  # one blank, at the least
        require_at_least("num_steps", self.num_steps, shortest, f"for {self.num_recalled} symbols to repeat")

    @property
    def _variant(self) -> Variant:
        return VARIANTS[self.variant]

    @property
    def vocabulary(self) -> int:
        """Blank, symbols and marker."""
        return self.num_symbols + 2

    @property
    def output_shape(self) -> tuple[int, ...]:
        """Logits of the symbols."""
        return (self.num_symbols,)

    @property
    def baseline(self) -> float:
        """The cross-entropy of the uniform answer."""
        return math.log(self.num_symbols)

    @property
    def lag(self) -> int:
        """From the earliest step of a symbol to its answer, the same for each."""
        return self.num_steps - self.num_recalled

    def sample(self, key: PRNGKeyArray, batch_size: int) -> Batch:
        """Inputs ``[t, b, S + 2]``, targets and weights ``[t, b]``."""
        key_symbols, key_places = jax.random.split(key)
        count, answer = self.num_recalled, self.lag
        context = answer - self._variant.extra
        symbols = jax.random.randint(key_symbols, (count, batch_size), 1, self.num_symbols + 1)
        places = self._variant.places(key_places, count, context, batch_size)
        blanks = jnp.full((self.num_steps, batch_size), BLANK, symbols.dtype)
        tokens = put(blanks, places, symbols)
        tokens = tokens.at[context : context + self._variant.cues(count)].set(self.num_symbols + 1)
        targets = blanks.at[answer:].set(symbols - 1)
        weights = jnp.zeros(blanks.shape, jnp.float32).at[answer:].set(1.0)
        return Batch(self.read(tokens), targets, weights)


def _anywhere(key: PRNGKeyArray, count: int, context: int, batch_size: int) -> Int[Array, "count b"]:
    return jnp.sort(subset(key, count, context, batch_size), axis=0)


def _after_blanks(key: PRNGKeyArray, count: int, context: int, batch_size: int) -> Int[Array, "count b"]:
    """Each blank chooses the symbol that it stands before; a symbol stands after the blanks of all up to it."""
    chosen = jax.random.randint(key, (context - count, batch_size), 0, count)
    numbers = jnp.arange(count)[:, None]
    return numbers + jnp.sum(chosen[:, None] <= numbers[None], axis=0)


VARIANTS = {
    "canonical": Variant(_anywhere, lambda count: count, extra=0),
    "mad": Variant(_after_blanks, lambda count: 1, extra=1),
}
