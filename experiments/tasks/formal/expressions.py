"""Expressions modulo 5 with brackets, for a whole batch at once: how they are drawn, and what they come to.

The grammar of Delétang et al. (2023), their code, by length: 1 is d, 2 is -d, 3 is (d), 4 is (-d), with a uniform
digit d; n of 5 or more is (L o R), with the length of L uniform in [1, n - 4], that of R n - 3 less it, and a
uniform operator o. Symbols: the digits 0 to 4, then the operators +, -, ×, then the brackets.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

MODULUS = 5
PLUS, MINUS, TIMES, OPEN, CLOSE = range(MODULUS, MODULUS + 5)
DIGIT_TO_COME, OPERATOR_TO_COME, CLOSE_TO_COME = 1, -1, -2


def draw(key: PRNGKeyArray, lengths: Int[Array, "b"], size: int, num_operators: int) -> Int[Array, "n b"]:
    """One expression of each length, with the first ``num_operators`` of +, -, ×; whatever behind its end.

    What is still to be written waits on a stack: a positive entry is the length of an expression, a negative one
    an operator or a closing bracket. Each step takes the uppermost entry, writes its first symbol and puts back
    what is left of it.
    """
    key_digits, key_operators, key_splits = jax.random.split(key, 3)
    shape = (size, len(lengths))
    digits = jax.random.randint(key_digits, shape, 0, MODULUS)
    operators = jax.random.randint(key_operators, shape, PLUS, PLUS + num_operators)
    rows = jnp.arange(size)[:, None]

    def write(
        carry: tuple[Array, Array], xs: tuple[Array, Array, Array]
    ) -> tuple[tuple[Array, Array], Array]:
        stack, height = carry  # an entry stands for one symbol or more: never higher than ``size``
        digit, operator, key_split = xs
        top = jnp.sum(jnp.where(rows == height[None, :] - 1, stack, 0), axis=0)
        left = jax.random.randint(key_split, top.shape, 1, jnp.maximum(top - 3, 2))
        is_pair, is_bracketed = top >= 5, top >= 3
        symbol = jnp.select(
            [top == OPERATOR_TO_COME, top == CLOSE_TO_COME, top == DIGIT_TO_COME, is_bracketed],
            [operator, jnp.full_like(top, CLOSE), digit, jnp.full_like(top, OPEN)],
            jnp.full_like(top, MINUS),
        )
        # rows from the entry on: what a pair leaves; what (d) and (-d) leave; what -d leaves
        left_over = (
            jnp.where(is_bracketed, CLOSE_TO_COME, DIGIT_TO_COME),
            jnp.where(is_pair, top - 3 - left, top - 2),
            jnp.full_like(top, OPERATOR_TO_COME),
            left,
        )
        for number, entry in enumerate(left_over):
            stack = jnp.where(rows == height[None, :] - 1 + number, entry[None, :], stack)
        more = jnp.select([is_pair, is_bracketed, top == 2], [3, 1, 0], -1)
        return (stack, jnp.maximum(height + more, 0)), symbol

    start = jnp.where(rows == 0, lengths[None, :], 0), jnp.ones_like(lengths)
    _, symbols = jax.lax.scan(write, start, (digits, operators, jax.random.split(key_splits, size)))
    return symbols


class _Machine(NamedTuple):
    """The state of a reader: the value so far and the next operator of each open bracket, and how many are open.

    ``may_sign`` is True where a minus is a sign: at the start, behind an operator or an opening bracket;
    ``is_negative`` where the last symbol was one.
    """

    values: Int[Array, "open b"]
    operators: Int[Array, "open b"]
    depth: Int[Array, "b"]
    may_sign: Bool[Array, "b"]
    is_negative: Bool[Array, "b"]


def value(symbols: Int[Array, "n b"], there: Bool[Array, "n b"]) -> Int[Array, "b"]:
    """What the expressions in the places that are ``there`` come to.

    A bracket's value starts from 0 and +. A closing bracket hands its value to the bracket around it, as a digit does.
    Four symbols or more open one more bracket, which bounds their number.
    """
    num_open, batch_size = len(symbols) // 4 + 2, symbols.shape[1]
    rows = jnp.arange(num_open)[:, None]

    def read(machine: _Machine, xs: tuple[Array, Array]) -> tuple[_Machine, None]:
        symbol, is_there = xs
        opens, closes = is_there & (symbol == OPEN), is_there & (symbol == CLOSE)
        is_operator = is_there & (symbol >= PLUS) & (symbol <= TIMES)
        is_sign = is_operator & machine.may_sign
        inner = jnp.sum(jnp.where(rows == machine.depth[None, :], machine.values, 0), axis=0)
        digit = jnp.where(machine.is_negative, -symbol, symbol)
        operand = jnp.where(closes, inner, digit)[None, :]
        applied = jnp.select(
            [machine.operators == PLUS, machine.operators == MINUS],
            [machine.values + operand, machine.values - operand],
            machine.values * operand,
        )
        is_operand = is_there & ~opens & ~is_operator
        depth = machine.depth + opens - closes
        here = rows == depth[None, :]
        values = jnp.where(here & is_operand[None, :], applied % MODULUS, machine.values)
        operators = jnp.where(here & (is_operator & ~is_sign)[None, :], symbol[None, :], machine.operators)
        return _Machine(
            values=jnp.where(here & opens[None, :], 0, values),
            operators=jnp.where(here & opens[None, :], PLUS, operators),
            depth=depth,
            may_sign=opens | is_operator,
            is_negative=is_sign,
        ), None

    start = _Machine(
        values=jnp.zeros((num_open, batch_size), symbols.dtype),
        operators=jnp.full((num_open, batch_size), PLUS, symbols.dtype),
        depth=jnp.zeros(batch_size, symbols.dtype),
        may_sign=jnp.ones(batch_size, bool),
        is_negative=jnp.zeros(batch_size, bool),
    )
    machine, _ = jax.lax.scan(read, start, (symbols, there))
    return machine.values[0]


@functools.cache
def value_probabilities(length: int, num_operators: int) -> Float[np.ndarray, "k"]:
    """The exact distribution of the value of an expression, by the grammar.

    >>> value_probabilities(9, 2).round(3).tolist(), value_probabilities(5, 3).round(3).tolist()
    ([0.2, 0.2, 0.2, 0.2, 0.2], [0.253, 0.187, 0.187, 0.187, 0.187])
    """
    return _all_value_probabilities(length, num_operators)[length]


@functools.cache
def _all_value_probabilities(length: int, num_operators: int) -> Float[np.ndarray, "n k"]:
    left, right = np.ogrid[:MODULUS, :MODULUS]
    results = [(left + right) % MODULUS, (left - right) % MODULUS, (left * right) % MODULUS][:num_operators]
    becomes = np.mean([result[None] == np.arange(MODULUS)[:, None, None] for result in results], axis=0)
    values = np.full((length + 1, MODULUS), 1 / MODULUS)
    for n in range(5, length + 1):
        lefts = np.arange(1, n - 3)
        pairs = np.einsum("li,lj->ij", values[lefts], values[n - 3 - lefts]) / len(lefts)
        values[n] = np.einsum("kij,ij->k", becomes, pairs)
    return values
