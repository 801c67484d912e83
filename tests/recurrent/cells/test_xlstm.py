"""Exponential gates: a shift of every input gate cancels, however small the gates are."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import recurrent as rec


@pytest.mark.parametrize("shift", [-28.0, -35.0, -200.0, 50.0])
def test_the_scale_of_the_input_gates_cancels_in_slstm(shift):
    """c and n have the factor e^shift in common; h is their quotient."""
    cell = rec.SLSTM(3, 4)
    params = cell.init(jax.random.key(0))
    moved = params._replace(b=params.b.at[:4].add(shift))
    xs = jax.random.normal(jax.random.key(1), (12, 2, 3))
    expected, found = (rec.unroll(cell, given, xs)[1] for given in (params, moved))
    assert np.abs(expected).max() > 0.1
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16, jnp.float32])
def test_the_first_memory_of_slstm_is_the_first_input(dtype):
    """After one step c / n is tanh(z) alone."""
    cell = rec.SLSTM(3, 4)
    params = cell.init(jax.random.key(0))
    params = params._replace(b=params.b.at[:4].add(-20.0).at[12:].add(3.0))
    x = jax.random.normal(jax.random.key(1), (1, 3))
    z, o = jnp.split((x[0] @ params.w_x + params.b)[8:], 2)
    narrow = jax.tree.map(lambda leaf: leaf.astype(dtype), params)
    state, _ = rec.unroll(cell, narrow, x.astype(dtype))
    np.testing.assert_allclose(state.h.astype(jnp.float32), jax.nn.sigmoid(o) * jnp.tanh(z), rtol=0.03)
    assert bool(jnp.isfinite(state.m).all()) and state.n.tolist() == [1.0] * 4


@pytest.mark.parametrize("shift", [-30.0, -60.0])
def test_mlstm_divides_by_what_the_normaliser_says_or_one(shift):
    """With small gates the true normaliser is below 1, so the memory is read as it is: here in float64 by hand."""
    cell = rec.MLSTM(3, 4)
    with jax.enable_x64(True):
        params = cell.init(jax.random.key(0))
        params = params._replace(b_i=params.b_i + shift)
        xs = jax.random.normal(jax.random.key(1), (6, 3))
        _, ys = rec.unroll(cell, params, xs)
        p = jax.tree.map(np.asarray, params)
    memory, want = np.zeros((4, 4)), []
    for x in np.asarray(xs):
        q, k, v = x @ p.w_q + p.b_q, (x @ p.w_k + p.b_k) / 2, x @ p.w_v + p.b_v
        forget = 1 / (1 + np.exp(-(x @ p.w_f + p.b_f)))
        memory = forget * memory + np.exp(x @ p.w_i + p.b_i) * np.outer(v, k)
        want.append(memory @ q / (1 + np.exp(-(x @ p.w_o + p.b_o))))
    np.testing.assert_allclose(ys, want, rtol=1e-10)
