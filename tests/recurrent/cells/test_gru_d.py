"""GRU-D where entries are missing, and the cells in continuous time where no time passes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import recurrent as rec
from recurrent.cells.cfc import CfC
from recurrent.cells.gru_d import GRUD, GRUDInput, time_since_observed
from recurrent.cells.ltc import LTC
from recurrent.cells.timed import TimedInput

NUM_STEPS, BATCH, INPUTS, HIDDEN = 7, 2, 3, 4
NO_TIME = np.array([0.0, -1.0])  # a time below 0 counts as 0


def draw_params(cell):
    rng = np.random.default_rng(0)
    shapes = jax.eval_shape(cell.init, jax.random.key(0))
    return jax.tree.map(lambda leaf: 0.5 * rng.normal(size=leaf.shape), shapes)


def draw_inputs():
    rng = np.random.default_rng(1)
    shape = (NUM_STEPS, BATCH, INPUTS)
    given = rng.normal(size=shape), rng.random(shape) < 0.5, rng.exponential(size=shape)
    return GRUDInput(*map(jnp.asarray, given))


def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-x))


@jax.jit(static_argnums=0)
def unroll(cell, params, xs, state):
    return rec.unroll(cell, params, xs, state=state)


@jax.jit(static_argnums=0)
def one_step(cell, params, state, x):
    weights = cell.prepare(params)
    return cell.step(weights, state, cell.project(weights, x))


@pytest.mark.parametrize(("batch", "dtype"), [((), bool), ((2, 3), float)])
def test_time_since_observed_is_the_recursion_of_the_paper(batch, dtype, float64):
    """δ' = s' - s, and δ more where the step before was not observed; 0 at the first step (Che et al., 2018)."""
    rng = np.random.default_rng(2)
    # time can stand still, and starts anywhere
    times = -5.0 + np.cumsum(rng.integers(0, 3, (9, *batch)) * 0.5, axis=0)
    mask = (rng.random((9, *batch, INPUTS)) < 0.3).astype(dtype)
    want = np.zeros(mask.shape)
    for t in range(1, 9):
        for entry in np.ndindex(*mask.shape[1:]):
            gap = times[(t, *entry[:-1])] - times[(t - 1, *entry[:-1])]
            want[(t, *entry)] = gap + (0.0 if mask[(t - 1, *entry)] else want[(t - 1, *entry)])
    got = jax.jit(time_since_observed)(jnp.asarray(times), jnp.asarray(mask))
    np.testing.assert_array_equal(got, want)


def test_gru_d_without_gaps_and_decays_is_a_gru_with_a_larger_bias(float64):
    cell = GRUD(INPUTS, HIDDEN, mean=0.7)
    params = draw_params(cell)
    decays = {name: np.zeros_like(params._asdict()[name]) for name in params._fields if "decay" in name}
    xs = draw_inputs()._replace(mask=jnp.ones((NUM_STEPS, BATCH, INPUTS)))
    final, ys = unroll(cell, params._replace(**decays), xs, None)

    h, x = np.zeros((BATCH, HIDDEN)), np.asarray(xs.x)
    for t in range(NUM_STEPS):
        drive = x[t] @ params.w_x + params.w_m.sum(axis=0) + params.b
        r = sigmoid(drive[:, 0:4] + h @ params.w_h[:, 0:4])
        z = sigmoid(drive[:, 4:8] + h @ params.w_h[:, 4:8])
        h = (1.0 - z) * h + z * np.tanh(drive[:, 8:12] + (r * h) @ params.w_h[:, 8:12])
        np.testing.assert_allclose(ys[t], h, rtol=1e-12)
    np.testing.assert_array_equal(final.x_last, x[-1])


def test_gru_d_does_not_see_what_is_missing(float64):
    cell = GRUD(INPUTS, HIDDEN, mean=(0.5, -1.0, 2.0))
    params, xs = draw_params(cell), draw_inputs()
    cotangent = np.random.default_rng(3).normal(size=(NUM_STEPS, BATCH, HIDDEN))

    @jax.jit
    def run(params, x):
        ys, vjp = jax.vjp(lambda params, x: rec.unroll(cell, params, xs._replace(x=x))[1], params, x)
        return ys, vjp(cotangent)

    want, got = run(params, xs.x), run(params, jnp.where(xs.mask, xs.x, jnp.nan))
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(want), strict=True):
        assert np.isfinite(a).all()
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(np.asarray(got[1][1]) != 0.0, xs.mask)


def test_gru_d_decays_to_the_mean_and_to_no_memory(float64):
    """After a long time the step is a first step that observes the mean, but the last value stays as it is."""
    cell = GRUD(INPUTS, HIDDEN, mean=(0.5, -1.0, 2.0))
    params = draw_params(cell)
    params = params._replace(
        w_m=np.zeros_like(params.w_m),
        w_decay_x=1.0 + np.abs(params.w_decay_x),
        w_decay_h=1.0 + np.abs(params.w_decay_h),
    )
    missing = GRUDInput(jnp.full(INPUTS, jnp.nan), jnp.zeros(INPUTS), jnp.full(INPUTS, 1e3))
    the_mean = missing._replace(x=jnp.asarray(cell.mean), mask=jnp.ones(INPUTS))
    fresh = cell.initial_state(cell.prepare(params), ())
    used = fresh._replace(h=fresh.h + 0.5, x_last=fresh.x_last + 3.0)
    state, got = one_step(cell, params, used, missing)
    np.testing.assert_allclose(got, one_step(cell, params, fresh, the_mean)[1], rtol=1e-12)
    np.testing.assert_array_equal(state.x_last, used.x_last)


def test_every_parameter_moves_from_where_it_starts(float64):
    cell, rng = GRUD(INPUTS, HIDDEN), np.random.default_rng(6)
    x, mask, dt = rng.normal(size=(5, INPUTS)), rng.random((5, INPUTS)) < 0.5, rng.random((5, INPUTS)) + 0.5
    xs = GRUDInput(jnp.asarray(x), jnp.asarray(mask, float), jnp.asarray(dt))
    params = cell.init(jax.random.key(0))
    gradient = jax.grad(lambda params: jnp.sum(rec.unroll(cell, params, xs)[1] ** 2))(params)
    assert [name for name, leaf in gradient._asdict().items() if not np.any(leaf)] == []


@pytest.mark.parametrize("synapses", ["layer", "pairs"])
def test_ltc_stands_still_where_no_time_passes(synapses, float64):
    cell = LTC(INPUTS, HIDDEN, synapses=synapses, dt=None, unfolds=2)
    rng = np.random.default_rng(4)
    xs = TimedInput(jnp.asarray(rng.normal(size=(3, 2, INPUTS))), jnp.asarray(np.tile(NO_TIME, (3, 1))))
    params, v = draw_params(cell), rng.normal(size=(2, HIDDEN))
    state = cell.initial_state(cell.prepare(params), (2,))._replace(v=v)
    ys = unroll(cell, params, xs, state)[1]
    np.testing.assert_allclose(ys, np.broadcast_to(v, ys.shape), rtol=1e-14)


@pytest.mark.parametrize("mode", ["default", "no_gate", "pure"])
def test_cfc_moves_where_no_time_passes(mode, float64):
    """Its gate is σ(q) and its exponential 1 at dt = 0, whatever the state was."""
    cell = CfC(INPUTS, HIDDEN, mode=mode, dt=None, activation="tanh")
    rng = np.random.default_rng(5)
    x, h, params = rng.normal(size=(2, INPUTS)), rng.normal(size=(2, HIDDEN)), draw_params(cell)
    state = cell.initial_state(cell.prepare(params), (2,))._replace(h=h)
    got = one_step(cell, params, state, TimedInput(jnp.asarray(x), jnp.asarray(NO_TIME)))[1]

    o = np.tanh(x @ params.w_x + h @ params.w_h + params.b) @ params.w_o + params.b_o
    if mode == "pure":
        want = params.a * (1.0 - o)
    else:
        gate = sigmoid(o[:, 12:16])
        kept = 1.0 - gate if mode == "default" else 1.0
        want = kept * np.tanh(o[:, 0:4]) + gate * np.tanh(o[:, 4:8])
    np.testing.assert_allclose(got, want, rtol=1e-12)
