"""The tasks on binary numbers against Python's whole numbers, all short strings, and exact chances."""

import collections
import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from drawn import assert_uniform
from formal_strings import (
    Case,
    assert_baseline_holds,
    assert_solved_by_its_solver,
    assert_strings_have_their_chances,
    exact_baseline,
    ids,
    longest_dependence,
    many,
)

from experiments.tasks.formal import bit_chances, bits
from experiments.tasks.formal.binary_numbers import BinaryAddition, BinaryMultiplication, ComputeSqrt

pytestmark = pytest.mark.medium


def number(text):
    """Lowest bit first."""
    return int(text[::-1], 2)


def reversed_binary(value):
    return f"{value:b}"[::-1]


def solve_addition(string):
    if "+" not in string:
        return (reversed_binary(number(string)) + "2").ljust(len(string) + 1, "0")
    return (reversed_binary(sum(map(number, string.split("+")))) + "2").ljust(len(string) + 1, "0")


def solve_multiplication(string):
    if "*" not in string:
        return "0" * (len(string) - 1) + "2"
    return (reversed_binary(math.prod(map(number, string.split("*")))) + "2").ljust(len(string), "0")


def solve_sqrt(string):
    return f"{math.isqrt(int(string, 2)):b}".zfill((len(string) + 1) // 2)


def pairs(operator):
    def strings(length):
        if length < 3:
            numbers = range(max(2**length - 1, 1))
            return {f"{n:b}".zfill(length)[::-1]: 1 / len(numbers) for n in numbers}
        chances = collections.Counter()
        for a in range(1, length - 1):
            b = length - 1 - a
            for x, y in itertools.product(range(1, 2**a), range(1, 2**b)):
                text = f"{x:b}".zfill(a)[::-1] + operator + f"{y:b}".zfill(b)[::-1]
                chances[text] += 1 / (length - 2) / (2**a - 1) / (2**b - 1)
        return dict(chances)

    return strings


def positive(length):
    return {f"{n:b}".zfill(length): 1 / (2**length - 1) for n in range(1, 2**length)}


CASES = [
    Case(BinaryAddition(1, 12), "01+", solve_addition, pairs("+"), 6, "2", lambda n: n + 1),
    Case(BinaryMultiplication(1, 12), "01*", solve_multiplication, pairs("*"), 6, "2", lambda n: n),
    Case(ComputeSqrt(1, 13), "01", solve_sqrt, positive, 7, num_blanks=lambda n: (n + 1) // 2),
    Case(ComputeSqrt(1, 12), "01", solve_sqrt, positive, 6, num_blanks=lambda n: (n + 1) // 2),
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


def wholes(array):
    """Python's numbers, from bits with the lowest place first."""
    return [sum(1 << place for place in np.flatnonzero(column).tolist()) for column in np.asarray(array).T]


@pytest.fixture(scope="module")
def long_numbers():
    x, y = (
        jax.jit(bits.draw_positive, static_argnums=2)(jax.random.key(seed), jnp.arange(1, 121), 240)
        for seed in (0, 1)
    )
    return x, y[:, ::-1]


def test_arithmetic_on_long_numbers_is_pythons(long_numbers):
    x, y = long_numbers
    pairs = list(zip(wholes(x), wholes(y), strict=True))
    assert all(a.bit_length() <= n for n, (a, _) in enumerate(pairs, start=1))
    assert wholes(jax.jit(bits.add)(x, y)) == [a + b for a, b in pairs]
    assert wholes(jax.jit(bits.multiply)(x, y)) == [a * b for a, b in pairs]
    difference, is_negative = jax.jit(bits.subtract)(x, y)
    assert wholes(difference) == [(a - b) % 2**240 for a, b in pairs]
    assert is_negative.tolist() == [a < b for a, b in pairs]
    assert wholes(jax.jit(bits.floor_sqrt)(x[:121])) == [math.isqrt(a) for a, _ in pairs]
    assert bits.highest(x).tolist() == [a.bit_length() - 1 for a, _ in pairs]


def test_roots_are_pythons_at_squares_and_beside_them():
    values = [*range(256), *(k * k + d for k in (2**20 - 1, 2**19 + 7, 3) for d in (-1, 0, 1))]
    array = np.array([[value >> place & 1 for value in values] for place in range(40)], bool)
    assert wholes(jax.jit(bits.floor_sqrt)(array)) == [math.isqrt(value) for value in values]


def test_numbers_are_uniform_without_zero():
    lengths = jnp.repeat(jnp.array([1, 2, 5, 40]), 4000)
    drawn = wholes(jax.jit(bits.draw_positive, static_argnums=2)(jax.random.key(3), lengths, 40))
    assert set(drawn[:4000]) == {1}
    assert_uniform(drawn[4000:8000], range(1, 4))
    assert_uniform(drawn[8000:12000], range(1, 32))
    assert_uniform([value >> 35 for value in drawn[12000:]], range(32))
    assert_uniform([value % 32 for value in drawn[12000:]], range(32))


@pytest.mark.parametrize(("a", "b"), [(1, 1), (1, 5), (4, 2), (3, 3), (5, 5)])
@pytest.mark.parametrize(
    ("chances", "combine"),
    [(bit_chances.of_sum, int.__add__), (bit_chances.of_product, int.__mul__)],
    ids=["sum", "product"],
)
def test_the_chances_of_bits_are_counts_of_all_pairs(chances, combine, a, b):
    results = [combine(x, y) for x, y in itertools.product(range(1, 2**a), range(1, 2**b))]
    counted = [
        (
            np.mean([result >> place & 1 for result in results]),
            np.mean([result.bit_length() == place for result in results]),
        )
        for place in range(len(chances(a, b)))
    ]
    np.testing.assert_allclose(chances(a, b), counted, atol=1e-12)
    assert max(results).bit_length() < len(counted)


def test_long_products_are_nearly_those_of_real_numbers():
    for a, b in ((bit_chances.EXACT_BITS, bit_chances.EXACT_BITS), (bit_chances.EXACT_BITS, 60)):
        for exact, real in zip(
            bit_chances._whole_quotients(a, b), bit_chances._real_quotients(a, b), strict=True
        ):
            np.testing.assert_allclose(exact, real, atol=3e-3)
    assert np.all(np.abs(bit_chances.of_product(60, 3).sum(axis=0)[1] - 1) < 1e-9)


def test_the_baseline_of_multiplication_is_nearly_exact(monkeypatch):
    """With one bit more counted exactly, it moves by less than it is said to be wrong."""
    task = BinaryMultiplication(22, 24)
    probabilities = [task.answer_probabilities(length) for length in (22, 24)]
    bit_chances.of_product.cache_clear()
    monkeypatch.setattr(bit_chances, "EXACT_BITS", 11)
    for length, before in zip((22, 24), probabilities, strict=True):
        exact = task.answer_probabilities(length)
        assert np.max(np.abs(exact - before)) > 0
        entropies = [-np.sum(p * np.log(np.maximum(p, 1e-300))) / length for p in (exact, before)]
        assert abs(entropies[0] - entropies[1]) < 1e-4
    bit_chances.of_product.cache_clear()


def test_the_worked_examples():
    assert solve_addition("1001+01") == "11012000" and solve_addition("1001+000001") == "100101200000"
    assert solve_multiplication("101*11") == "111120" and solve_multiplication("1001*000001") == "00000100120"
    assert solve_sqrt("100101") == "110" and solve_sqrt("111") == "10"
