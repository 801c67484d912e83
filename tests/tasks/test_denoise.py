"""The denoise task against its printed layout."""

import itertools
import math

import numpy as np
import pytest
from drawn import assert_uniform
from recall_draws import asked_of, assert_baseline, assert_solved, many, part, tokens_of

from experiments.tasks.recall.denoise import Denoise

MANY, SOME = 20_000, 500
TASKS = [Denoise(4, num_symbols=3, num_recalled=2), Denoise(30)]


def ids(task):
    return f"{task.delay}" if isinstance(task, Denoise) else None


def solve(task):
    def answer(tokens):
        """A machine that reads from left to right."""
        memory, answers, answering = [], {}, False
        for step, token in enumerate(tokens):
            answers[step] = memory.pop(0) if answering else 0
            if token == task.num_symbols + 1:
                answering = True
            elif token:
                assert not answering
                memory.append(token)
        assert not memory and answering
        return answers

    return answer


@pytest.mark.parametrize("task", TASKS, ids=ids)
def test_a_machine_with_a_queue_is_right(task):
    assert_solved(task, part(many(task, MANY), SOME), solve(task))


@pytest.mark.parametrize("task", TASKS, ids=ids)
def test_the_baseline_is_that_of_the_step_alone(task):
    assert_baseline(task, many(task, MANY))


def test_the_symbols_stand_at_any_set_of_steps():
    found = []
    for tokens in tokens_of(many(TASKS[0], MANY)):
        steps = tuple(step for step, token in enumerate(tokens) if token in (1, 2, 3))
        found.append((steps, tuple(tokens[step] for step in steps)))
        assert tokens[5] == 4 and tokens[6:] == [0, 0]
    assert_uniform(
        found,
        list(itertools.product(itertools.combinations(range(5), 2), itertools.product((1, 2, 3), repeat=2))),
    )


def test_the_lag_is_the_longest_found():
    task, longest = TASKS[0], 0
    for tokens, asked in zip(tokens_of(many(task, MANY)), asked_of(many(task, MANY)), strict=True):
        steps = [step for step, token in enumerate(tokens) if token in (1, 2, 3)]
        answers = [step for step, target in asked.items() if target]
        longest = max([longest, *(answer - step for answer, step in zip(answers, steps, strict=True))])
    assert longest == task.lag


def test_no_symbol_is_lost_at_the_published_sizes():
    """Drawn with replacement, one sequence in five would lose a symbol: the published code's collision."""
    task = Denoise()
    batch = many(task, 200)
    tokens = np.argmax(batch.inputs, axis=-1)
    assert tokens.shape == (220, 200) and task.lag == 210
    assert np.all(((tokens > 0) & (tokens < 10)).sum(axis=0) == 10) and np.all(tokens[209] == 10)
    assert not tokens[210:].any() and np.all((batch.targets > 0).argmax(axis=0) == 210)
    colliding = 1 - math.prod(1 - i / 209 for i in range(10))
    assert abs(colliding - 0.196) < 0.0005 and (1 - colliding) ** 200 < 1e-15
    assert task.at_length(7) == Denoise(7)


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ({"delay": 0}, "delay: expected at least 1 for Denoise, got 0"),
        ({"num_symbols": 1}, "num_symbols: expected at least 2 for Denoise, got 1"),
        ({"num_recalled": 0}, "num_recalled: expected at least 1 for Denoise, got 0"),
    ],
)
def test_bad_values_are_refused(fields, line):
    with pytest.raises(ValueError, match=line):
        Denoise(**fields)
