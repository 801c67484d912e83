"""MNIST-1D: the recipe of its authors in plain Python, what is drawn, and how it is scaled."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from drawn import assert_uniform, assert_within, is_solved, many, mean_loss, measured
from scipy import ndimage

from experiments.tasks import mnist_1d
from experiments.tasks.base import Batch
from experiments.tasks.mnist_1d import MNIST1D, Draws, curves, draw, moments

PUBLISHED = """
5 6 6.5 6.75 7 7 7 7 6.75 6.5 6 5 / 5 3 3 3.4 3.8 4.2 4.6 5 5.4 5.8 5 5 / 5 6 6.5 6.5 6 5.25 4.75 4 3.5 3.5 4 5
5 6 6.5 6.5 6 5 5 6 6.5 6.5 6 5 / 5 4.4 3.8 3.2 2.6 2.6 5 5 5 5 5 5 / 5 3 3 3 3 5 6 6.5 6.5 6 4.5 5
5 4 3.5 3.25 3 3 3 3 3.25 3.5 4 5 / 5 7 7 6.6 6.2 5.8 5.4 5 4.6 4.2 5 5 / 5 4 3.5 3.5 4 5 5 4 3.5 3.5 4 5
5 4 3.5 3.5 4 5 5 5 5 4.7 4.3 5
"""
LEVELS = [
    [float(word) for word in row.split()]
    for line in PUBLISHED.strip().splitlines()
    for row in line.split("/")
]


def interpolated(values, length):
    return np.interp(np.linspace(0, 1, length), np.linspace(0, 1, len(values)), values)


def sequence(label, padding, shift, scale, shear, smooth, steps):
    """One sequence by the published recipe, whose mask is what is not 0: hence the 1e-8."""
    level = np.array(LEVELS[label])
    level = (level - level.mean()) / level.std()
    curve = (level - level[0]) / 6 + 1e-8
    places = interpolated(np.concatenate([curve, np.zeros(padding)]), 72) * (1 + 0.4 * (scale - 0.5))
    places = np.concatenate([places[72 - shift :], places[: 72 - shift]])
    noise = ndimage.gaussian_filter(0.25 * np.asarray(smooth, float), 2)
    places = np.where(places != 0, places, noise) + 0.02 * np.asarray(steps, float)
    places = places - 0.75 * (shear - 0.5) * np.linspace(-0.5, 0.5, 72)
    return interpolated(places, 40)


def test_sequences_are_those_of_the_published_recipe():
    drawn = draw(jax.random.key(0), 300)
    expected = np.stack([sequence(*(np.asarray(field)[i] for field in drawn)) for i in range(300)])
    np.testing.assert_allclose(curves(drawn), expected, rtol=0, atol=2e-6)
    assert len(np.unique(drawn.labels)) == 10


@pytest.mark.parametrize("padding", [36, 60])
@pytest.mark.parametrize("shift", [0, 1, 47])
def test_the_ends_of_the_ranges_are_where_they_should_be(padding, shift):
    noise = np.linspace(-1, 1, 72)[None] ** 3
    for label in range(10):
        drawn = Draws(
            *(jnp.array([value]) for value in (label, padding, shift, 0.0, 1.0)), noise, noise[:, ::-1]
        )
        expected = sequence(label, padding, shift, 0.0, 1.0, noise[0], noise[0, ::-1])
        np.testing.assert_allclose(curves(drawn)[0], expected, rtol=0, atol=2e-6)


def test_all_that_is_random_has_its_distribution():
    drawn = jax.tree.map(np.asarray, draw(jax.random.key(1), 20_000))
    assert_uniform(drawn.labels.tolist(), range(10))
    assert_uniform(drawn.paddings.tolist(), range(36, 61))
    assert_uniform(drawn.shifts.tolist(), range(48))
    for uniform in (drawn.scales, drawn.shears):
        assert_uniform((uniform * 20).astype(int).tolist(), range(20))
    for noise in (drawn.smooth, drawn.steps):
        assert_within(noise[:2000].ravel(), 0.0, 1.0)
        assert_within(noise[:2000].ravel() ** 2, 1.0, math.sqrt(2))
    independent = (drawn.smooth[:, 0] * drawn.steps[:, 0], drawn.smooth[:, 0] * drawn.smooth[:, 1])
    for product in independent:
        assert_within(product, 0.0)


def test_numbers_have_mean_nought_and_variance_one():
    inputs = many(MNIST1D()).inputs[..., 0]
    # one number a sequence, so that the sample is independent
    steps = np.random.RandomState(0).randint(40, size=inputs.shape[1])
    chosen = inputs[steps, np.arange(inputs.shape[1])].astype(float)
    assert_within(chosen, 0.0)
    assert_within(chosen**2, 1.0)
    assert 0.1 < moments()[1] < 0.5


def test_the_batch_holds_the_digits_of_its_curves():
    batch = MNIST1D().sample(jax.random.key(3), 50)
    drawn = draw(jax.random.key(3), 50)
    np.testing.assert_array_equal(batch.targets, drawn.labels)
    mean, deviation = moments()
    np.testing.assert_allclose(batch.inputs[..., 0].T * deviation + mean, curves(drawn), rtol=0, atol=1e-6)
    np.testing.assert_array_equal(batch.weights, np.ones(50))


def test_shuffled_sequences_are_the_same_numbers_in_one_other_order():
    key = jax.random.key(3)
    ordered, shuffled, other = (
        np.asarray(MNIST1D(order, seed).sample(key, 8).inputs)
        for order, seed in (("canonical", 42), ("shuffled", 42), ("shuffled", 43))
    )
    np.testing.assert_array_equal(shuffled, ordered[np.random.RandomState(42).permutation(40)])
    assert not np.array_equal(other, shuffled) and not np.array_equal(shuffled, ordered)


def test_the_baseline_is_the_loss_of_the_constant_and_a_certain_answer_solves():
    task, batch = MNIST1D(), many(MNIST1D(), 2000)
    assert mean_loss(task, np.zeros((2000, 10)), batch) == pytest.approx(task.baseline, rel=1e-6)
    sure = 50.0 * np.eye(10)[batch.targets]
    assert (
        measured(task, sure, batch)["accuracy"] == 1 and measured(task, sure, batch)["cross_entropy"] < 1e-6
    )
    assert is_solved(task.criterion, (sure, batch)) and not is_solved(
        task.criterion, (np.zeros((2000, 10)), batch)
    )
    some = np.where(np.arange(2000)[:, None] < 1780, sure, -sure)
    assert not is_solved(task.criterion, (some, batch))
    assert isinstance(batch, Batch) and (task.lag, mnist_1d.STEPS) == (39, 40)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"order": "random"}, "order: expected one of canonical, shuffled, got 'random'"),
        ({"permutation_seed": -1}, "permutation_seed: expected at least 0, got -1"),
    ],
)
def test_what_is_out_of_range_is_named(options, message):
    with pytest.raises(ValueError, match=message):
        MNIST1D(**options)
