"""The unroll: its errors, its edges, and that each solver computes by its own method."""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from awkward_cells import AWKWARD
from broken_cells import Leaky
from contract import check_cell

import recurrent as rec

LSTM, LRU = rec.LSTM(3, 4), AWKWARD["lru"]
LINEAR = {"lru": LRU, "matrix_memory": AWKWARD["matrix_memory"]}


def inputs(num_steps, batch=2, seed=0):
    return jax.random.normal(jax.random.key(seed), (num_steps, batch, 3))


def flags(num_steps, batch=2):
    key_mask, key_reset = jax.random.split(jax.random.key(7))
    shape = (num_steps, batch)
    return {
        "mask": jax.random.bernoulli(key_mask, 0.8, shape),
        "reset": jax.random.bernoulli(key_reset, 0.05, shape),
    }


def loops(fn, *arguments):
    """The lengths of all scans, -1 for a while loop, anywhere in the program of ``fn``."""
    found = []

    def visit(jaxpr):
        for equation in jaxpr.eqns:
            if equation.primitive.name == "scan":
                found.append(equation.params["length"])
            if equation.primitive.name == "while":
                found.append(-1)
            for value in jax.tree.leaves(list(equation.params.values()), is_leaf=_is_jaxpr):
                if _is_jaxpr(value):
                    visit(getattr(value, "jaxpr", value))

    visit(jax.make_jaxpr(fn)(*arguments).jaxpr)
    return set(found)


def _is_jaxpr(value):
    return hasattr(value, "eqns") or hasattr(value, "jaxpr")


def training(cell, solver, **options):
    """The gradient of the parameters for a loss of the final state: nothing that it returns grows with time."""

    def loss(params, xs):
        state, _ = rec.unroll(cell, params, xs, solver=solver, **options)
        return sum(jnp.sum(jnp.abs(leaf) ** 2) for leaf in jax.tree.leaves(state))

    return jax.grad(loss)


@pytest.mark.parametrize(
    ("solver", "num_steps", "lengths"),
    [
        (rec.Sequential(), 64, {64}),
        (rec.Checkpointed(), 64, {8}),
        (rec.Checkpointed(), 65, {5, 13}),
        (rec.Checkpointed(), 67, {8, 3}),
        (rec.Checkpointed(16), 64, {4, 16}),
        (rec.Checkpointed(1000), 64, {1, 64}),
        (rec.Associative(), 64, set()),
        (rec.Associative(64), 64, set()),
        (rec.Associative(16), 64, {4}),
    ],
    ids=str,
)
def test_the_program_of_a_solver_loops_as_its_method_does(solver, num_steps, lengths):
    params, xs = LRU.init(jax.random.key(0)), inputs(num_steps)
    options = flags(num_steps)
    assert loops(lambda p, x: rec.unroll(LRU, p, x, solver=solver, **options), params, xs) == lengths
    assert loops(training(LRU, solver, **options), params, xs) == lengths


def test_checkpoints_need_memory_that_grows_with_the_root_of_time():
    cell = rec.LSTM(3, 16)
    params = cell.init(jax.random.key(0))

    def temporary_bytes(solver, num_steps):
        program = jax.jit(training(cell, solver)).lower(params, inputs(num_steps)).compile()
        return program.memory_analysis().temp_size_in_bytes

    short, long = 256, 4096
    assert temporary_bytes(rec.Sequential(), long) > 12 * temporary_bytes(rec.Sequential(), short)
    assert temporary_bytes(rec.Checkpointed(), long) < 6 * temporary_bytes(rec.Checkpointed(), short)
    assert temporary_bytes(rec.Checkpointed(), long) < temporary_bytes(rec.Sequential(), long) / 10


@pytest.mark.parametrize(
    "solver", [rec.Sequential(), rec.Checkpointed(3), rec.Associative(), rec.Associative(3)], ids=str
)
def test_weights_are_prepared_once(solver):
    calls = []

    @dataclasses.dataclass(frozen=True)
    class Counted(type(LRU)):
        def prepare(self, params):
            calls.append(None)
            return super().prepare(params)

    cell = Counted(3, 4)
    rec.unroll(cell, cell.init(jax.random.key(0)), inputs(7), solver=solver)
    assert len(calls) == 1


def test_a_solver_asked_for_by_name_refuses_by_name():
    params, xs = LSTM.init(jax.random.key(0)), inputs(5)
    with pytest.raises(
        rec.Unsupported, match=r"Associative\(chunk=None\) cannot run LSTM\(.*no linear form"
    ) as error:
        rec.unroll(LSTM, params, xs, solver=rec.Associative())
    assert (error.value.solver, error.value.cell) == (rec.Associative(), LSTM)
    assert "\n" not in str(error.value)
    for ours, plain in zip(
        rec.unroll(LSTM, params, xs)[0], rec.unroll(LSTM, params, xs, solver=rec.Sequential())[0], strict=True
    ):
        np.testing.assert_array_equal(ours, plain)


