"""Long time lags between symbols against their printed definitions."""

import itertools
import math

import numpy as np
import pytest
from drawn import (
    MANY,
    SOME,
    assert_distributed,
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

from experiments.tasks.error_criteria import RecentErrors
from experiments.tasks.long_lag import LongLag
from experiments.tasks.output_units import UNITS

pytestmark = pytest.mark.medium

P, Q = 6, 4
TASKS = TWO, RANDOM, DISTRACTORS = [
    LongLag(P, "two_sequences", P),
    LongLag(P, "random_middle", P),
    LongLag(Q, "distractors", P),
]
VARIANTS = pytest.mark.parametrize("task", TASKS, ids=lambda task: task.variant)
EACH_UNIT = pytest.mark.parametrize("unit", UNITS)


def solve(task, rows):
    """One answer a step, -1 where nothing can be known; in ``distractors`` one answer in all."""
    tokens = tokens_of(rows)
    if task.variant == "distractors":
        return tokens[1] - (P + 2)  # x or y, of a_1..a_p, e, b, x, y
    if task.variant == "two_sequences":
        return [*range(len(tokens) - 1), tokens[0]]
    return [*[-1] * (len(tokens) - 1), tokens[0]]


def solved_outputs(task, batch):
    answers = np.array([solve(task, rows) for rows in sequences(batch)]).T
    outputs = sure_logits(task.output_unit, answers, *task.output_shape)
    if task.variant == "random_middle":  # the middle symbols, all equally
        guess, never = {
            "linear": (1 / (P - 1), 0.0),
            "logistic": (math.log(1 / (P - 2)), -50.0),
            "softmax": (0.0, -100.0),
        }[task.output_unit]
        outputs[answers == -1] = np.where(np.arange(P + 1) < P - 1, guess, never)
    return answers, outputs


def least(task):
    """The loss of `solved_outputs`: only the middle of ``random_middle`` cannot be known."""
    if task.variant != "random_middle":
        return 0.0
    each = math.log(P - 1) if task.output_unit == "softmax" else 1 - 1 / (P - 1)
    return (P - 1) * each / P


@EACH_UNIT
@VARIANTS
def test_an_independent_solver_scores_what_is_possible(task, unit):
    task, batch = LongLag(task.delay, task.variant, P, unit), part(many(task), SOME)
    answers, outputs = solved_outputs(task, batch)
    known = answers >= 0
    assert np.array_equal(answers[known], batch.targets[known]) and np.all(batch.weights == 1)
    assert mean_loss(task, outputs, batch) == pytest.approx(least(task), rel=1e-5, abs=1e-9)
    found = measured(task, outputs, batch)
    assert found["fraction_correct"] == 1 and found[UNITS[unit].metric] == mean_loss(task, outputs, batch)


@EACH_UNIT
@VARIANTS
def test_no_prediction_by_the_step_number_beats_the_baseline(task, unit):
    task, batch = LongLag(task.delay, task.variant, P, unit), many(task)
    by_step = np.atleast_2d(batch.targets)
    frequencies = np.mean(by_step[..., None] == np.arange(task.output_shape[0])[None, None], axis=1)
    of_targets = np.take_along_axis(frequencies, by_step, axis=1)
    each = -np.log(of_targets)
    if unit != "softmax":
        each = 1 - 2 * of_targets + np.sum(frequencies**2, axis=1)[:, None]
    # the loss of the exact probabilities is the same for all draws; those of these draws gain what chi-square says
    freedom = np.sum(frequencies > 0) - len(frequencies)
    gained = (task.baseline - each.mean()) * len(each) * 2 * MANY
    assert -0.01 < gained < freedom + 5 * math.sqrt(2 * freedom)
    p = np.clip(frequencies, 1e-9, 1 - 1e-9)
    outputs = {"logistic": np.log(p / (1 - p)), "linear": frequencies, "softmax": np.log(p)}[unit]
    outputs = np.broadcast_to(outputs[:, None], (len(outputs), MANY, outputs.shape[1]))
    outputs = outputs if batch.weights.ndim == 2 else outputs[0]
    assert mean_loss(task, outputs, batch) == pytest.approx(each.mean(), rel=1e-4, abs=1e-6)
    assert not is_solved(task.criterion, (outputs, batch))


def test_baselines_at_the_printed_size():
    assert math.isclose(LongLag().baseline, 0.5 / 100)
    assert math.isclose(LongLag(variant="random_middle").baseline, (99 * 98 / 99 + 0.5) / 100)
    assert math.isclose(LongLag(variant="distractors").baseline, 0.5)
    assert math.isclose(LongLag(variant="distractors", output_unit="softmax").baseline, math.log(2))


def test_there_are_two_sequences():
    tokens = np.argmax(many(TWO).inputs, axis=-1).T.tolist()
    assert_uniform(list(map(tuple, tokens)), [(5, 0, 1, 2, 3, 4), (6, 0, 1, 2, 3, 4)])
    assert many(TWO).inputs.shape[-1] == P + 1


def test_a_random_middle_is_of_all_symbols_but_x_and_y():
    tokens = np.argmax(many(RANDOM).inputs, axis=-1)
    for first, second in itertools.pairwise(tokens.tolist()):
        support = (5, 6) if max(first) > 4 else range(5)
        assert_uniform(list(zip(first, second, strict=True)), list(itertools.product(support, range(5))))
    assert np.array_equal(many(RANDOM).targets[:-1], tokens[1:])


def test_distractors_end_with_a_trigger_after_a_geometric_number_of_them():
    batch, extra = many(DISTRACTORS), []
    for rows in sequences(part(batch, MANY // 2)):
        begin, told, *distractors, trigger = tokens_of(rows)
        assert begin == P + 1 and told in (P + 2, P + 3) and trigger == P
        assert max(distractors) < P
        extra.append(len(distractors) - Q)
    cut = 1 - 0.9**101
    expected = {k: 0.1 * 0.9**k / cut for k in range(30)}
    expected["more"] = 1 - sum(expected.values())
    assert min(extra) == 0 and max(extra) <= 100
    assert_distributed([k if k < 30 else "more" for k in extra], expected)
    tokens = np.argmax(batch.inputs, axis=-1)
    first_two = list(zip(*tokens[[1, 2, 3]].tolist(), strict=True))
    assert_uniform(first_two, list(itertools.product((P + 2, P + 3), range(P), range(P))))
    correlation = np.corrcoef(batch.mask.sum(axis=0), batch.targets)[0, 1]
    assert abs(correlation) < 5 / math.sqrt(MANY)


def test_as_many_as_100_more_distractors_are_drawn():
    lengths = np.concatenate([many(DISTRACTORS, MANY, seed).mask.sum(axis=0) for seed in range(3)]) - Q - 3
    beyond = np.mean(lengths >= 60)
    expected = (0.9**60 - 0.9**101) / (1 - 0.9**101)
    assert abs(beyond - expected) < 5 * math.sqrt(expected / len(lengths)) and lengths.max() <= 100
    assert many(DISTRACTORS).inputs.shape[0] == Q + 103


@VARIANTS
def test_the_lag_is_from_reading_x_or_y_to_the_last_prediction(task):
    first = 1 if task is DISTRACTORS else 0
    longest = Q + 103 if task is DISTRACTORS else P
    assert task.lag == longest - 1 - first
    assert LongLag().lag == 99 and LongLag(1000, "distractors", 1000).lag == 1101


def test_at_another_length_the_middle_is_the_same_for_ever():
    task = TWO.at_length(14)
    assert task == LongLag(14, "two_sequences", P) and task.input_shape == TWO.input_shape
    tokens = np.argmax(many(task, 2).inputs, axis=-1)[:, 0].tolist()
    assert tokens[1:] == [0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 0, 1, 2]
    assert np.argmax(many(TWO.at_length(3), 2).inputs, axis=-1)[1:, 0].tolist() == [0, 1]


def test_the_criteria_are_the_published_ones():
    assert LongLag().criterion == RecentErrors(10_000, 0.25, unit="logistic")
    assert LongLag(variant="random_middle").criterion == RecentErrors(
        10_000, 0.25, unit="logistic", num_last=1
    )
    assert LongLag(variant="distractors").criterion == RecentErrors(10_000, 0.2, unit="logistic")


@VARIANTS
def test_ten_thousand_right_sequences_in_a_row_solve_it(task):
    batch = part(many(task), SOME)
    _, outputs = solved_outputs(task, batch)
    assert not is_solved(task.criterion, *[(outputs, batch)] * 4)
    assert is_solved(task.criterion, *[(outputs, batch)] * 5)
    wrong = outputs.copy()
    wrong[..., 17, :] = 0.0 if task is DISTRACTORS else wrong[..., 17, :]
    if task is not DISTRACTORS:
        wrong[-1, 17] = 0.0
    assert not is_solved(task.criterion, (wrong, batch), *[(outputs, batch)] * 4)
    assert is_solved(task.criterion, (wrong, batch), *[(outputs, batch)] * 5)
    assert measured(task, wrong, batch)["fraction_correct"] == pytest.approx(1 - 1 / SOME)


def test_a_wrong_middle_counts_in_two_sequences_alone():
    for task, share in ((TWO, 0.9), (RANDOM, 1.0)):
        batch = part(many(task), 10)
        _, outputs = solved_outputs(task, batch)
        outputs[2, 4] = -50.0
        assert measured(task, outputs, batch)["fraction_correct"] == pytest.approx(share)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"delay": 1}, r"delay: expected at least 2 for long lags \(two_sequences\), got 1"),
        ({"num_symbols": 1}, "num_symbols: expected at least 2 for long lags"),
        ({"variant": "distractor"}, "variant: expected one of two_sequences, random_middle, distractors"),
        ({"output_unit": "tanh"}, "output_unit: expected one of logistic, linear, softmax, got 'tanh'"),
    ],
)
def test_what_makes_no_sense_is_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        LongLag(**fields)
