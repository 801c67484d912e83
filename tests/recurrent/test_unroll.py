"""The unroll: its errors, its edges, both directions and pytrees on all sides."""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from awkward_cells import AWKWARD
from broken_cells import Leaky

import recurrent as rec
from recurrent.testing.contract import SOLVERS, check_cell

LSTM = rec.LSTM(3, 4)


def inputs(num_steps):
    return jax.random.normal(jax.random.key(0), (num_steps, 2, 3))


@pytest.mark.parametrize("solver", SOLVERS, ids=str)
@pytest.mark.parametrize("name", ["lru", "matrix_memory"])
def test_no_steps_and_one_step(name, solver):
    cell = AWKWARD[name]
    params = cell.init(jax.random.key(0))
    start, _ = rec.unroll(cell, params, inputs(3))
    refusing = rec.Sequential, rec.Checkpointed, rec.Associative, rec.Fused
    for options in ({}, {"reverse": True}):
        state, ys = rec.unroll(cell, params, inputs(0), state=start, solver=solver, **options)
        assert ys.shape == (0, 2, *cell.output_shape)
        jax.tree.map(np.testing.assert_array_equal, state, start)
        x = inputs(1)
        if isinstance(solver, refusing) and 4 in jax.tree.leaves(dataclasses.astuple(solver)):
            with pytest.raises(ValueError, match="expected at most 1, the length of the time axis, got 4"):
                rec.unroll(cell, params, x, state=start, solver=solver, **options)
            continue
        weights = cell.prepare(params)
        after, y = cell.step(weights, start, cell.project(weights, x[0]))
        state, ys = rec.unroll(cell, params, x, state=start, solver=solver, **options)
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), (state, ys[0]), (after, y)
        )


EMPTY = {
    "delta_net": rec.Associative(),
    "linear_lmu": rec.Associative(),
    "gla": rec.Associative(4),
    "slstm": rec.Checkpointed(),
    "stack_rnn": rec.Sequential(None),
    "lstm": rec.Newton(4, jacobian="diagonal"),
}


@pytest.mark.parametrize(
    "name",
    [
        name if name in ("delta_net", "lstm") else pytest.param(name, marks=pytest.mark.medium)
        for name in EMPTY
    ],
)
def test_no_sequences_and_no_steps_have_gradients_of_zero(name):
    cell = rec.CELLS[name](3, 4)
    params = cell.init(jax.random.key(0))
    start = jax.tree.map(lambda leaf: leaf + 0.5, cell.initial_state(cell.prepare(params), (2,)))

    @jax.jit
    def differentiate(params, xs, state):
        def loss(params, xs, state):
            final, ys = rec.unroll(cell, params, xs, state=state, solver=EMPTY[name])
            return sum(jnp.sum(jnp.abs(leaf) ** 2) for leaf in jax.tree.leaves((final, ys))), (final, ys)

        return jax.grad(loss, argnums=(0, 2), has_aux=True)(params, xs, state)

    for num_steps, batch in ((6, 0), (0, 2)):
        state = jax.tree.map(lambda leaf, batch=batch: leaf[:batch], start)
        xs = jnp.ones((num_steps, batch, 3))
        (g_params, g_state), (final, ys) = differentiate(params, xs, state)
        assert ys.shape == (num_steps, batch, 4)
        jax.tree.map(np.testing.assert_array_equal, final, state)
        jax.tree.map(lambda g, leaf: np.testing.assert_allclose(g, 2 * leaf), g_state, state)
        assert jax.tree.leaves(g_params) and not any(map(jnp.any, jax.tree.leaves(g_params)))


def test_resets_at_the_ends():
    """Forward, a reset at step 0 overrides the caller's state; in reverse it has no effect, there or anywhere."""
    params, xs = LSTM.init(jax.random.key(0)), inputs(5)
    state = rec.unroll(LSTM, params, xs)[0]
    reset = jnp.zeros((5, 2), bool).at[0].set(True)
    forward = rec.unroll(LSTM, params, xs, state=state, reset=reset)[1]
    np.testing.assert_allclose(forward, rec.unroll(LSTM, params, xs)[1], rtol=1e-6)
    back = rec.unroll(LSTM, params, xs, state=state, reset=reset, reverse=True)[1]
    np.testing.assert_allclose(back, rec.unroll(LSTM, params, xs, state=state, reverse=True)[1], rtol=1e-6)
    assert np.abs(forward - rec.unroll(LSTM, params, xs, state=state)[1]).max() > 0.01


def test_reverse_is_the_flip_of_the_flip():
    params, xs = LSTM.init(jax.random.key(0)), inputs(5)
    state, ys = rec.unroll(LSTM, params, xs, reverse=True)
    flipped_state, flipped = rec.unroll(LSTM, params, xs[::-1])
    np.testing.assert_allclose(ys, flipped[::-1], rtol=1e-6)
    np.testing.assert_allclose(state.c, flipped_state.c, rtol=1e-6)


class Timed(NamedTuple):
    """An input with the time since the one before."""

    x: Any
    dt: Any


