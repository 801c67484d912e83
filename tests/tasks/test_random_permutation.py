"""Random permutation against the published code."""

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
from experiments.tasks.random_permutation import RandomPermutation

TASK = RandomPermutation(6, 12)


def test_an_independent_solver_scores_zero():
    batch = part(many(TASK), SOME)
    answers = np.array([tokens_of(rows)[0] for rows in sequences(batch)])
    assert np.array_equal(answers, batch.targets)
    outputs = sure_logits("softmax", answers, 12)
    assert mean_loss(TASK, outputs, batch) < 1e-12 and is_solved(TASK.criterion, (outputs, batch))
    assert measured(TASK, outputs, batch) == {"cross_entropy": 0, "accuracy": 1}
    assert not is_solved(TASK.criterion, (sure_logits("softmax", 0 * answers, 12), batch))


def test_the_first_symbol_is_one_of_two_and_the_others_are_of_the_rest():
    batch = many(TASK)
    tokens = np.argmax(batch.inputs, axis=-1)
    assert tokens.shape == (6, MANY) and batch.mask is None and np.all(batch.weights == 1)
    assert_uniform(
        list(zip(tokens[0].tolist(), tokens[1].tolist(), strict=True)),
        [(a, b) for a in (0, 1) for b in range(2, 12)],
    )
    assert_uniform(
        (100 * tokens[1:-1] + tokens[2:]).ravel().tolist(),
        [100 * a + b for a in range(2, 12) for b in range(2, 12)],
    )


def test_the_baseline_knows_the_two_answers():
    batch = many(TASK)
    two = np.where(np.arange(12) < 2, 0.0, -100.0)
    assert mean_loss(TASK, np.tile(two, (MANY, 1)), batch) == pytest.approx(TASK.baseline, rel=1e-5)
    share = np.mean(batch.targets)
    best = np.array([math.log(1 - share), math.log(share), *[-100.0] * 10])  # on these draws hardly better
    assert mean_loss(TASK, np.tile(best, (MANY, 1)), batch) == pytest.approx(math.log(2), rel=1e-3)


def test_sizes_lag_and_criterion_are_the_published_ones():
    task = RandomPermutation(100)
    assert task.input_shape == task.output_shape == (100,) and task.lag == 99
    assert task.criterion == criteria.ErrorRateBelow(0.01)
    assert task.at_length(200) == RandomPermutation(200)


def test_what_makes_no_sense_is_refused():
    with pytest.raises(ValueError, match="num_steps: expected at least 2 for random permutation, got 1"):
        RandomPermutation(1)
    with pytest.raises(ValueError, match="num_symbols: expected at least 3 for random permutation, got 2"):
        RandomPermutation(5, 2)
