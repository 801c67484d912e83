"""State gradients against brute force, finite differences and recurrences whose answer is known."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from awkward_cells import AWKWARD

import recurrent as rec
from experiments.tasks.adding import Adding
from recurrent import arrays


@pytest.fixture(autouse=True)
def strict_ranks():
    """Ranks are promoted here as in every test of cells: an equation adds a bias to a batch."""


CELLS = {"lstm": rec.LSTM(3, 4), "gru": rec.GRU(3, 4), **AWKWARD}
STEPS, BATCH = 5, 2


def loss_fn(ys, state):
    """Depends on every output and on every field of the final state, complex ones by both parts."""
    pulls = [jnp.sum(jnp.sin(leaf.real) + jnp.cos(leaf.imag)) for leaf in jax.tree.leaves(state)]
    return jnp.sum(ys**2 * jnp.arange(1.0, STEPS + 1).reshape(-1, *(1 for _ in ys.shape[1:]))) + sum(pulls)


def example(cell):
    key_params, key_x, key_noise = jax.random.split(jax.random.key(3), 3)
    params = cell.init(key_params)
    keys = jax.random.split(key_noise, len(jax.tree.leaves(params)))
    leaves, tree = jax.tree.flatten(params)
    moved = [leaf + 0.1 * jax.random.normal(key, leaf.shape) for leaf, key in zip(leaves, keys, strict=True)]
    return jax.tree.unflatten(tree, moved), jax.random.normal(key_x, (STEPS, BATCH, *cell.input_shape))


def brute_force(cell, params, xs, mask, reset):
    """T separate gradients: run to the state that step t reads, then differentiate the rest of the run by it."""
    weights = cell.prepare(params)
    initial = cell.initial_state(weights, (BATCH,))

    def step(state, t):
        """Reset has been done; returns the state after step t and its output."""
        x = arrays.where(mask[t], xs[t], 0.0)
        u = cell.project(weights, rec.Noisy(x, None) if cell.is_stochastic else x)
        state = arrays.where(mask[t], cell.next_state(weights, state, u), state)
        return state, arrays.where(mask[t], cell.output(weights, state, u), 0.0)

    states, ys, state = [], [], initial
    for t in range(STEPS):
        state = arrays.where(reset[t], initial, state)
        states.append(state)
        state, y = step(state, t)
        ys.append(y)

    def rest(state, start):
        tail = []
        for t in range(start, STEPS):
            state = state if t == start else arrays.where(reset[t], initial, state)
            state, y = step(state, t)
            tail.append(y)
        return loss_fn(jnp.stack(ys[:start] + tail), state)

    found = [jax.tree.map(jnp.conj, jax.grad(rest)(states[t], t)) for t in range(STEPS)]
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *found)


@pytest.mark.parametrize("name", CELLS)
def test_against_brute_force_with_masks_and_resets(name, float64):
    cell = CELLS[name]
    params, xs = example(cell)
    mask = jnp.array([[1, 1], [1, 0], [0, 1], [1, 1], [1, 1]], bool)
    reset = jnp.array([[0, 0], [0, 0], [1, 0], [0, 0], [0, 1]], bool)

    @jax.jit
    def both(params, xs):
        found = rec.diagnostics.state_gradients(cell, params, xs, loss_fn, mask=mask, reset=reset)
        return found, brute_force(cell, params, xs, mask, reset)

    found, expected = both(params, xs)
    assert type(found) is type(expected)
    for field, one, other in zip(found._fields, found, expected, strict=True):
        assert float(jnp.max(jnp.abs(other))) > 0, field
        np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-12, err_msg=field)


def test_entry_zero_is_the_gradient_of_the_initial_state(float64):
    cell = rec.LSTM(3, 4)
    params, xs = example(cell)
    start = cell.initial_state(params, (BATCH,))
    expected = jax.grad(lambda s: loss_fn(*reversed(rec.unroll(cell, params, xs, state=s))))(start)
    found = rec.diagnostics.state_gradients(cell, params, xs, loss_fn)
    np.testing.assert_allclose(found.h[0], expected.h, rtol=1e-12)
    np.testing.assert_allclose(found.c[0], expected.c, rtol=1e-12)


def test_finite_differences(float64):
    cell = rec.GRU(3, 4)
    params, xs = example(cell)
    found = rec.diagnostics.state_gradients(cell, params, xs, loss_fn)
    direction = jax.random.normal(jax.random.key(9), found.h[0].shape)
    start = cell.initial_state(params, (BATCH,))

    def value(size):
        state = start._replace(h=start.h + size * direction)
        return loss_fn(*reversed(rec.unroll(cell, params, xs, state=state)))

    slope = (value(1e-6) - value(-1e-6)) / 2e-6
    np.testing.assert_allclose(jnp.sum(found.h[0] * direction), slope, rtol=1e-7)


@dataclasses.dataclass(frozen=True)
class Decay(rec.Cell):
    """h' = a h + x: the derivative over k steps is a^k."""

    @property
    def input_shape(self):
        return (1,)

    def init(self, key):
        return jnp.array([0.7])

    def initial_state(self, weights, batch_shape):
        return rec.LSTM(1, 1).initial_state(rec.LSTM(1, 1).init(jax.random.key(0)), batch_shape)

    def next_state(self, weights, state, u):
        return state._replace(h=weights * state.h + u, c=state.c)


