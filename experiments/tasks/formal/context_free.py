"""The context-free tasks of Delétang et al. (2023): a machine with a stack solves each."""

import dataclasses
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from experiments.tasks.base import require_known
from experiments.tasks.formal import expressions
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

POP, PUSH_0 = 2, 3
END = 2
NUM_OPERATORS = {"canonical": 3, "grazzi": 2}
SHORTEST_EQUATION, SHORTEST_SUM = len("x=d"), len("(d+x)=d")
X, EQUALS = 9, 10
RENUMBERED = (0, 1, 2, 3, 4, 5, 6, 6, 7, 8)
"""The symbols of `expressions` in the order that equations have in the code of Delétang et al. (2023): no ×."""


@dataclasses.dataclass(frozen=True)
class StackManipulation(Transduction):
    """Carry out pushes and pops on a stack of bits, and write it out from its top.

    The string is the stack from its bottom, s bits with s uniform in [1, n - 1], then n - s actions, each POP, PUSH 0
    or PUSH 1 with equal chance; a POP of an empty stack does nothing. Inputs: 0, 1, POP, PUSH 0, PUSH 1, blank. The
    answer, at n + 1 blanks, is the stack from its top, a terminator 2, then 0; the symbols up to the terminator count
    for the accuracy. A string of one symbol is a bit alone.

    Source: Delétang et al. (2023), their code, n from 1 to 40 in training. Example, with P for PUSH, the blank as _
    and n = 7: 0 1 1 0 P1 POP POP _ _ _ _ _ _ _ _ gives 1 1 0 2 0 0 0 0 at the blanks.

    Baseline: the bits left are uniform whatever the height of the stack, which is a walk (up 2/3, down 1/3, not
    below 0) from height s, n - s steps long; its distribution says how likely a bit, 2 or 0 is at each place.

    >>> round(StackManipulation().baseline, 4), StackManipulation().lag
    (0.7395, 79)
    """

    @property
    def num_inputs(self) -> int:
        """Two bits, three actions and the blank."""
        return 6

    @property
    def num_classes(self) -> int:
        """Two bits and the terminator."""
        return 3

    @property
    def lag(self) -> int:
        """From the first bit, where all n - 1 actions push, to the n-th symbol of the answer."""
        return 2 * self.max_length - 1

    def num_answers(self, length: LengthOrLengths) -> LengthOrLengths:
        """A stack of at most n bits, and the terminator."""
        return length + 1

    def answer_probabilities(self, length: int) -> Float[np.ndarray, "answers k"]:
        """By the distribution of the height."""
        heights = self._heights(length)
        higher = np.clip(1 - np.cumsum(heights), 0, 1)
        return np.stack([1 - heights - higher / 2, higher / 2, heights], axis=1)

    def _heights(self, length: int) -> Float[np.ndarray, "heights"]:
        starts = np.ones(1) if length == 1 else np.full(length - 1, 1 / (length - 1))
        heights = np.zeros(length + 2)
        for height, share in enumerate(np.append(starts, np.zeros(length - len(starts))), start=1):
            heights[height] += share  # the stacks that end here, and act from the next symbol on
            if height < length:
                popped = np.append(heights[1:], 0)
                popped[0] += heights[0]
                heights = (2 * np.append(0, heights[:-1]) + popped) / 3
        return heights[:-1]

    def draw(
        self, key: PRNGKeyArray, lengths: Int[Array, "b"]
    ) -> tuple[Int[Array, "n b"], Int[Array, "m b"], Bool[Array, "m b"]]:
        """Bits and actions; the stack from its top, 2, and 0; the places up to the 2."""
        key_stack, key_bits, key_actions = jax.random.split(key, 3)
        shape = (self.max_length, len(lengths))
        num_bits = jax.random.randint(key_stack, lengths.shape, 1, jnp.maximum(lengths, 2))
        bits = jax.random.randint(key_bits, shape, 0, 2)
        actions = jax.random.randint(key_actions, shape, POP, POP + 3)
        symbols = jnp.where(exists(num_bits, self.max_length), bits, actions)
        stack, height = _carry_out(symbols, exists(lengths, self.max_length))
        places = jnp.arange(self.max_length + 1)[:, None]
        from_top = jnp.take_along_axis(stack, jnp.maximum(height[None, :] - 1 - places, 0), axis=0)
        is_end = places == height[None, :]
        answers = jnp.where(places < height[None, :], from_top, jnp.where(is_end, END, 0))
        return symbols, answers, places <= height[None, :]


