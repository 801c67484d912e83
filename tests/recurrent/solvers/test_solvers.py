"""Each solver computes the function of `Sequential`, and by its own method: its program is looked at too."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from awkward_cells import AWKWARD
from traced import equations

import recurrent as rec
from recurrent.solvers import measured
from recurrent.testing.contract import check_cell

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
    lengths = {"scan": lambda equation: equation.params["length"], "while": lambda _: -1}
    found = (equation for _, equation in equations(fn, *arguments))
    return {lengths[one.primitive.name](one) for one in found if one.primitive.name in lengths}


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
        (rec.Checkpointed((16, 4)), 64, {4}),
        (rec.Checkpointed((32, 4)), 70, {2, 8, 4, 1}),
        (rec.Sequential(8), 64, {8}),
        (rec.Sequential(None), 64, {64}),
        (rec.Associative(), 64, set()),
        (rec.Associative(64), 64, {1}),
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


def test_the_default_forms_large_linear_states_again_and_keeps_all_others(monkeypatch):
    monkeypatch.setattr(measured, "FUSED", {})
    memory = rec.retention(3, 64)
    wide, narrow = (jax.ShapeDtypeStruct((8, 64, size), jnp.float32) for size in (64, 1))
    verdicts = {
        (memory, 512, wide, "cpu"): rec.Checkpointed(),
        (memory, 128, wide, "cpu"): rec.Checkpointed(),
        (memory, 127, wide, "cpu"): rec.Sequential(),
        (memory, 512, narrow, "cpu"): rec.Sequential(),
        (memory, 512, wide, "gpu"): rec.Sequential(),
        (LSTM, 512, wide, "cpu"): rec.Sequential(),
    }
    for (cell, num_steps, state, platform), solver in verdicts.items():
        chosen, why = rec.AUTO.choose_for(cell, num_steps, state, platform)
        assert chosen == solver, (cell, num_steps, state, platform)
        assert ("MiB of states again" in why) == (solver == rec.Checkpointed())


def test_the_default_takes_what_was_measured_to_be_faster(monkeypatch):
    monkeypatch.setattr(measured, "POINTS", ((16, 16), (64, 64), (32, 128)))
    monkeypatch.setattr(measured, "FUSED", {"LSTM": (1.1, 0.9, 0.7), "LTC": (0.5, 0.5, 0.5)})

    def chosen(cell, sequences, platform="cpu"):
        state = cell.initial_state(cell.prepare(cell.init(jax.random.key(0))), (sequences,))
        return rec.AUTO.choose_for(cell, 100, state, platform)

    assert chosen(rec.LSTM(2, 16), 16) == (
        rec.Sequential(),
        "training on a CPU takes 1.10 of its time with Fused()",
    )
    assert chosen(rec.LSTM(2, 20), 1)[0] == rec.Sequential()
    assert chosen(rec.LSTM(2, 60), 100)[0] == rec.Fused()
    assert "0.70 of the time of Sequential()" in chosen(rec.LSTM(2, 300), 20)[1]
    assert chosen(rec.zoneout(rec.LSTM(2, 300)), 20)[0] == rec.Fused()  # as the cell inside
    assert chosen(rec.LSTM(2, 300), 20, "gpu")[0] == rec.Sequential()
    assert chosen(rec.GRU(2, 300), 20)[0] == rec.Sequential()  # not measured
    assert chosen(rec.LTC(2, 8), 20)[0] == rec.Fused()
    assert chosen(rec.LTC(2, 8, synapses="pairs"), 20)[0] == rec.Sequential()  # no product in its step


def test_a_forward_derivative_of_the_default_is_told_what_to_take(monkeypatch):
    monkeypatch.setattr(measured, "FUSED", {"LSTM": (0.5,) * 3})
    params, xs = LSTM.init(jax.random.key(0)), inputs(5)
    if rec.AUTO.choose_for(LSTM, 5, rec.unroll(LSTM, params, xs)[0])[0] != rec.Fused():
        pytest.skip("not on a CPU")

    def outputs(xs, **options):
        return rec.unroll(LSTM, params, xs, **options)[1]

    with pytest.raises(rec.Unsupported, match=r"take solver=Sequential\(\)"):
        jax.jvp(outputs, (xs,), (xs,))
    jax.jvp(lambda xs: outputs(xs, solver=rec.Sequential()), (xs,), (xs,))


def test_the_default_runs_what_it_says():
    cell = rec.retention(3, 64)
    params, xs = cell.init(jax.random.key(0)), inputs(512)
    state = rec.unroll(cell, params, xs[:1])[0]
    if rec.AUTO.choose_for(cell, 512, state)[0] != rec.Checkpointed():
        pytest.skip("not on a CPU")
    assert loops(training(cell, rec.AUTO), params, xs) == loops(
        training(cell, rec.Checkpointed()), params, xs
    )
    assert loops(training(cell, rec.AUTO), params, xs[:64]) == {64}
    found, expected = (training(cell, solver)(params, xs) for solver in (rec.AUTO, rec.Sequential()))
    jax.tree.map(lambda new, old: np.testing.assert_allclose(new, old, rtol=1e-4, atol=1e-6), found, expected)


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
    default = rec.AUTO.choose_for(LSTM, len(xs), rec.unroll(LSTM, params, xs)[0])[0]
    for ours, plain in zip(
        rec.unroll(LSTM, params, xs)[0], rec.unroll(LSTM, params, xs, solver=default)[0], strict=True
    ):
        np.testing.assert_array_equal(ours, plain)


@pytest.mark.parametrize(
    ("cell", "solver"),
    [(LSTM, rec.Checkpointed(4)), (LRU, rec.Associative(4))],
    ids=lambda value: type(value).__name__,
)
def test_one_cell_for_every_other_solver(cell, solver):
    """All solvers on a cell of each structure are in the medium lane, on all cells in the slow one: `test_cells`."""
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


LONG = [
    (LSTM, rec.Checkpointed()),
    (LSTM, rec.Checkpointed(100)),
    *((cell, solver) for cell in LINEAR.values() for solver in (rec.Associative(), rec.Associative(100))),
]


def one_direction_in_minutes():
    """Each pair in one direction in the medium lane, in the other in the slow one; each solver goes both ways."""
    for turn, pair in enumerate(LONG):
        for reverse in (False, True):
            in_minutes = reverse == bool((turn + turn // 2) % 2)
            yield pytest.param(*pair, reverse, marks=pytest.mark.medium if in_minutes else pytest.mark.slow)


@pytest.mark.parametrize(("cell", "solver", "reverse"), [*one_direction_in_minutes()], ids=str)
def test_agreement_over_many_steps(cell, solver, reverse, float64):
    assert max(jax.tree.leaves(differences(cell, solver, 256, jnp.float64, reverse))) < 1e-10


@pytest.mark.medium
@pytest.mark.parametrize("num_steps", [512, 4096])
def test_agreement_of_a_linear_cell_over_very_many_steps(num_steps, float64):
    assert (
        max(jax.tree.leaves(differences(LRU, rec.Associative(), num_steps, jnp.float64))) < 1e-14 * num_steps
    )


@pytest.mark.parametrize("solver", [rec.Checkpointed, rec.Associative])
def test_a_solver_needs_at_least_one_step_at_a_time(solver):
    with pytest.raises(ValueError, match="expected an integer of at least 1, got 0"):
        solver(0)
