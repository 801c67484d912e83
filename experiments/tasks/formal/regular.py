"""The regular tasks of Delétang et al. (2023): a machine with finitely many states solves each."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from experiments.tasks.base import require_at_least
from experiments.tasks.formal.base import (
    Classification,
    LengthOrLengths,
    TwoPlaces,
    certain_answer,
    exists,
    pick,
    uniform_answers,
)

MODULUS = 5
PLUS, MINUS, TIMES = MODULUS, MODULUS + 1, MODULUS + 2


@dataclasses.dataclass(frozen=True)
class EvenPairs(TwoPlaces):
    """Is the number of places where 01 or 10 stands in a bit string even (class 0) or odd (class 1)?

    A run ends at each such place, so the answer is 0 where the first bit and the last are the same. Inputs:
    0, 1, blank. Uniform bits.

    ``canonical``: the answer at a blank behind the string; n from 1 to 40 in training. Source: Delétang et al.
    (2023), their code. Example, with the blank as _ : 0 0 1 1 1 0 _ has one 01 and one 10, so 0 at the blank.

    ``xlstm``: no blank, the answer at the last symbol. Source: Beck et al. (2024), their code, whose lengths 3
    to 40 count the answer: 2 to 39 here. Differs: their readout is over the whole vocabulary of 3.

    Baseline: a string of one symbol is class 0 for certain, of all others half are: ln 2 times the share of
    drawn lengths above 1.

    >>> round(EvenPairs(max_length=10).baseline, 4), EvenPairs(max_length=10).lag
    (0.6238, 10)
    """

    @property
    def num_inputs(self) -> int:
        """Two bits, and the blank."""
        return 2 + self.num_blanks

    @property
    def num_classes(self) -> int:
        """Even and odd."""
        return 2

    def answer_probabilities(self, length: int) -> Float[np.ndarray, "1 k"]:
        """Both alike, but for a string of one symbol."""
        return certain_answer(0, 2) if length == 1 else uniform_answers(1, 2)

    def draw(self, key: PRNGKeyArray, lengths: Int[Array, "b"]) -> tuple[Int[Array, "n b"], Int[Array, "b"]]:
        """Bits, and whether the ends differ."""
        bits = jax.random.randint(key, (self.max_length, len(lengths)), 0, 2)
        return bits, bits[0] ^ pick(bits, lengths - 1)


@dataclasses.dataclass(frozen=True)
class ParityCheck(TwoPlaces):
    """Is the number of ones in a bit string even (class 0) or odd (class 1)?

    Inputs: 0, 1, blank. Uniform bits.

    ``canonical``: the answer at a blank behind the string; n from 1 to 40 in training. Source: Delétang et al.
    (2023), their code. Example, with the blank as _ : 1 0 1 0 1 0 0 _ has three ones, so 1 at the blank.

    ``xlstm``: no blank, the answer at the last symbol. Source: Beck et al. (2024), their code, and Grazzi et al.
    (2025), whose lengths, 3 to 40 in training and 40 to 256 afterwards, count the answer: 2 to 39, and 39 to
    255 here. Differs: their readout is over the whole vocabulary of 3.

    Baseline: ln 2, for the last bit alone makes both classes equally likely.

    >>> round(ParityCheck().baseline, 4), ParityCheck(variant="xlstm").lag
    (0.6931, 39)
    """

    @property
    def num_inputs(self) -> int:
        """Two bits, and the blank."""
        return 2 + self.num_blanks

    @property
    def num_classes(self) -> int:
        """Even and odd."""
        return 2

    def answer_probabilities(self, length: int) -> Float[np.ndarray, "1 k"]:
        """Both alike."""
        return uniform_answers(1, 2)

    def draw(self, key: PRNGKeyArray, lengths: Int[Array, "b"]) -> tuple[Int[Array, "n b"], Int[Array, "b"]]:
        """Bits, and their number of ones modulo 2."""
        bits = jax.random.randint(key, (self.max_length, len(lengths)), 0, 2)
        return bits, jnp.sum(bits * exists(lengths, self.max_length), axis=0) % 2


@dataclasses.dataclass(frozen=True)
class CycleNavigation(TwoPlaces):
    """Where on a circle of ``cycle_length`` places does a walk from place 0 end?

    Inputs: a step back, none, a step forth, blank; each step equally likely. The class is the place.

    ``canonical``: the answer at a blank behind the string; n from 1 to 40 in training; five places. Source:
    Delétang et al. (2023), their code. Example, with the blank as _ : + - 0 - - _ ends at -2, so 3 at the blank.

    ``xlstm``: no blank, the answer at the last symbol. Source: Beck et al. (2024), their code, whose lengths 3
    to 40 count the answer: 2 to 39 here. The paper's vocabulary of 9 gives five places, the default of the
    code, 10, gives six. Differs: their readout is over the whole vocabulary.

    Baseline: the place after n steps has the n-fold convolution, modulo ``cycle_length``, of the uniform
    distribution of a step; the mean of its entropy over the lengths.

    >>> round(CycleNavigation().baseline, 4), CycleNavigation().lag
    (1.5936, 40)
    """

    cycle_length: int = 5
    """Places on the circle."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_at_least("cycle_length", self.cycle_length, 3, "for three different steps")

    @property
    def num_inputs(self) -> int:
        """Three steps, and the blank."""
        return 3 + self.num_blanks

    @property
    def num_classes(self) -> int:
        """The places."""
        return self.cycle_length

    def answer_probabilities(self, length: int) -> Float[np.ndarray, "1 k"]:
        """The place after ``length`` steps."""
        places = certain_answer(0, self.cycle_length)
        for _ in range(length):
            places = (np.roll(places, -1) + places + np.roll(places, 1)) / 3
        return places

    def draw(self, key: PRNGKeyArray, lengths: Int[Array, "b"]) -> tuple[Int[Array, "n b"], Int[Array, "b"]]:
        """Steps as 0, 1, 2, and the last place."""
        steps = jax.random.randint(key, (self.max_length, len(lengths)), 0, 3)
        return steps, jnp.sum((steps - 1) * exists(lengths, self.max_length), axis=0) % self.cycle_length


