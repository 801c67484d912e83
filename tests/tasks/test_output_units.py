"""Output units: their losses on numbers worked out by hand, padding that reaches nothing, and the best constants."""

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.tasks.base import Batch
from experiments.tasks.output_units import UNITS

LABELS = Batch(None, jnp.array([1, 0]), jnp.array([1.0, 2.0]))
ACTIVATIONS = {
    "logistic": lambda z: 1 / (1 + np.exp(-z)),
    "linear": lambda z: z,
    "softmax": lambda z: np.exp(z) / np.exp(z).sum(axis=-1, keepdims=True),
}


@pytest.mark.parametrize("unit", UNITS)
def test_losses_and_errors_of_labels_are_those_of_one_hot_targets(unit):
    outputs = np.array([[0.2, -0.4, 1.1], [0.7, 0.1, -2.0]])
    activations, one_hot = ACTIVATIONS[unit](outputs), np.eye(3)[[1, 0]]
    np.testing.assert_allclose(
        UNITS[unit].errors(jnp.array(outputs), LABELS.targets, LABELS.weights),
        abs(activations - one_hot),
        rtol=1e-5,
    )
    each = ((activations - one_hot) ** 2).sum(axis=1)
    if unit == "softmax":
        each = -np.log(activations[[0, 1], [1, 0]])
    total, count = UNITS[unit].loss(jnp.array(outputs), LABELS)
    np.testing.assert_allclose((total, count), (each[0] + 2 * each[1], 3), rtol=1e-5)


@pytest.mark.parametrize("unit", ["logistic", "linear"])
def test_numbers_may_be_targets(unit):
    batch = Batch(None, jnp.array([[0.5]]), jnp.ones(1))
    total, count = UNITS[unit].loss(jnp.array([[-1.0]]), batch)
    expected = (ACTIVATIONS[unit](-1.0) - 0.5) ** 2
    np.testing.assert_allclose((total, count), (expected, 1), rtol=1e-5)
    errors = UNITS[unit].errors(jnp.array([[-1.0]]), batch.targets, batch.weights)
    np.testing.assert_allclose(errors, [[math.sqrt(expected)]], rtol=1e-5)


@pytest.mark.parametrize("unit", UNITS)
def test_a_nan_under_a_weight_of_zero_reaches_nothing(unit):
    batch = LABELS._replace(weights=jnp.array([1.0, 0.0]))

    def loss(padding):
        outputs = jnp.array([[0.2, -0.4, 1.1], [0.0, 0.0, 0.0]]).at[1].set(padding)
        return UNITS[unit].loss(outputs, batch)[0]

    value, slope = jax.value_and_grad(loss)(jnp.array(math.nan))
    assert value == loss(jnp.array(7.0)) and slope == 0
    assert not UNITS[unit].errors(jnp.full((2, 3), math.nan), batch.targets, batch.weights)[1].any()


@pytest.mark.parametrize("unit", UNITS)
def test_least_is_the_loss_of_the_best_constant(unit):
    p = np.array([0.5, 0.2, 0.3])
    everything = Batch(None, jnp.arange(3), jnp.array(p))

    def loss(constant):
        outputs = {"logistic": np.log(constant / (1 - constant)), "linear": constant}.get(
            unit, np.log(constant)
        )
        total, count = UNITS[unit].loss(jnp.tile(jnp.array(outputs), (3, 1)), everything)
        return float(total / count)

    assert math.isclose(loss(p), UNITS[unit].least(p), rel_tol=1e-5)
    for step in itertools.product((-0.05, 0.0, 0.05), repeat=3):
        constant = p + np.array(step)
        normalised = constant / constant.sum() if unit == "softmax" else constant
        assert loss(normalised) > UNITS[unit].least(p) - 1e-6
    assert UNITS[unit].least([1.0]) == 0
