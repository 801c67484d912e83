"""The latch problem against its printed definitions."""

import math

import numpy as np
import pytest
from drawn import (
    MANY,
    SOME,
    assert_uniform,
    assert_within,
    is_solved,
    many,
    mean_loss,
    measured,
    part,
    sequences,
)

from experiments.tasks.latch import Latch

LEARNED, FIXED = TASKS = [Latch(12, 3), Latch(12, 2, 0.5, "fixed_inputs")]
VARIANTS = pytest.mark.parametrize("task", TASKS, ids=lambda task: task.variant)


def solve(task, rows):
    """The target, from one sequence: told by which channels are on, or by the sign of the first input."""
    first = rows[: task.num_informative]
    if task is FIXED:
        assert first in ([[1.0]] * 2, [[-1.0]] * 2)
        return first[0][0]
    for sign, channels in ((-0.8, (0, 1, 2)), (0.8, (3, 4, 5))):
        if first == [[float(channel == on) for channel in range(7)] for on in channels]:
            return sign
    raise AssertionError(first)


@VARIANTS
def test_an_independent_solver_scores_zero(task):
    batch = part(many(task), SOME)
    answers = np.array([[solve(task, rows)] for rows in sequences(batch)], np.float32)
    assert np.array_equal(answers, batch.targets)
    assert mean_loss(task, answers, batch) == 0
    assert measured(task, answers, batch) == {"mse": 0, "fraction_correct": 1}
    assert is_solved(task.criterion, (answers, batch)) and is_solved(task.criterion, (answers / 10, batch))
    assert not is_solved(task.criterion, (np.zeros((SOME, 1)), batch))
    one_wrong = answers * np.where(np.arange(SOME) == 7, -0.01, 1.0)[:, None]
    assert not is_solved(task.criterion, (one_wrong, batch))
    assert measured(task, one_wrong, batch)["fraction_correct"] == pytest.approx(1 - 1 / SOME, abs=1e-6)


@VARIANTS
def test_no_constant_beats_the_baseline(task):
    batch = many(task)
    assert_uniform(np.sign(batch.targets[:, 0]).tolist(), (-1.0, 1.0))
    assert mean_loss(task, np.zeros((MANY, 1)), batch) == pytest.approx(task.baseline, rel=1e-5)
    for constant in (-0.3, -0.1, 0.1, 0.3):
        error = np.std((batch.targets - constant) ** 2) / math.sqrt(MANY)
        assert mean_loss(task, np.full((MANY, 1), constant), batch) > task.baseline - 5 * error


@VARIANTS
def test_the_later_inputs_are_independent_noise(task):
    noise = many(task).inputs[task.num_informative :, :, -1]
    assert_within(noise, 0.0)
    assert_within(noise**2, task.noise_std**2)
    assert_within(noise**4, 3 * task.noise_std**4)  # that of a normal distribution
    assert_within(noise[1:] * noise[:-1], 0.0)
    assert_within(noise * np.sign(many(task).targets[:, 0])[None], 0.0)
    assert not many(task).inputs[task.num_informative :, :, :-1].any()


@VARIANTS
def test_the_lag_is_from_the_last_input_that_tells(task):
    assert task.lag == 12 - task.num_informative
    assert task.at_length(50).lag == 50 - task.num_informative


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"num_steps": 3}, r"num_steps: expected at least 4 \(num_informative and one more\), got 3"),
        ({"num_informative": 0}, "num_informative: expected at least 1, got 0"),
        ({"variant": "learned"}, "variant: expected one of canonical, fixed_inputs"),
        ({"noise_std": -0.1}, "noise_std: expected a finite number of at least 0, got -0.1"),
        ({"noise_std": math.nan}, "noise_std: expected a finite number of at least 0, got nan"),
    ],
)
def test_what_makes_no_sense_is_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        Latch(**fields)
