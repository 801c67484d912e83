"""The context-sensitive tasks of Delétang et al. (2023) on binary numbers; those on strings: `context_sensitive`."""

import abc
import dataclasses
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from experiments.tasks.formal import bit_chances, bits
from experiments.tasks.formal.base import LengthOrLengths, Transduction

OPERATOR, END = 2, 2
SHORTEST_PAIR = 3  # a bit, the operator, a bit


class TwoNumbers(Transduction, abc.ABC):
    """Base: two numbers, lowest bit first, with an operator between; then the result, a terminator 2, and 0."""

    short_answers: ClassVar[tuple[tuple[str, ...], ...]]
    """The answers to strings of one symbol, 0, and of two, 00, 10 and 01: they have no operator."""

    @property
    def num_inputs(self) -> int:
        """Two bits, the operator and the blank."""
        return 4

    @property
    def num_classes(self) -> int:
        """Two bits and the terminator."""
        return 3

    @property
    def lag(self) -> int:
        """From the first bit to the n-th symbol of the answer: a carry through the whole result makes it one longer.

        Strings of less than five symbols need less.
        """
        return 2 * self.max_length - 1

    @abc.abstractmethod
    def combine(self, x: Bool[Array, "n b"], y: Bool[Array, "n b"]) -> Bool[Array, "n b"]:
        """The result, in as many places."""

    @abc.abstractmethod
    def chances(self, a: int, b: int) -> Float[np.ndarray, "places 2"]:
        """For numbers of a and b bits, how likely each bit of the result is set, and each place the terminator's."""

    def answer_probabilities(self, length: int) -> Float[np.ndarray, "answers k"]:
        """By all lengths of the first number, which are equally likely."""
        if length < SHORTEST_PAIR:
            digits = np.array([[int(digit) for digit in answer] for answer in self.short_answers[length - 1]])
            return np.mean(digits[:, :, None] == np.arange(3), axis=0)
        answers = np.zeros((self.num_answers(length), 3))
        for a in range(1, length - 1):
            chances = self.chances(a, length - 1 - a)
            answers[: len(chances), 1:] += chances / (length - 2)
        answers[:, 0] = 1 - answers[:, 1] - answers[:, 2]
        return answers

    def draw(
        self, key: PRNGKeyArray, lengths: Int[Array, "b"]
    ) -> tuple[Int[Array, "n b"], Int[Array, "m b"], Bool[Array, "m b"]]:
        """Numbers and their result; the places up to the terminator count."""
        key_split, key_x, key_y, key_short = jax.random.split(key, 4)
        size, num_answers = self.max_length, self.num_answers(self.max_length)
        split = jax.random.randint(key_split, lengths.shape, 1, jnp.maximum(lengths - 1, 2))
        x = bits.draw_positive(key_x, split, size)
        y = bits.draw_positive(key_y, jnp.maximum(lengths - 1 - split, 1), size)
        places = jnp.arange(size)[:, None]
        y_places = jnp.clip(places - split[None, :] - 1, 0, size - 1)
        symbols = jnp.where(places < split[None, :], x, jnp.take_along_axis(y, y_places, axis=0)).astype(
            jnp.int32
        )
        symbols = jnp.where(places == split[None, :], OPERATOR, symbols)
        result = self.combine(x, y)
        end = bits.highest(result)[None, :] + 1
        places = jnp.arange(num_answers)[:, None]
        padded = jnp.pad(result, ((0, num_answers - size), (0, 0)))
        answers = jnp.where(places < end, padded.astype(jnp.int32), jnp.where(places == end, END, 0))

        number = jax.random.randint(key_short, lengths.shape, 0, jnp.where(lengths == 1, 1, 3))
        is_short = lengths[None, :] < SHORTEST_PAIR
        symbols = jnp.where(
            is_short, (number[None, :] >> jnp.minimum(jnp.arange(size)[:, None], 2)) & 1, symbols
        )
        table = np.zeros((2, 3, num_answers), np.int32)
        for row, texts in enumerate(self.short_answers):
            for column, text in enumerate(texts):
                digits = [int(digit) for digit in text][:num_answers]
                table[row, column, : len(digits)] = digits
        short = jnp.asarray(table)[jnp.clip(lengths - 1, 0, 1), number].T
        answers = jnp.where(is_short, short, answers)
        return symbols, answers, places <= jnp.argmax(answers == END, axis=0)[None, :]


