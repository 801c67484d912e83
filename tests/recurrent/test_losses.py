"""Losses are sums and counts: padding of any kind adds nothing, and batches add up."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from recurrent import losses

RNG = np.random.default_rng(0)
WEIGHTS = jnp.array([[1.0, 0.0, 2.0], [0.5, 1.0, 0.0]])


def test_squared_error_against_numpy():
    predictions, targets = RNG.normal(size=(2, 3, 4)), RNG.normal(size=(2, 3, 4))
    total, count = losses.squared_error(jnp.asarray(predictions), jnp.asarray(targets), WEIGHTS)
    expected = (((predictions - targets) ** 2).sum(-1) * np.asarray(WEIGHTS)).sum()
    np.testing.assert_allclose(total, expected, rtol=1e-6)
    np.testing.assert_allclose(count, 4.5)


def test_cross_entropy_against_numpy():
    logits, labels = RNG.normal(size=(2, 3, 5)), RNG.integers(0, 5, (2, 3))
    probabilities = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    nll = -np.log(np.take_along_axis(probabilities, labels[..., None], -1)[..., 0])
    total, count = losses.cross_entropy(jnp.asarray(logits), jnp.asarray(labels), WEIGHTS)
    np.testing.assert_allclose(total, (nll * np.asarray(WEIGHTS)).sum(), rtol=1e-5)
    np.testing.assert_allclose(count, 4.5)


def test_cross_entropy_is_finite_for_certain_predictions():
    total, _ = losses.cross_entropy(jnp.array([[1e4, -1e4]]), jnp.array([1]), jnp.ones(1))
    np.testing.assert_allclose(total, 2e4)


def test_accuracy_counts_the_largest():
    logits = jnp.array([[0.1, 0.9], [0.8, 0.2], [0.4, 0.6]])
    total, count = losses.accuracy(logits, jnp.array([1, 1, 0]), jnp.array([1.0, 1.0, 0.0]))
    assert (float(total), float(count)) == (1.0, 2.0)


@pytest.mark.parametrize("label", [0, 1])
def test_a_prediction_with_nan_is_never_right(label):
    total, _ = losses.accuracy(jnp.array([[jnp.nan, 1.0]]), jnp.array([label]), jnp.ones(1))
    assert float(total) == 0.0


@pytest.mark.parametrize("poison", [jnp.nan, jnp.inf])
def test_what_stands_under_weight_zero_reaches_nothing(poison):
    clean = jnp.asarray(RNG.normal(size=(2, 3, 4)))
    poisoned = jnp.where((WEIGHTS == 0)[..., None], poison, clean)
    labels = jnp.asarray(RNG.integers(0, 4, (2, 3)))
    functions = {
        "squared_error": lambda x: losses.squared_error(x, jnp.zeros_like(clean), WEIGHTS)[0],
        "targets": lambda x: losses.squared_error(clean, x, WEIGHTS)[0],
        "cross_entropy": lambda x: losses.cross_entropy(x, labels, WEIGHTS)[0],
    }
    for name, function in functions.items():
        value, gradient = jax.value_and_grad(function)(poisoned)
        expected, expected_gradient = jax.value_and_grad(function)(clean)
        np.testing.assert_array_equal(value, expected, err_msg=name)
        np.testing.assert_array_equal(gradient, expected_gradient, err_msg=name)
        assert np.all(np.asarray(gradient)[np.asarray(WEIGHTS) == 0] == 0), name


def test_sums_and_counts_of_parts_add_up():
    logits, labels = jnp.asarray(RNG.normal(size=(6, 5))), jnp.asarray(RNG.integers(0, 5, 6))
    weights = jnp.array([1.0, 0.0, 1.0, 1.0, 0.0, 0.0])
    whole = losses.mean(losses.cross_entropy(logits, labels, weights))
    parts = [losses.cross_entropy(logits[s], labels[s], weights[s]) for s in (slice(0, 2), slice(2, 6))]
    summed = tuple(sum(values) for values in zip(*parts, strict=True))
    np.testing.assert_allclose(losses.mean(summed), whole, rtol=1e-6)


def test_the_mean_of_nothing_is_zero():
    assert float(losses.mean((jnp.array(0.0), jnp.array(0.0)))) == 0.0