@dataclasses.dataclass(frozen=True)
class TimedCell(Leaky):
    """Pytrees on all sides: the state decays with the time that has passed, and is emitted with its norm."""

    @property
    def input_shape(self):
        return Timed((3,), ())

    def project(self, weights, x):
        return Timed(x.x @ weights.w, x.dt)

    def next_state(self, weights, state, u):
        decay = jnp.exp(-jnp.abs(weights.a) * jnp.square(u.dt)[..., None])
        return super().next_state(weights, state._replace(h=decay * state.h), u.x)

    def output(self, weights, state, u):
        return {"h": state.h, "energy": jnp.sum(state.h**2, axis=-1), "dt": u.dt}


def test_inputs_and_outputs_may_be_pytrees():
    assert TimedCell().output_shape == {"h": (2,), "energy": (), "dt": ()}
    check_cell(TimedCell(), solvers=(rec.Checkpointed(4),))


LSTM_PARAMS = LSTM.init(jax.random.key(0))
LRU = AWKWARD["lru"]
GOOD = {"cell": LSTM, "xs": jnp.zeros((5, 2, 3))}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"xs": jnp.zeros((5, 2, 4))}, r"xs: expected shape \(\.\.\., 3\), got \(5, 2, 4\)"),
        ({"xs": jnp.zeros(3)}, r"xs: expected a time axis in front of \(3,\)"),
        ({"xs": {"a": jnp.zeros((5, 3)), "b": jnp.zeros((5, 3))}}, "xs: expected 1 arrays"),
        (
            {"mask": jnp.ones((2, 5), bool)},
            r"mask: expected shape \(5, 2\), the leading axes of xs, got \(2, 5\)",
        ),
        ({"reset": jnp.ones((5, 1), bool)}, r"reset: expected shape \(5, 2\)"),
        ({"solver": "sequential"}, r"solver: expected a solver such as Sequential\(\), got 'sequential'"),
        ({"solver": (rec.Sequential(),)}, "solver: expected a solver"),
        ({"cell": "lstm"}, "cell: expected a Cell or a Layer, got 'lstm'"),
        (
            {"state": (jnp.zeros((2, 4)),)},
            r"expected LSTMState\(h: float32\[2, 4\], c: float32\[2, 4\]\), got tuple",
        ),
        (
            {"state": LSTM.initial_state(LSTM.init(jax.random.key(0)), ())},
            r"state: .* got LSTMState\(h: float32\[4\]",
        ),
        (
            {"state": jax.tree.map(lambda s: s.astype(int), LSTM.initial_state(LSTM_PARAMS, (2,)))},
            r"state: .* got LSTMState\(h: int32\[2, 4\]",
        ),
        ({"xs": jnp.zeros((5, 2, 3), int)}, r"xs: expected floating numbers, got int32\[5, 2, 3\]"),
        (
            {"params": rec.GRU(3, 4).init(jax.random.key(0))},
            r"params: expected LSTMParams\(w_x\[3, 16\], .*, got GRUAfterParams\(w_x\[3, 12\]",
        ),
        (
            {"params": LSTM_PARAMS._replace(w_h=LSTM_PARAMS.w_h.T)},
            r"params: expected .*w_h\[4, 16\].*got .*w_h\[16, 4\]",
        ),
        ({"solver": rec.Sequential(6)}, "projection: expected at most 5, .* got 6"),
        ({"solver": rec.Checkpointed(6)}, "segment: expected at most 5, the length of the time axis, got 6"),
        ({"cell": LRU, "solver": rec.Associative(6)}, "chunk: expected at most 5, .*, got 6"),
    ],
    ids=lambda value: ", ".join(value) if isinstance(value, dict) else "",
)
def test_a_wrong_argument_is_named_in_one_line(wrong, message):
    given = {**GOOD, **wrong}
    params = given.pop("params", LRU.init(jax.random.key(0)) if given["cell"] is LRU else LSTM_PARAMS)
    with pytest.raises(ValueError, match=message) as error:
        _unchecked_unroll(given.pop("cell"), params, given.pop("xs"), **given)
    assert "\n" not in str(error.value)


def test_flags_are_booleans():
    with pytest.raises(ValueError, match="mask: expected booleans, got int32"):
        _unchecked_unroll(LSTM, LSTM.init(jax.random.key(0)), GOOD["xs"], mask=jnp.ones((5, 2), int))


# what a user without the annotations' run-time checks sees
_unchecked_unroll = getattr(rec.unroll, "__wrapped__", rec.unroll)


def test_mask_from_lengths():
    lengths = jnp.array([[0, 1], [3, 4]])
    mask = rec.mask_from_lengths(lengths, 4)
    assert mask.dtype == bool
    expected = [[t < length for length in lengths.ravel()] for t in range(4)]
    np.testing.assert_array_equal(mask.reshape(4, 4), expected)
    np.testing.assert_array_equal(jax.jit(rec.mask_from_lengths, static_argnums=1)(lengths, 4), mask)


@pytest.mark.parametrize("wrong", [5, -1])
def test_lengths_beyond_the_sequence_are_refused_where_they_are_known(wrong):
    with pytest.raises(ValueError, match=f"lengths: expected 0 to num_steps = 4, got {wrong}"):
        rec.mask_from_lengths(jnp.array([1, wrong]), 4)
