"""Dropout of inputs, states and matrices against hand-made loops, and against the contract of cells.

Over 300 lines, because each kind of dropout is compared with a loop of its own over the same cells.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from awkward_cells import LRU

import recurrent as rec
from recurrent.layers.weight_drop import WeightDrop, weight_drop
from recurrent.testing.contract import check_cell, check_layer
from recurrent.wrappers.dropout import dropout, variational_dropout

KEY = jax.random.key(3)
# one dtype and few shapes throughout: what runs once need not be compiled again
pytestmark = pytest.mark.usefixtures("float64")


def example(cell, steps=7, batch=3):
    return cell.init(jax.random.key(0)), jax.random.normal(
        jax.random.key(1), (steps, batch, *cell.input_shape)
    )


def loop(cell, params, xs, read):
    """Outputs step by step; ``read(t, state)`` is what the step reads in place of the state carried."""
    weights = cell.prepare(params)
    state, ys = cell.initial_state(weights, xs.shape[1:2]), []
    for t in range(len(xs)):
        state, y = cell.step(weights, read(t, state), cell.project(weights, xs[t]))
        ys.append(y)
    return jnp.stack(ys)


CELLS = {
    "inputs": dropout(rec.LSTM(3, 4), 0.3),
    "inputs, linear": dropout(LRU(3, 4), 0.3),
    "inputs over zoneout": dropout(rec.zoneout(rec.Elman(3, 4), h=0.3), 0.3),
    "variational": variational_dropout(rec.LSTM(3, 4), inputs=0.3, state=0.4),
    "variational, two fields": variational_dropout(rec.LSTM(3, 4), state=0.4, fields=("h", "c")),
    "variational inputs, linear": variational_dropout(LRU(3, 4), inputs=0.3),
    "variational state, linear": variational_dropout(LRU(3, 4), state=0.3),
}


PARALLEL = rec.Associative(), rec.Associative(4)


def check_verdicts(cell, parallel):
    solvers = rec.Sequential(), rec.Checkpointed(4), *parallel
    verdicts = check_cell(cell, solvers=solvers)
    expected = [True, True] + [cell.has_linear_form] * len(parallel)
    assert [verdicts[solver] == "ok" for solver in solvers] == expected


@pytest.mark.medium
@pytest.mark.parametrize(("turn", "name"), [*enumerate(CELLS)])
def test_dropped_cells_keep_the_contract_with_and_without_noise(turn, name):
    check_verdicts(CELLS[name], PARALLEL[turn // 4 :][:1])


@pytest.mark.slow
@pytest.mark.parametrize("name", CELLS)
def test_dropped_cells_keep_the_contract_with_every_solver(name):
    check_verdicts(CELLS[name], PARALLEL)


def test_only_wrappers_that_keep_the_state_map_hand_its_linear_form_on():
    assert dropout(LRU(3, 4), 0.5).has_linear_form
    assert variational_dropout(LRU(3, 4), inputs=0.5).has_linear_form
    assert not variational_dropout(LRU(3, 4), state=0.5).has_linear_form
    assert not dropout(rec.LSTM(3, 4), 0.5).has_linear_form


def test_dropped_inputs_are_0_and_the_others_scaled():
    inner = rec.LSTM(3, 4)
    cell = dropout(inner, 0.25)
    params, xs = example(cell)
    (keep,), below = cell.noise(KEY, 7, (3,), None)
    assert below is None
    for solver in (rec.Sequential(), rec.Checkpointed(3)):
        found = rec.unroll(cell, params, xs, key=KEY, solver=solver)[1]
        expected = rec.unroll(inner, params, jnp.where(keep, xs * 4 / 3, 0.0))[1]
        np.testing.assert_allclose(found, expected, atol=1e-14)


def test_dropout_draws_each_step_afresh_at_its_rate():
    (keep,), _ = dropout(rec.Elman(40, 1), 0.2).noise(KEY, 100, (20,), None)
    np.testing.assert_allclose(np.mean(keep), 0.8, atol=0.005)
    # neighbours in time agree as often as independent draws do
    np.testing.assert_allclose(np.mean(keep[1:] == keep[:-1]), 0.8**2 + 0.2**2, atol=0.005)


@pytest.mark.parametrize("name", ["inputs", "variational"])
def test_evaluation_drops_nothing(name):
    cell = CELLS[name]
    params, xs = example(cell)
    np.testing.assert_array_equal(rec.unroll(cell, params, xs)[1], rec.unroll(cell.cell, params, xs)[1])


def test_the_noise_of_the_cell_inside_is_handed_on():
    inner = rec.zoneout(rec.GRU(3, 4), h=0.5)
    for cell in (dropout(inner, 0.5), variational_dropout(inner, inputs=0.5)):
        params, xs = example(cell)
        params = params._replace(b=params.b + 0.1)  # the state moves where all inputs are dropped, too
        _, below = cell.noise(KEY, 7, (3,), None)
        _, (_, states) = rec.unroll(rec.with_states(cell), params, xs, key=KEY)
        before = jnp.concatenate([jnp.zeros_like(states.h[:1]), states.h[:-1]])
        np.testing.assert_array_equal(states.h == before, below[0]["h"])


def test_variational_dropout_is_gal_and_ghahramani_by_hand():
    inner = rec.LSTM(3, 4)
    cell = variational_dropout(inner, inputs=0.25, state=0.5)
    params, xs = example(cell)
    own, _ = cell.noise(KEY, 7, (3,), None)
    z_x, z_h = own["inputs"][0][0], own["state"]["h"][0]
    expected = loop(
        inner,
        params,
        jnp.where(z_x, xs * 4 / 3, 0.0),
        lambda t, state: state._replace(h=jnp.where(z_h, state.h * 2, 0.0)),
    )
    for solver in (rec.Sequential(), rec.Checkpointed(3)):
        found = rec.unroll(cell, params, xs, key=KEY, solver=solver)[1]
        np.testing.assert_allclose(found, expected, atol=1e-14)


def test_variational_masks_hold_from_reset_to_reset_in_both_directions():
    inner = rec.LSTM(3, 4)
    cell = variational_dropout(inner, inputs=0.5, state=0.5, fields=("h", "c"))
    params, xs = example(cell, steps=8, batch=4)
    reset = jnp.zeros((8, 4), bool).at[3].set(True).at[5, :2].set(True)
    own, _ = cell.noise(KEY, 8, (4,), reset)
    for keep in jax.tree.leaves(own):
        assert keep.shape[:2] == (8, 4)
        for sequence, starts in enumerate([(0, 3, 5), (0, 3, 5), (0, 3), (0, 3)]):
            ends = (*starts[1:], 8)
            for start, end in zip(starts, ends, strict=True):
                held = keep[start, sequence]
                assert bool((keep[start:end, sequence] == held).all())
        assert bool((keep[2] != keep[3]).any()) and bool((keep[4] != keep[5]).any())
    assert bool((own["state"]["h"] != own["state"]["c"]).any())
    for reverse in (False, True):
        found = rec.unroll(cell, params, xs, reset=reset, reverse=reverse, key=KEY)[1]
        segment = slice(3, 8)  # of the last sequence
        keep = jax.tree.map(lambda leaf: leaf[3, 3:], own)

        def read(t, state, keep=keep["state"]):
            return state._replace(
                h=jnp.where(keep["h"], state.h * 2, 0.0), c=jnp.where(keep["c"], state.c * 2, 0.0)
            )

        steps = jnp.where(keep["inputs"][0], xs[segment, 3:] * 2, 0.0)
        expected = loop(inner, params, steps[::-1] if reverse else steps, read)
        expected = expected[::-1] if reverse else expected
        np.testing.assert_allclose(found[segment, 3:], expected, atol=1e-14)


def test_no_reset_is_a_reset_nowhere():
    cell = variational_dropout(rec.LSTM(3, 4), inputs=0.5, state=0.5)
    params, xs = example(cell)
    never = jnp.zeros(xs.shape[:2], bool)
    np.testing.assert_array_equal(
        rec.unroll(cell, params, xs, key=KEY)[1], rec.unroll(cell, params, xs, key=KEY, reset=never)[1]
    )


def test_a_solver_for_linear_maps_refuses_dropped_states():
    cell = variational_dropout(LRU(3, 4), inputs=0.5, state=0.5)
    params, xs = example(cell)
    with pytest.raises(rec.Unsupported, match="no linear form"):
        rec.unroll(cell, params, xs, key=KEY, solver=rec.Associative())


@pytest.mark.parametrize("is_residual", [False, True])
def test_dropout_between_layers(is_residual):
    parts = rec.zoneout(rec.GRU(4, 4), h=0.5), rec.LSTM(4, 4), rec.Elman(4, 4)
    layer = rec.stack(*parts, residual=is_residual, dropout=0.25)
    params, xs = example(layer)
    key, ys = jax.random.key(3), xs
    for index, part in enumerate(parts):
        own = rec.unroll(part, params[index], ys, key=jax.random.fold_in(key, index))[1]
        if index < 2:
            key_masks = jax.random.fold_in(jax.random.fold_in(key, 3 + index), 0)
            own = jnp.where(jax.random.bernoulli(key_masks, 0.75, own.shape), own * 4 / 3, 0.0)
        ys = ys + own if is_residual else own
    for solver in (rec.Sequential(), (rec.Checkpointed(2), rec.Sequential(None), rec.Checkpointed(4))):
        found = rec.unroll(layer, params, xs, key=key, solver=solver)[1]
        np.testing.assert_allclose(found, ys, atol=1e-14)


def test_dropout_between_layers_leaves_evaluation_and_the_last_layer_alone():
    parts = rec.LSTM(4, 4), rec.Elman(4, 4)
    plain, layer = rec.stack(*parts), rec.stack(*parts, dropout=0.5)
    (low, high), xs = example(layer)
    params = low, high._replace(b=high.b + 0.1)  # without inputs the last layer emits something, too
    expected = rec.unroll(plain, params, xs)[1]
    np.testing.assert_array_equal(rec.unroll(layer, params, xs)[1], expected)
    found = rec.unroll(layer, params, xs, key=KEY)[1]
    assert float(jnp.max(jnp.abs(found - expected))) > 0.01
    assert bool((found != 0).all())


def test_weight_drop_drops_named_matrices_wherever_they_stand():
    layer = rec.stack(rec.Elman(30, 30), rec.Bidirectional(rec.Elman(30, 30), rec.Elman(30, 30)))
    params = layer.init(KEY)
    dropped = weight_drop(params, KEY, 0.2)
    recurrent = [lambda p: p[0].w_h, lambda p: p[1].forward.w_h, lambda p: p[1].backward.w_h]
    for matrix in recurrent:
        new, old = np.asarray(matrix(dropped)), np.asarray(matrix(params))
        np.testing.assert_allclose(new[new != 0], old[new != 0] / 0.8, rtol=1e-14)
        np.testing.assert_allclose(np.mean(new == 0), 0.2, atol=0.05)
    # elsewhere nothing has changed
    restored = jax.tree.map(lambda new, old: jnp.array_equal(new, old), dropped, params)
    same = [path[-1].name for path, equal in jax.tree.leaves_with_path(restored) if equal]
    assert len(same) == len(jax.tree.leaves(params)) - 3 and "w_h" not in same
    forward, backward = (np.asarray(matrix(dropped) == 0) for matrix in recurrent[1:])
    assert (forward != backward).any()


def test_weight_drop_trains_what_is_kept():
    cell = rec.Elman(3, 6)
    params, xs = example(cell)

    def loss(params):
        return jnp.sum(rec.unroll(cell, weight_drop(params, KEY, 0.5), xs)[1])

    keep = np.asarray(weight_drop(params, KEY, 0.5).w_h != 0)
    gradient = jax.grad(loss)(params).w_h
    assert 0 < keep.sum() < keep.size
    np.testing.assert_array_equal(np.asarray(gradient != 0), keep)


def test_weight_drop_without_a_key_changes_nothing():
    params = rec.LSTM(3, 4).init(KEY)
    assert weight_drop(params, None, 0.5) is params


def test_a_layer_drops_one_draw_of_weights_a_call_and_hands_the_rest_of_the_key_on():
    inner = rec.zoneout(rec.LSTM(3, 4), c=0.5)
    layer = WeightDrop(inner, 0.25)
    params, xs = example(layer)
    reset = jnp.zeros((7, 3), bool).at[3, 0].set(True)
    options = {"mask": rec.mask_from_lengths(jnp.array([7, 4, 2]), 7), "reset": reset, "reverse": True}
    key_own, key_inner = jax.random.split(KEY)
    kept = params._replace(w_h=weight_drop(params, key_own, 0.25).w_h)
    assert 0 < float(jnp.mean(kept.w_h == 0)) < 1
    expected = rec.unroll(inner, kept, xs, key=key_inner, **options)
    for solver in (rec.Sequential(), rec.Checkpointed(3)):
        found = rec.unroll(layer, params, xs, key=KEY, solver=solver, **options)
        jax.tree.map(lambda new, old: np.testing.assert_allclose(new, old, atol=1e-12), found, expected)
    evaluated = rec.unroll(layer, params, xs, **options)
    jax.tree.map(np.testing.assert_array_equal, evaluated, rec.unroll(inner, params, xs, **options))


def test_a_layer_with_dropped_weights_trains_what_is_kept():
    layer = WeightDrop(rec.Elman(3, 6), 0.5)
    params, xs = example(layer)
    gradient = jax.grad(lambda params: jnp.sum(rec.unroll(layer, params, xs, key=KEY)[1]))(params)
    dropped = weight_drop(params, jax.random.split(KEY)[0], 0.5)
    np.testing.assert_array_equal(gradient.w_h != 0, dropped.w_h != 0)


@pytest.mark.medium
@pytest.mark.parametrize("inner", [rec.LSTM(3, 4), LRU(3, 4), rec.stack(rec.GRU(3, 4), rec.Elman(4, 2))])
def test_a_layer_with_dropped_weights_keeps_the_contract(inner):
    names = ("nu_log",) if isinstance(inner, LRU) else ("w_h",)
    solvers = rec.Sequential(), rec.Checkpointed(4), rec.Associative()
    verdicts = check_layer(WeightDrop(inner, 0.5, names), solvers=solvers)
    assert [verdicts[solver] == "ok" for solver in solvers] == [True, True, isinstance(inner, LRU)]


def test_a_layer_with_dropped_weights_streams_as_its_cell_does():
    inner = rec.zoneout(rec.GRU(3, 4), h=0.5)
    layer = WeightDrop(inner)
    params, xs = example(layer)
    state, step = rec.stream(layer, params, (3,))
    ys = []
    for x in xs:
        state, y = step(state, x)
        ys.append(y)
    np.testing.assert_allclose(jnp.stack(ys), rec.unroll(inner, params, xs)[1], atol=1e-12)
    whole = WeightDrop(rec.Bidirectional(rec.GRU(3, 4), rec.GRU(3, 4)))
    with pytest.raises(TypeError, match="Bidirectional needs whole sequences: it has no step"):
        whole.step(None, None, xs[0])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: dropout(rec.LSTM(3, 4), 1.0), r"rate: expected a rate in \[0, 1\), got 1.0"),
        (lambda: variational_dropout(rec.LSTM(3, 4), inputs=-0.1), r"inputs: expected a rate"),
        (lambda: variational_dropout(rec.LSTM(3, 4), state=1), r"state: expected a rate"),
        (
            lambda: variational_dropout(rec.LSTM(3, 4), state=0.1, fields=("n",)),
            r"expected a field of the state \(h, c\), got 'n'",
        ),
        (lambda: weight_drop(rec.GRU(3, 4).init(KEY), KEY, 1.5), "rate: expected a rate"),
        (lambda: WeightDrop(rec.GRU(3, 4), -0.5), "rate: expected a rate"),
        (lambda: WeightDrop(rec.GRU(3, 4), 0.5, ("w_r",)), r"names: .*w_x, w_h, b.*, got 'w_r'"),
        (
            lambda: weight_drop(rec.GRU(3, 4).init(KEY), None, 0.5, ("w_r",)),
            r"names: expected names of parameters \(w_x, w_h, b.*\), got 'w_r'",
        ),
    ],
)
def test_what_cannot_be_dropped_is_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()