@pytest.mark.parametrize(
    ("cell", "solver"),
    [(LSTM, rec.Checkpointed(4)), (LRU, rec.Associative(4))],
    ids=lambda value: type(value).__name__,
)
def test_one_cell_for_every_other_solver(cell, solver):
    """All cells on all solvers are in the medium lane, in `test_cells`."""
    assert check_cell(cell, solvers=(solver,))[solver] == "ok"


def differences(cell, solver, num_steps, dtype, reverse=False):
    """Relative errors, against `Sequential`, of values and gradients, for random flags and a random cotangent."""
    params, xs = jax.tree.map(
        lambda leaf: leaf.astype(dtype), (cell.init(jax.random.key(0)), inputs(num_steps))
    )
    options = {**flags(num_steps), "reverse": reverse}

    def outcome(solver):
        def loss(params, xs):
            state, ys = rec.unroll(cell, params, xs, solver=solver, **options)
            cotangent = jax.random.normal(jax.random.key(5), ys.shape, ys.dtype)
            return jnp.mean(cotangent * ys), (state, ys)

        return jax.jit(jax.grad(loss, argnums=(0, 1), has_aux=True))(params, xs)

    def error(ours, plain):
        assert ours.dtype == plain.dtype
        return float(np.max(np.abs(ours - plain)) / max(1.0, np.max(np.abs(plain))))

    return jax.tree.map(error, outcome(solver), outcome(rec.Sequential()))


@pytest.mark.parametrize(
    ("cell", "solver"),
    [(LSTM, rec.Checkpointed()), *((cell, rec.Associative(16)) for cell in LINEAR.values())],
    ids=lambda value: type(value).__name__,
)
def test_agreement_in_float32(cell, solver):
    assert max(jax.tree.leaves(differences(cell, solver, 64, jnp.float32))) < 1e-4


@pytest.mark.medium
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize(
    ("cell", "solver"),
    [
        (LSTM, rec.Checkpointed()),
        (LSTM, rec.Checkpointed(100)),
        *((cell, solver) for cell in LINEAR.values() for solver in (rec.Associative(), rec.Associative(100))),
    ],
    ids=str,
)
def test_agreement_over_many_steps(cell, solver, reverse, float64):
    assert max(jax.tree.leaves(differences(cell, solver, 256, jnp.float64, reverse))) < 1e-10


@pytest.mark.medium
@pytest.mark.parametrize("num_steps", [512, 4096])
def test_agreement_of_a_linear_cell_over_very_many_steps(num_steps, float64):
    assert (
        max(jax.tree.leaves(differences(LRU, rec.Associative(), num_steps, jnp.float64))) < 1e-14 * num_steps
    )


SOLVERS = [rec.Sequential(), rec.Checkpointed(), rec.Checkpointed(4), rec.Associative(), rec.Associative(4)]


@pytest.mark.parametrize("solver", SOLVERS, ids=str)
@pytest.mark.parametrize("name", LINEAR)
def test_no_steps_and_one_step(name, solver):
    cell = LINEAR[name]
    params = cell.init(jax.random.key(0))
    start, _ = rec.unroll(cell, params, inputs(3))
    for options in ({}, {"reverse": True}):
        state, ys = rec.unroll(cell, params, inputs(0), state=start, solver=solver, **options)
        assert ys.shape == (0, 2, *cell.output_shape)
        jax.tree.map(np.testing.assert_array_equal, state, start)
        x = inputs(1)
        weights = cell.prepare(params)
        after, y = cell.step(weights, start, cell.project(weights, x[0]))
        state, ys = rec.unroll(cell, params, x, state=start, solver=solver, **options)
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), (state, ys[0]), (after, y)
        )


def test_resets_at_the_ends():
    """Forward, a reset at step 0 overrides the caller's state; in reverse it has no effect, there or anywhere."""
    params, xs = LSTM.init(jax.random.key(0)), inputs(5)
    state = rec.unroll(LSTM, params, xs)[0]
    reset = jnp.zeros((5, 2), bool).at[0].set(True)
    forward = rec.unroll(LSTM, params, xs, state=state, reset=reset)[1]
    np.testing.assert_allclose(forward, rec.unroll(LSTM, params, xs)[1], rtol=1e-6)
    back = rec.unroll(LSTM, params, xs, state=state, reset=reset, reverse=True)[1]
    np.testing.assert_allclose(back, rec.unroll(LSTM, params, xs, state=state, reverse=True)[1], rtol=1e-6)
    assert np.abs(forward - rec.unroll(LSTM, params, xs, state=state)[1]).max() > 0.01


