"""Every cell against the contract; a new cell is one line of `CELLS` and a NumPy reference."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from awkward_cells import AWKWARD
from contract import SOLVERS, check_cell
from contract_oracle import add, inner, normal, numpy
from references import REFERENCES
from references_linear import REFERENCES_LINEAR

import recurrent as rec

CELLS = {
    "elman": rec.Elman(3, 4),
    "elman relu": rec.Elman(3, 4, "relu"),
    "irnn": rec.irnn(3, 4),
    "lstm": rec.LSTM(3, 4),
    "lstm peepholes": rec.LSTM(3, 4, peepholes=True),
    "lstm coupled": rec.LSTM(3, 4, coupled=True),
    "lstm coupled peepholes": rec.LSTM(3, 4, peepholes=True, coupled=True),
    "lstm chrono": rec.LSTM(3, 4, forget_bias=("chrono", 20)),
    "gru": rec.GRU(3, 4),
    "gru before": rec.GRU(3, 4, reset="before"),
    **{f"awkward {name}": cell for name, cell in AWKWARD.items()},
    "lru": rec.LRU(3, 4),
    "lru ring": rec.LRU(3, 4, output_size=2, r_min=0.5, r_max=0.9, max_phase=1.0),
    "min_gru": rec.MinGRU(3, 4),
    "min_gru log_space": rec.MinGRU(3, 4, log_space=True),
    "min_lstm": rec.MinLSTM(3, 4),
    "min_lstm log_space": rec.MinLSTM(3, 4, log_space=True),
    "linear_lmu": rec.LinearLMU(3, 4),
    "linear_lmu channels": rec.LinearLMU(3, 4, order=3, theta=10.0, memory_size=2),
    "delta_net": rec.DeltaNet(3, 4),
    "delta_net heads": rec.DeltaNet(3, 4, num_heads=2, gated=True, negative_eigenvalues=True),
    "mlstm": rec.MLSTM(3, 4),
    "mlstm heads": rec.MLSTM(3, 4, num_heads=2, forget_gate="exp"),
}
ORACLES = {**{f"awkward {name}": REFERENCES[name] for name in AWKWARD}, **REFERENCES, **REFERENCES_LINEAR}
REFERENCE_NAMES = {"irnn": "elman"}
# What has no linear form cannot be scanned; everything else runs on everything that is small enough.
LINEAR = (
    "awkward lru",
    "awkward matrix_memory",
    "lru",
    "min_gru",
    "min_lstm",
    "linear_lmu",
    "delta_net",
    "mlstm",
)
LARGE = ("awkward convlstm",)
# The matrices of the fast lane: one cell of each kind; all of them in the medium lane.
# There each of these goes with every solver, the others with one of each kind.
FAST = ("elman", "lstm", "lstm peepholes", "gru", "lru", "awkward zoneout_lstm", "awkward learned_start")
KINDS = (rec.Sequential(4), rec.Checkpointed(4), rec.Associative(), rec.Associative(4), rec.Newton(4))


def family(name):
    return name if name.startswith("awkward") else name.split()[0]


def reference(name):
    return ORACLES[REFERENCE_NAMES.get(name, family(name))]


def test_every_cell_of_the_registry_is_checked():
    checked = {type(cell) for cell in CELLS.values()}
    assert {type(build(3, 4)) for build in rec.CELLS.values()} <= checked
    assert set(rec.CELLS) <= set(CELLS)


@pytest.mark.parametrize("name", FAST)
def test_the_contract(name):
    check_cell(CELLS[name], reference=reference(name), solvers=())


@pytest.mark.medium
@pytest.mark.parametrize("name", CELLS)
def test_the_contract_with_every_solver(name):
    verdicts = check_cell(CELLS[name], reference=reference(name), solvers=SOLVERS if name in FAST else KINDS)
    refused = {type(solver) for solver, verdict in verdicts.items() if verdict != "ok"}
    expected = set() if family(name) in LINEAR else {rec.Associative}
    assert refused == expected | ({rec.Newton} if name in LARGE else set())


@pytest.mark.medium
@pytest.mark.parametrize("name", CELLS)
def test_second_derivatives(name, float64):
    """A Hessian times a vector: by forward over reverse, by reverse over reverse, and by differences of gradients."""
    cell, rng = CELLS[name], np.random.default_rng(3)
    params = numpy(cell.init(jax.random.key(0)))
    params = add(params, normal(rng, params, 0.1))
    xs = jnp.asarray(rng.normal(size=(4, 2, *cell.input_shape)))
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
