"""Noiseless memorization against the published code."""

import itertools
import math

import numpy as np
import pytest
from drawn import (
    MANY,
    SOME,
    assert_uniform,
    is_solved,
    many,
    mean_loss,
    measured,
    part,
    sequences,
    sure_logits,
    tokens_of,
)

from experiments.tasks import criteria
from experiments.tasks.memorization import Memorization

FIVE, TWENTY = TASKS = [Memorization(3), Memorization(4, "20_bit")]
VARIANTS = pytest.mark.parametrize("task", TASKS, ids=lambda task: task.pattern)
SIZES = {"5_bit": (2, 5), "20_bit": (5, 10)}  # symbols and positions


def solve(task, rows):
    """Blank, and from the marker on what was read first."""
    (_, length), tokens = SIZES[task.pattern], tokens_of(rows)
    marker = tokens.index(len(rows[0]) - 1)
    return [0] * marker + tokens[: len(tokens) - marker][:length]


@VARIANTS
def test_an_independent_solver_scores_zero(task):
    batch = part(many(task), SOME)
    answers = np.array([solve(task, rows) for rows in sequences(batch)]).T
    assert np.array_equal(answers, batch.targets) and np.all(batch.weights == 1)
    outputs = sure_logits("softmax", answers, *task.output_shape)
    assert mean_loss(task, outputs, batch) < 1e-12 and is_solved(task.criterion, (outputs, batch))
    assert measured(task, outputs, batch) == {"cross_entropy": 0, "recall_accuracy": 1, "wrong_sequences": 0}


@VARIANTS
def test_the_layout_is_that_of_the_published_code(task):
    """The pattern, blanks, the marker at length + positions, blanks: length + 2 positions in all."""
    (kinds, length), batch = SIZES[task.pattern], many(task)
    tokens = np.argmax(batch.inputs, axis=-1)
    assert tokens.shape == (task.delay + 2 * length, MANY) and batch.inputs.shape[-1] == kinds + 2
    assert np.all(tokens[task.delay + length] == kinds + 1)
    after = np.delete(tokens[length:], task.delay, axis=0)
    assert not after.any() and np.all((tokens[:length] >= 1) & (tokens[:length] <= kinds))
    assert not batch.targets[:-length].any() and np.array_equal(batch.targets[-length:], tokens[:length])
    if kinds == 2:
        assert_uniform(
            list(zip(*tokens[:length].tolist(), strict=True)), list(itertools.product((1, 2), repeat=5))
        )
    for pair in itertools.pairwise(tokens[:length].tolist()):
        assert_uniform(list(zip(*pair, strict=True)), list(itertools.product(range(1, kinds + 1), repeat=2)))


@VARIANTS
def test_the_baseline_is_certain_of_blanks_and_ignorant_of_the_pattern(task):
    (kinds, length), batch = SIZES[task.pattern], many(task)
    ignorant = np.zeros((*batch.weights.shape, kinds + 1), np.float32)
    ignorant[:-length, :, 1:] = -100.0
    ignorant[-length:, :, 0] = -100.0
    assert mean_loss(task, ignorant, batch) == pytest.approx(task.baseline, rel=1e-4)
    assert task.baseline == pytest.approx(length * math.log(kinds) / (task.delay + 2 * length))
    frequencies = np.mean(batch.targets[-length:, :, None] == np.arange(1, kinds + 1)[None, None], axis=1)
    ignorant[-length:, :, 1:] = np.log(frequencies)[:, None]  # those of these draws are hardly better
    assert mean_loss(task, ignorant, batch) == pytest.approx(task.baseline, rel=1e-3)


def test_one_wrong_step_makes_a_sequence_wrong():
    batch = part(many(FIVE), 100)
    outputs = sure_logits("softmax", batch.targets, 3)
    outputs[2, 4] = np.eye(3)[1] * 100.0  # where blank is right
    assert measured(FIVE, outputs, batch)["wrong_sequences"] == pytest.approx(0.01)
    assert not is_solved(FIVE.criterion, (outputs, batch))
    assert is_solved(FIVE.criterion, (outputs, batch), (sure_logits("softmax", batch.targets, 3), batch))


def test_lag_criterion_and_lengths():
    assert FIVE.criterion == criteria.WrongSequencesBelow(0.01)
    assert (FIVE.lag, TWENTY.lag, TWENTY.at_length(50).lag) == (8, 14, 60)


def test_what_makes_no_sense_is_refused():
    with pytest.raises(ValueError, match="delay: expected at least 1 for memorization, got 0"):
        Memorization(0)
    with pytest.raises(ValueError, match="pattern: expected one of 5_bit, 20_bit, got '10_bit'"):
        Memorization(5, "10_bit")
