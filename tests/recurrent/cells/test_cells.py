"""Every cell against the contract, and against a reference (`every_cell`)."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from every_cell import CELLS, ELSEWHERE, FAST, STRUCTURES, WITHOUT_PRODUCTS, reference, solvers_for
from places import ROOT

import recurrent as rec
from experiments.tables.catalogue import linear_form
from recurrent.testing.contract import SOLVERS, check_cell
from recurrent.testing.oracle import add, device, inner, inputs, normal, numpy

LARGE = ("awkward convlstm",)  # more state than `Newton` allows


def test_every_cell_of_the_registry_is_checked_against_a_reference():
    assert set(rec.CELLS) - set(ELSEWHERE) <= set(CELLS)
    for name in set(rec.CELLS) - set(ELSEWHERE):
        assert type(CELLS[name]) is type(rec.CELLS[name](3, 4)), name
    others = {name: rec.CELLS[name](3, 4) for name in ELSEWHERE}
    assert all(isinstance(cell, rec.Layer) for name, cell in others.items() if name != "hs97_cut")


def test_no_cell_loses_its_linear_form():
    """The committed table of the registry, and the number of all that are checked."""
    table = (ROOT / "docs" / "cells.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \|.*\| (\w*) \| [SFCAN]+ \|$", table, re.MULTILINE)
    told = {name: form for name, form in rows if name not in ELSEWHERE}
    assert set(told) == set(rec.CELLS) - set(ELSEWHERE)
    assert {name: linear_form(CELLS[name]) for name in told} == told
    assert sum(cell.has_linear_form for cell in CELLS.values()) == 34


def test_the_structures_are_all_there_are():
    cells = [CELLS[name] for name in STRUCTURES]
    assert {linear_form(cell) for cell in cells} == {linear_form(cell) for cell in CELLS.values()}
    shapes = [
        jax.tree.leaves(jax.eval_shape(lambda cell=cell: start(cell, cell.init(jax.random.key(0)))))
        for cell in cells
    ]
    assert any(jnp.issubdtype(leaf.dtype, jnp.complexfloating) for leaves in shapes for leaf in leaves)
    assert {1, 2, 4} <= {len(leaves) for leaves in shapes}
    assert {0, 1, 2, 3} == {leaf.ndim for leaves in shapes for leaf in leaves}
    assert any(cell.is_stochastic for cell in cells) and any(
        type(c).prepare is not rec.Cell.prepare for c in cells
    )
    assert {len(cell.input_shape) for cell in cells if isinstance(cell.input_shape[0], int)} == {1, 3}


def start(cell, params):
    return cell.initial_state(cell.prepare(params), ())


def test_every_solver_meets_cells_that_it_can_run():
    met = {solver: [name for name in CELLS if solver in solvers_for(name)] for solver in SOLVERS[1:]}
    for solver, names in met.items():
        assert set(STRUCTURES) <= set(names), solver
        able = [
            name for name in names if CELLS[name].has_linear_form or not isinstance(solver, rec.Associative)
        ]
        assert len(set(able) - set(STRUCTURES)) >= 3, solver
    assert all(len(solvers_for(name)) >= 1 for name in CELLS)
    assert all(rec.Associative() in solvers_for(name) for name in CELLS if not CELLS[name].has_linear_form)


@pytest.mark.parametrize("name", FAST)
def test_the_contract(name):
    check_cell(CELLS[name], reference=reference(name), solvers=())


@pytest.mark.parametrize("name", ["lstm", "hs97", "gru_d", "eunn fft"])
def test_a_first_state_may_be_donated(name):
    """No field of it is another's memory, nor that of what it was made from."""
    cell = CELLS[name]
    weights = cell.prepare(cell.init(jax.random.key(0)))
    double = jax.jit(lambda state: jax.tree.map(lambda leaf: 2.0 * leaf, state), donate_argnums=0)
    for batch in ((), (2,)):
        double(cell.initial_state(weights, batch))
    assert not any(leaf.is_deleted() for leaf in jax.tree.leaves(weights))


def check_verdicts(name, solvers):
    """The contract, by these solvers; what a solver may refuse is known."""
    cell = CELLS[name]
    verdicts = check_cell(cell, reference=reference(name), solvers=solvers)
    refused = {solver for solver, verdict in verdicts.items() if verdict != "ok"}
    cannot = (() if cell.has_linear_form else (rec.Associative,)) + ((rec.Newton,) if name in LARGE else ())
    cannot += (rec.Fused,) if name in WITHOUT_PRODUCTS else ()
    assert set(verdicts) == {rec.Sequential(), *solvers}
    assert refused == {solver for solver in solvers if isinstance(solver, cannot)}


@pytest.mark.medium
def test_the_cells_without_products_are_told():
    refused = {name for name, cell in CELLS.items() if rec.refusal(cell, rec.Fused(), (16,))}
    assert refused == set(WITHOUT_PRODUCTS)


@pytest.mark.medium
@pytest.mark.parametrize("name", CELLS)
def test_the_contract_with_solvers(name):
    """A cell of each structure with every solver, every other cell with one: a solver sees the contract alone."""
    check_verdicts(name, solvers_for(name))


@pytest.mark.slow
@pytest.mark.parametrize("name", CELLS)
def test_the_contract_with_every_solver(name):
    check_verdicts(name, SOLVERS)


@pytest.mark.medium
@pytest.mark.parametrize("name", CELLS)
def test_second_derivatives(name, float64):
    """A Hessian times a vector: by forward over reverse, by reverse over reverse, and by differences of gradients."""
    cell, rng = CELLS[name], np.random.default_rng(3)
    params = numpy(cell.init(jax.random.key(0)))
    params = add(params, normal(rng, params, 0.1))
    xs = device(normal(rng, inputs(cell, 4, 2)))
    direction = normal(rng, params)

    def loss(params):
        state, ys = rec.unroll(cell, params, xs)
        return sum(jnp.sum(jnp.abs(leaf) ** 2) for leaf in jax.tree.leaves((state, ys)))

    @jax.jit
    def derivatives(params):
        """The gradient, and the products both ways: one program for all that is compared."""
        gradient = jax.grad(loss)
        return *jax.jvp(gradient, (params,), (direction,)), jax.grad(lambda p: inner(direction, gradient(p)))(
            params
        )

    _, forward, reverse = derivatives(params)
    above, below = (derivatives(add(params, direction, size))[0] for size in (1e-5, -1e-5))
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
