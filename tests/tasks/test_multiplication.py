"""The multiplication problem against its printed definitions."""

import math

import jax.numpy as jnp
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

from experiments.tasks import criteria
from experiments.tasks.error_criteria import RecentErrors
from experiments.tasks.multiplication import Multiplication

pytestmark = pytest.mark.medium

HS97, MINUS, PASCANU = TASKS = [
    Multiplication(25),
    Multiplication(25, "hs97_minus"),
    Multiplication(37, "pascanu"),
]
VARIANTS = pytest.mark.parametrize("task", TASKS, ids=lambda task: task.variant)


def solve(task, rows):
    """The product of the values whose marker is 1, from one sequence."""
    channel = {"pascanu": (1, 0)}.get(task.variant, (0, 1))
    return math.prod(row[channel[0]] for row in rows if row[channel[1]] == 1)


@VARIANTS
def test_an_independent_solver_scores_zero(task):
    batch = part(many(task), 2 * SOME)
    answers = np.array([[solve(task, rows)] for rows in sequences(batch)], np.float32)
    np.testing.assert_allclose(answers, batch.targets, rtol=1e-6)
    assert mean_loss(task, answers, batch) < 1e-12 and np.all(batch.weights == 1)
    assert measured(task, answers, batch) == pytest.approx(
        {"mse": 0, "mae": 0, "fraction_correct": 1, "fraction_large": 0}, abs=1e-6
    )
    assert is_solved(task.criterion, (answers, batch))
    assert not is_solved(task.criterion, (np.full((2 * SOME, 1), 0.25), batch))


@VARIANTS
def test_no_constant_beats_the_baseline(task):
    batch = many(task)
    best = float(batch.targets.mean())
    assert_within((batch.targets - best) ** 2, task.baseline)
    for constant in np.linspace(best - 0.2, best + 0.2, 9):
        error = np.std((batch.targets - constant) ** 2) / math.sqrt(MANY)
        assert mean_loss(task, np.full((MANY, 1), constant), batch) > task.baseline - 5 * error


def test_baselines_are_those_worked_out_for_100_steps():
    p = 0.1 + 0.9 / 49
    mean, square = (1 - p) / 4 + p / 2, (1 - p) / 9 + p / 3
    assert math.isclose(Multiplication(100).baseline, square - mean**2)
    assert math.isclose(Multiplication(100, "pascanu").baseline, 7 / 144)


@pytest.mark.parametrize("task", [HS97, MINUS], ids=lambda task: task.variant)
def test_hs97_marks_and_values_are_as_printed(task):
    batch, first_pair = many(task), 0.1 + 0.9 / (25 // 2 - 1)
    marked_first = 0
    for rows in sequences(batch):
        values, markers = zip(*rows, strict=True)
        places = [step for step, marker in enumerate(markers) if marker == 1]
        hidden = task is MINUS and len(places) == 1
        assert len(places) == 2 or hidden
        assert task is HS97 or places[0] > 0  # there the first pair never shows that it is marked
        assert hidden or (places[0] < 10 and places[1] <= 11)
        on_first = hidden or places[0] == 0
        marked_first += on_first
        assert (values[0] == 1) == on_first and 0 <= min(values) and max(values[1:]) < 1
        expected = [-1.0, *[0.0] * (len(rows) - 2), -1.0]
        for place in places:
            expected[place] = 1.0
        assert list(markers) == expected
    assert abs(marked_first / MANY - first_pair) < 5 * math.sqrt(first_pair * (1 - first_pair) / MANY)
    assert_uniform(batch.mask.sum(axis=0).tolist(), range(25, 28))


def test_pascanu_marks_and_values_are_as_in_the_published_code():
    batch = many(PASCANU)
    markers, values = batch.inputs[..., 0], batch.inputs[..., 1]
    lengths = batch.mask.sum(axis=0)
    places = [
        (int(n), *np.flatnonzero(column).tolist()) for n, column in zip(lengths, markers.T, strict=True)
    ]
    assert_distributed(
        places,
        {
            (n, a, 3 + b): 1 / 9 / (4 * n // 10)
            for n in (37, 38, 39)
            for a in range(3)
            for b in range(4 * n // 10)
        },
    )
    assert_uniform((values[batch.mask] * 20).astype(int).tolist()[:200_000], range(20))


def changed(task, rows, step):
    """The sequence with half the value at ``step``."""
    value = 1 if task.variant == "pascanu" else 0
    new = [list(row) for row in rows]
    new[step][value] /= 2
    return new


@VARIANTS
def test_the_lag_is_the_longest_dependence_found_by_changing_values(task):
    longest = 0
    for rows in sequences(part(many(task), SOME)):
        # the value of a marked first pair is 1 by definition: nothing to remember
        steps = [step for step, row in enumerate(rows) if task is PASCANU or step or row[0] != 1]
        needed = [step for step in steps if solve(task, changed(task, rows, step)) != solve(task, rows)]
        longest = max(longest, len(rows) - 1 - min(needed))
    assert longest == task.lag


def test_the_criteria_are_the_published_ones():
    assert Multiplication(100, num_wrong=140).criterion == RecentErrors(2000, 0.04, num_wrong=140)
    assert Multiplication(100, output_unit="logistic").criterion == RecentErrors(
        2000, 0.04, num_wrong=13, unit="logistic"
    )
    assert Multiplication(100, "pascanu").criterion == criteria.LargeErrorsBelow(0.01, 0.04)


def test_a_logistic_unit_is_judged_by_its_activation():
    task = Multiplication(25, output_unit="logistic")
    batch = many(HS97)  # the sequences do not depend on the unit
    targets = np.clip(batch.targets, 1e-6, 1 - 1e-6)
    outputs = np.log(targets / (1 - targets))
    assert mean_loss(task, outputs, batch) < 1e-6 and is_solved(task.criterion, (outputs, batch))
    assert mean_loss(HS97, outputs, batch) > 0.1


def test_twelve_wrong_sequences_of_2000_are_few_and_13_are_not():
    batch = many(HS97, SOME)
    for num_wrong, solved in ((12, True), (13, False)):
        outputs = batch.targets + 0.05 * (np.arange(SOME) < num_wrong)[:, None]
        assert is_solved(HS97.criterion, (outputs, batch)) is solved


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"num_steps": 19}, r"num_steps: expected at least 20 for multiplication \(hs97\), got 19"),
        ({"num_steps": 9, "variant": "pascanu"}, "num_steps: expected at least 10"),
        ({"variant": "hs79"}, "variant: expected one of hs97, hs97_minus, pascanu, got 'hs79'"),
        ({"num_wrong": 0}, "num_wrong: expected at least 1, got 0"),
        ({"variant": "pascanu", "output_unit": "logistic"}, "output_unit: expected one of linear"),
    ],
)
def test_what_makes_no_sense_is_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        Multiplication(**fields)


def test_another_length_is_the_same_task():
    assert Multiplication(25, num_wrong=140).at_length(50) == Multiplication(50, num_wrong=140)
    assert jnp.shape(many(HS97.at_length(50), 2).inputs) == (55, 2, 2)
