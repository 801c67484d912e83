"""Initialisers against what their papers say of them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import recurrent as rec
from recurrent import initializers

KEY = jax.random.key(0)


@pytest.mark.parametrize(
    ("cell", "num_blocks"), [(rec.LSTM(3, 16), 4), (rec.GRU(3, 16), 3), (rec.Elman(3, 16), 1)]
)
def test_every_gate_block_is_orthogonal_on_its_own(cell, num_blocks):
    w_h = np.asarray(cell.init(KEY).w_h, np.float64)
    for block in np.split(w_h, num_blocks, axis=1):
        np.testing.assert_allclose(block @ block.T, np.eye(16), atol=2e-6)
    if num_blocks > 1:
        assert np.abs(w_h[:, :16] - w_h[:, 16:32]).max() > 0.1  # and they are not one matrix


def test_uniform_bound_is_one_over_root_outputs():
    w = np.asarray(initializers.initialize("uniform", KEY, (200, 64)))
    assert np.abs(w).max() <= 1 / 8
    np.testing.assert_allclose(w.std(), (1 / 8) / np.sqrt(3), rtol=0.02)


def test_uniform_takes_a_bound():
    w = np.asarray(initializers.initialize(("uniform", 0.5), KEY, (100, 100)))
    assert 0.49 < np.abs(w).max() <= 0.5


def test_glorot_bound_counts_the_fan_of_each_block():
    w = np.asarray(initializers.blocks("glorot", KEY, (50, 30), 4))
    bound = np.sqrt(6 / 80)
    assert 0.98 * bound < np.abs(w).max() <= bound


def test_normal_has_the_standard_deviation():
    w = np.asarray(initializers.initialize(("normal", 0.3), KEY, (100, 100)))
    np.testing.assert_allclose([w.mean(), w.std()], [0, 0.3], atol=0.01)


def test_the_identity_of_an_irnn():
    params = rec.irnn(3, 8).init(KEY)
    np.testing.assert_array_equal(params.w_h, np.eye(8))
    assert np.abs(np.asarray(params.w_x)).max() < 0.01


@pytest.mark.parametrize("size", [2, 10, 64])
def test_spectral_radius_against_eigenvalues(size):
    w = np.asarray(initializers.initialize(("spectral_radius", 0.9), KEY, (size, size)), np.float64)
    np.testing.assert_allclose(np.abs(np.linalg.eigvals(w)).max(), 0.9, rtol=1e-4)


def test_spectral_radius_of_a_rotation_and_of_a_defective_matrix():
    # no dominant real eigenvector, and no basis of eigenvectors: where power iteration fails
    rotation = 0.5 * jnp.array([[0.0, -1.0], [1.0, 0.0]])
    np.testing.assert_allclose(initializers.spectral_radius_of(rotation), 0.5, rtol=1e-5)
    defective = jnp.array([[0.5, 1.0], [0.0, 0.5]])
    np.testing.assert_allclose(initializers.spectral_radius_of(defective), 0.5, rtol=1e-4)


def test_chrono_biases():
    b = np.split(
        np.asarray(rec.LSTM(2, 4000, forget_bias=("chrono", 100), recurrent_init="zeros").init(KEY).b), 4
    )
    i, f, g, o = b
    np.testing.assert_array_equal(i, -f)
    np.testing.assert_array_equal([g, o], np.zeros((2, 4000)))
    times = np.exp(f)  # U[1, 99]
    assert 1.0 <= times.min() < 1.2 and 98.8 < times.max() <= 99.001
    np.testing.assert_allclose([times.mean(), times.var()], [50, 98**2 / 12], rtol=0.05)


def test_the_forget_bias_of_a_number():
    i, f, g, o = np.split(np.asarray(rec.LSTM(2, 5, forget_bias=3.0).init(KEY).b), 4)
    np.testing.assert_array_equal(f, np.full(5, 3.0))
    np.testing.assert_array_equal([i, g, o], np.zeros((3, 5)))
    i, _, _ = np.split(np.asarray(rec.LSTM(2, 5, coupled=True).init(KEY).b), 3)
    np.testing.assert_array_equal(i, np.full(5, -1.0))  # one gate: to forget little is to let little in


@pytest.mark.parametrize("builder", [rec.Elman, rec.LSTM, rec.GRU])
def test_an_unknown_initialiser_is_named(builder):
    with pytest.raises(ValueError, match=r"recurrent_init: unknown initialiser 'ortogonal'; known: zeros"):
        builder(2, 3, recurrent_init="ortogonal")


def test_positive_definite_has_eigenvalues_up_to_one():
    matrix = np.asarray(rec.initializers.initialize("positive_definite", jax.random.key(0), (40, 40)))
    eigenvalues = np.linalg.eigvalsh(matrix)
    np.testing.assert_allclose(matrix, matrix.T, atol=1e-6)
    assert eigenvalues[0] > 0.05 and abs(eigenvalues[-1] - 1) < 1e-5
