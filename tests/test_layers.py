"""Stacks and bidirectional layers against their parts run by hand, and against the contract of layers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from contract import check_layer

import recurrent as rec

LAYERS = {
    "stack": rec.stack(rec.LSTM(3, 4), rec.GRU(4, 2)),
    "bidirectional": rec.Bidirectional(rec.GRU(3, 4), rec.LSTM(3, 2)),
    "sum": rec.Bidirectional(rec.Elman(3, 4), rec.Elman(3, 4), merge="sum"),
    "stack of bidirectional": rec.stack(rec.Bidirectional(rec.GRU(3, 2), rec.GRU(3, 2)), rec.Elman(4, 2)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_layers_keep_the_contract(name):
    verdicts = check_layer(LAYERS[name], solvers=(rec.Sequential(), rec.Checkpointed()))
    assert verdicts == {rec.Sequential(): "ok", rec.Checkpointed(): "ok"}


def example(layer, steps=6, batch=2):
    return layer.init(jax.random.key(0)), jax.random.normal(jax.random.key(1), (steps, batch, 3))


def test_a_stack_is_its_parts_one_after_the_other():
    layer = LAYERS["stack"]
    params, xs = example(layer)
    mask = rec.mask_from_lengths(jnp.array([6, 3]), 6)
    low_state, ys = rec.unroll(layer.parts[0], params[0], xs, mask=mask)
    high_state, ys = rec.unroll(layer.parts[1], params[1], ys, mask=mask)
    state, found = rec.unroll(layer, params, xs, mask=mask)
    np.testing.assert_array_equal(found, ys)
    np.testing.assert_array_equal(state[0].c, low_state.c)
    np.testing.assert_array_equal(state[1].h, high_state.h)


def test_a_stack_steps_as_it_unrolls():
    layer = LAYERS["stack"]
    params, xs = example(layer)
    weights = layer.prepare(params)
    state, ys = layer.initial_state(weights, (2,)), []
    for x in xs:
        state, y = layer.step(weights, state, layer.project(weights, x))
        ys.append(y)
    np.testing.assert_allclose(jnp.stack(ys), rec.unroll(layer, params, xs)[1], atol=1e-6)


def test_both_directions_are_their_parts():
    layer = LAYERS["bidirectional"]
    params, xs = example(layer)
    state, found = rec.unroll(layer, params, xs)
    forward_state, forward = rec.unroll(layer.forward, params.forward, xs)
    backward_state, backward = rec.unroll(layer.backward, params.backward, xs, reverse=True)
    np.testing.assert_array_equal(found, jnp.concatenate([forward, backward], axis=-1))
    np.testing.assert_array_equal(state.forward.h, forward_state.h)
    np.testing.assert_array_equal(state.backward.c, backward_state.c)


def test_the_merge_by_sum():
    layer = LAYERS["sum"]
    params, xs = example(layer)
    forward = rec.unroll(layer.forward, params.forward, xs)[1]
    backward = rec.unroll(layer.backward, params.backward, xs, reverse=True)[1]
    np.testing.assert_array_equal(rec.unroll(layer, params, xs)[1], forward + backward)


def test_what_needs_whole_sequences_has_no_step_and_says_so():
    layer = LAYERS["stack of bidirectional"]
    params, xs = example(layer)
    weights = layer.prepare(params)
    assert not hasattr(LAYERS["bidirectional"], "step")
    with pytest.raises(TypeError, match="Bidirectional needs whole sequences: it has no step"):
        layer.step(weights, layer.initial_state(weights, (2,)), xs[0])


def test_each_part_may_have_its_own_solver():
    layer = LAYERS["stack"]
    params, xs = example(layer)
    found = rec.unroll(layer, params, xs, solver=(rec.Sequential(), rec.Checkpointed(2)))[1]
    np.testing.assert_allclose(found, rec.unroll(layer, params, xs)[1], atol=1e-6)
    with pytest.raises(rec.Unsupported, match="Associative"):
        rec.unroll(layer, params, xs, solver=(rec.Sequential(), rec.Associative()))


def test_parts_draw_their_noise_apart():
    layer = rec.stack(rec.zoneout(rec.GRU(3, 8), h=0.5), rec.zoneout(rec.GRU(8, 8), h=0.5))
    params, xs = example(layer)
    key = jax.random.key(7)
    ys = xs
    for index, part in enumerate(layer.parts):
        _, ys = rec.unroll(part, params[index], ys, key=jax.random.fold_in(key, index))
    np.testing.assert_array_equal(rec.unroll(layer, params, xs, key=key)[1], ys)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: rec.stack(rec.LSTM(3, 4), rec.GRU(5, 2)), r"expects inputs of shape \(5,\), got \(4,\)"),
        (lambda: rec.Bidirectional(rec.GRU(3, 4), rec.GRU(2, 4)), r"expected inputs of shape \(3,\)"),
        (
            lambda: rec.Bidirectional(rec.GRU(3, 4), rec.GRU(3, 4), merge="mul"),
            "merge: expected concat or sum",
        ),
        (lambda: rec.stack(), "at least one"),
    ],
)
def test_parts_that_do_not_fit_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("solver", [(rec.Sequential(),), (rec.Sequential(),) * 3])
def test_the_number_of_solvers_has_to_fit(solver):
    layer = LAYERS["stack"]
    params, xs = example(layer)
    with pytest.raises(ValueError, match="expected 2 entries"):
        rec.unroll(layer, params, xs, solver=solver)