@dataclasses.dataclass(frozen=True)
class ModularArithmetic(Classification):
    """The value modulo 5 of a sum, a difference or a product of digits, without brackets.

    Digits 0 to 4 and operators +, -, × in turns, each equally likely; products come first, as usual. Inputs: the
    digits, the operators, blank; the answer, a digit, stands at the blank. Such a string has an odd length; where
    an even n is drawn, n - 1 is taken, also by ``at_length``.

    Source: Delétang et al. (2023), their code ("modular arithmetic simple"), n from 1 to 40 in training. Example,
    with the blank as _ : 1 + 2 × 3 _ gives 2. Differs: their inputs have two blanks, one never used. The version
    of Beck et al. (2024) and Grazzi et al. (2025), "without brackets", is the same: an = stands where the blank
    does here, and their lengths, 3 to 40 and 40 to 256, count it and the answer: 1 to 38, and 37 to 254 here.

    Baseline: of the pair (sum so far, product so far) the distribution after each operator and digit is known
    exactly; the mean over the lengths of the entropy of their sum.

    >>> round(ModularArithmetic().baseline, 4), ModularArithmetic().lag
    (1.6088, 39)
    """

    @property
    def num_inputs(self) -> int:
        """Five digits, three operators and the blank."""
        return MODULUS + 4

    @property
    def num_classes(self) -> int:
        """The digits."""
        return MODULUS

    def usable(self, length: LengthOrLengths) -> LengthOrLengths:
        """The odd number at or below."""
        return length - (length + 1) % 2

    def answer_probabilities(self, length: int) -> Float[np.ndarray, "1 k"]:
        """By all pairs of a sum so far and a product so far, and all digits and operators."""
        sums, products, digits = np.ogrid[:MODULUS, :MODULUS, :MODULUS]
        pairs = np.zeros((MODULUS, MODULUS))
        pairs[0] = 1 / MODULUS
        for _ in range(length // 2):
            share = np.broadcast_to(pairs[:, :, None] / (3 * MODULUS), (MODULUS,) * 3)
            pairs = np.zeros_like(pairs)
            for new_sum, new_product in (
                (sums + products, digits),
                (sums + products, -digits),
                (sums, products * digits),
            ):
                at = np.broadcast_arrays(new_sum % MODULUS, new_product % MODULUS, share)[:2]
                np.add.at(pairs, tuple(at), share)
        values = np.zeros((1, MODULUS))
        np.add.at(values[0], (sums + products)[..., 0] % MODULUS, pairs)
        return values

    def draw(self, key: PRNGKeyArray, lengths: Int[Array, "b"]) -> tuple[Int[Array, "n b"], Int[Array, "b"]]:
        """Digits and operators in turns, and the value."""
        key_digits, key_operators = jax.random.split(key)
        shape = (self.max_length, len(lengths))
        digits = jax.random.randint(key_digits, shape, 0, MODULUS)
        operators = jax.random.randint(key_operators, shape, PLUS, TIMES + 1)
        symbols = jnp.where(jnp.arange(self.max_length)[:, None] % 2 == 0, digits, operators)

        def read(
            carry: tuple[Array, Array], xs: tuple[Array, Array, Array]
        ) -> tuple[tuple[Array, Array], None]:
            total, product = carry
            operator, digit, is_there = xs
            multiplied = operator == TIMES
            signed = jnp.where(operator == MINUS, -digit, digit)
            new_total = jnp.where(multiplied, total, total + product) % MODULUS
            new_product = jnp.where(multiplied, product * digit, signed) % MODULUS
            return (jnp.where(is_there, new_total, total), jnp.where(is_there, new_product, product)), None

        there = exists(lengths, self.max_length)[2::2]
        start = (jnp.zeros_like(symbols[0]), symbols[0])
        (total, product), _ = jax.lax.scan(read, start, (symbols[1:-1:2], symbols[2::2], there))
        return symbols, (total + product) % MODULUS
