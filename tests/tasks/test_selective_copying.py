"""Selective copying against its printed layouts."""

import itertools

import numpy as np
import pytest
from drawn import assert_distributed, assert_uniform
from recall_draws import asked_of, assert_baseline, assert_solved, many, part, tokens_of

from experiments.tasks.recall.selective_copying import SelectiveCopying

MANY, SOME = 20_000, 500
TASKS = [
    SelectiveCopying(9, "canonical", 3, 2),
    SelectiveCopying(9, "mad", 3, 2),
    SelectiveCopying(25, "canonical", 5, 6),
]


def ids(task):
    return f"{task.variant}-{task.num_steps}" if isinstance(task, SelectiveCopying) else None


def solve(task):
    def answer(tokens):
        marker = task.num_symbols + 1
        first = tokens.index(marker)
        symbols = [token for token in tokens if 0 < token < marker]
        assert len(symbols) == task.num_recalled and all(
            token == 0 or token == marker for token in tokens[first:]
        )
        asked = [first + number for number in range(task.num_recalled)]
        if task.variant == "mad":
            assert tokens.count(marker) == 1
            asked = [step + 1 for step in asked]
        else:
            assert tokens[first:] == [marker] * task.num_recalled
        assert asked[-1] == len(tokens) - 1
        return dict(zip(asked, (symbol - 1 for symbol in symbols), strict=True))

    return answer


@pytest.mark.parametrize("task", TASKS, ids=ids)
def test_a_reader_of_the_symbols_is_right(task):
    assert_solved(task, part(many(task, MANY), SOME), solve(task))


@pytest.mark.parametrize("task", TASKS, ids=ids)
def test_the_baseline_is_that_of_the_step_alone(task):
    assert_baseline(task, many(task, MANY))


def drawn(task):
    """The steps of the symbols, and the symbols, of each sequence."""
    for tokens in tokens_of(many(task, MANY)):
        steps = [step for step, token in enumerate(tokens) if 0 < token <= task.num_symbols]
        yield tuple(steps), tuple(tokens[step] for step in steps)


def test_the_symbols_stand_at_any_set_of_steps():
    cells = itertools.product(itertools.combinations(range(7), 2), itertools.product((1, 2, 3), repeat=2))
    assert_uniform(list(drawn(TASKS[0])), list(cells))


def test_in_mad_each_blank_chooses_the_symbol_that_it_stands_before():
    probabilities = {}
    for chosen in itertools.product(range(2), repeat=4):  # four blanks in the context of six steps
        steps = (chosen.count(0), 1 + len(chosen))
        probabilities[steps] = probabilities.get(steps, 0) + 1 / 16
    assert_distributed([steps for steps, _ in drawn(TASKS[1])], probabilities)


@pytest.mark.parametrize("task", TASKS[:2], ids=ids)
def test_the_lag_is_the_longest_found(task):
    lags = {
        max(asked) - steps[-1]
        for (steps, _), asked in zip(drawn(task), asked_of(many(task, MANY)), strict=True)
    } | {
        min(asked) - steps[0]
        for (steps, _), asked in zip(drawn(task), asked_of(many(task, MANY)), strict=True)
    }
    assert max(lags) == task.lag


def test_no_symbol_overwrites_another_where_there_is_hardly_room():
    task = SelectiveCopying(33, num_recalled=16)
    assert all(len(steps) == 16 for steps, _ in drawn(task))


def test_at_the_published_sizes():
    task = SelectiveCopying(4096)
    batch = many(task, 4)
    assert batch.inputs.shape == (4096, 4, 16) and task.lag == 4080 and task.output_shape == (14,)
    assert np.array_equal(np.argmax(batch.inputs, -1)[-16:], np.full((16, 4), 15))
    mad = many(SelectiveCopying(256, "mad"), 4)
    assert np.array_equal(np.argmax(mad.inputs, -1)[239], [15] * 4) and mad.weights.sum() == 4 * 16
    assert SelectiveCopying().at_length(4096) == task


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ({"num_steps": 32}, "num_steps: expected at least 33 for 16 symbols to repeat, got 32"),
        (
            {"num_steps": 33, "variant": "mad"},
            "num_steps: expected at least 34 for 16 symbols to repeat, got 33",
        ),
        ({"num_symbols": 1}, "num_symbols: expected at least 2 for selective copying, got 1"),
        ({"num_recalled": 0}, "num_recalled: expected at least 1 for selective copying, got 0"),
        ({"variant": "mat"}, "variant: expected one of canonical, mad, got 'mat'"),
    ],
)
def test_bad_values_are_refused(fields, line):
    with pytest.raises(ValueError) as caught:
        SelectiveCopying(**fields)
    assert str(caught.value).startswith(line)