def _carry_out(
    symbols: Int[Array, "n b"], there: Bool[Array, "n b"]
) -> tuple[Int[Array, "n b"], Int[Array, "b"]]:
    """The stack from its bottom, and its height; a bit of the string is a push."""
    rows = jnp.arange(len(symbols))[:, None]

    def act(carry: tuple[Array, Array], xs: tuple[Array, Array]) -> tuple[tuple[Array, Array], None]:
        stack, height = carry
        symbol, is_there = xs
        pops = is_there & (symbol == POP)
        pushes = is_there & ~pops
        bit = jnp.where(symbol < POP, symbol, symbol - PUSH_0)
        stack = jnp.where((rows == height[None, :]) & pushes[None, :], bit[None, :], stack)
        return (stack, jnp.maximum(height + pushes - pops, 0)), None

    start = jnp.zeros_like(symbols), jnp.zeros_like(symbols[0])
    (stack, height), _ = jax.lax.scan(act, start, (symbols, there))
    return stack, height


@dataclasses.dataclass(frozen=True)
class ReverseString(Rearrangement):
    """Write a string of symbols of ``num_symbols`` kinds backwards.

    Inputs: the symbols, each equally likely, and the blank; the answer stands at n blanks.

    Source: Delétang et al. (2023), their code, two kinds, n from 1 to 40 in training. Example, with the blank as _ :
    0 1 1 _ _ _ gives 1 1 0 at the blanks.

    Baseline: every answer is uniform, ln ``num_symbols``.

    >>> round(ReverseString().baseline, 4), ReverseString().lag
    (0.6931, 79)
    """

    def source(self, place: LengthOrLengths, length: LengthOrLengths) -> LengthOrLengths:
        """From the end."""
        return length - 1 - place


