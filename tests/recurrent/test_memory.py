"""What a gradient needs beside its inputs and outputs, as the compiler plans it, and sequences of a million steps."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import recurrent as rec

pytestmark = pytest.mark.optimised

MIB = 2**20


def temporaries(cell, solver, num_steps, batch):
    """Bytes of the gradient of a loss of the last output: the outputs of all steps are not asked for."""

    def loss(params, xs):
        state, _ = rec.unroll(cell, params, xs, solver=solver)
        return jnp.mean(jnp.abs(state.h) ** 2)

    xs = jax.ShapeDtypeStruct((num_steps, batch, *cell.input_shape), jnp.float32)
    params = jax.eval_shape(cell.init, jax.random.key(0))
    return jax.jit(jax.grad(loss)).lower(params, xs).compile().memory_analysis().temp_size_in_bytes


def test_twenty_thousand_steps_fit_into_little_memory():
    cell = rec.LSTM(2, 128)
    plain = temporaries(cell, rec.Sequential(), 20_000, 8)
    checkpointed = temporaries(cell, rec.Checkpointed(), 20_000, 8)
    assert checkpointed < 64 * MIB < 900 * MIB < plain
    assert temporaries(cell, rec.Checkpointed(), 20_000, 128) < 2048 * MIB


def test_two_levels_of_checkpoints_for_a_million_steps():
    cell = rec.LSTM(2, 16)
    two = temporaries(cell, rec.Checkpointed(), 1_000_000, 8)
    one = temporaries(cell, rec.Checkpointed(1000), 1_000_000, 8)
    assert two < one / 3


@pytest.mark.medium
def test_a_chunked_scan_is_bounded_by_its_chunk():
    cell = rec.LRU(2, 16)
    short, long = (temporaries(cell, rec.Associative(25), steps, 1) for steps in (250, 2_500))
    assert long < 2 * short
    assert temporaries(cell, rec.Associative(), 2_500, 1) > 10 * long


@pytest.mark.medium
def test_a_million_steps_of_a_linear_cell():
    """Where the state forgets, the gradient by the first inputs is 0, and by the last ones that of a short run."""
    cell = rec.LRU(2, 8, r_max=0.9)
    params = cell.init(jax.random.key(0))
    xs = jax.random.normal(jax.random.key(1), (1_000_000, 2))

    @jax.jit
    def gradient(xs):
        def loss(xs):
            state, _ = rec.unroll(cell, params, xs, solver=rec.Associative(10_000))
            return jnp.sum(jnp.abs(state.h) ** 2)

        return jax.grad(loss)(xs)

    def short(xs):
        return jnp.sum(jnp.abs(rec.unroll(cell, params, xs)[0].h) ** 2)

    found = gradient(xs)
    np.testing.assert_allclose(found[-500:], jax.grad(short)(xs[-500:]), rtol=1e-3, atol=1e-5)
    assert np.abs(found[:1000]).max() < 1e-10
