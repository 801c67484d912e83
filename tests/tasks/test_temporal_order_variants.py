"""Later variants of temporal order: the output units and the rule of 1997, and three symbols in the code of 2013."""

import itertools

import jax
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
from experiments.tasks.error_criteria import RecentErrors
from experiments.tasks.temporal_order import TemporalOrder

pytestmark = pytest.mark.medium

HS97, HS97_THREE, PASCANU_THREE = TASKS = [
    TemporalOrder(20, variant) for variant in ("hs97", "hs97_three", "pascanu_three")
]
VARIANTS = pytest.mark.parametrize("task", TASKS, ids=lambda task: task.variant)


def solve(task, rows):
    """The number of the class in the list XX, XY, YX, YY, or of its like with three."""
    first = 0 if task is PASCANU_THREE else 6
    relevant = [token - first for token in tokens_of(rows) if token in (first, first + 1)]
    return list(itertools.product((0, 1), repeat=len(relevant))).index(tuple(relevant))


@VARIANTS
def test_an_independent_solver_scores_zero(task):
    batch, unit = part(many(task), SOME), "softmax" if task is PASCANU_THREE else "logistic"
    labels = np.array([solve(task, rows) for rows in sequences(batch)])
    assert np.array_equal(labels, batch.targets)
    outputs = sure_logits(unit, labels, *task.output_shape)
    assert mean_loss(task, outputs, batch) < 1e-12 and is_solved(task.criterion, (outputs, batch))
    found = measured(task, outputs, batch)
    assert found.pop("accuracy") == 1 and found.pop("fraction_correct", 1) == 1
    assert max(found.values()) < 1e-12
    uncertain = np.zeros_like(outputs)
    assert not is_solved(task.criterion, (uncertain, batch))


@pytest.mark.parametrize(("task", "number"), [(HS97, 4), (HS97_THREE, 8)], ids=["hs97", "hs97_three"])
def test_the_baseline_of_logistic_units_is_that_of_equal_constants(task, number):
    batch = many(task)
    frequencies = np.bincount(batch.targets, minlength=number) / MANY
    assert_uniform(batch.targets.tolist(), range(number))
    equal = np.full(number, np.log(1 / (number - 1)))
    assert mean_loss(task, np.tile(equal, (MANY, 1)), batch) == pytest.approx(task.baseline, rel=1e-5)
    drawn = np.log(frequencies / (1 - frequencies))  # the best constants on these draws are hardly better
    assert mean_loss(task, np.tile(drawn, (MANY, 1)), batch) == pytest.approx(task.baseline, rel=1e-3)
    assert task.baseline == pytest.approx(1 - 1 / number)


@pytest.mark.parametrize(("task", "same"), [(HS97, "canonical"), (HS97_THREE, "three")], ids=["two", "three"])
def test_the_sequences_are_those_of_the_variant_with_a_softmax(task, same):
    found, expected = (jax.tree.leaves(many(each)) for each in (task, TemporalOrder(20, same)))
    assert all(map(np.array_equal, found, expected)) and task.lag == TemporalOrder(20, same).lag


@pytest.mark.parametrize("num_steps", [20, 64])
def test_pascanu_three_draws_as_the_published_code(num_steps):
    task = TemporalOrder(num_steps, "pascanu_three")
    batch = many(task)
    tokens = np.argmax(batch.inputs, axis=-1)
    assert np.all(batch.inputs.sum(axis=-1) == 1) and batch.mask is None
    relevant = tokens < 2
    assert np.all(relevant.sum(axis=0) == 3)
    width, starts = int(num_steps * 0.1), [int(num_steps * share) for share in (0.1, 0.3, 0.6)]
    places = np.nonzero(relevant.T)[1].reshape(MANY, 3).tolist()
    windows = [range(start, start + width) for start in starts]
    labelled = [(*place, label) for place, label in zip(places, batch.targets.tolist(), strict=True)]
    if num_steps == 20:
        assert_uniform(labelled, list(itertools.product(*windows, range(8))))
    for number, window in enumerate(windows):
        assert_uniform([place[number] for place in places], window)
    distractors = tokens[~relevant]
    assert_uniform(distractors[:200_000].tolist(), range(2, 6))
    assert task.lag == num_steps - 1 - starts[0]


def test_the_criteria_are_the_published_ones():
    rule = RecentErrors(window=2000, error=0.3, mean_error=0.1, unit="logistic")
    assert HS97.criterion == HS97_THREE.criterion == rule
    assert PASCANU_THREE.criterion == criteria.ErrorRateBelow(0.01)


@pytest.mark.parametrize(("off", "solved"), [(0.09, True), (0.11, False)])
def test_the_mean_error_decides_among_sequences_that_are_all_right(off, solved):
    batch = part(many(HS97), SOME)
    right = np.where(np.eye(4)[batch.targets], 1 - off, 0.0) + 1e-6
    assert is_solved(HS97.criterion, (np.log(right / (1 - right)), batch)) is solved


def test_the_unit_that_is_furthest_off_decides():
    batch = part(many(HS97), SOME)
    outputs = sure_logits("logistic", batch.targets, 4)
    outputs[7, (batch.targets[7] + 1) % 4] = 0.0  # an activation of 1/2 where 0 is right
    assert not is_solved(HS97.criterion, (outputs, batch))
    found = measured(HS97, outputs, batch)
    assert found["accuracy"] == 1 and found["fraction_correct"] == pytest.approx(1 - 1 / SOME)


def test_what_makes_no_sense_is_refused():
    with pytest.raises(
        ValueError, match=r"num_steps: expected at least 10 for temporal order \(hs97\), got 9"
    ):
        TemporalOrder(9, "hs97")
    with pytest.raises(
        ValueError, match="variant: expected one of canonical, three, pascanu, hs97, hs97_three"
    ):
        TemporalOrder(20, "hs79")
