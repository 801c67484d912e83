"""The regular tasks against readers of one string, all short strings, and exact chances."""

import dataclasses
import itertools

import pytest
from drawn import assert_uniform
from formal_strings import (
    MANY,
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

from experiments.tasks.formal.regular import CycleNavigation, EvenPairs, ModularArithmetic, ParityCheck

pytestmark = pytest.mark.medium


def solve_even_pairs(string):
    return str(sum(string[i : i + 2] in ("01", "10") for i in range(len(string))) % 2)


def solve_parity(string):
    return str(string.count("1") % 2)


def solve_cycle(cycle_length):
    def solve(string):
        place = 0
        for step in string:
            place = {"-": place - 1, ".": place, "+": place + 1}[step]
            place = {-1: cycle_length - 1, cycle_length: 0}.get(place, place)
        return str(place)

    return solve


def solve_arithmetic(string):
    return str(eval(string) % 5)  # digits and operators alone


def sums(length):
    strings = {}
    for digits in itertools.product("01234", repeat=(length + 1) // 2):
        for operators in itertools.product("+-*", repeat=length // 2):
            word = "".join(a + b for a, b in zip(digits, [*operators, ""], strict=True))
            strings[word] = 5 ** -len(digits) * 3 ** -len(operators)
    return strings


def no_blank(length):
    return 0


CASES = [
    Case(EvenPairs(1, 9), "01", solve_even_pairs, lambda n: words("01", n)),
    Case(EvenPairs(2, 9, "xlstm"), "01", solve_even_pairs, lambda n: words("01", n), num_blanks=no_blank),
    Case(ParityCheck(1, 9), "01", solve_parity, lambda n: words("01", n)),
    Case(ParityCheck(2, 9, "xlstm"), "01", solve_parity, lambda n: words("01", n), num_blanks=no_blank),
    Case(CycleNavigation(1, 9), "-.+", solve_cycle(5), lambda n: words("-.+", n), small=4),
    Case(
        CycleNavigation(2, 9, "xlstm", 6),
        "-.+",
        solve_cycle(6),
        lambda n: words("-.+", n),
        small=4,
        num_blanks=no_blank,
    ),
    Case(ModularArithmetic(1, 10), "01234+-*", solve_arithmetic, sums, small=4),
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


def test_each_length_is_equally_likely():
    lengths = many(ParityCheck(3, 9)).mask.sum(axis=0) - 1
    assert_uniform(lengths.tolist(), range(3, 10))
    assert set((many(ParityCheck().at_length(7)).mask.sum(axis=0) - 1).tolist()) == {7}
    assert len(lengths) == MANY


def test_the_worked_examples():
    assert solve_even_pairs("001110") == "0" and solve_even_pairs("0101001") == "1"
    assert solve_parity("1010100") == "1" and solve_parity("01111") == "0"
    assert solve_cycle(5)("+-.--") == "3" and solve_cycle(5)("+++-") == "2"
    assert [solve_arithmetic(s) for s in ("1+2*3", "1-1-1", "0*1+4*3-2")] == ["2", "4", "0"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"min_length": 0}, "min_length: expected at least 1 for EvenPairs, got 0"),
        ({"min_length": 5, "max_length": 4}, r"max_length: expected at least 5 \(min_length\), got 4"),
        ({"variant": "xlsmt"}, "variant: expected one of canonical, xlstm, got 'xlsmt'; did you mean xlstm"),
        ({"num_evaluation": 0}, "num_evaluation: expected at least 1, got 0"),
    ],
)
def test_impossible_strings_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(EvenPairs(), **change)


def test_a_circle_has_three_places():
    with pytest.raises(
        ValueError, match="cycle_length: expected at least 3 for three different steps, got 2"
    ):
        CycleNavigation(cycle_length=2)