@dataclasses.dataclass(frozen=True)
class BinaryAddition(TwoNumbers):
    """Add two binary numbers, lowest bit first.

    The string is x, the operator +, y: the length a of x is uniform in [1, n - 2], that of y the rest; x is uniform
    from 1 to 2^a - 1, y likewise. Inputs: 0, 1, +, blank. The answer, at n + 1 blanks, is the sum without zeros behind
    its highest bit, a terminator 2, then 0; the symbols up to the terminator count for the accuracy. Strings of
    one or two symbols are 0, or 00, 10 or 01: a number alone, and the answer is the number.

    Source: Delétang et al. (2023), their code, n from 1 to 40 in training. Example, with the blank as _ :
    1 0 0 1 + 0 1 _ _ _ _ _ _ _ _ is 9 + 2 and gives 1 1 0 1 2 0 0 0 at the blanks.

    Baseline: all pairs (x, y) of two lengths have the same chance, so the chances that bit j of the sum is set and
    that it has j bits are counts; see `bit_chances`.

    >>> round(BinaryAddition().baseline, 4), BinaryAddition().lag
    (0.7763, 79)
    """

    short_answers = (("02",), ("020", "120", "012"))

    def num_answers(self, length: LengthOrLengths) -> LengthOrLengths:
        """The sum, shorter than the string, the terminator, and at least one 0."""
        return length + 1

    def combine(self, x: Bool[Array, "n b"], y: Bool[Array, "n b"]) -> Bool[Array, "n b"]:
        """The sum."""
        return bits.add(x, y)

    def chances(self, a: int, b: int) -> Float[np.ndarray, "places 2"]:
        """By counts."""
        return bit_chances.of_sum(a, b)


@dataclasses.dataclass(frozen=True)
class BinaryMultiplication(TwoNumbers):
    """Multiply two binary numbers, lowest bit first.

    The string is x, the operator ×, y, drawn as in `BinaryAddition`. Inputs: 0, 1, ×, blank. The answer, at n blanks,
    is the product without zeros behind its highest bit, a terminator 2, then 0; the symbols up to the terminator
    count for the accuracy. Strings of one or two symbols are 0, or 00, 10 or 01, and the answer is 2, or 0 2.

    Source: Delétang et al. (2023), their code, n from 1 to 40 in training. Example, with the blank as _ :
    1 0 1 × 1 1 _ _ _ _ _ _ is 5 · 3 and gives 1 1 1 1 2 0 at the blanks.

    Baseline: as in `BinaryAddition`, exact while the shorter number has at most nine bits; longer ones are taken as
    real numbers, which makes the baseline wrong by less than 1e-4; see `bit_chances`.

    >>> round(BinaryMultiplication().baseline, 3), BinaryMultiplication().lag
    (0.83, 79)
    """

    short_answers = (("2",), ("02", "02", "02"))

    def num_answers(self, length: LengthOrLengths) -> LengthOrLengths:
        """The product, shorter than the string, and the terminator."""
        return length

    def combine(self, x: Bool[Array, "n b"], y: Bool[Array, "n b"]) -> Bool[Array, "n b"]:
        """The product."""
        return bits.multiply(x, y)

    def chances(self, a: int, b: int) -> Float[np.ndarray, "places 2"]:
        """By counts, or for long numbers by areas."""
        return bit_chances.of_product(a, b)


@dataclasses.dataclass(frozen=True)
class ComputeSqrt(Transduction):
    """The whole part of the square root of a binary number, highest bit first.

    The string is a number, uniform from 1 to 2^n - 1. Inputs: 0, 1, blank. The answer, at n/2 blanks, rounded up, is
    the root, with zeros before it.

    Source: Delétang et al. (2023), their code, n from 1 to 40 in training. Example, with the blank as _ :
    1 0 0 1 0 1 _ _ _ is 37 and gives 1 1 0 at the blanks.

    Baseline: the numbers whose root has a bit set are counted, in closed form; see `bit_chances.of_sqrt`.

    >>> round(ComputeSqrt().baseline, 4), ComputeSqrt().lag
    (0.6887, 59)
    """

    @property
    def num_inputs(self) -> int:
        """Two bits and the blank."""
        return 3

    @property
    def num_classes(self) -> int:
        """Two bits."""
        return 2

    @property
    def lag(self) -> int:
        """From the first bit to the last of the root."""
        return self.max_length + self.num_answers(self.max_length) - 1

    def num_answers(self, length: LengthOrLengths) -> LengthOrLengths:
        """Half as many as bits, rounded up."""
        return (length + 1) // 2

    def answer_probabilities(self, length: int) -> Float[np.ndarray, "answers k"]:
        """By counts."""
        is_set = bit_chances.of_sqrt(length)[::-1]
        return np.stack([1 - is_set, is_set], axis=1)

    def draw(
        self, key: PRNGKeyArray, lengths: Int[Array, "b"]
    ) -> tuple[Int[Array, "n b"], Int[Array, "m b"], Bool[Array, "m b"]]:
        """Numbers and roots; all bits count."""
        number = bits.draw_positive(key, lengths, self.max_length)
        root = bits.floor_sqrt(number)
        answers = _highest_first(root, self.num_answers(lengths))
        return _highest_first(number, lengths), answers, jnp.ones(answers.shape, bool)


def _highest_first(number: Bool[Array, "n b"], lengths: Int[Array, "b"]) -> Int[Array, "n b"]:
    """The lowest ``lengths`` bits from the highest of them on; whatever behind."""
    from_end = lengths[None, :] - 1 - jnp.arange(len(number))[:, None]
    return jnp.take_along_axis(number, jnp.maximum(from_end, 0), axis=0).astype(jnp.int32)
