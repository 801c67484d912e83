"""Programs exported with a symbolic batch or length run at any size."""

import functools

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest

import recurrent as rec

CELLS = {
    "lstm": rec.LSTM(3, 4),
    "lru": rec.LRU(3, 4),
    "delta_net": rec.DeltaNet(3, 4),
    "linear_lmu": rec.CELLS["linear_lmu"](3, 4),
    "dilated": rec.Dilated(rec.GRU(3, 4), 2),
    "layers": rec.stack(rec.LSTM(3, 4), rec.Bidirectional(rec.GRU(4, 2), rec.GRU(4, 2))),
}


@pytest.fixture(autouse=True)
def symbols_are_sizes():
    """A symbol is no int, as the annotations of shapes say of sizes: they are not checked here."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


def arguments(num_steps, batch):
    keys = jax.random.split(jax.random.key(1), 3)
    mask, reset = (
        jax.random.bernoulli(key, p, (num_steps, batch)) for key, p in ((keys[0], 0.8), (keys[1], 0.2))
    )
    return jax.random.normal(keys[2], (num_steps, batch, 3)), mask, reset


def exported(cell, solver, symbols):
    num_steps, batch = jax.export.symbolic_shape(symbols)
    flag = jax.ShapeDtypeStruct((num_steps, batch), bool)
    xs = jax.ShapeDtypeStruct((num_steps, batch, 3), jnp.float32)

    def run(params, xs, mask, reset):
        return rec.unroll(cell, params, xs, mask=mask, reset=reset, solver=solver)

    params = cell.init(jax.random.key(0))
    return functools.partial(jax.export.export(jax.jit(run))(params, xs, flag, flag).call, params)


def check_exported(name, solver, symbols, sizes):
    cell = CELLS[name]
    run, params = exported(cell, solver, symbols), cell.init(jax.random.key(0))
    for num_steps, batch in sizes:
        xs, mask, reset = arguments(num_steps, batch)
        want = rec.unroll(cell, params, xs, mask=mask, reset=reset, solver=rec.Sequential())
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), run(xs, mask, reset), want
        )


@pytest.mark.parametrize(
    "name", ["lru", *(pytest.param(name, marks=pytest.mark.medium) for name in CELLS if name != "lru")]
)
def test_the_default_exports_both_symbols(name):
    check_exported(name, rec.AUTO, "t,b", [(7, 2), (4, 3)])


@pytest.mark.parametrize(
    ("name", "solver", "symbols"),
    [
        ("lru", rec.Sequential(None), "t,b"),
        pytest.param("dilated", rec.Sequential(None), "t,2", marks=pytest.mark.medium),
        pytest.param("lstm", rec.Sequential(4), "7,b", marks=pytest.mark.medium),
        pytest.param("lru", rec.Associative(), "7,b", marks=pytest.mark.medium),
        pytest.param("delta_net", rec.Associative(4), "7,b", marks=pytest.mark.medium),
        pytest.param("linear_lmu", rec.Associative(), "7,b", marks=pytest.mark.medium),
        pytest.param("lstm", rec.Newton(4), "7,b", marks=pytest.mark.medium),
        pytest.param("lstm", rec.Checkpointed(), "7,b", marks=pytest.mark.medium),
    ],
)
def test_solvers_export_what_they_can(name, solver, symbols):
    sizes = [(7, 2), (7, 3)] if symbols == "7,b" else [(7, 2), (3, 2)]
    check_exported(name, solver, symbols, sizes)


@pytest.mark.parametrize(
    ("name", "solver"),
    [
        ("lstm", rec.Sequential(4)),
        ("lstm", rec.Checkpointed()),
        ("lstm", rec.Checkpointed((4, 2))),
        ("lru", rec.Associative()),
        ("lru", rec.Associative(4)),
        ("lstm", rec.Newton(4)),
    ],
    ids=str,
)
def test_a_solver_that_cuts_the_time_axis_needs_its_length(name, solver):
    with pytest.raises(
        rec.Unsupported, match=r"the length t is a symbol of jax\.export; take Sequential"
    ) as error:
        exported(CELLS[name], solver, "t,2")
    assert str(error.value).startswith(str(solver)) and "\n" not in str(error.value)