@dataclasses.dataclass(frozen=True)
class BracketedArithmetic(Classification):
    """The value modulo 5 of an expression with brackets ("modular arithmetic with brackets").

    By length the expression is d, -d, (d), (-d) or, from 5 on, (L o R): a uniform digit d from 0 to 4, the length of
    L uniform in [1, n - 4], that of R the rest, a uniform operator o. Inputs: the digits, + - × ( ), blank; the answer,
    a digit, stands at the blank.

    ``canonical``: the operators +, - and ×, n from 1 to 40 in training. Source: Delétang et al. (2023), their code
    with the arguments of its table of tasks. Example, with the blank as _ : ( ( - 2 ) × 3 ) _ gives 4.

    ``grazzi``: the operators + and - alone. Source: Grazzi et al. (2025), their code, which asks its generator for
    no ×; an = stands where the blank does here. Differs: their lengths count the =, the answer and a pad, and
    those below 5 become 5, so their expressions have 2 to 37 symbols in training, 2 three times as often as any
    other length, and 37 to 253 afterwards; here all lengths are equally likely.

    Baseline: the distribution of the value follows from those of L and R; the mean of its entropy over the lengths.
    Without × it is uniform: ln 5.

    >>> round(BracketedArithmetic().baseline, 4), BracketedArithmetic().lag
    (1.5934, 39)
    """

    variant: Literal["canonical", "grazzi"] = "canonical"
    """The operators."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_known("variant", self.variant, NUM_OPERATORS)

    @property
    def num_inputs(self) -> int:
        """Five digits, three operators, two brackets and the blank."""
        return expressions.CLOSE + 2

    @property
    def num_classes(self) -> int:
        """The digits."""
        return expressions.MODULUS

    @property
    def lag(self) -> int:
        """To the blank from the second symbol, for the length gives the first; in d and (-d) from the digit."""
        return {1: 1, 4: 2}.get(self.max_length, self.max_length - 1)

    def answer_probabilities(self, length: int) -> Float[np.ndarray, "1 k"]:
        """By the grammar."""
        return expressions.value_probabilities(length, NUM_OPERATORS[self.variant])[None]

    def draw(self, key: PRNGKeyArray, lengths: Int[Array, "b"]) -> tuple[Int[Array, "n b"], Int[Array, "b"]]:
        """Expressions and their values."""
        symbols = expressions.draw(key, lengths, self.max_length, NUM_OPERATORS[self.variant])
        return symbols, expressions.value(symbols, exists(lengths, self.max_length))


@dataclasses.dataclass(frozen=True)
class SolveEquation(Classification):
    """The digit that x stands for in an equation modulo 5.

    An expression of n - 2 symbols, as in `BracketedArithmetic` with + and - alone, in which x stands for one digit,
    then = and the value. A uniform place of the expression is drawn, and x replaces the first digit from there on,
    with the start behind the end. Inputs: the digits, + - ( ) x =, blank; the answer stands at the blank. Strings
    of one or two symbols, too short for an equation, are zeros, and their answer is 0.

    Source: Delétang et al. (2023), their code, n from 1 to 40 in training. Example, with the blank as _ :
    ( x + 3 ) = 2 _ gives 4.

    Baseline: the digit behind x is uniform, ln 5, for n of 3 and more, and certain below.

    >>> round(SolveEquation().baseline, 4), SolveEquation().lag
    (1.529, 39)
    """

    @property
    def num_inputs(self) -> int:
        """Five digits, two operators, two brackets, x, = and the blank."""
        return 12

    @property
    def num_classes(self) -> int:
        """The digits."""
        return expressions.MODULUS

    @property
    def lag(self) -> int:
        """To the blank from the second symbol, a digit in (d + x) = d; where that does not fit, from the value."""
        if self.max_length >= SHORTEST_SUM:
            return self.max_length - 1
        return 1 if self.max_length >= SHORTEST_EQUATION else 0

    def answer_probabilities(self, length: int) -> Float[np.ndarray, "1 k"]:
        """Uniform, but for the shortest."""
        return (
            certain_answer(0, self.num_classes)
            if length < SHORTEST_EQUATION
            else uniform_answers(1, self.num_classes)
        )

    def draw(self, key: PRNGKeyArray, lengths: Int[Array, "b"]) -> tuple[Int[Array, "n b"], Int[Array, "b"]]:
        """Equations and solutions."""
        key_expression, key_place = jax.random.split(key)
        inner = jnp.maximum(lengths - 2, 1)
        expression = expressions.draw(key_expression, inner, self.max_length, num_operators=2)
        there = exists(inner, self.max_length)
        value = expressions.value(expression, there)
        place = jax.random.randint(key_place, inner.shape, 0, inner)
        steps = jnp.arange(self.max_length)[:, None]
        far = jnp.where(
            there & (expression < expressions.MODULUS),
            (steps - place[None, :]) % inner[None, :],
            self.max_length,
        )
        at = jnp.argmin(far, axis=0)
        is_equation = lengths >= SHORTEST_EQUATION
        solution = jnp.where(is_equation, pick(expression, at), 0)
        symbols = jnp.asarray(RENUMBERED)[expression]
        symbols = jnp.where(steps == at[None, :], X, symbols)
        symbols = jnp.where(steps == lengths[None, :] - 2, EQUALS, symbols)
        symbols = jnp.where(steps == lengths[None, :] - 1, value[None, :], symbols)
        return jnp.where(is_equation[None, :], symbols, 0), solution
