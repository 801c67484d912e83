"""Wrappers against hand-made loops: zoneout, states over time, cut gradients, held noise, residual connections."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from awkward_cells import LRU

import recurrent as rec
from recurrent.testing.contract import check_cell
from recurrent.wrappers.residual import residual

SOLVERS = (rec.Sequential(), rec.Checkpointed(), rec.Checkpointed(4))


def example(cell, steps=9, batch=3):
    return cell.init(jax.random.key(0)), jax.random.normal(
        jax.random.key(1), (steps, batch, *cell.input_shape)
    )


def loop(cell, params, xs, change):
    """Step by step; ``change(t, old, new)`` is the state that goes on."""
    weights = cell.prepare(params)
    state, states = cell.initial_state(weights, xs.shape[1:2]), []
    for t in range(len(xs)):
        state = change(t, state, cell.next_state(weights, state, cell.project(weights, xs[t])))
        states.append(state)
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *states)


def test_zoneout_keeps_exactly_the_entries_that_its_noise_names(float64):
    inner = rec.LSTM(3, 8)
    cell = rec.zoneout(inner, h=0.3, c=0.6)
    params, xs = example(cell)
    key = jax.random.key(5)
    keep, _ = cell.noise(key, len(xs), (3,), None)
    expected = loop(
        inner,
        params,
        xs,
        lambda t, old, new: new._replace(
            h=jnp.where(keep["h"][t], old.h, new.h), c=jnp.where(keep["c"][t], old.c, new.c)
        ),
    )
    for solver in SOLVERS:
        _, (ys, states) = rec.unroll(rec.with_states(cell), params, xs, key=key, solver=solver)
        np.testing.assert_allclose(states.c, expected.c, atol=1e-14)
        np.testing.assert_allclose(ys, expected.h, atol=1e-14)


def test_zoneout_rates():
    cell = rec.zoneout(rec.LSTM(3, 50), h=0.1, c=0.7)
    keep, inner = cell.noise(jax.random.key(0), 100, (20,), None)
    assert inner is None
    np.testing.assert_allclose(np.mean(keep["h"]), 0.1, atol=0.005)
    np.testing.assert_allclose(np.mean(keep["c"]), 0.7, atol=0.005)
    # and the two are drawn apart
    np.testing.assert_allclose(np.mean(keep["h"] & keep["c"]), 0.07, atol=0.005)


def test_zoneout_evaluates_to_the_expectation_of_one_step(float64):
    inner = rec.LSTM(3, 4)
    cell = rec.zoneout(inner, c=0.4)
    params, xs = example(cell, steps=1, batch=1)
    state, _ = rec.unroll(cell, params, jnp.concatenate([xs, xs]))
    plain = loop(
        inner,
        params,
        jnp.concatenate([xs, xs]),
        lambda t, old, new: new._replace(c=0.4 * old.c + 0.6 * new.c),
    )
    np.testing.assert_allclose(state.c, plain.c[-1], atol=1e-14)

    start = rec.unroll(cell, params, xs)[0]
    keys = jax.random.split(jax.random.key(2), 4000)
    drawn = jax.vmap(lambda key: rec.unroll(cell, params, xs, state=start, key=key)[0].c)(keys)
    expected = rec.unroll(cell, params, xs, state=start)[0].c
    np.testing.assert_allclose(
        drawn.mean(axis=0), expected, atol=4 * float(drawn.std(axis=0).max()) / np.sqrt(4000)
    )


def test_zoneout_over_zoneout_hands_the_inner_noise_on():
    inner = rec.zoneout(rec.GRU(3, 4), h=0.5)
    cell = rec.zoneout(inner, h=0.5)
    own, below = cell.noise(jax.random.key(0), 4, (2,), None)
    assert own["h"].shape == below[0]["h"].shape == (4, 2, 4)
    assert bool(jnp.any(own["h"] != below[0]["h"]))
    params, xs = example(cell, steps=4, batch=2)
    _, (_, states) = rec.unroll(rec.with_states(cell), params, xs, key=jax.random.key(0))
    kept = own["h"] | below[0]["h"]
    old = jnp.concatenate([jnp.zeros_like(states.h[:1]), states.h[:-1]])
    np.testing.assert_array_equal(states.h == old, kept)


@pytest.mark.parametrize(
    ("rates", "message"),
    [
        ({"h": 1.0}, r"h: expected a rate in \[0, 1\), got 1.0"),
        ({"x": 0.1}, r"expected a field of the state \(h, c\)"),
    ],
)
def test_zoneout_refuses_what_it_cannot_do(rates, message):
    with pytest.raises(ValueError, match=message):
        rec.zoneout(rec.LSTM(3, 4), **rates)


@pytest.mark.parametrize("solver", SOLVERS)
def test_with_states_emits_the_state_after_each_step_and_the_carried_one_at_padding(solver, float64):
    inner = rec.LSTM(3, 4)
    params, xs = example(inner)
    mask = jnp.asarray(np.random.default_rng(0).random((9, 3)) < 0.6)
    expected = loop(inner, params, xs, lambda t, old, new: rec.arrays.where(mask[t], new, old))
    _, (ys, states) = rec.unroll(rec.with_states(inner), params, xs, mask=mask, solver=solver)
    np.testing.assert_allclose(states.c, expected.c, atol=1e-14)
    np.testing.assert_allclose(states.h, expected.h, atol=1e-14)
    np.testing.assert_allclose(ys, jnp.where(mask[..., None], expected.h, 0), atol=1e-14)


def test_with_states_keeps_the_linear_form():
    inner = LRU(3, 4)
    params, xs = example(inner)
    _, (_, states) = rec.unroll(rec.with_states(inner), params, xs, solver=rec.Associative())
    _, (_, expected) = rec.unroll(rec.with_states(inner), params, xs)
    np.testing.assert_allclose(states.h, expected.h, atol=1e-5)


def test_cut_keeps_the_values_and_truncates_the_gradient(float64):
    inner = rec.LSTM(3, 4)
    params, xs = example(inner)

    def value(params, cell):
        return jnp.sum(rec.unroll(cell, params, xs)[1] ** 2)

    def truncated(params):
        states = loop_with_stopped_h(params)
        return jnp.sum(states.h**2)

    def loop_with_stopped_h(params):
        state, states = inner.initial_state(params, (3,)), []
        for x in xs:
            state = state._replace(h=jax.lax.stop_gradient(state.h))
            state = inner.next_state(params, state, inner.project(params, x))
            states.append(state)
        return jax.tree.map(lambda *leaves: jnp.stack(leaves), *states)

    cell = rec.cut(inner, ("h",))
    np.testing.assert_array_equal(value(params, cell), value(params, inner))
    found, expected = jax.grad(value)(params, cell), jax.grad(truncated)(params)
    whole = jax.grad(value)(params, inner)
    for one, other, full in zip(found, expected, whole, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-12)
        assert float(jnp.max(jnp.abs(one - full))) > 1e-3


def test_cutting_every_field_leaves_one_step_of_gradient(float64):
    cell = rec.cut(rec.LSTM(3, 4), ("h", "c"))
    params, xs = example(cell)
    gradient = jax.grad(lambda xs: jnp.sum(rec.unroll(cell, params, xs)[1][-1]))(xs)
    np.testing.assert_array_equal(gradient[:-1], np.zeros_like(gradient[:-1]))
    assert float(jnp.max(jnp.abs(gradient[-1]))) > 0


def test_cut_names_an_unknown_field():
    with pytest.raises(ValueError, match=r"expected a field of the state \(h\), got 'c'"):
        rec.cut(rec.GRU(3, 4), ("c",))


def test_hold_is_constant_within_segments():
    noise = {"a": jnp.arange(12.0).reshape(6, 2, 1), "b": jnp.arange(12).reshape(6, 2)}
    reset = jnp.array([[1, 0], [0, 0], [1, 0], [0, 1], [0, 0], [1, 0]], bool)
    held = rec.hold(noise, reset)
    starts = np.array([[0, 0], [0, 0], [2, 0], [2, 3], [2, 3], [5, 3]])
    for leaf in ("a", "b"):
        expected = np.take_along_axis(np.asarray(noise[leaf]).reshape(6, 2), starts, axis=0)
        np.testing.assert_array_equal(np.asarray(held[leaf]).reshape(6, 2), expected)
    np.testing.assert_array_equal(rec.hold(noise, None)["b"], np.tile([0, 1], (6, 1)))


@pytest.mark.medium
@pytest.mark.parametrize("name", ["lstm", "lru", "zoneout"])
def test_residual_cells_keep_the_contract(name):
    cell = {
        "lstm": residual(rec.LSTM(4, 4)),
        "lru": residual(LRU(2, 4)),
        "zoneout": residual(rec.zoneout(rec.GRU(4, 4), h=0.3)),
    }[name]
    solvers = rec.Sequential(), rec.Checkpointed(4), rec.Associative(), rec.Associative(4)
    verdicts = check_cell(cell, solvers=solvers)
    assert [verdicts[solver] == "ok" for solver in solvers] == [True, True] + [name == "lru"] * 2


@pytest.mark.parametrize("solver", SOLVERS)
def test_residual_adds_the_input(solver, float64):
    inner = rec.zoneout(rec.GRU(4, 4), h=0.3)
    cell = residual(inner)
    params, xs = example(cell)
    mask = jnp.asarray(np.random.default_rng(0).random((9, 3)) < 0.6)
    padded = jnp.where(mask[..., None], xs, jnp.nan)
    for key in (None, jax.random.key(2)):
        state, ys = rec.unroll(cell, params, padded, mask=mask, key=key, solver=solver)
        expected_state, expected = rec.unroll(inner, params, xs, mask=mask, key=key, solver=solver)
        np.testing.assert_allclose(ys, jnp.where(mask[..., None], xs + expected, 0.0), atol=1e-14)
        np.testing.assert_array_equal(state.h, expected_state.h)


def test_a_residual_stack_is_a_stack_of_residual_cells(float64):
    parts = rec.LSTM(4, 4), rec.zoneout(rec.GRU(4, 4), h=0.3)
    layer, cells = rec.stack(*parts, residual=True), rec.stack(*map(residual, parts))
    params, xs = example(layer, steps=6, batch=2)
    mask = rec.mask_from_lengths(jnp.array([6, 3]), 6)
    padded = jnp.where(mask[..., None], xs, jnp.nan)
    for key in (None, jax.random.key(3)):
        found, expected = (rec.unroll(one, params, padded, mask=mask, key=key) for one in (layer, cells))
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-14), found, expected)
    weights = layer.prepare(params)
    state, ys = layer.initial_state(weights, (2,)), []
    for x in xs:
        state, y = layer.step(weights, state, layer.project(weights, x))
        ys.append(y)
    np.testing.assert_allclose(jnp.stack(ys), rec.unroll(cells, params, xs)[1], atol=1e-14)


def test_what_is_known_of_the_state_map_is_handed_on_where_it_is_kept():
    kept = (residual(LRU(2, 4)), rec.with_states(LRU(2, 4)), rec.with_states(residual(LRU(2, 4))))
    assert all(cell.has_linear_form for cell in kept)
    assert not any(
        cell.has_linear_form for cell in (rec.zoneout(LRU(2, 4), h=0.1), rec.cut(LRU(2, 4), ("h",)))
    )
    assert residual(rec.LSTM(4, 4)).local_fields == rec.LSTM(4, 4).local_fields == ("c",)
    assert rec.cut(rec.LSTM(4, 4), ("h",)).local_fields is None


def test_residual_refuses_shapes_that_cannot_be_added():
    with pytest.raises(
        ValueError, match=r"cell: expected outputs of shape \(3,\), like its inputs, got \(4,\)"
    ):
        residual(rec.LSTM(3, 4))
