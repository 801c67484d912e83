"""Variable copy against its printed layout, and against the copying task with each of its delays."""

import itertools
import math

import numpy as np
import pytest
from drawn import assert_uniform
from recall_draws import asked_of, assert_baseline, assert_solved, judged, many, part, tokens_of

from experiments.tasks.copying import Copying
from experiments.tasks.recall.variable_copy import VariableCopy

pytestmark = pytest.mark.medium

MANY, SOME = 20_000, 500
TASKS = [VariableCopy(3, num_symbols=3, num_recalled=2), VariableCopy(20)]


def ids(task):
    return f"{task.delay}" if isinstance(task, VariableCopy) else None


def solve(task):
    def answer(tokens):
        marker, count = tokens.index(task.num_symbols + 1), task.num_recalled
        assert len(tokens) == marker + 1 + count and not any(tokens[count:marker] + tokens[marker + 1 :])
        return dict(enumerate([0] * (marker + 1) + tokens[:count]))

    return answer


@pytest.mark.parametrize("task", TASKS, ids=ids)
def test_a_repetition_of_the_first_symbols_is_right(task):
    assert_solved(task, part(many(task, MANY), SOME), solve(task))


@pytest.mark.parametrize("task", TASKS, ids=ids)
def test_the_baseline_is_that_of_the_step_alone(task):
    assert_baseline(task, many(task, MANY))


def test_the_baseline_by_hand():
    """T = 1 is plain copying; T = 2 with one symbol: lengths 3 and 4, and step 2 has an answer in half of them."""
    assert math.isclose(VariableCopy(1).baseline, Copying(1).baseline)
    by_hand = (
        math.log(8) + math.log(2)
    ) / 3.5  # the coin of step 2, which all reach; at step 3 all that exist answer
    assert math.isclose(VariableCopy(2, num_recalled=1).baseline, by_hand)


def test_delays_and_symbols_are_uniform_and_each_sequence_is_a_copying_task():
    found = [(len(tokens) - 4, *tokens[:2]) for tokens in tokens_of(many(TASKS[0], MANY))]
    assert_uniform(found, list(itertools.product((1, 2, 3), (1, 2, 3), (1, 2, 3))))
    plain = {}
    for delay in (1, 2, 3):
        batch = many(Copying(delay, num_symbols=3, num_recalled=2), 200)
        pairs = zip(tokens_of(batch), asked_of(batch), strict=True)
        plain |= {tuple(tokens): asked for tokens, asked in pairs}
    ours = {
        tuple(tokens): asked
        for tokens, asked in zip(tokens_of(many(TASKS[0], MANY)), asked_of(many(TASKS[0], MANY)), strict=True)
    }
    assert ours == plain and len(ours) == 27


def test_the_lag_is_that_of_the_longest_delay():
    task = TASKS[0]
    assert (
        max(max(asked) - 1 for asked in asked_of(many(task, MANY))) == task.lag
    )  # symbol 1 is asked for last
    assert (
        VariableCopy(500).lag == 510
        and VariableCopy(500).num_steps == 520
        and VariableCopy().at_length(9).delay == 9
    )


def test_blanks_everywhere_solve_nothing():
    """Though more than 99 % of all steps are blank."""
    task = VariableCopy(500, num_recalled=1)
    batch = many(task, 100)
    blank = np.zeros((*batch.targets.shape, 9), np.float32)
    blank[..., 0] = 100.0
    _, metrics, solved = judged(task, blank, batch)
    assert np.sum((batch.targets == 0) * batch.weights) > 0.99 * batch.weights.sum()
    assert metrics["recall_accuracy"] == 0.0 and not solved


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ({"delay": 0}, "delay: expected at least 1 for VariableCopy, got 0"),
        ({"num_symbols": 1}, "num_symbols: expected at least 2 for VariableCopy, got 1"),
        ({"num_recalled": 0}, "num_recalled: expected at least 1 for VariableCopy, got 0"),
    ],
)
def test_bad_values_are_refused(fields, line):
    with pytest.raises(ValueError, match=line):
        VariableCopy(**fields)
