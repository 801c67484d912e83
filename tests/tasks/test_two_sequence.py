"""The two-sequence problem against its printed definitions."""

import math

import numpy as np
import pytest
from drawn import (
    MANY,
    SOME,
    assert_distributed,
    assert_uniform,
    assert_within,
    is_solved,
    many,
    mean_loss,
    measured,
    part,
    sequences,
)

from experiments.tasks.error_criteria import FewErrors
from experiments.tasks.two_sequence import TwoSequence

pytestmark = pytest.mark.medium

CLEAN, NOISY_INPUTS, NOISY_TARGETS = TASKS = [
    TwoSequence(20, 3, variant, output_unit="linear")
    for variant in ("canonical", "noisy_inputs", "noisy_targets")
]
VARIANTS = pytest.mark.parametrize("task", TASKS, ids=lambda task: task.variant)


def solve(task, rows):
    """The expected target given one sequence: that of its class, or between both where the class is uncertain."""
    first = [row[0] for row in rows[: task.num_informative]]
    if task.variant == "noisy_inputs":  # Bayes' rule for N(1, 0.2) against N(-1, 0.2)
        likelihood = [math.prod(math.exp(-((x - mean) ** 2) / 0.4) for x in first) for mean in (1, -1)]
        return likelihood[0] / sum(likelihood)
    assert first in ([1.0] * len(first), [-1.0] * len(first))
    return {"canonical": (1.0, 0.0), "noisy_targets": (0.2, 0.8)}[task.variant][first[0] < 0]


def least(task):
    """The loss of `solve`, which nobody can beat, and its standard deviation over sequences."""
    if task.variant != "noisy_inputs":
        return {"canonical": (0.0, 0.0), "noisy_targets": (0.1, 0.1 * math.sqrt(2))}[task.variant]
    mean, std = (
        task.num_informative,
        math.sqrt(0.2 * task.num_informative),
    )  # of the sum of the first, class 1
    sums = np.linspace(mean - 9 * std, mean + 9 * std, 20_001)
    density = np.exp(-((sums - mean) ** 2) / (2 * std**2)) / (std * math.sqrt(2 * math.pi))
    error = 1 / (1 + np.exp(2 * sums / 0.2))
    first, second = (np.trapezoid(density * error**power, sums) for power in (2, 4))
    return first, math.sqrt(second - first**2)


@pytest.mark.parametrize("task", [*TASKS, TwoSequence(20, 1, "noisy_inputs", output_unit="linear")], ids=str)
def test_an_independent_solver_scores_what_is_possible(task):
    batch = part(many(task), 2 * SOME)
    answers = np.array([[solve(task, rows)] for rows in sequences(batch)], np.float32)
    if task.variant == "canonical":
        assert np.array_equal(answers, batch.targets)
    assert_within((answers - batch.targets) ** 2, *least(task))
    assert np.all(batch.weights == 1)
    assert mean_loss(task, answers, batch) == pytest.approx(
        np.mean((answers - batch.targets) ** 2), rel=1e-4, abs=1e-9
    )


def test_guessing_one_noisy_element_is_wrong_as_often_as_a_normal_one_is_beyond_its_mean():
    """P(N(1, 0.2) < 0): with fewer than 6 of 256 allowed, the printed criterion leaves room for it."""
    task = TwoSequence(20, 1, "noisy_inputs")
    batch = many(task)
    wrong = (batch.inputs[0, :, 0] > 0) != (batch.targets[:, 0] == 1)
    assert_within(wrong, math.erfc(1 / math.sqrt(0.4)) / 2)


@VARIANTS
def test_the_solver_meets_both_rules_and_the_baseline_neither(task):
    validation = part(many(task), 256)
    answers = np.array([[solve(task, rows)] for rows in sequences(validation)], np.float32)
    assert is_solved(task.criterion, (answers, validation))
    assert not is_solved(task.criterion, (np.full((256, 1), 0.5), validation))
    if task is not NOISY_TARGETS:
        assert is_solved(TwoSequence(20, 3, task.variant, "ST1", "linear").criterion, (answers, validation))
        off = answers + 0.1  # right, but not precise
        assert is_solved(TwoSequence(20, 3, task.variant, "ST1", "linear").criterion, (off, validation))
        assert not is_solved(task.criterion, (off, validation))


