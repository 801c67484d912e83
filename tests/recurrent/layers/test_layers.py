"""Stacks, bidirectional and dilated layers against their parts run by hand, and against the contract of layers.

A few lines over 300 lines, because all of it is about the same layers.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from awkward_cells import LRU

import recurrent as rec
from recurrent.layers.dilated import Dilated
from recurrent.testing.contract import check_layer
from recurrent.testing.oracle import at
from recurrent.wrappers.dropout import variational_dropout

# one dtype throughout: what runs once need not be compiled again
pytestmark = pytest.mark.usefixtures("float64")

LAYERS = {
    "stack": rec.stack(rec.LSTM(3, 4), rec.GRU(4, 2)),
    "bidirectional": rec.Bidirectional(rec.GRU(3, 4), rec.LSTM(3, 2)),
}


@pytest.mark.medium
@pytest.mark.parametrize("name", LAYERS)
def test_layers_keep_the_contract(name):
    verdicts = check_layer(LAYERS[name], solvers=(rec.Sequential(), rec.Checkpointed()))
    assert verdicts == {rec.Sequential(): "ok", rec.Checkpointed(): "ok"}


MORE_LAYERS = {
    "sum": rec.Bidirectional(rec.Elman(3, 4), rec.Elman(3, 4), merge="sum"),
    "stack of bidirectional": rec.stack(rec.Bidirectional(rec.GRU(3, 2), rec.GRU(3, 2)), rec.Elman(4, 2)),
    "residual": rec.stack(rec.LSTM(3, 4), rec.GRU(4, 4), residual=True, dropout=0.5),
    "residual from the start": rec.stack(rec.Elman(4, 4), LRU(4, 4, 4), residual=True),
    "residual without a step": rec.stack(
        rec.Bidirectional(rec.GRU(4, 2), rec.GRU(4, 2)), rec.Elman(4, 4), residual=True
    ),
    "bidirectional stacks": rec.Bidirectional(rec.stack(rec.GRU(3, 2), rec.GRU(2, 2)), rec.GRU(3, 2)),
    "dilated": Dilated(rec.LSTM(3, 4), 2),
    "dilated by more than a segment": Dilated(LRU(3, 4), 4),
    "dilated by one": Dilated(rec.GRU(3, 4), 1),
    "stack of dilated": rec.stack(Dilated(LRU(3, 2), 1), Dilated(LRU(2, 2), 3), residual=True),
    "dilated both ways": rec.Bidirectional(Dilated(rec.GRU(3, 2), 2), Dilated(rec.GRU(3, 2), 3)),
}
LINEAR = {"dilated by more than a segment", "stack of dilated"}
STEP_BY_STEP = rec.Sequential(None), rec.Checkpointed(), rec.Checkpointed(2)
PARALLEL = rec.Associative(), rec.Associative(2)

# in the medium lane each with one solver of each kind, going round
ONE = [
    pytest.param(
        name, STEP_BY_STEP[turn % 3 :][:1], PARALLEL[turn // 2 % 2 :][:1], id=name, marks=pytest.mark.medium
    )
    for turn, name in enumerate(MORE_LAYERS)
]
EVERY = [
    pytest.param(name, STEP_BY_STEP, PARALLEL, id=f"{name}, every solver", marks=pytest.mark.slow)
    for name in MORE_LAYERS
]


@pytest.mark.parametrize(("name", "step_by_step", "parallel"), ONE + EVERY)
def test_more_layers_keep_the_contract(name, step_by_step, parallel):
    verdicts = check_layer(MORE_LAYERS[name], solvers=step_by_step + parallel)
    assert all(verdicts[solver] == "ok" for solver in (rec.Sequential(), *step_by_step))
    assert [verdicts[solver] == "ok" for solver in parallel] == [name in LINEAR] * len(parallel)


def example(layer, steps=6, batch=2):
    shape = steps, batch, *layer.input_shape
    return layer.init(jax.random.key(0)), jax.random.normal(jax.random.key(1), shape)


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
    layer = MORE_LAYERS["sum"]
    params, xs = example(layer)
    forward = rec.unroll(layer.forward, params.forward, xs)[1]
    backward = rec.unroll(layer.backward, params.backward, xs, reverse=True)[1]
    np.testing.assert_array_equal(rec.unroll(layer, params, xs)[1], forward + backward)


def test_what_needs_whole_sequences_has_no_step_and_says_so():
    layer = MORE_LAYERS["stack of bidirectional"]
    params, xs = example(layer)
    weights = layer.prepare(params)
    assert not LAYERS["bidirectional"].has_step and not layer.has_step
    assert LAYERS["stack"].has_step and rec.Dilated(rec.GRU(3, 4), 2).has_step
    for inside in (rec.LSTM(3, 4), LAYERS["bidirectional"]):
        assert rec.WeightDrop(inside, 0.5).has_step == inside.has_step
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
        (
            lambda: rec.stack(rec.LSTM(3, 4), rec.GRU(4, 2), residual=True),
            r"residual: GRU.* expects inputs of shape \(4,\) and emits \(2,\)",
        ),
        (lambda: rec.stack(rec.LSTM(3, 4), dropout=1.0), r"dropout: expected a rate in \[0, 1\), got 1.0"),
        (lambda: Dilated(rec.LSTM(3, 4), 0), "dilation: expected an integer of at least 1, got 0"),
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


def test_residual_connections_lead_around_every_part_that_they_fit():
    layer = rec.stack(rec.LSTM(3, 4), rec.GRU(4, 4), rec.Elman(4, 4), residual=True)
    params, xs = example(layer)
    mask = rec.mask_from_lengths(jnp.array([6, 3]), 6)
    padded = jnp.where(mask[..., None], xs, jnp.nan)
    ys = rec.unroll(layer.parts[0], params[0], xs, mask=mask)[1]  # 3 inputs, 4 outputs
    for part, own in zip(layer.parts[1:], params[1:], strict=True):
        ys = ys + rec.unroll(part, own, ys, mask=mask)[1]
    np.testing.assert_allclose(rec.unroll(layer, params, padded, mask=mask)[1], ys, atol=1e-14)


def test_packed_and_padded_streams_are_separate_sequences_in_both_directions():
    layer = rec.Bidirectional(rec.GRU(3, 4), rec.LSTM(3, 4), merge="sum")
    lengths, params = (4, 1, 3), layer.init(jax.random.key(0))
    sequences = [jax.random.normal(jax.random.key(i), (n, 3)) for i, n in enumerate(lengths)]
    alone = [rec.unroll(layer, params, xs) for xs in sequences]

    starts = jnp.zeros(8, bool).at[jnp.array([0, 4, 5])].set(True)
    state, ys = rec.unroll(layer, params, jnp.concatenate(sequences), reset=starts)
    np.testing.assert_allclose(ys, jnp.concatenate([ys for _, ys in alone]), atol=1e-14)
    np.testing.assert_allclose(state.forward.h, alone[2][0].forward.h, atol=1e-14)
    np.testing.assert_allclose(state.backward.c, alone[0][0].backward.c, atol=1e-14)

    padded = jnp.stack(
        [jnp.pad(xs, ((0, 4 - len(xs)), (0, 0)), constant_values=jnp.nan) for xs in sequences], 1
    )
    mask = rec.mask_from_lengths(jnp.array(lengths), 4)
    state, ys = rec.unroll(layer, params, padded, mask=mask)
    for b, (own_state, own_ys) in enumerate(alone):
        np.testing.assert_allclose(ys[: lengths[b], b], own_ys, atol=1e-14)
        assert not np.any(ys[lengths[b] :, b])
        np.testing.assert_allclose(state.forward.h[b], own_state.forward.h, atol=1e-14)
        np.testing.assert_allclose(state.backward.c[b], own_state.backward.c, atol=1e-14)


def delayed_step(cell, params, x, states):
    """One step from the oldest of some states; ``(states, y)``, the new one last."""
    weights = cell.prepare(params)
    state, y = cell.step(weights, states[0], cell.project(weights, x))
    return [*states[1:], state], y


@pytest.mark.parametrize(("dilation", "is_padded"), [(2, True), (3, False), (7, True)])
def test_dilation_is_a_loop_that_looks_further_back(dilation, is_padded):
    """Over sequences with all that can happen: padding, resets up to the last step, both directions, a given state."""
    cell, rng = rec.LSTM(3, 4), np.random.default_rng(dilation)
    layer = Dilated(cell, dilation)
    params, xs = example(layer, steps=12, batch=5)
    mask = jnp.asarray(rng.random((12, 5)) < 0.7) if is_padded else None
    reset = jnp.asarray(rng.random((12, 5)) < 0.15).at[jnp.array([1, 11]), 0].set(True)
    given = jax.tree.map(
        lambda leaf: jnp.asarray(rng.normal(size=leaf.shape)), layer.initial_state(params, (5,))
    )
    initial = [cell.initial_state(params, ())] * dilation
    step = jax.jit(functools.partial(delayed_step, cell))
    for reverse in (False, True):
        final, found = rec.unroll(layer, params, xs, state=given, mask=mask, reset=reset, reverse=reverse)
        for b in range(5):
            states = [at(given, b, i) for i in range(dilation)]
            expected = np.zeros((12, 4))
            for t in reversed(range(12)) if reverse else range(12):
                if reset[t, b] and not reverse:
                    states = initial
                if mask is None or mask[t, b]:
                    states, expected[t] = step(params, xs[t, b], states)
                if reset[t, b] and reverse and t > 0:
                    states = initial
            np.testing.assert_allclose(found[:, b], expected, atol=1e-13)
            for i, state in enumerate(states):
                np.testing.assert_allclose(final.c[b, i], state.c, atol=1e-13)


def test_dilated_layers_run_their_lanes_as_separate_sequences():
    cell = rec.GRU(3, 4)
    params, xs = example(cell, steps=8)
    found = rec.unroll(Dilated(cell, 3), params, xs)[1]
    for lane in range(3):
        np.testing.assert_allclose(found[lane::3], rec.unroll(cell, params, xs[lane::3])[1], atol=1e-14)


def test_dilated_layers_go_on_from_chunks_of_any_length_and_step_by_step():
    layer = Dilated(rec.LSTM(3, 4), 4)
    params, xs = example(layer, steps=12)
    final, whole = rec.unroll(layer, params, xs)
    state, parts = None, []
    for chunk in (xs[:1], xs[1:1], xs[1:4], xs[4:10], xs[10:]):
        state, ys = rec.unroll(layer, params, chunk, state=state)
        parts.append(ys)
    np.testing.assert_allclose(jnp.concatenate(parts), whole, atol=1e-14)
    np.testing.assert_allclose(state.c, final.c, atol=1e-14)
    weights = layer.prepare(params)
    state, parts = layer.initial_state(weights, (2,)), []
    for x in xs:
        state, y = layer.step(weights, state, layer.project(weights, x))
        parts.append(y)
    np.testing.assert_allclose(jnp.stack(parts), whole, atol=1e-14)
    np.testing.assert_allclose(state.h, final.h, atol=1e-14)


def test_the_noise_of_a_dilated_cell_belongs_to_its_steps():
    inner = rec.Elman(3, 4)
    layer = Dilated(variational_dropout(inner, inputs=0.5), 2)
    params, xs = example(layer, steps=7, batch=3)
    key, mask = jax.random.key(4), jnp.asarray(np.random.default_rng(0).random((7, 3)) < 0.7)
    reset = jnp.zeros((7, 3), bool).at[4].set(True)
    own, _ = layer.cell.noise(key, 7, (3,), reset)
    kept = jnp.where(own["inputs"][0], xs * 2, 0.0)
    for reverse in (False, True):
        flags = {"mask": mask, "reset": reset, "reverse": reverse}
        found = rec.unroll(layer, params, xs, **flags, key=key)[1]
        np.testing.assert_allclose(found, rec.unroll(Dilated(inner, 2), params, kept, **flags)[1], atol=1e-14)


def test_a_dilated_layer_takes_fewer_steps():
    layer = Dilated(rec.LSTM(3, 4), 4)
    params, xs = example(layer, steps=30)
    program = str(jax.make_jaxpr(lambda xs: rec.unroll(layer, params, xs)[1])(xs))
    assert "length=8" in program and "length=30" not in program


def test_a_dilated_layer_refuses_what_its_cell_or_its_solver_cannot_do():
    layer = Dilated(rec.LSTM(3, 4), 2)
    params, xs = example(layer)
    with pytest.raises(rec.Unsupported, match="no linear form"):
        rec.unroll(layer, params, xs, solver=rec.Associative())
    with pytest.raises(ValueError, match="solver: expected a solver such as"):
        rec.unroll(layer, params, xs, solver=(rec.Sequential(),) * 2)
    with pytest.raises(ValueError, match="state: expected LSTMState"):
        rec.unroll(layer, params, xs, state=rec.LSTM(3, 4).initial_state(params, (2,)))
