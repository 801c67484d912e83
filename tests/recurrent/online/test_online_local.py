"""SnAp-1 and e-prop: against whole Jacobians with entries left out, cut gradients, and where they are exact."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from awkward_cells import AWKWARD, LRU
from jax.flatten_util import ravel_pytree
from online_runs import assert_close, exact, example, found

import recurrent as rec
from recurrent import online
from recurrent.arrays import is_shape

LOCAL = {
    "peepholes": rec.LSTM(3, 4, peepholes=True),
    "gru": rec.GRU(3, 4),
    "elman": rec.Elman(3, 4),
}
NAMES = ["peepholes", pytest.param("gru", marks=pytest.mark.medium)]


class LocalLRU(LRU):
    """The LRU of the awkward cells, declared for what it is: no unit sees another."""

    @property
    def local_fields(self):
        return ("h",)


def own_unit(state, params, units):
    """``[n, p]``: whether coordinate n of the state is of the unit that entry p acts on; False where it is of none."""
    unit_of_parameter = [
        np.broadcast_to(np.arange(leaf.shape[-1]) % units if leaf.shape[-1] % units == 0 else -1, leaf.shape)
        for leaf in jax.tree.leaves(params)
    ]
    return np.arange(state.size)[:, None] % units == np.concatenate(
        [leaf.ravel() for leaf in unit_of_parameter]
    )


def snap_oracle(case, units):
    """J = M ⊙ (D J + I) with whole Jacobians, one step after another; M keeps a parameter's own unit."""
    theta, restore = ravel_pytree(case.params)
    start = case.cell.initial_state(case.cell.prepare(case.params), ())
    zero, as_state = rec.state_vector(start)
    kept = own_unit(zero, case.params, units)

    def new_state(theta, s, x):
        weights = case.cell.prepare(restore(theta))
        return rec.state_vector(case.cell.next_state(weights, as_state(s), case.cell.project(weights, x)))[0]

    @jax.jit
    def step(theta, s, t):
        x, new = case.xs[t], new_state(theta, s, case.xs[t])
        own, jacobian = jax.jacrev(new_state, argnums=(0, 1))(theta, s, x)
        return new, own, jacobian, jax.grad(lambda s: case.loss_fn(t, as_state(s).h))(new)

    s, influence, gradient = zero, np.zeros((zero.size, theta.size)), np.zeros(theta.size)
    for t in range(len(case.xs)):
        if case.reset[t]:
            s, influence = zero, 0 * influence
        if case.mask[t]:
            s, own, jacobian, signal = step(theta, s, t)
            influence = kept * (jacobian @ influence + own)
            gradient += signal @ influence
    return restore(jnp.asarray(gradient))


@pytest.mark.parametrize("name", NAMES)
def test_snap_1_is_rtrl_with_all_but_a_parameters_own_unit_left_out(name, float64):
    case = example(LOCAL[name], batch=(), flags=True)
    _, grads, _ = found(case, online.SnAp1())
    assert_close(grads, snap_oracle(case, 4))
    assert float(jnp.abs(grads.w_h - exact(case)[1].w_h).max()) > 1e-3


@pytest.mark.parametrize("name", NAMES)
def test_e_prop_is_the_gradient_of_the_cell_cut_outside_its_local_fields(name, float64):
    cell = LOCAL[name]
    case = example(cell, batch=(2,), flags=True)
    result = found(case, online.EProp())
    assert_close(result, exact(dataclasses.replace(case, cell=rec.cut(cell, ("h",)))))
    assert float(jnp.abs(result[1].w_h - exact(case)[1].w_h).max()) > 1e-3


@pytest.mark.parametrize(
    "rule", [online.SnAp1(), pytest.param(online.EProp(), marks=pytest.mark.medium)], ids=str
)
def test_local_rules_are_exact_where_no_unit_sees_another(rule, float64):
    """Complex units, and parameters that act on the output alone, through sizes that are no multiple of h."""
    case = example(LocalLRU(3, 4), batch=(2,), flags=True)
    assert_close(found(case, rule), exact(case))


def test_snap_1_is_exact_while_the_recurrent_matrix_is_diagonal(float64):
    """Its off-diagonal entries too: each acts on one unit, and no unit passes anything on."""
    case = example(LOCAL["elman"], batch=(2,), flags=True)
    diagonal = case.params._replace(w_h=jnp.diag(jnp.array([0.9, -0.5, 0.3, 0.7])))
    case = dataclasses.replace(case, params=diagonal)
    assert_close(found(case, online.SnAp1()), exact(case))


def declares_units(name):
    """Whether it does, of a cell that reads vectors: inputs with times are for its own tests."""
    cell = rec.CELLS[name](3, 4)
    return isinstance(cell, rec.Cell) and cell.local_fields is not None and is_shape(cell.input_shape)


@pytest.mark.medium
@pytest.mark.parametrize("name", [name for name in rec.CELLS if declares_units(name)])
def test_a_cell_that_declares_units_keeps_to_them(name, float64):
    """Whole Jacobians of one step: parameters act on their own unit, local fields stay inside theirs."""
    cell = rec.CELLS[name](3, 4)
    case = example(cell, steps=1, given_state=True)
    theta, restore = ravel_pytree(case.params)
    start, as_state = rec.state_vector(case.options["state"])
    units = jax.tree.leaves(case.options["state"])[0].shape[-1]

    def step(theta, s):
        weights = cell.prepare(restore(theta))
        u = cell.project(weights, case.xs[0])
        return rec.state_vector(cell.next_state(weights, as_state(s), u))[0]

    by_parameter, by_state = jax.jit(jax.jacrev(step, argnums=(0, 1)))(theta, start)
    kept = own_unit(start, case.params, units)
    assert np.all(np.asarray(by_parameter)[~kept] == 0) and np.any(np.asarray(by_parameter)[kept] != 0)
    fields = case.options["state"]._asdict().items()
    is_local = [np.full(rec.state_vector(leaf)[0].size, field in cell.local_fields) for field, leaf in fields]
    index = np.arange(start.size) % units
    others = (index[:, None] != index) & np.concatenate(is_local)
    assert np.all(np.asarray(by_state)[others] == 0)


@dataclasses.dataclass(frozen=True)
class Misdeclared(LRU):
    @property
    def local_fields(self):
        return ("h",)

    def next_state(self, weights, state, u):
        return state._replace(
            h=super().next_state(weights, state, u).h + jnp.sum(u[1], axis=-1, keepdims=True)
        )


@pytest.mark.parametrize(
    ("cell", "rule", "message"),
    [
        (AWKWARD["lru"], online.SnAp1(), r"SnAp1\(\) cannot run LRU\(.*declares no local_fields"),
        (
            rec.GRU(3, 4, reset="before"),
            online.EProp(),
            r"EProp\(\) cannot run GRU\(.*declares no local_fields",
        ),
        (
            Misdeclared(3, 4, output_size=3),
            online.SnAp1(),
            r"Misdeclared.*parameters \[3, 3\] feed a state of 4 units",
        ),
    ],
)
def test_local_rules_refuse_cells_without_units(cell, rule, message):
    with pytest.raises(rec.Unsupported, match=message):
        example(cell, batch=()).run(rule)
