"""The search for a hidden size: exact on counts that are known, and few of them are asked for."""

import math

import pytest

from experiments.lab.plan import fair_sizes
from experiments.lab.plan.fair_sizes import LARGEST, Goal, search


@pytest.mark.parametrize(
    "accepts",
    {
        "all": lambda size: True,
        "even": lambda size: size % 2 == 0,
        "heads": lambda size: size % 12 == 0,
        "powers": lambda size: size & (size - 1) == 0,
        "squares": lambda size: math.isqrt(size) ** 2 == size,
        "few": lambda size: size in (3, 100, 101),
        "from_five": lambda size: size >= 5,
    }.items(),
    ids=lambda pair: pair[0],
)
@pytest.mark.parametrize("goal", [1, 70, 71, 1000, 40_000])
def test_a_search_finds_what_a_look_at_all_sizes_finds(accepts, goal):
    def count(size):
        return size * size + 3 * size + 1 if accepts[1](size) else None

    all_sizes = {size: found for size in range(1, LARGEST + 1) if (found := count(size)) is not None}
    fitting = [size for size, found in all_sizes.items() if found <= goal]
    expected = max(fitting) if fitting else min(all_sizes)
    found = search(count, goal)
    assert found.size == (expected, all_sizes[expected])
    assert found.exceeded == any(number > goal for number in all_sizes.values())


def test_few_sizes_are_counted_and_none_far_above_the_answer():
    asked = []

    def count(size):
        asked.append(size)
        return 4 * size * (size + 11)

    assert search(count, 50_000).size == (106, 4 * 106 * 117)
    assert len(asked) < 20 and len(set(asked)) == len(asked) and max(asked) == 128


def test_a_search_says_where_nothing_is_accepted_or_nothing_is_too_large():
    assert search(lambda size: None, 10) == (None, False)
    assert search(lambda size: 7, 10) == ((LARGEST, 7), False)


def test_goals_are_spelled_in_one_way():
    assert fair_sizes.parse(" parameters = 50_000") == Goal("parameters", 50_000)
    assert fair_sizes.label(Goal("state", 128)) == "state=128"


@pytest.mark.parametrize(
    "words",
    ["params=3", "parameters=-1", "parameters=0", "parameters", "128", "state=1.5", "state=²", "state=_1"],
)
def test_other_words_are_refused(words):
    with pytest.raises(
        ValueError, match=r"^--match: expected parameters=50000 or state=128, with a positive"
    ):
        fair_sizes.parse(words)
