"""Criteria on absolute errors and on legal symbols, against slow ones and at their thresholds."""

import collections
import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from drawn import is_solved

from experiments.tasks import criteria
from experiments.tasks.base import Batch
from experiments.tasks.error_criteria import AllWithin, FewErrors, LegalMostActive, RecentErrors

pytestmark = pytest.mark.medium


def history(criterion, errors, weights):
    """Whether it is solved after each batch of scalar answers, ``errors[update, b]``."""

    def update(state, now):
        errors, weights = now
        state = criterion.update(state, errors[:, None], Batch(None, jnp.zeros((len(errors), 1)), weights))
        return state, criterion.solved(state)

    return np.asarray(jax.jit(lambda xs: jax.lax.scan(update, criterion.init(), xs)[1])((errors, weights)))


def slow_history(criterion, errors, weights):
    last, found = collections.deque(maxlen=criterion.window), []
    for batch_errors, batch_weights in zip(errors.tolist(), weights.tolist(), strict=True):
        last.extend(abs(error) for error, weight in zip(batch_errors, batch_weights, strict=True) if weight)
        wrong = sum(not error < criterion.error for error in last)
        full = len(last) == criterion.window and wrong < criterion.num_wrong
        found.append(full and sum(last) / len(last) < criterion.mean_error)
    return found


def random_errors(num_updates, batch_size, wrong, window):
    rng = np.random.default_rng(0)
    shape = (num_updates, batch_size)
    # the level wanders, so that the mean decides as often as the number of wrong ones does
    level = np.repeat(rng.choice([0.01, 0.03, 0.06], num_updates), math.ceil(3 * window / batch_size))
    errors = rng.uniform(-1, 1, shape) * level[:num_updates, None]
    errors = np.where(rng.random(shape) < wrong, rng.choice([0.15, -0.15], shape), errors)
    return errors.astype(np.float32), (rng.random(shape) < 0.9).astype(np.float32)


@pytest.mark.parametrize(
    ("criterion", "num_updates", "batch_size", "wrong"),
    [
        (RecentErrors(8, 0.1, num_wrong=3), 2000, 1, 0.3),
        (RecentErrors(8, 0.1, num_wrong=3, mean_error=0.03), 2000, 3, 0.2),
        (RecentErrors(8, 0.1, num_wrong=2), 700, 11, 0.15),  # a batch is longer than the window
        (RecentErrors(2000, 0.1, num_wrong=140), 1000, 40, 0.069),
        (RecentErrors(8, 0.1), 1000, 3, 0.05),
    ],
)
def test_recent_errors_are_what_a_deque_says(criterion, num_updates, batch_size, wrong):
    errors, weights = random_errors(num_updates, batch_size, wrong, criterion.window)
    expected = slow_history(criterion, errors, weights)
    assert 0.1 < np.mean(expected) < 0.95
    assert history(criterion, errors, weights).tolist() == expected


def test_recent_errors_without_room_are_a_streak():
    errors, weights = random_errors(2000, 3, 0.03, 8)
    streak = criteria.Streak(window=8, error=0.1, mean_error=0.03)
    recent = RecentErrors(**dataclasses.asdict(streak))
    found = history(recent, errors, weights)
    assert 0.1 < found.mean() < 0.9 and np.array_equal(found, history(streak, errors, weights))


def test_a_window_has_to_be_full():
    errors, weights = np.zeros((12, 1), np.float32), np.ones((12, 1), np.float32)
    weights[3] = 0.0  # does not exist
    assert history(RecentErrors(8, 0.1), errors, weights).tolist() == [False] * 8 + [True] * 4
    assert history(RecentErrors(8, 0.1, num_wrong=5), errors, weights).tolist() == [False] * 8 + [True] * 4


def test_a_streak_has_the_fields_and_the_state_that_stored_runs_have():
    assert repr(criteria.Streak()) == "Streak(window=2000, error=0.04, mean_error=0.01)"
    assert criteria.Streak(window=3).init()._fields == ("streak", "errors", "cursor")


def test_a_sequence_is_as_wrong_as_its_worst_unit_and_step():
    outputs = np.zeros((3, 4, 2), np.float32)  # [t, b, k], all right: the targets are 0
    outputs[0, 1, 1], outputs[2, 2, 0], outputs[0, 3, 0] = 0.3, -0.4, math.nan
    batch = Batch(None, jnp.zeros((3, 4, 2)), jnp.ones((3, 4)))
    whole, last = RecentErrors(4, 0.25, num_wrong=4), RecentErrors(4, 0.25, num_wrong=4, num_last=1)
    for criterion, expected in ((whole, [0, 0.3, 0.4, math.nan]), (last, [0, 0, 0.4, 0])):
        errors, kept = criterion.errors(jnp.array(outputs), batch)
        np.testing.assert_allclose(errors, expected, rtol=1e-6)
        assert kept.all()
    right, count = whole.fraction_correct(jnp.array(outputs), batch)
    assert (right, count) == (1, 4)
    first_only = batch._replace(weights=batch.weights.at[1:].set(0.0))
    np.testing.assert_allclose(
        whole.errors(jnp.array(outputs), first_only)[0], [0, 0.3, 0, math.nan], rtol=1e-6
    )
    none = batch._replace(weights=batch.weights.at[:, 3].set(0.0))
    assert whole.errors(jnp.array(outputs), none)[1].tolist() == [True, True, True, False]


