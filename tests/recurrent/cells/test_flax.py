"""Our Elman network, LSTM and GRU beside flax's cells, with the same weights, in float64.

flax's `GRUCell` documents a bias b_hn inside the reset but has none; it is our ``reset='after'`` with b_h = 0.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import recurrent as rec

INPUT_SIZE, HIDDEN_SIZE, NUM_STEPS, BATCH = 3, 5, 9, (2, 3)
FLOAT64 = {"dtype": jnp.float64, "param_dtype": jnp.float64}


def _flax(module_type, **options):
    return module_type(INPUT_SIZE, HIDDEN_SIZE, rngs=nnx.Rngs(0), **FLOAT64, **options)


def _elman(params, activation):
    module = _flax(nnx.SimpleCell, activation_fn=activation)
    module.dense_i.kernel[...] = params.w_x
    module.dense_i.bias[...] = params.b
    module.dense_h.kernel[...] = params.w_h
    return module


def _lstm(params):
    """One matrix for every gate, each with its own name."""
    module = _flax(nnx.LSTMCell)
    w_x, w_h, b = (jnp.split(block, 4, axis=-1) for block in params)
    for index, (from_x, from_h) in enumerate((("ii", "hi"), ("if_", "hf"), ("ig", "hg"), ("io", "ho"))):
        getattr(module, from_x).kernel[...] = w_x[index]
        getattr(module, from_h).kernel[...] = w_h[index]
        getattr(module, from_h).bias[...] = b[index]
    return module


def _optimized_lstm(params):
    module = _flax(nnx.OptimizedLSTMCell)
    module.dense_i.kernel[...] = params.w_x
    module.dense_h.kernel[...] = params.w_h
    module.dense_h.bias[...] = params.b
    return module


def _gru(params):
    module = _flax(nnx.GRUCell)
    module.dense_i.kernel[...] = params.w_x
    module.dense_i.bias[...] = params.b
    module.dense_h.kernel[...] = params.w_h
    return module


CASES = {
    "SimpleCell": (rec.Elman(INPUT_SIZE, HIDDEN_SIZE), lambda params: _elman(params, jnp.tanh)),
    "SimpleCell(relu)": (
        rec.Elman(INPUT_SIZE, HIDDEN_SIZE, activation="relu"),
        lambda params: _elman(params, jax.nn.relu),
    ),
    "LSTMCell": (rec.LSTM(INPUT_SIZE, HIDDEN_SIZE), _lstm),
    "OptimizedLSTMCell": (rec.LSTM(INPUT_SIZE, HIDDEN_SIZE), _optimized_lstm),
    "GRUCell": (rec.GRU(INPUT_SIZE, HIDDEN_SIZE), _gru),
}


def _random_like(key, tree, scale):
    leaves, structure = jax.tree.flatten(tree)
    keys = jax.random.split(key, len(leaves))
    drawn = [scale * jax.random.normal(k, leaf.shape) for k, leaf in zip(keys, leaves, strict=True)]
    return structure.unflatten(drawn)


@pytest.mark.parametrize("name", CASES)
def test_values_are_those_of_flax(name, float64):
    cell, to_flax = CASES[name]
    key_params, key_xs, key_state = jax.random.split(jax.random.key(0), 3)
    params = _random_like(key_params, cell.init(key_params), 0.5)
    if name == "GRUCell":
        params = params._replace(b_h=jnp.zeros(HIDDEN_SIZE))
    xs = 2 * jax.random.normal(key_xs, (NUM_STEPS, *BATCH, INPUT_SIZE))
    state = _random_like(key_state, cell.initial_state(params, BATCH), 1.0)

    module = to_flax(params)
    carry = (state.c, state.h) if isinstance(cell, rec.LSTM) else state.h
    expected = []
    for x in xs:
        carry, y = module(carry, x)
        expected.append(np.asarray(y))
    final, ys = rec.unroll(cell, params, xs, state=state)

    assert ys.dtype == expected[0].dtype == np.float64
    assert np.std(expected) > 0.1  # the comparison is not about saturated or vanished units
    np.testing.assert_allclose(ys, np.stack(expected), rtol=0, atol=1e-10)
    expected_final = (carry[1], carry[0]) if isinstance(cell, rec.LSTM) else (carry,)
    for ours, theirs in zip(final, expected_final, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-10)


def test_flax_has_no_bias_inside_the_reset(float64):
    """Were it there, a copy of our weights would have to carry b_h over."""
    names = {"/".join(map(str, path)) for path, _ in nnx.to_flat_state(nnx.state(_flax(nnx.GRUCell)))}
    assert names == {"dense_i/kernel", "dense_i/bias", "dense_h/kernel"}
