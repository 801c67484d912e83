"""The parameters' dtype decides the computation: inputs are cast to it, and what does not fit is named."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from every_cell import CELLS, ELSEWHERE, SMALL, STRUCTURES

import recurrent as rec
from recurrent import arrays
from recurrent.cells.phased_lstm import StampedInput

# no complex number has parts of 16 bits, and the matrix exponential of an awkward cell is not widened
WIDE = {"urnn", "full_capacity_urnn", "eunn", "lru", "s4d", "s5"}
HALVES = (jnp.bfloat16, jnp.float16)


def in_dtype(cell, dtype):
    return jax.tree.map(lambda leaf: leaf.astype(dtype), cell.init(jax.random.key(0)))


def dtypes(tree):
    return {leaf.dtype.name for leaf in jax.tree.leaves(tree)}


MIXED = {
    "lstm": (rec.LSTM(3, 4), rec.AUTO, jnp.bfloat16, jnp.float32),
    "gru": (rec.GRU(3, 4), rec.Sequential(4), jnp.float32, jnp.bfloat16),
    "min_gru": (rec.MinGRU(3, 4), rec.Associative(), jnp.float16, jnp.float32),
    "lru": (rec.LRU(3, 4), rec.Associative(), jnp.float32, jnp.float64),
    "elman": (rec.Elman(3, 4), rec.Newton(5), jnp.float64, jnp.float32),
    "checkpointed": (rec.LSTM(3, 4), rec.Checkpointed(), jnp.float32, jnp.float64),
    "dilated": (rec.Dilated(rec.GRU(3, 4), 2), rec.AUTO, jnp.bfloat16, jnp.float32),
    "residual": (
        rec.stack(rec.GRU(3, 3), rec.LSTM(3, 3), residual=True),
        rec.AUTO,
        jnp.bfloat16,
        jnp.float32,
    ),
}


@pytest.mark.parametrize(
    "name",
    [name if name in ("lstm", "lru") else pytest.param(name, marks=pytest.mark.medium) for name in MIXED],
)
def test_inputs_are_cast_to_the_dtype_of_the_parameters(name, float64):
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


def test_parts_of_two_dtypes_each_compute_in_their_own():
    cell = rec.stack(rec.LSTM(3, 4), rec.GRU(4, 4))
    params = in_dtype(cell.parts[0], jnp.bfloat16), in_dtype(cell.parts[1], jnp.float32)
    state, ys = rec.unroll(cell, params, jnp.ones((5, 2, 3)))
    assert (dtypes(state[0]), dtypes(state[1]), dtypes(ys)) == ({"bfloat16"}, {"float32"}, {"float32"})


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
            rec.URNN(3, 4),
            in_dtype(rec.URNN(3, 4), jnp.float16),
            {},
            r"params: URNN\(.*\) cannot .* float16: ",
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
        (
            rec.LSTM(3, 4),
            LSTM_PARAMS,
            {"state": rec.LSTM(3, 4).initial_state(in_dtype(rec.LSTM(3, 4), jnp.float32), (2,))},
            r"state: expected LSTMState\(h: bfloat16\[2, 4\].*, got LSTMState\(h: float32",
        ),
    ],
)
def test_what_does_not_fit_is_named(cell, params, options, message):
    unchecked = getattr(rec.unroll, "__wrapped__", rec.unroll)
    xs = options.get("xs", jnp.ones((5, 2, 3)))
    with pytest.raises(ValueError, match=message) as error:
        unchecked(cell, params, xs, state=options.get("state"))
    assert "\n" not in str(error.value)


@pytest.mark.medium
@pytest.mark.parametrize(
    ("name", "solver"),
    [
        ("exprnn", rec.AUTO),
        ("scornn", rec.AUTO),
        ("delta_net", rec.Associative()),
        ("gru", rec.Newton(5, damping=1.0)),
        ("gru", rec.Newton(5, jacobian="diagonal", damping=1.0)),
    ],
    ids=str,
)
def test_linear_algebra_knows_bits_enough(name, solver):
    """Compiled: that a factorisation has no 16 bits is found when it is lowered."""
    cell = rec.CELLS[name](3, 4)
    params, xs = in_dtype(cell, jnp.bfloat16), jnp.ones((5, 2, 3))
    run = jax.jit(functools.partial(rec.unroll, cell, solver=solver))
    ys = run(params, xs)[1]
    wide = run(jax.tree.map(lambda leaf: leaf.astype(jnp.float32), params), xs)[1]
    assert ys.dtype == jnp.bfloat16
    np.testing.assert_allclose(np.float32(ys), wide, rtol=0.03, atol=0.03)


@pytest.mark.medium
@pytest.mark.parametrize("name", [*CELLS, *ELSEWHERE])
def test_every_cell_in_every_pair_of_dtypes(name):
    """Traced, forward and backward; a cell that has no state in 16 bits says so. A cell like others gets one pair."""
    cells = {**SMALL, **CELLS}
    cell = cells[name]
    pairs = ((jnp.float32, jnp.bfloat16), *((half, jnp.float32) for half in HALVES), HALVES)
    turn = list(cells).index(name) % len(pairs)
    params, shapes = jax.eval_shape(cell.init, jax.random.key(0)), cell.input_shape

    def loss(params, xs):
        values = rec.unroll(cell, params, xs, key=jax.random.key(0))
        return sum(
            jnp.sum(jnp.abs(leaf) ** 2).astype(jnp.float32) for leaf in jax.tree.leaves(values)
        ), values

    for own, given in pairs if name in STRUCTURES else pairs[turn : turn + 1]:
        typed = jax.tree.map(lambda leaf, own=own: jax.ShapeDtypeStruct(leaf.shape, own), params)
        xs = jax.tree.map(
            lambda shape, given=given: jax.ShapeDtypeStruct((5, 2, *shape), given),
            shapes,
            is_leaf=arrays.is_shape,
        )
        differentiate = functools.partial(
            jax.eval_shape, jax.grad(loss, argnums=(0, 1), has_aux=True), typed, xs
        )
        if (name.split()[0] in WIDE or name in ("awkward lru", "awkward exprnn")) and own in HALVES:
            with pytest.raises(ValueError, match=f"params: .* cannot compute in {jnp.dtype(own).name}: "):
                differentiate()
            continue
        (g_params, g_xs), values = differentiate()
        assert {arrays.real_dtype(leaf) for leaf in jax.tree.leaves(values)} == {jnp.dtype(own)}
        assert dtypes(g_params) == {jnp.dtype(own).name} and dtypes(g_xs) == {jnp.dtype(given).name}