def test_units_are_activated_before_their_errors_are_taken():
    batch = Batch(None, jnp.array([1, 0]), jnp.ones(2))
    sure = jnp.array([[-1.2, 1.2], [1.2, -1.2]])  # activations 0.231 and 0.769
    for error, solved in ((0.24, True), (0.23, False)):
        assert is_solved(RecentErrors(2, error, unit="logistic"), (sure, batch)) is solved
        assert is_solved(AllWithin(error, "logistic"), (sure, batch)) is solved
    assert not is_solved(RecentErrors(2, 0.24), (sure, batch)) and not is_solved(
        AllWithin(0.24), (sure, batch)
    )


def answers(errors, weights=None):
    """Scalar answers that are off by ``errors`` from 0.5, the targets without noise; the noisy ones are 9."""
    weights = jnp.ones(len(errors)) if weights is None else jnp.array(weights, jnp.float32)
    shape = (len(errors), 1)
    return 0.5 + jnp.array(errors)[:, None], Batch(
        None, jnp.full(shape, 9.0), weights, info=jnp.full(shape, 0.5)
    )


@pytest.mark.parametrize(
    ("criterion", "batches", "solved"),
    [
        (FewErrors(0.25), [answers([0.24, -0.24])], True),
        (FewErrors(0.25), [answers([0.24, -0.25])], False),  # at the bound: not below it
        (FewErrors(0.25), [answers([0.1]), answers([0.3])], False),
        (FewErrors(0.25, num_wrong=2), [answers([0.1]), answers([0.3])], True),
        (FewErrors(0.25, num_wrong=2), [answers([0.3]), answers([0.3])], False),
        (FewErrors(0.25, mean_error=0.125), [answers([0.125, -0.125])], False),
        (FewErrors(0.25, mean_error=0.125), [answers([0.125, -0.124])], True),
        (FewErrors(0.25, mean_error=0.125), [answers([0.2, 9.0, 0.04], [1, 0, 1])], True),
        (FewErrors(0.25), [answers([math.nan, 0.0])], False),
        (FewErrors(0.25), [answers([0.1], [0])], False),  # nothing was judged
    ],
)
def test_few_errors_are_counted_over_the_pass(criterion, batches, solved):
    assert criterion.on == "evaluation" and not criterion.solved(criterion.init())
    assert is_solved(criterion, *batches) is solved


def legal(outputs, may_follow, weights=None):
    """One sequence, a step for each row."""
    outputs, info = jnp.array(outputs, jnp.float32)[:, None], jnp.array(may_follow, bool)[:, None]
    weights = jnp.ones(outputs.shape[:2]) if weights is None else jnp.array(weights, jnp.float32)[:, None]
    return outputs, Batch(None, jnp.zeros(outputs.shape[:2], jnp.int32), weights, info=info)


@pytest.mark.parametrize(
    ("steps", "solved"),
    [
        (legal([[0.1, 0.3, 0.2], [5, 1, 2]], [[0, 1, 1], [1, 0, 0]]), True),
        (legal([[0.1, 0.3, 0.1]], [[0, 1, 1]]), False),  # as active as an illegal one
        (
            legal([[0.2, 0.3, 0.1]], [[0, 1, 1]]),
            False,
        ),  # the most active one is legal, the other is not second
        (legal([[0.1, 0.3, 0.2], [1, 5, 2]], [[0, 1, 1], [1, 0, 0]]), False),
        (legal([[0.1, 0.3, 0.2], [1, 5, 2]], [[0, 1, 1], [1, 0, 0]], [1, 0]), True),
        (legal([[0.1, math.nan, 0.2]], [[0, 1, 1]]), False),
        (legal([[math.nan, 0.3, 0.2]], [[0, 1, 1]]), False),
        (legal([[0.1, 0.3, 0.2]], [[0, 1, 1]], [0]), False),
    ],
)
def test_legal_symbols_have_to_be_the_most_active(steps, solved):
    assert is_solved(LegalMostActive(), steps) is solved
    assert not is_solved(LegalMostActive(), steps, legal([[1.0, 0.0]], [[0, 1]]))


def symbols(right, weights=None):
    """Logits ``[t, b, 3]``, right or wrong; the label is 1."""
    right = jnp.array(right)
    weights = jnp.ones(right.shape) if weights is None else jnp.array(weights, jnp.float32)
    return jax.nn.one_hot(jnp.where(right, 1, 2), 3), Batch(None, jnp.ones(right.shape, jnp.int32), weights)


@pytest.mark.parametrize(
    ("batches", "solved"),
    [
        ([symbols([[1, 1, 1, 1], [1, 1, 1, 1]])], True),
        ([symbols([[1, 1, 1, 1], [1, 1, 1, 0]])], False),  # one in four is not fewer than a quarter
        ([symbols([[1, 1, 1, 1], [1, 1, 1, 0]]), symbols([[1], [1]])], True),
        ([symbols([[1, 1, 1, 0, 1], [1, 1, 1, 0, 1]])], True),  # wrong twice, and still one sequence
        ([symbols([[1, 1, 0, 1, 1], [1, 1, 1, 0, 1]])], False),
        ([symbols([[1, 1, 0, 1, 1], [1, 1, 1, 0, 1]], [[1, 1, 0, 1, 1], [1, 1, 1, 1, 1]])], True),
        ([symbols([[1, 0], [1, 0]], [[1, 0], [1, 0]])], True),  # the second one does not exist
    ],
)
def test_wrong_sequences_are_counted_once(batches, solved):
    assert is_solved(criteria.WrongSequencesBelow(0.25), *batches) is solved


def test_nan_logits_make_a_sequence_wrong():
    outputs, batch = symbols([[1], [1]])
    for label in (0, 1):  # argmax of NaN is class 0
        labelled = batch._replace(targets=jnp.full((2, 1), label))
        assert criteria.wrong_sequences(jnp.full_like(outputs, math.nan), labelled) == (1, 1)
