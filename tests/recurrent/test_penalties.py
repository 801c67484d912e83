"""Penalties against loops over pairs of steps, and their gradients against slopes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from recurrent.penalties import activation_penalty, norm_stabilizer, slowness_penalty

pytestmark = pytest.mark.usefixtures("float64")
HS = np.random.default_rng(0).normal(size=(6, 3, 4))
MASK = np.array([[1, 1, 1, 1, 1, 1], [1, 1, 1, 0, 0, 0], [0, 1, 0, 1, 1, 0]], bool).T
RESET = np.array([[0, 0, 1, 0, 0, 0], [0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 1, 0]], bool).T
FUNCTIONS = {"norm": norm_stabilizer, "activation": activation_penalty, "slowness": slowness_penalty}
# compiled, and of few shapes: operation by operation the same numbers take seconds
PENALTIES = {name: jax.jit(function) for name, function in FUNCTIONS.items()}
SLOPES = {name: jax.jit(jax.value_and_grad(function)) for name, function in FUNCTIONS.items()}


def by_hand(name, hs, mask, reset):
    """The mean of what each step, or each pair of steps, has to say."""
    said = []
    for sequence in range(hs.shape[1]):
        for t in range(len(hs)):
            if name == "activation":
                if mask[t, sequence]:
                    said.append(np.mean(hs[t, sequence] ** 2))
            elif t and mask[t, sequence] and mask[t - 1, sequence] and not reset[t, sequence]:
                new, old = hs[t, sequence], hs[t - 1, sequence]
                norms = np.sqrt(new @ new) - np.sqrt(old @ old)
                said.append(norms**2 if name == "norm" else np.mean((new - old) ** 2))
    return np.mean(said)


@pytest.mark.parametrize("name", PENALTIES)
def test_means_over_the_steps_and_pairs_that_exist(name):
    penalty, every, never = PENALTIES[name], np.ones_like(MASK), np.zeros_like(MASK)
    hs, mask, reset = map(jnp.asarray, (HS, MASK, RESET))
    np.testing.assert_allclose(penalty(hs), by_hand(name, HS, every, never), rtol=1e-14)
    np.testing.assert_allclose(penalty(hs, mask), by_hand(name, HS, MASK, never), rtol=1e-14)
    if name != "activation":
        np.testing.assert_allclose(penalty(hs, None, reset), by_hand(name, HS, every, RESET), rtol=1e-14)
        np.testing.assert_allclose(penalty(hs, mask, reset), by_hand(name, HS, MASK, RESET), rtol=1e-14)
    # no batch axis, and two
    np.testing.assert_allclose(
        penalty(jnp.asarray(HS[:, 0])), by_hand(name, HS[:, :1], every, never), rtol=1e-14
    )
    pair = jnp.asarray(np.stack([HS, 2 * HS], axis=1))
    np.testing.assert_allclose(penalty(pair), 2.5 * by_hand(name, HS, every, never), rtol=1e-14)


@pytest.mark.parametrize("name", SLOPES)
def test_gradients_are_slopes_and_what_does_not_exist_enters_nothing(name):
    mask, slope = jnp.asarray(MASK), SLOPES[name]
    poisoned = np.where(MASK[..., None], HS, np.nan)
    value, gradient = map(np.asarray, slope(jnp.asarray(poisoned), mask))
    np.testing.assert_allclose(value, by_hand(name, HS, MASK, np.zeros_like(MASK)), rtol=1e-14)
    assert (gradient[~MASK] == 0).all() and (gradient[0, 0] != 0).all()
    direction = np.random.default_rng(1).normal(size=HS.shape)
    high, low = (slope(jnp.asarray(poisoned + step * direction), mask)[0] for step in (1e-5, -1e-5))
    np.testing.assert_allclose(np.vdot(gradient, direction), (high - low) / 2e-5, rtol=1e-7)


@pytest.mark.parametrize("name", SLOPES)
def test_gradients_are_finite_where_states_are_0(name):
    every = jnp.ones_like(MASK)
    value, gradient = SLOPES[name](jnp.zeros_like(HS), every)
    assert float(value) == 0.0 and (np.asarray(gradient) == 0).all()
    hs = np.zeros_like(HS)
    hs[1, 0] = 0.0, 3.0, 0.0, 4.0  # one state of norm 5 among 18, in 2 pairs among 15
    gradient = np.asarray(SLOPES[name](jnp.asarray(hs), every)[1])
    factor = {"norm": 2 * 2 / 15, "activation": 2 / 18 / 4, "slowness": 2 * 2 / 15 / 4}[name]
    np.testing.assert_allclose(gradient[1, 0], factor * hs[1, 0], rtol=1e-14)
    # at 0 a norm has no derivative and gets 0; the difference of states has one
    np.testing.assert_allclose(gradient[0, 0], -factor / 2 * hs[1, 0] if name == "slowness" else np.zeros(4))


@pytest.mark.parametrize("name", SLOPES)
def test_where_nothing_exists_the_penalty_is_0(name):
    value, gradient = SLOPES[name](jnp.asarray(HS), jnp.zeros_like(MASK))
    assert float(value) == 0.0 and (np.asarray(gradient) == 0).all()


@pytest.mark.parametrize("name", ["norm", "slowness"])
def test_a_single_step_has_no_pair(name):
    with pytest.raises(ValueError, match="hs: expected at least 2 steps, got 1"):
        FUNCTIONS[name](jnp.asarray(HS[:1]))
