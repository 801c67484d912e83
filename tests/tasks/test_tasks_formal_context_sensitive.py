"""The context-sensitive tasks on strings against readers of one string, all short strings, and exact chances."""

import itertools

import pytest
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

from experiments.tasks.formal.context_sensitive import (
    BucketSort,
    DuplicateString,
    MissingDuplicate,
    OddsFirst,
)

pytestmark = pytest.mark.medium


def solve_missing(string):
    """By trying both bits in the hole."""
    if string == "1":
        return "1"
    body = string.removesuffix("3")
    half = len(body) // 2
    fits = [bit for bit in "01" if body.replace("2", bit)[:half] == body.replace("2", bit)[half:]]
    assert len(fits) == 1
    return fits[0]


def holes(length):
    if length == 1:
        return {"1": 1.0}
    strings = {}
    for (word, chance), place in itertools.product(
        words("01", length // 2).items(), range(length - length % 2)
    ):
        double = word + word
        text = double[:place] + "2" + double[place + 1 :] + "3" * (length % 2)
        strings[text] = strings.get(text, 0) + chance / (length - length % 2)
    return strings


def bits(length):
    return words("01", length)


def same_length(length):
    return length


def double_length(length):
    return 2 * length


CASES = [
    Case(DuplicateString(1, 8), "01", lambda s: s + s, bits, num_blanks=double_length),
    Case(
        DuplicateString(1, 8, 3),
        "012",
        lambda s: s + s,
        lambda n: words("012", n),
        4,
        num_blanks=double_length,
    ),
    Case(OddsFirst(1, 9), "01", lambda s: s[1::2] + s[::2], bits, num_blanks=same_length),
    Case(OddsFirst(1, 9), "01", lambda s: s[1::2] + s[::2], bits, small=6, num_blanks=same_length),
    Case(OddsFirst(1, 9, variant="printed"), "01", lambda s: s[::2] + s[1::2], bits, num_blanks=same_length),
    Case(
        OddsFirst(1, 9, 3, "printed"),
        "012",
        lambda s: s[::2] + s[1::2],
        lambda n: words("012", n),
        4,
        "",
        same_length,
    ),
    Case(
        BucketSort(1, 9),
        "01234",
        lambda s: "".join(sorted(s)),
        lambda n: words("01234", n),
        3,
        "",
        same_length,
    ),
    Case(BucketSort(1, 9, 2), "01", lambda s: "".join(sorted(s)), bits, num_blanks=same_length),
    Case(MissingDuplicate(1, 12), "0123", solve_missing, holes, small=7),
    Case(MissingDuplicate(1, 12), "0123", solve_missing, holes, small=6),
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


def test_the_worked_examples():
    assert solve_missing("1011213") == "0" and solve_missing("01100210") == "1"


@pytest.mark.parametrize(
    ("kind", "fields", "message"),
    [
        (OddsFirst, {"variant": "even"}, "variant: expected one of canonical, printed, got 'even'"),
        (BucketSort, {"num_symbols": 1}, "num_symbols: expected at least 2 for BucketSort, got 1"),
        (DuplicateString, {"num_symbols": 0}, "num_symbols: expected at least 2 for DuplicateString, got 0"),
    ],
)
def test_impossible_strings_are_refused(kind, fields, message):
    with pytest.raises(ValueError, match=message):
        kind(**fields)
