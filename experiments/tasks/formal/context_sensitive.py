"""The context-sensitive tasks of Delétang et al. (2023) on strings of symbols; those on numbers: `binary_numbers`."""

import dataclasses
import math
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from experiments.tasks.base import require_at_least, require_known
from experiments.tasks.formal.base import (
    Classification,
    LengthOrLengths,
    Transduction,
    certain_answer,
    exists,
    pick,
    uniform_answers,
)
from experiments.tasks.formal.rearrangement import Rearrangement

HOLE, FILLER = 2, 3
FIRST_HALF = {"canonical": 1, "printed": 0}
"""Which symbols come first in the answer: those at odd or at even places, counted from 0."""


@dataclasses.dataclass(frozen=True)
class DuplicateString(Rearrangement):
    """Write a string of symbols of ``num_symbols`` kinds twice.

    Inputs: the symbols, each equally likely, and the blank; the answer stands at 2n blanks.

    Source: Delétang et al. (2023), their code, two kinds, n from 1 to 40 in training. Example, with the blank as _ :
    0 1 1 _ _ _ _ _ _ gives 0 1 1 0 1 1 at the blanks.

    Baseline: every answer is uniform, ln ``num_symbols``.

    >>> round(DuplicateString().baseline, 4), DuplicateString().lag
    (0.6931, 80)
    """

    def num_answers(self, length: LengthOrLengths) -> LengthOrLengths:
        """Two for each symbol."""
        return 2 * length

    def source(self, place: LengthOrLengths, length: LengthOrLengths) -> LengthOrLengths:
        """From the start again after n answers."""
        return place % length


@dataclasses.dataclass(frozen=True)
class OddsFirst(Rearrangement):
    """Write every other symbol of a string, then the others.

    Inputs: the symbols, of ``num_symbols`` kinds and each equally likely, and the blank; the answer stands at
    n blanks.

    ``canonical``: s_2 s_4 ... s_1 s_3 ..., for the string s_1 ... s_n. Source: the code of Delétang et al. (2023),
    whose places count from 0; two kinds, n from 1 to 40 in training. Example, with the blank as _ :
    0 1 1 1 0 _ _ _ _ _ gives 1 1 0 1 0 at the blanks.

    ``printed``: s_1 s_3 ... s_2 s_4 ..., as the name, the paper and the description of the code have it. The
    example gives 0 1 0 1 1.

    Baseline: every answer is uniform, ln ``num_symbols``.

    >>> round(OddsFirst().baseline, 4), OddsFirst().lag, OddsFirst(variant="printed").lag
    (0.6931, 60, 59)
    """

    variant: Literal["canonical", "printed"] = "canonical"
    """Which symbols come first."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_known("variant", self.variant, FIRST_HALF)

    def source(self, place: LengthOrLengths, length: LengthOrLengths) -> LengthOrLengths:
        """Steps of two, from the first place of each half."""
        first = FIRST_HALF[self.variant]
        num_first = (length + 1 - first) // 2
        is_second = (place >= num_first) * 1
        return 2 * (place - is_second * num_first) + first + is_second * (1 - 2 * first)


@dataclasses.dataclass(frozen=True)
class BucketSort(Transduction):
    """Sort a string of symbols of ``num_symbols`` kinds.

    Inputs: the symbols, each equally likely, and the blank; the answer stands at n blanks.

    Source: Delétang et al. (2023), their code, five kinds, n from 1 to 40 in training. Example, with the blank as
    _ : 1 0 4 1 _ _ _ _ gives 0 1 1 4 at the blanks.

    Baseline: the answer j, counted from 0, is at most v where more than j symbols are, and their number is binomial
    (n, (v + 1)/``num_symbols``); so the chances of each answer are known.

    >>> round(BucketSort().baseline, 4), BucketSort().lag
    (1.4023, 79)
    """

    num_symbols: int = 5
    """Kinds of symbols."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_at_least("num_symbols", self.num_symbols, 2, "for BucketSort")

    @property
    def num_inputs(self) -> int:
        """The symbols and the blank."""
        return self.num_symbols + 1

    @property
    def num_classes(self) -> int:
        """The symbols."""
        return self.num_symbols

    @property
    def lag(self) -> int:
        """From the first symbol to the last answer."""
        return 2 * self.max_length - 1

    def num_answers(self, length: LengthOrLengths) -> LengthOrLengths:
        """One for each symbol."""
        return length

    def answer_probabilities(self, length: int) -> Float[np.ndarray, "answers k"]:
        """By the order statistics."""
        num_small = np.zeros((self.num_symbols, length + 1))  # how many symbols are at most v
        num_small[:, 0] = 1
        chance = (np.arange(self.num_symbols)[:, None] + 1) / self.num_symbols
        for _ in range(length):
            one_more = np.pad(num_small[:, :-1], ((0, 0), (1, 0)))
            num_small = (1 - chance) * num_small + chance * one_more
        at_most = 1 - np.cumsum(num_small, axis=1)[:, :-1].T
        return np.maximum(np.diff(at_most, axis=1, prepend=0.0), 0.0)

    def draw(
        self, key: PRNGKeyArray, lengths: Int[Array, "b"]
    ) -> tuple[Int[Array, "n b"], Int[Array, "m b"], Bool[Array, "m b"]]:
        """Symbols, and the same in order; all of them count."""
        symbols = jax.random.randint(key, (self.max_length, len(lengths)), 0, self.num_symbols)
        behind = jnp.where(exists(lengths, self.max_length), symbols, self.num_symbols)
        return symbols, jnp.sort(behind, axis=0), jnp.ones(symbols.shape, bool)


