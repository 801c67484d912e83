"""The context-free tasks against readers of one string, all short strings, and exact chances."""

import collections
import functools
import itertools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from drawn import assert_distributed
from formal_strings import (
    Case,
    assert_baseline_holds,
    assert_solved_by_its_solver,
    assert_strings_have_their_chances,
    exact_baseline,
    ids,
    longest_dependence,
    many,
    words,
)

from experiments.tasks.formal import expressions
from experiments.tasks.formal.context_free import (
    BracketedArithmetic,
    ReverseString,
    SolveEquation,
    StackManipulation,
)

pytestmark = pytest.mark.medium


def solve_stack(string):
    """P is POP; p and q push 0 and 1."""
    stack = []
    for symbol in string:
        if symbol == "P":
            stack = stack[:-1]
        else:
            stack.append({"p": "0", "q": "1"}.get(symbol, symbol))
    return ("".join(reversed(stack)) + "2").ljust(len(string) + 1, "0")


def stacks(length):
    strings = {}
    for num_bits in range(1, max(length, 2)):
        parts = words("01", num_bits), words("Ppq", length - num_bits)
        for (bits, chance), (actions, other) in itertools.product(*(part.items() for part in parts)):
            strings[bits + actions] = chance * other / max(length - 1, 1)
    return strings


def solve_expression(string):
    return str(eval(string) % 5)  # digits, operators and brackets alone


@functools.cache
def bracketed(length, operators):
    """All expressions, by the grammar as it is printed."""
    digits = dict.fromkeys("01234", 1 / 5)
    if length < 5:
        return {["", "{}", "-{}", "({})", "(-{})"][length].format(d): chance for d, chance in digits.items()}
    strings = collections.Counter()
    for left in range(1, length - 3):
        parts = bracketed(left, operators), bracketed(length - 3 - left, operators)
        for (a, chance), (b, other) in itertools.product(*(part.items() for part in parts)):
            for operator in operators:
                strings[f"({a}{operator}{b})"] += chance * other / len(operators) / (length - 4)
    return dict(strings)


def solve_equation(string):
    if len(string) < 3:
        return "0"
    left, right = string.split("=")
    roots = [digit for digit in "01234" if eval(left.replace("x", digit)) % 5 == int(right)]
    assert len(roots) == 1
    return roots[0]


def equations(length):
    if length < 3:
        return {"0" * length: 1.0}
    strings = collections.Counter()
    for expression, chance in bracketed(length - 2, "+-").items():
        for start in range(len(expression)):
            place = next(
                i % len(expression)
                for i in itertools.count(start)
                if expression[i % len(expression)].isdigit()
            )
            left = expression[:place] + "x" + expression[place + 1 :]
            strings[f"{left}={solve_expression(expression)}"] += chance / len(expression)
    return dict(strings)


def same_length(length):
    return length


def one_more(length):
    return length + 1


CASES = [
    Case(StackManipulation(1, 9), "01Ppq", solve_stack, stacks, small=4, ends="2", num_blanks=one_more),
    Case(ReverseString(1, 8), "01", lambda s: s[::-1], lambda n: words("01", n), num_blanks=same_length),
    Case(
        ReverseString(1, 8, 4),
        "0123",
        lambda s: s[::-1],
        lambda n: words("0123", n),
        3,
        num_blanks=same_length,
    ),
    Case(BracketedArithmetic(1, 23), "01234+-*()", solve_expression, lambda n: bracketed(n, "+-*")),
    Case(
        BracketedArithmetic(1, 23, "grazzi"), "01234+-*()", solve_expression, lambda n: bracketed(n, "+-"), 6
    ),
    Case(SolveEquation(1, 20), "01234+-()x=", solve_equation, equations, small=7),
]


@pytest.mark.parametrize("case", CASES, ids=ids)
def test_a_reader_of_one_string_gives_the_targets(case):
    assert_solved_by_its_solver(case)


@pytest.mark.parametrize("case", CASES, ids=ids)
def test_short_strings_come_as_often_as_they_should(case):
    assert_strings_have_their_chances(case)


