"""The recurrent matrix of the constrained cells: on its manifold whatever an optimiser does; its labels and penalty."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import recurrent as rec
from recurrent.cells.eunn import EUNN
from recurrent.cells.exprnn import ExpRNN
from recurrent.cells.full_capacity_urnn import FullCapacityURNN
from recurrent.cells.goru import GORU
from recurrent.cells.orthogonal import param_labels, soft_orthogonality
from recurrent.cells.scornn import ScoRNN
from recurrent.cells.urnn import URNN


def cells(size):
    return {
        "urnn": URNN(3, size),
        "full_capacity_urnn": FullCapacityURNN(3, size),
        "exprnn": ExpRNN(3, size),
        "scornn": ScoRNN(3, size),
        "eunn": EUNN(3, size, capacity=size),
        "goru": GORU(3, size, style="fft"),
    }


RECURRENT = {
    "urnn": ("theta", "v_re", "v_im"),
    "full_capacity_urnn": ("generator",),
    "exprnn": ("skew",),
    "scornn": ("skew",),
    "eunn": ("theta", "phi", "omega"),
    "goru": ("theta",),
}


def off_manifold(w):
    """max |WᴴW - 1|, summed in float64."""
    w = np.asarray(w).astype(np.complex128)
    return np.abs(w.conj().T @ w - np.eye(len(w))).max()


def check_manifold(cell, num_updates, rate):
    """Adam pulls W towards another random matrix at every update, so that it never comes to rest."""
    optimizer = optax.adam(rate)

    def loss(params, key):
        w = cell.prepare(params).w_h
        return jnp.sum(jnp.abs(w - jax.random.normal(key, w.shape)) ** 2)

    def update(carry, key):
        params, state = carry
        updates, state = optimizer.update(jax.grad(loss)(params, key), state)
        return (optax.apply_updates(params, updates), state), None

    @jax.jit
    def train(key):
        params = cell.init(key)
        keys = jax.random.split(jax.random.key(1), num_updates)
        (trained, _), _ = jax.lax.scan(update, (params, optimizer.init(params)), keys)
        return cell.prepare(params).w_h, cell.prepare(trained).w_h

    before, after = train(jax.random.key(0))
    assert before.dtype in (jnp.float32, jnp.complex64)
    assert off_manifold(before) < 1e-5
    assert off_manifold(after) < 1e-5
    assert np.abs(after - before).max() > 0.3


@pytest.mark.parametrize("name", ["full_capacity_urnn", "scornn", "goru"])
def test_the_matrix_stays_on_its_manifold(name):
    check_manifold(cells(8)[name], 200, 0.03)


# Ten times the rate of Arjovsky, Shah & Bengio (2016), 10⁻³.
@pytest.mark.medium
@pytest.mark.parametrize("name", RECURRENT)
def test_the_matrix_stays_on_its_manifold_over_ten_thousand_updates(name):
    check_manifold(cells(32)[name], 10_000, 0.01)


@pytest.mark.parametrize("name", RECURRENT)
def test_the_matrix_alone_moves_where_the_rest_is_frozen(name):
    cell, rng = cells(4)[name], np.random.default_rng(0)
    shapes = jax.eval_shape(cell.init, jax.random.key(0))
    params, gradients = (
        jax.tree.map(lambda leaf: rng.normal(size=leaf.shape).astype(np.float32), shapes) for _ in range(2)
    )
    optimizer = optax.multi_transform(
        {"recurrent": optax.sgd(0.5), "rest": optax.set_to_zero()}, param_labels(cell)
    )

    @jax.jit
    def update(params, gradients):
        updates, _ = optimizer.update(gradients, optimizer.init(params), params)
        return optax.apply_updates(params, updates)

    moved = update(params, gradients)
    for field in params._fields:
        old, gradient, new = (getattr(tree, field) for tree in (params, gradients, moved))
        want = old - 0.5 * gradient if field in RECURRENT[name] else old
        np.testing.assert_allclose(new, want, rtol=0, atol=1e-6, err_msg=field)


def test_labels_need_a_constrained_matrix():
    with pytest.raises(ValueError, match="cell: expected a cell with a constrained matrix, got LSTM"):
        param_labels(rec.LSTM(3, 4))


# WᴴW - 1 = E; the gradient is 4 W E, of which JAX gives the complex conjugate.
@pytest.mark.parametrize(
    ("w", "value", "gradient"),
    [
        ([[1.0, 1.0], [1.0, 0.0]], 3.0, [[8.0, 4.0], [4.0, 4.0]]),
        ([[2.0], [1.0]], 16.0, [[32.0], [16.0]]),
        ([[0.6, 0.8], [-0.8, 0.6], [0.0, 0.0]], 0.0, [[0.0, 0.0], [0.0, 0.0], [0.0, 0.0]]),
        ([[1.0, 1.0j], [0.0, 1.0]], 3.0, [[4.0, -8.0j], [4.0j, 4.0]]),
    ],
    ids=["square", "tall", "orthonormal", "complex"],
)
def test_the_penalty_and_its_gradient_by_hand(w, value, gradient):
    got = jax.jit(jax.value_and_grad(soft_orthogonality))(jnp.asarray(w))
    np.testing.assert_allclose(got[0], value, atol=1e-6)
    np.testing.assert_allclose(got[1], gradient, atol=1e-6)


def distance_from_uniform(angles, low, high):
    """Kolmogorov and Smirnov's distance, times √n: 1.63 is exceeded once in a hundred draws."""
    steps = (np.sort(angles) - low) / (high - low)
    n = len(steps)
    return np.abs(steps - (np.arange(n) + 0.5) / n).max() * n**0.5