def test_the_metrics_are_taken_from_the_target_without_noise():
    batch = many(NOISY_TARGETS, SOME)
    found = measured(NOISY_TARGETS, batch.info + 0.05, batch)
    assert found["mae"] == pytest.approx(0.05, rel=1e-4) and found["fraction_correct"] == 1
    assert measured(NOISY_TARGETS, batch.info + 0.15, batch)["fraction_correct"] == 0
    assert found["mse"] == pytest.approx(np.mean((batch.targets - batch.info - 0.05) ** 2), rel=1e-4)


@VARIANTS
def test_no_constant_beats_the_baseline(task):
    batch = many(task)
    assert_within((batch.targets - 0.5) ** 2, task.baseline)
    for constant in np.linspace(0.3, 0.7, 5):
        error = np.std((batch.targets - constant) ** 2) / math.sqrt(MANY)
        assert mean_loss(task, np.full((MANY, 1), constant), batch) > task.baseline - 5 * error - 1e-6


def assert_normal(values, mean, variance):
    """By the frequencies of sixteen intervals, and no correlation from one to the next."""
    edges = mean + math.sqrt(variance) * np.linspace(-2, 2, 15)
    up_to = [0.0, *(math.erfc((mean - x) / math.sqrt(2 * variance)) / 2 for x in edges), 1.0]
    cells = np.searchsorted(edges, values).tolist()
    assert_distributed(cells, dict(enumerate(np.diff(up_to))))
    assert abs(np.corrcoef(values[1:], values[:-1])[0, 1]) < 5 / math.sqrt(len(values))


@VARIANTS
def test_lengths_classes_and_noise_are_as_printed(task):
    batch = many(task)
    is_first = batch.info[:, 0] == {"noisy_targets": np.float32(0.2)}.get(task.variant, 1.0)
    lengths = batch.mask.sum(axis=0)
    pairs = list(zip(lengths.tolist(), is_first.tolist(), strict=True))
    assert_uniform(pairs, [(n, c) for n in (20, 21, 22) for c in (False, True)])
    values = batch.inputs[..., 0]
    later = batch.mask & (np.arange(22)[:, None] >= 3)
    assert_normal(values[later][:200_000], 0.0, 0.2)
    if task is NOISY_INPUTS:
        assert_normal((values[:3] - np.where(is_first, 1, -1)[None]).ravel(), 0.0, 0.2)
    if task is NOISY_TARGETS:
        assert set(batch.info.ravel().tolist()) == {np.float32(0.2), np.float32(0.8)}
        assert_normal((batch.targets - batch.info)[:, 0], 0.0, 0.1)
    else:
        assert np.array_equal(batch.targets, batch.info)


def test_the_criteria_are_the_published_ones():
    assert TwoSequence(100).criterion == FewErrors(0.2, 1, 0.01, "logistic")
    assert TwoSequence(100, rule="ST1").criterion == FewErrors(0.2, 1, math.inf, "logistic")
    assert TwoSequence(100, variant="noisy_inputs").criterion == FewErrors(0.2, 6, 0.04, "logistic")
    assert TwoSequence(100, variant="noisy_targets").criterion == FewErrors(0.1, 1, 0.015, "logistic")
    assert TwoSequence().num_evaluation == 256 and TwoSequence(1000).lag == 1097


def test_a_logistic_unit_is_judged_by_its_activation():
    batch, task = many(CLEAN, SOME), TwoSequence(20)
    sure = 20.0 * batch.targets - 10.0
    assert mean_loss(task, sure, batch) < 1e-8 and is_solved(task.criterion, (sure, batch))
    assert not is_solved(CLEAN.criterion, (sure, batch))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"num_steps": 3}, r"num_steps: expected at least 4 \(num_informative and one more\), got 3"),
        ({"num_informative": 0}, "num_informative: expected at least 1, got 0"),
        ({"variant": "noisy"}, "variant: expected one of canonical, noisy_inputs, noisy_targets"),
        ({"variant": "noisy_targets", "rule": "ST1"}, "rule: expected one of ST2, got 'ST1'"),
        ({"output_unit": "softmax"}, "output_unit: expected one of logistic, linear"),
    ],
)
def test_what_makes_no_sense_is_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        TwoSequence(**fields)