@dataclasses.dataclass(frozen=True)
class MissingDuplicate(Classification):
    """The bit that is missing in a string of bits written twice.

    The string, n // 2 uniform bits, stands twice; a hole 2 is in the place of one of its 2 (n // 2) bits, each equally
    likely; where n is odd, a 3 follows. Inputs: 0, 1, hole, filler, blank; the answer stands at the blank. The string
    of one symbol is 1, and so is its answer.

    Source: Delétang et al. (2023), their code, n from 1 to 40 in training. Example, with the blank as _ :
    1 0 1 1 2 1 3 _ gives 0.

    Baseline: the missing bit is uniform, ln 2, for n of 2 and more, and certain for n = 1.

    >>> round(MissingDuplicate().baseline, 4), MissingDuplicate().lag
    (0.6758, 40)
    """

    @property
    def num_inputs(self) -> int:
        """Two bits, the hole, the filler and the blank."""
        return 5

    @property
    def num_classes(self) -> int:
        """Two bits."""
        return 2

    def answer_probabilities(self, length: int) -> Float[np.ndarray, "1 k"]:
        """Uniform, but for the shortest."""
        return certain_answer(1, 2) if length == 1 else uniform_answers(1, 2)

    def draw(self, key: PRNGKeyArray, lengths: Int[Array, "b"]) -> tuple[Int[Array, "n b"], Int[Array, "b"]]:
        """Strings with a hole, and what was there."""
        key_bits, key_hole = jax.random.split(key)
        half = jnp.maximum(lengths // 2, 1)
        bits = jax.random.randint(key_bits, (math.ceil(self.max_length / 2), len(lengths)), 0, 2)
        steps = jnp.arange(self.max_length)[:, None]
        symbols = jnp.take_along_axis(bits, steps % half[None, :], axis=0)
        hole = jax.random.randint(key_hole, lengths.shape, 0, 2 * half)
        symbols = jnp.where(steps == hole[None, :], HOLE, symbols)
        symbols = jnp.where(steps >= 2 * half[None, :], FILLER, symbols)
        is_single = lengths == 1
        return jnp.where(is_single[None, :], 1, symbols), jnp.where(is_single, 1, pick(bits, hole % half))