def test_a_recurrence_with_a_known_answer(float64):
    cell = Decay()
    gradients = rec.diagnostics.state_gradients(
        cell, jnp.array([0.7]), jnp.zeros((20, 1)), lambda ys, state: ys[-1, 0]
    )
    # step t reads a state that is multiplied by a in each of the steps t..19
    np.testing.assert_allclose(gradients.h[:, 0], 0.7 ** (20.0 - np.arange(20)), rtol=1e-12)
    np.testing.assert_array_equal(gradients.c, np.zeros((20, 1)))
    norms = rec.diagnostics.gradient_norms(gradients, batch_axes=0)
    by_lag = rec.diagnostics.gradient_by_lag(norms, 19)
    np.testing.assert_allclose(by_lag, 0.7 ** (1.0 + np.arange(20)), rtol=1e-12)


def test_only_later_outputs_count(float64):
    cell = Decay()
    gradients = rec.diagnostics.state_gradients(
        cell, jnp.array([0.7]), jnp.zeros((6, 1)), lambda ys, state: ys[2, 0]
    )
    np.testing.assert_allclose(gradients.h[:, 0], [0.7**3, 0.7**2, 0.7, 0, 0, 0], rtol=1e-12)
    by_lag = rec.diagnostics.gradient_by_lag(rec.diagnostics.gradient_norms(gradients, batch_axes=0), 2)
    np.testing.assert_allclose(by_lag, [0.7, 0.7**2, 0.7**3], rtol=1e-12)


def test_norms_count_every_real_coordinate_once():
    gradients = rec.LSTM(1, 1).initial_state(rec.LSTM(1, 1).init(jax.random.key(0)), (4, 1))
    gradients = gradients._replace(
        h=jnp.full((4, 2, 1), 3.0), c=jax.lax.complex(jnp.zeros((4, 2, 2)), jnp.full((4, 2, 2), 4.0))
    )
    np.testing.assert_allclose(rec.diagnostics.gradient_norms(gradients), np.full((4, 2), np.sqrt(9 + 32)))
    np.testing.assert_allclose(rec.diagnostics.gradient_norms(gradients, "h"), np.full((4, 2), 3.0))
    np.testing.assert_allclose(
        rec.diagnostics.gradient_norms(gradients, "c", batch_axes=0), np.full(4, np.sqrt(4 * 16.0))
    )


def test_norms_of_what_has_vanished_do_not_underflow():
    tiny = jnp.array([[[3e-30, 4e-30]], [[0.0, 0.0]]])
    norms = rec.diagnostics.gradient_norms((tiny,))
    np.testing.assert_allclose(norms[:, 0], [5e-30, 0.0], rtol=1e-6)


def ratio(cell, field=None):
    """Median over sequences and seeds of the norm at lag 99, relative to lag 0, on the adding problem."""

    @jax.jit
    def measure(key):
        xs = Adding(num_steps=100).sample(key, 8).inputs
        gradients = rec.diagnostics.state_gradients(
            cell, cell.init(key), xs, lambda ys, state: jnp.sum(ys[-1, :, 0])
        )
        by_lag = rec.diagnostics.gradient_by_lag(rec.diagnostics.gradient_norms(gradients, field), 99)
        return jnp.median(by_lag[99] / by_lag[0])

    return float(np.median([measure(jax.random.key(seed)) for seed in range(3)]))


@pytest.mark.medium
def test_what_initialisations_do_to_the_gradient_over_a_hundred_steps():
    uniform = {"input_init": "uniform", "recurrent_init": "uniform"}
    assert ratio(rec.Elman(2, 64, **uniform)) < 1e-10
    assert 1e-5 < ratio(rec.Elman(2, 64)) < 1e-1
    assert 1e-4 < ratio(rec.LSTM(2, 64), "c") < 1e-1
    assert 0.1 < ratio(rec.LSTM(2, 64, forget_bias=("chrono", 100)), "c") < 1
    assert ratio(rec.LSTM(2, 64, forget_bias=0.0, **uniform), "c") < 1e-10
    assert ratio(rec.LSTM(2, 64, forget_bias=5.0, **uniform), "c") > 10
