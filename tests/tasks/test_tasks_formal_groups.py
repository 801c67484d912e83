"""Word problems against permutations composed one after another, all short strings, and exact chances."""

import itertools
import math

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

from experiments.tasks.formal.groups import GROUPS, WordProblem

pytestmark = pytest.mark.medium

S3, S5 = (["".join(p) for p in itertools.permutations("01234"[:n])] for n in (3, 5))


def is_even(permutation):
    """By its cycles: a cycle of n is n - 1 swaps."""
    places, swaps = set(map(int, permutation)), 0
    while places:
        start = place = places.pop()
        while (place := int(permutation[place])) != start:
            places.remove(place)
            swaps += 1
    return swaps % 2 == 0


A5 = [p for p in S5 if is_even(p)]
LETTERS = [chr(0x4E00 + number) for number in range(120)]


def products(elements, read):
    """The numbers of all products so far, by following each place through the permutations; letters name ``read``."""

    def solve(string):
        permutations, answers = [read[LETTERS.index(letter)] for letter in string], []
        for end in range(1, len(string) + 1):
            places = list(range(len(read[0])))
            for permutation in reversed(permutations[:end]):  # the last one read acts first
                places = [int(permutation[place]) for place in places]
            answers.append(str(elements.index("".join(map(str, places)))))
        return answers

    return solve


def sums(string):
    numbers = [LETTERS.index(letter) for letter in string]
    return [str(sum(numbers[:end]) % 60) for end in range(1, len(numbers) + 1)]


def case(task, solve, num_symbols, small):
    symbols = "".join(LETTERS[:num_symbols])
    solve_asked = solve if task.answers == "every_step" else lambda string: solve(string)[-1:]
    return Case(task, symbols, solve_asked, lambda n: words(symbols, n), small, num_blanks=lambda n: 0)


S3_GENERATORS = ["012", "120", "102"]
S5_GENERATORS = ["01234", "12340", "10234"]
A5_GENERATORS = ["01234", "12034", "13204", "14230"]

CASES = [
    case(WordProblem(1, 7, "s3"), products(S3, S3), 6, 3),
    case(WordProblem(4, 7, "s3", "generators"), products(S3, S3_GENERATORS), 3, 4),
    case(WordProblem(4, 7, "s3", "generators", "last_step"), products(S3, S3_GENERATORS), 3, 4),
    case(WordProblem(7, 7, "s5"), products(S5, S5), 120, 1),
    case(WordProblem(5, 8, "s5", "generators"), products(S5, S5_GENERATORS), 3, 4),
    case(WordProblem(6, 6, "a5"), products(A5, A5), 60, 1),
    case(WordProblem(6, 6, "a5", "generators", "last_step"), products(A5, A5_GENERATORS), 4, 3),
    case(WordProblem(6, 7, "z60", "elements", "last_step"), sums, 60, 1),
    case(WordProblem(40, 40, "z60", "generators"), sums, 2, 5),
]


def group_ids(value):
    return ids(value) and "-".join([value.task.group, value.task.stream, value.task.answers])


@pytest.mark.parametrize("case", CASES, ids=group_ids)
def test_composing_one_after_another_gives_the_targets(case):
    assert_solved_by_its_solver(case)


@pytest.mark.parametrize("case", CASES, ids=group_ids)
def test_elements_come_as_often_as_they_should(case):
    assert_strings_have_their_chances(case)


@pytest.mark.parametrize("case", CASES, ids=group_ids)
def test_the_baseline_is_that_of_all_strings(case):
    assert abs(case.short.baseline - exact_baseline(case)) < 1e-9
    assert_baseline_holds(case.task, many(case.task))


@pytest.mark.parametrize("case", CASES, ids=group_ids)
def test_the_lag_is_the_longest_dependence(case):
    assert longest_dependence(case) == case.task.at_length(case.small).lag


def test_the_groups_are_the_named_ones():
    sizes = {name: len(make().table) for name, make in GROUPS.items()}
    assert sizes == {"s3": 6, "s5": 120, "a5": 60, "z60": 60} and len(A5) == 60
    assert products(S3, S3)(LETTERS[1] + LETTERS[2]) == ["1", "4"]  # the worked example
    assert math.isclose(WordProblem(group="a5").baseline, math.log(60))
    assert math.isclose(WordProblem(group="z60", answers="last_step").baseline, math.log(60))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"group": "a4"}, "group: expected one of s3, s5, a5, z60, got 'a4'"),
        (
            {"stream": "generator"},
            "stream: expected one of elements, generators, got 'generator'; did you mean",
        ),
        ({"answers": "last"}, "answers: expected one of every_step, last_step, got 'last'"),
        ({"max_length": 31}, r"max_length: expected at least 32 \(min_length\), got 31"),
    ],
)
def test_what_there_is_not_is_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        WordProblem(**fields)