def test_reverse_is_the_flip_of_the_flip():
    params, xs = LSTM.init(jax.random.key(0)), inputs(5)
    state, ys = rec.unroll(LSTM, params, xs, reverse=True)
    flipped_state, flipped = rec.unroll(LSTM, params, xs[::-1])
    np.testing.assert_allclose(ys, flipped[::-1], rtol=1e-6)
    np.testing.assert_allclose(state.c, flipped_state.c, rtol=1e-6)


class Timed(NamedTuple):
    """An input with the time since the one before."""

    x: Any
    dt: Any


@dataclasses.dataclass(frozen=True)
class TimedCell(Leaky):
    """Pytrees on all sides: the state decays with the time that has passed, and is emitted with its norm."""

    @property
    def input_shape(self):
        return Timed((3,), ())

    def project(self, weights, x):
        return Timed(x.x @ weights.w, x.dt)

    def next_state(self, weights, state, u):
        decay = jnp.exp(-jnp.abs(weights.a) * jnp.square(u.dt)[..., None])
        return super().next_state(weights, state._replace(h=decay * state.h), u.x)

    def output(self, weights, state, u):
        return {"h": state.h, "energy": jnp.sum(state.h**2, axis=-1), "dt": u.dt}


def test_inputs_and_outputs_may_be_pytrees():
    assert TimedCell().output_shape == {"h": (2,), "energy": (), "dt": ()}
    check_cell(TimedCell(), solvers=(rec.Checkpointed(4),))


GOOD = {"cell": LSTM, "xs": jnp.zeros((5, 2, 3))}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"xs": jnp.zeros((5, 2, 4))}, r"xs: expected shape \(\.\.\., 3\), got \(5, 2, 4\)"),
        ({"xs": jnp.zeros(3)}, r"xs: expected a time axis in front of \(3,\)"),
        ({"xs": {"a": jnp.zeros((5, 3)), "b": jnp.zeros((5, 3))}}, "xs: expected 1 arrays"),
        (
            {"mask": jnp.ones((2, 5), bool)},
            r"mask: expected shape \(5, 2\), the leading axes of xs, got \(2, 5\)",
        ),
        ({"reset": jnp.ones((5, 1), bool)}, r"reset: expected shape \(5, 2\)"),
        ({"solver": "sequential"}, r"solver: expected a solver such as Sequential\(\), got 'sequential'"),
        ({"solver": (rec.Sequential(),)}, "solver: expected a solver"),
        ({"cell": "lstm"}, "cell: expected a Cell or a Layer, got 'lstm'"),
        (
            {"state": (jnp.zeros((2, 4)),)},
            r"expected LSTMState of float32\[2, 4\], float32\[2, 4\], got tuple",
        ),
        (
            {"state": LSTM.initial_state(LSTM.init(jax.random.key(0)), ())},
            r"state: .* got LSTMState of float32\[4\]",
        ),
    ],
    ids=lambda value: ", ".join(value) if isinstance(value, dict) else "",
)
def test_a_wrong_argument_is_named_in_one_line(wrong, message):
    given = {**GOOD, **wrong}
    with pytest.raises(ValueError, match=message) as error:
        _unchecked_unroll(given.pop("cell"), LSTM.init(jax.random.key(0)), given.pop("xs"), **given)
    assert "\n" not in str(error.value)


def test_flags_are_booleans():
    with pytest.raises(ValueError, match="mask: expected booleans, got int32"):
        _unchecked_unroll(LSTM, LSTM.init(jax.random.key(0)), GOOD["xs"], mask=jnp.ones((5, 2), int))


# what a user without the annotations' run-time checks sees
_unchecked_unroll = getattr(rec.unroll, "__wrapped__", rec.unroll)


@pytest.mark.parametrize("solver", [rec.Checkpointed, rec.Associative])
def test_a_solver_needs_at_least_one_step_at_a_time(solver):
    with pytest.raises(ValueError, match="expected at least 1, got 0"):
        solver(0)


def test_mask_from_lengths():
    lengths = jnp.array([[0, 1], [3, 5]])
    mask = rec.mask_from_lengths(lengths, 4)
    assert mask.dtype == bool
    expected = [[t < length for length in lengths.ravel()] for t in range(4)]
    np.testing.assert_array_equal(mask.reshape(4, 4), expected)
