"""Called outside `jax.jit`, what runs a cell is compiled once for equal cells and shapes."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from awkward_cells import AWKWARD
from broken_cells import Leaky
from every_cell import CELLS, ELSEWHERE, SMALL, STRUCTURES

import recurrent as rec
from recurrent.testing.contract import SOLVERS
from recurrent.testing.oracle import inputs

LSTM, LRU, STACK = rec.LSTM(3, 4), rec.LRU(3, 4), rec.stack(rec.GRU(3, 4), rec.LSTM(4, 4), dropout=0.5)
ZONEOUT = AWKWARD["zoneout_lstm"]
MASK = jnp.arange(5)[:, None] < jnp.array([5, 3])
RESET = jnp.zeros((5, 2), bool).at[2, 1].set(True)


@pytest.fixture
def compilations():
    """The names of compilations, as they happen."""
    found: list[str] = []

    def note(name, *_, **__):
        if "backend_compile" in name:
            found.append(name)

    jax.monitoring.register_event_duration_secs_listener(note)
    yield found
    jax.monitoring.unregister_event_duration_listener(note)


def check_compiled_once(compilations, cell, **options):
    """Values, and gradients of parameters, inputs and state, called twice with other numbers of the same shapes."""
    params, xs = cell.init(jax.random.key(0)), jax.tree.map(jnp.asarray, inputs(cell, 5, 2))
    state = jax.tree.map(jnp.copy, cell.initial_state(cell.prepare(params), (2,)))

    def run(params, xs, state):
        def loss(params, xs, state):
            final, ys = rec.unroll(cell, params, xs, state=state, **options)
            return sum(jnp.sum(jnp.abs(leaf) ** 2) for leaf in jax.tree.leaves((final, ys)))

        jax.block_until_ready(rec.unroll(cell, params, xs, state=state, **options))
        jax.block_until_ready(jax.grad(loss, argnums=(0, 1, 2))(params, xs, state))

    run(params, xs, state)
    others = jax.tree.map(lambda leaf: leaf + 1, (params, xs, state))
    compilations.clear()
    run(*others)
    assert not compilations


RUNS = {
    "lstm, flags": (LSTM, {"mask": MASK, "reset": RESET, "reverse": True}),
    "lstm, chunks of projections": (LSTM, {"solver": rec.Sequential(4)}),
    "lstm, checkpoints": (LSTM, {"solver": rec.Checkpointed()}),
    "lru, associative": (LRU, {"solver": rec.Associative()}),
    "elman, newton": (rec.Elman(3, 2), {"solver": rec.Newton(5)}),
    "zoneout, key": (ZONEOUT, {"key": jax.random.key(1)}),
    "stack, key and a solver a part": (
        STACK,
        {"key": jax.random.key(1), "solver": (rec.AUTO, rec.Checkpointed(2))},
    ),
    "dilated": (rec.Dilated(rec.GRU(3, 4), 2), {}),
}


@pytest.mark.parametrize("name", RUNS)
def test_a_second_call_compiles_nothing(name, compilations):
    cell, options = RUNS[name]
    check_compiled_once(compilations, cell, **options)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.medium if name in STRUCTURES else pytest.mark.slow)
        for name in (*CELLS, *ELSEWHERE)
    ],
)
def test_a_second_call_of_any_cell_compiles_nothing(name, compilations):
    """Each with one solver, going round: a solver sees the contract alone."""
    cells = {**SMALL, **CELLS}
    cell = cells[name]
    able = [
        solver
        for solver in SOLVERS
        if cell in CELLS.values()
        and not isinstance(solver, rec.Newton)
        and (cell.has_linear_form or not isinstance(solver, rec.Associative))
    ]
    solver = able[list(cells).index(name) % len(able)] if able else rec.AUTO
    check_compiled_once(compilations, cell, solver=solver)


def test_state_gradients_and_streams_are_compiled_once(compilations):
    # its `prepare` goes through a scan of its own
    cell = CELLS["eunn fft"]
    params, xs = cell.init(jax.random.key(0)), jnp.ones((5, 2, 3))

    def run():
        gradients = rec.diagnostics.state_gradients(cell, params, xs, lambda ys, state: jnp.sum(ys[-1] ** 2))
        state, step = rec.stream(cell, params, (2,))
        jax.block_until_ready((gradients, step(state, xs[0])))

    run()
    compilations.clear()
    run()
    assert not compilations


@pytest.mark.parametrize(
    ("solver", "loop"), [(rec.Sequential(), "scan"), (rec.Fused(), "custom_vjp_call")], ids=str
)
def test_within_a_program_of_the_users_nothing_is_nested(solver, loop):
    """The program is the cell's steps alone; the numbers are those of a call outside, bit by bit."""
    params, xs = LSTM.init(jax.random.key(0)), jax.random.normal(jax.random.key(1), (5, 2, 3))

    def run(params, xs):
        return rec.unroll(LSTM, params, xs, mask=MASK, reset=RESET, solver=solver)

    program = jax.make_jaxpr(run)(params, xs)
    primitives = [equation.primitive.name for equation in program.eqns]
    assert loop in primitives
    assert not {"jit", "pjit"} & set(primitives)
    jax.tree.map(np.testing.assert_array_equal, run(params, xs), jax.jit(run)(params, xs))


def test_parameters_of_numpy_and_equal_cells_are_one_program(compilations):
    given = LSTM.init(jax.random.key(0)), jnp.ones((5, 2, 3))
    first = rec.unroll(rec.LSTM(3, 4), *given)
    params, _ = jax.tree.map(np.asarray, given)
    compilations.clear()
    second = rec.unroll(rec.LSTM(3, 4), params, jnp.ones((5, 2, 3)))
    assert not compilations
    jax.tree.map(np.testing.assert_array_equal, first, second)


@dataclasses.dataclass(frozen=True)
class Listed(Leaky):
    """A cell that is no value: a list may change."""

    names: Any = dataclasses.field(default_factory=lambda: ["a"])


@pytest.mark.parametrize(
    ("cell", "options", "message"),
    [
        (LSTM, {"solver": [rec.AUTO]}, "solver: expected a value that hashes, got"),
        (Listed(), {}, "cell: expected a value that hashes, got Listed"),
        (LSTM, {"xs": jnp.ones((5, 2, 4))}, r"xs: expected shape \(\.\.\., 3\), got \(5, 2, 4\)"),
    ],
)
def test_what_cannot_be_compiled_is_named(cell, options, message):
    xs = options.pop("xs", jnp.ones((5, 2, 3)))
    unchecked = getattr(rec.unroll, "__wrapped__", rec.unroll)
    for _ in range(2):
        with pytest.raises(ValueError, match=message) as error:
            unchecked(cell, LSTM.init(jax.random.key(0)), xs, **options)
        assert "\n" not in str(error.value)
