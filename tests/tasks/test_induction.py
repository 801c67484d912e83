"""Induction against its printed definitions."""

import itertools

import pytest
from drawn import assert_uniform
from recall_draws import asked_of, assert_baseline, assert_solved, many, part, tokens_of

from experiments.tasks.recall.induction import Induction

pytestmark = pytest.mark.medium

MANY, SOME = 20_000, 500
TASKS = [
    Induction(5, num_symbols=3),
    Induction(6, "repeated", num_symbols=3),
    Induction(32),
    Induction(32, "repeated"),
]


def ids(task):
    return f"{task.variant}-{task.num_steps}" if isinstance(task, Induction) else None


def solve(task):
    def after_trigger(tokens):
        trigger = task.num_symbols
        assert tokens.count(trigger) == 2 and tokens[-1] == trigger
        return {len(tokens) - 1: tokens[tokens.index(trigger) + 1]}

    def again(tokens):
        half = len(tokens) // 2
        assert tokens[:half] == tokens[half:]
        return {step: tokens[step + 1] for step in range(half, len(tokens) - 1)}

    return {"canonical": after_trigger, "repeated": again}[task.variant]


@pytest.mark.parametrize("task", TASKS, ids=ids)
def test_who_looks_back_is_right(task):
    assert_solved(task, part(many(task, MANY), SOME), solve(task))


@pytest.mark.parametrize("task", TASKS, ids=ids)
def test_the_baseline_is_that_of_the_step_alone(task):
    assert_baseline(task, many(task, MANY))


def test_the_trigger_stands_anywhere_and_the_symbols_are_uniform():
    found = [
        (tokens.index(3), *(token for token in tokens if token < 3))
        for tokens in tokens_of(many(TASKS[0], MANY))
    ]
    assert_uniform(found, list(itertools.product(range(3), *[range(3)] * 3)))
    once = [tuple(tokens[:3]) for tokens in tokens_of(many(TASKS[1], MANY))]
    assert_uniform(once, list(itertools.product(range(3), repeat=3)))


def test_the_lag_is_the_longest_found():
    triggered = max(max(asked) - tokens.index(3) - 1 for tokens, asked in both(TASKS[0]))
    assert triggered == TASKS[0].lag
    lags = {
        step - (step + 1 - 3) for _, asked in both(TASKS[1]) for step in asked
    }  # read one period before it follows
    assert lags == {TASKS[1].lag}


def both(task):
    return zip(tokens_of(many(task, MANY)), asked_of(many(task, MANY)), strict=True)


def test_it_is_asked_at_another_length():
    assert Induction().at_length(1024) == Induction(1024) and Induction(1024).lag == 1022
    batch = many(Induction(1024), 2)
    assert batch.inputs.shape == (1024, 2, 17) and batch.weights.sum() == 2


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ({"num_steps": 2}, "num_steps: expected at least 3 for induction (canonical), got 2"),
        (
            {"num_steps": 3, "variant": "repeated"},
            "num_steps: expected at least 4 for induction (repeated), got 3",
        ),
        (
            {"num_steps": 7, "variant": "repeated"},
            "num_steps: expected an even number for induction (repeated), got 7",
        ),
        ({"num_symbols": 1}, "num_symbols: expected at least 2 for induction, got 1"),
        ({"variant": "repeat"}, "variant: expected one of canonical, repeated, got 'repeat'"),
    ],
)
def test_bad_values_are_refused(fields, line):
    with pytest.raises(ValueError) as caught:
        Induction(**fields)
    assert str(caught.value).startswith(line)