@pytest.mark.parametrize("case", CASES, ids=ids)
def test_the_baseline_is_that_of_all_strings(case):
    assert abs(case.short.baseline - exact_baseline(case)) < 1e-9
    assert_baseline_holds(case.task, many(case.task))


@pytest.mark.parametrize("case", CASES, ids=ids)
def test_the_lag_is_the_longest_dependence(case):
    assert longest_dependence(case) == case.task.at_length(case.small).lag


@pytest.mark.parametrize("length", range(1, 7))
def test_the_lag_of_the_shortest_expressions_and_equations(length):
    for task, strings, solve in (
        (BracketedArithmetic(1, length), lambda n: bracketed(n, "+-*"), solve_expression),
        (SolveEquation(1, length), equations, solve_equation),
    ):
        lags = [
            longest_dependence(Case(task, "01234+-*()x=", solve, strings, small=n))
            for n in range(1, length + 1)
        ]
        assert max(lags) == task.lag


def is_expression(text):
    """By the grammar, from the inside: every digit, sign and pair of brackets becomes an E that knows its length."""
    shape = re.sub(r"[0-4]", "d", text)
    while shape not in ("E", "d", "-d", "(d)", "(-d)"):
        shape, count = re.subn(r"\((E|d|-d|\(d\)|\(-d\))[-+*](E|d|-d|\(d\)|\(-d\))\)", "E", shape)
        if not count:
            return False
    return True


def test_long_expressions_follow_the_grammar():
    lengths = jnp.arange(1, 121)
    symbols = jax.jit(expressions.draw, static_argnums=(2, 3))(jax.random.key(1), lengths, 120, 3)
    there = np.arange(120)[:, None] < np.asarray(lengths)[None, :]
    values = jax.jit(expressions.value)(symbols, jnp.asarray(there))
    depths = set()
    for length, column, value in zip(lengths.tolist(), np.asarray(symbols).T, values.tolist(), strict=True):
        text = "".join("01234+-*()"[symbol] for symbol in column[:length])
        assert is_expression(text) and solve_expression(text) == str(value)
        depths.update(itertools.accumulate({"(": 1, ")": -1}.get(symbol, 0) for symbol in text))
    assert max(depths) > 8 and not is_expression("(1+2))") and not is_expression("1+2")


def test_the_deepest_expression_is_evaluated():
    """As deep as a length can be: (2-(2-(2-...)))."""
    evaluate = jax.jit(expressions.value)
    for leaf, depth in (("1", 1), ("(1)", 1), ("(1)", 40)):
        text = "(2-" * depth + leaf + ")" * depth
        symbols = jnp.array([["01234+-*()".index(symbol)] for symbol in text])
        assert evaluate(symbols, jnp.ones(symbols.shape, bool)).tolist() == [int(solve_expression(text))]


def test_the_lengths_of_the_parts_are_uniform():
    symbols = jax.jit(expressions.draw, static_argnums=(2, 3))(jax.random.key(2), jnp.full(4000, 10), 10, 2)
    texts = ["".join("01234+-*()"[symbol] for symbol in column) for column in np.asarray(symbols).T]

    def shape(text):
        return re.sub(r"[-+]", "o", re.sub(r"\d", "d", text))

    exact = collections.Counter()
    for text, chance in bracketed(10, "+-").items():
        exact[shape(text)] += chance
    assert len(exact) == 8
    assert_distributed([shape(text) for text in texts], dict(exact))


def test_the_worked_examples():
    assert solve_stack("0110qPP") == "11020000" and solve_stack("110PPP") == "2000000"
    assert solve_expression("((-2)*3)") == "4" and solve_equation("(x+3)=2") == "4"


def test_unknown_operators_are_refused():
    with pytest.raises(ValueError, match="variant: expected one of canonical, grazzi, got 'grazi'"):
        BracketedArithmetic(variant="grazi")
    with pytest.raises(ValueError, match="num_symbols: expected at least 2 for ReverseString, got 1"):
        ReverseString(num_symbols=1)
