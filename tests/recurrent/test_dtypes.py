"""The parameters' dtype decides the computation: inputs are cast to it, and what does not fit is named."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import recurrent as rec
from recurrent.cells.phased_lstm import StampedInput


def in_dtype(cell, dtype):
    return jax.tree.map(lambda leaf: leaf.astype(dtype), cell.init(jax.random.key(0)))


def dtypes(tree):
    return {leaf.dtype.name for leaf in jax.tree.leaves(tree)}


MIXED = {
    "lstm": (rec.LSTM(3, 4), rec.AUTO, jnp.bfloat16, jnp.float32),
    "min_gru": (rec.MinGRU(3, 4), rec.Associative(), jnp.float16, jnp.float32),
    "lru": (rec.LRU(3, 4), rec.Associative(), jnp.float32, jnp.float64),
    "checkpointed": (rec.LSTM(3, 4), rec.Checkpointed(), jnp.float32, jnp.float64),
    "dilated": (rec.Dilated(rec.GRU(3, 4), 2), rec.AUTO, jnp.bfloat16, jnp.float32),
    "residual": (
        rec.stack(rec.GRU(3, 3), rec.LSTM(3, 3), residual=True),
        rec.AUTO,
        jnp.bfloat16,
        jnp.float32,
    ),
}


@pytest.mark.xfail(strict=True, reason="a loop refuses inputs wider than the parameters")
@pytest.mark.parametrize(
    "name",
    [name if name in ("lstm", "lru") else pytest.param(name, marks=pytest.mark.medium) for name in MIXED],
)
def test_inputs_are_cast_to_the_dtype_of_the_parameters(name, float64, quick_compile):
    cell, solver, own, given = MIXED[name]
    params = in_dtype(cell, own)
    xs = jax.random.normal(jax.random.key(1), (5, 2, 3), given)
    plain = functools.partial(rec.unroll, cell, params, solver=solver)
    run = jax.jit(plain)
    state, ys = run(xs)
    assert dtypes(ys) == {jnp.dtype(own).name}
    assert dtypes(state) == ({"complex64"} if name == "lru" else {jnp.dtype(own).name})
    jax.tree.map(np.testing.assert_array_equal, (state, ys), run(xs.astype(own)))
    gradient = jax.jit(jax.grad(lambda xs: jnp.sum(jnp.abs(plain(xs)[1]) ** 2).astype(float)))(xs)
    assert gradient.dtype == given and jnp.any(gradient)


@pytest.mark.xfail(strict=True, reason="a loop refuses inputs wider than the parameters")
def test_parts_of_two_dtypes_each_compute_in_their_own():
    cell = rec.stack(rec.LSTM(3, 4), rec.GRU(4, 4))
    params = in_dtype(cell.parts[0], jnp.bfloat16), in_dtype(cell.parts[1], jnp.float32)
    state, ys = rec.unroll(cell, params, jnp.ones((5, 2, 3)))
    assert (dtypes(state[0]), dtypes(state[1]), dtypes(ys)) == ({"bfloat16"}, {"float32"}, {"float32"})


@pytest.mark.xfail(strict=True, reason="a loop refuses inputs wider than the parameters")
def test_a_stream_casts_as_unroll_does():
    for cell in (rec.GRU(3, 3), rec.stack(rec.GRU(3, 3), rec.LSTM(3, 3), residual=True)):
        params, xs = in_dtype(cell, jnp.bfloat16), jax.random.normal(jax.random.key(1), (3, 2, 3))
        state, step = rec.stream(cell, params, (2,))
        for x in xs:
            state, y = step(state, x)
        final, ys = rec.unroll(cell, params, xs)
        assert y.dtype == jnp.bfloat16
        pairs = zip(jax.tree.leaves((state, y)), jax.tree.leaves((final, ys[-1])), strict=True)
        for a, b in pairs:
            np.testing.assert_allclose(np.float32(a), np.float32(b), atol=0.03)


@pytest.mark.xfail(strict=True, reason="a loop refuses inputs wider than the parameters")
def test_time_stamps_keep_their_own_dtype():
    """In bfloat16 1000 and 1001 are one number; the phase is computed in float32 and then rounded."""
    cell = rec.PhasedLSTM(3, 4, bias_init="zeros", open_share=0.5)
    params = in_dtype(cell, jnp.bfloat16)
    x = StampedInput(jnp.ones((2, 1, 3)), 1000.0 + jnp.arange(2.0)[:, None])
    state, _ = rec.unroll(cell, params, x)
    assert dtypes(state) == {"bfloat16"}
    wide = jax.tree.map(lambda leaf: leaf.astype(jnp.float32), params)
    for a, b in zip(state, rec.unroll(cell, wide, x)[0], strict=True):
        np.testing.assert_allclose(np.float32(a), b, atol=0.01)
    rounded = x._replace(t=x.t.astype(jnp.bfloat16).astype(jnp.float32))
    assert np.abs(rec.unroll(cell, wide, rounded)[0].c - np.float32(state.c)).max() > 0.02


LSTM_PARAMS = in_dtype(rec.LSTM(3, 4), jnp.bfloat16)


@pytest.mark.xfail(strict=True, reason="no one line names the argument")
@pytest.mark.parametrize(
    ("cell", "params", "options", "message"),
    [
        (
            rec.LRU(3, 4),
            in_dtype(rec.LRU(3, 4), jnp.bfloat16),
            {},
            r"params: LRU\(.*\) cannot compute in bfloat16: ",
        ),
        (
            rec.ExpRNN(3, 4),
            in_dtype(rec.ExpRNN(3, 4), jnp.float16),
            {},
            r"params: ExpRNN\(.*\) cannot .* float16: ",
        ),
        (
            rec.LSTM(3, 4),
            LSTM_PARAMS._replace(b=LSTM_PARAMS.b.astype(jnp.float32)),
            {},
            r"params: expected floating numbers of one dtype, got .*w_x: bfloat16\[3, 16\].*b: float32\[16\]\)",
        ),
        (
            rec.LSTM(3, 4),
            jax.tree.map(lambda leaf: leaf.astype(int), LSTM_PARAMS),
            {},
            r"params: expected floating numbers of one dtype, got LSTMParams\(w_x: int32",
        ),
        (
            rec.LSTM(3, 4),
            in_dtype(rec.LSTM(3, 4), jnp.float32),
            {"xs": jnp.ones((5, 2, 3), jnp.complex64)},
            r"xs: LSTM\(.*\) cannot compute in complex64: ",
        ),
    ],
)
def test_what_does_not_fit_is_named(cell, params, options, message):
    unchecked = getattr(rec.unroll, "__wrapped__", rec.unroll)
    xs = options.get("xs", jnp.ones((5, 2, 3)))
    with pytest.raises(ValueError, match=message) as error:
        unchecked(cell, params, xs, state=options.get("state"))
    assert "\n" not in str(error.value)