@pytest.mark.parametrize(
    ("cell", "low", "high"),
    [
        (ScoRNN(3, 201, num_negative=0), 0.0, np.pi / 2),
        (ExpRNN(3, 201, skew_init="henaff"), -np.pi, np.pi),
    ],
    ids=["cayley", "henaff"],
)
def test_the_matrix_starts_as_rotations_of_neighbours(cell, low, high):
    w = np.asarray(jax.jit(lambda key: cell.prepare(cell.init(key)).w_h)(jax.random.key(0)))
    k = 2 * np.arange(100)
    rotations = np.zeros((201, 201))
    rotations[-1, -1] = 1.0
    rotations[k, k], rotations[k, k + 1] = w[k, k], w[k, k + 1]
    rotations[k + 1, k], rotations[k + 1, k + 1] = -w[k, k + 1], w[k, k]
    np.testing.assert_allclose(w, rotations, atol=1e-6)
    assert distance_from_uniform(np.arctan2(w[k, k + 1], w[k, k]), low, high) < 1.63


def test_the_full_capacity_matrix_starts_with_uniform_phases():
    cell = FullCapacityURNN(3, 64)
    w = np.asarray(jax.jit(lambda key: cell.prepare(cell.init(key)).w_h)(jax.random.key(0)))
    assert distance_from_uniform(np.angle(np.linalg.eigvals(w)), -np.pi, np.pi) < 1.63


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: URNN(3, 1), "hidden_size: expected at least 2, got 1"),
        (
            lambda: URNN(3, 4, permutation_seed=-1),
            "permutation_seed: expected an integer of at least 0, got -1",
        ),
        (lambda: ExpRNN(3, 4, skew_init="haar"), "skew_init: expected cayley or henaff, got 'haar'"),
        (lambda: ScoRNN(3, 4, num_negative=5), "num_negative: expected 0 to 4, got 5"),
        (lambda: EUNN(3, 4, capacity=5), "capacity: expected 1 to hidden_size = 4, got 5"),
        (lambda: EUNN(3, 4, style="tuned"), "style: expected tunable or fft, got 'tuned'"),
        (lambda: GORU(3, 6, style="fft"), "hidden_size: the style fft needs a power of 2, got 6"),
    ],
)
def test_a_field_out_of_range_is_named(build, message):
    with pytest.raises(ValueError, match=message):
        build()
