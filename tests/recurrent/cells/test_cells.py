"""Every cell against the contract, and against a reference (`every_cell`)."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from every_cell import CELLS, ELSEWHERE, FAST, VARIANTS, family, reference

import recurrent as rec
from recurrent.testing.contract import SOLVERS, check_cell
from recurrent.testing.oracle import add, device, inner, inputs, normal, numpy

# What has no linear form cannot be scanned; everything else runs on everything that is small enough.
LINEAR = (
    "awkward lru",
    "awkward matrix_memory",
    "delta_net",
    "gated_delta_net",
    "gla",
    "hs97_long_lag",
    "linear_attention",
    "linear_lmu",
    "linoss",
    "lru",
    "min_gru",
    "min_lstm",
    "mlstm",
    "qrnn window",
    "retention",
    "rg_lru",
    "s4d",
    "s5",
    "s6",
    "sru linear",
)
LARGE = ("awkward convlstm",)
# All cells stand in the medium lane, `FAST` in the fast one.
# There each of these goes with every solver, the others with one of each kind, and what is only another option of one
# of them with the two that differ most from the plain scan.
KINDS = (rec.Sequential(4), rec.Checkpointed(4), rec.Associative(), rec.Associative(4), rec.Newton(4))
FEW = (rec.Sequential(4), rec.Associative())


def solvers_for(name):
    return SOLVERS if name in FAST else FEW if name in VARIANTS else KINDS


def test_every_cell_of_the_registry_is_checked_against_a_reference():
    assert set(rec.CELLS) - set(ELSEWHERE) <= set(CELLS)
    for name in set(rec.CELLS) - set(ELSEWHERE):
        assert type(CELLS[name]) is type(rec.CELLS[name](3, 4)), name
    others = {name: rec.CELLS[name](3, 4) for name in ELSEWHERE}
    assert all(isinstance(cell, rec.Layer) for name, cell in others.items() if name != "hs97_cut")


@pytest.mark.parametrize("name", FAST)
def test_the_contract(name):
    check_cell(CELLS[name], reference=reference(name), solvers=())


@pytest.mark.medium
@pytest.mark.parametrize("name", CELLS)
def test_the_contract_with_every_solver(name):
    verdicts = check_cell(CELLS[name], reference=reference(name), solvers=solvers_for(name))
    refused = {type(solver) for solver, verdict in verdicts.items() if verdict != "ok"}
    expected = set() if name in LINEAR or family(name) in LINEAR else {rec.Associative}
    assert refused == expected | ({rec.Newton} if name in LARGE else set())


@pytest.mark.medium
@pytest.mark.parametrize("name", CELLS)
def test_second_derivatives(name, float64):
    """A Hessian times a vector: by forward over reverse, by reverse over reverse, and by differences of gradients."""
    cell, rng = CELLS[name], np.random.default_rng(3)
    params = numpy(cell.init(jax.random.key(0)))
    params = add(params, normal(rng, params, 0.1))
    xs = device(normal(rng, inputs(cell, 4, 2)))
    direction = normal(rng, params)

    @jax.jit
    def gradient(params):
        return jax.grad(loss)(params)

    def loss(params):
        state, ys = rec.unroll(cell, params, xs)
        return sum(jnp.sum(jnp.abs(leaf) ** 2) for leaf in jax.tree.leaves((state, ys)))

    forward = jax.jit(lambda p, v: jax.jvp(gradient, (p,), (v,))[1])(params, direction)
    reverse = jax.jit(jax.grad(lambda p, v: inner(v, gradient(p))))(params, direction)
    above, below = (gradient(add(params, direction, size)) for size in (1e-5, -1e-5))
    slopes = jax.tree.map(lambda a, b: (a - b) / 2e-5, above, below)
    pairs = zip(*map(jax.tree.leaves, (forward, reverse, slopes)), strict=True)
    for field, (over_reverse, twice, slope) in zip(params._fields, pairs, strict=True):
        scale = max(1.0, np.abs(slope).max())
        np.testing.assert_allclose(over_reverse, twice, rtol=0, atol=1e-10 * scale, err_msg=field)
        np.testing.assert_allclose(over_reverse, slope, rtol=0, atol=1e-6 * scale, err_msg=field)
    assert any(np.abs(slope).max() > 1e-3 for slope in jax.tree.leaves(slopes))


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: rec.Elman(3, 4, "sigmoid"), "activation: expected tanh or relu, got 'sigmoid'"),
        (lambda: rec.Elman(3, 4, recurrent_init="ortho"), "recurrent_init: unknown initialiser 'ortho'"),
        (lambda: rec.LSTM(3, 4, input_init=("glorots", 2)), "input_init: unknown initialiser 'glorots'"),
        (lambda: rec.LSTM(3, 4, forget_bias=("chrono", 2)), r"chrono needs t_max > 2, got 2"),
        (lambda: rec.LSTM(3, 4, forget_bias=("uniform", 2)), r"expected a number or \('chrono', t_max\)"),
        (lambda: rec.GRU(3, 4, reset="never"), "reset: expected before or after, got 'never'"),
        (lambda: rec.zoneout(rec.LSTM(3, 4), z=0.1), "expected a field of the state"),
        (lambda: rec.zoneout(rec.LSTM(3, 4), h=1.0), r"h: expected a rate in \[0, 1\), got 1.0"),
        (lambda: rec.cut(rec.LSTM(3, 4), ("m",)), "expected a field of the state"),
    ],
)
def test_a_field_out_of_range_is_named(build, message):
    with pytest.raises(ValueError, match=message) as error:
        build()
    assert "\n" not in str(error.value)


def test_chrono_biases_are_opposite():
    cell = rec.LSTM(3, 500, forget_bias=("chrono", 100), recurrent_init="zeros")
    b = np.asarray(cell.init(jax.random.key(0)).b)
    i_bias, forget, *rest = np.split(b, 4)
    np.testing.assert_array_equal(i_bias, -forget)
    assert 0 <= forget.min() < 1
    assert np.log(90) < forget.max() <= np.log(99) + 1e-6
    np.testing.assert_array_equal(rest, np.zeros((2, 500)))


def test_coupled_gates_start_with_the_forget_bias_on_the_input_gate():
    i_bias, g_bias, o_bias = np.split(
        np.asarray(rec.LSTM(3, 5, coupled=True, forget_bias=2).init(jax.random.key(0)).b), 3
    )
    np.testing.assert_array_equal(i_bias, np.full(5, -2.0))
    np.testing.assert_array_equal((g_bias, o_bias), np.zeros((2, 5)))
