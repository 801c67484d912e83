"""Newton's method over time: what it computes, how many iterations it needs, and how it fails."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from awkward_cells import AWKWARD
from places import ROOT

import recurrent as rec
from benchmarks import newton as newton_benchmark
from recurrent.solvers.newton.kalman import damped_solution
from recurrent.testing.contract import check_cell

LSTM = rec.LSTM(3, 4)
KINDS = {
    "full": rec.Newton(20),
    "diagonal": rec.Newton(20, jacobian="diagonal"),
    "damped": rec.Newton(20, damping=0.1),
    "diagonal damped": rec.Newton(20, damping=0.1, jacobian="diagonal", max_iters=64),
}


def inputs(num_steps, batch=2):
    return jax.random.normal(jax.random.key(1), (num_steps, batch, 3))


def flags(num_steps, batch=2):
    key_mask, key_reset = jax.random.split(jax.random.key(7))
    shape = (num_steps, batch)
    return {
        "mask": jax.random.bernoulli(key_mask, 0.8, shape),
        "reset": jax.random.bernoulli(key_reset, 0.05, shape),
    }


def in_float64(cell):
    return jax.tree.map(lambda leaf: leaf.astype(float), cell.init(jax.random.key(0)))


def close(found, expected, tolerance):
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        assert np.max(np.abs(one - other)) <= tolerance * max(1.0, np.max(np.abs(other)))


@pytest.mark.parametrize(
    "kind", [kind if kind == "full" else pytest.param(kind, marks=pytest.mark.medium) for kind in KINDS]
)
def test_values_and_gradients_are_those_of_the_scan(kind, float64):
    """Over two windows and a rest, with masks and resets; by the diagonal Jacobian too, whose adjoint is exact."""
    params, xs = in_float64(LSTM), inputs(50)

    def loss(params, xs, solver):
        state, ys = rec.unroll(LSTM, params, xs, **flags(50), solver=solver)
        return jnp.sum(jnp.sin(ys)) + jnp.sum(state.c**2), (state, ys)

    differentiate = jax.jit(jax.grad(loss, argnums=(0, 1), has_aux=True), static_argnums=2)
    close(differentiate(params, xs, KINDS[kind]), differentiate(params, xs, rec.Sequential()), 1e-10)


@pytest.mark.medium
@pytest.mark.parametrize("kind", ["full", "diagonal"])
def test_forward_and_second_derivatives(kind, float64):
    cell = rec.GRU(3, 2)
    params, xs = in_float64(cell), inputs(12)
    direction = jax.tree.map(jnp.ones_like, params)

    def gradient(params, solver):
        return jax.grad(lambda p: jnp.sum(jnp.sin(rec.unroll(cell, p, xs, solver=solver)[1])))(params)

    def product(params, solver):
        return jax.jvp(lambda p: gradient(p, solver), (params,), (direction,))

    compiled = jax.jit(product, static_argnums=1)
    close(compiled(params, KINDS[kind]), compiled(params, rec.Sequential()), 1e-9)


def test_damping_minimises_what_it_says(float64):
    rng = np.random.default_rng(0)
    steps, size, damping = 7, 3, 0.3
    f, r = rng.normal(size=(steps, size, size)), rng.normal(size=(steps, size))
    bidiagonal = np.eye(steps * size)
    for t in range(1, steps):
        bidiagonal[t * size : (t + 1) * size, (t - 1) * size : t * size] = -f[t]
    normal = bidiagonal.T @ bidiagonal + damping * np.eye(steps * size)
    expected = np.linalg.solve(normal, bidiagonal.T @ r.ravel()).reshape(steps, size)
    found = jax.jit(damped_solution)(jnp.asarray(f), jnp.asarray(r), jnp.asarray(damping))
    np.testing.assert_allclose(found, expected, atol=1e-12)


def chaotic():
    """A tanh network of gain 4 that goes its own way."""
    cell = rec.Elman(3, 16)
    params = in_float64(cell)
    return cell, params._replace(w_h=4 * params.w_h, w_x=0.1 * params.w_x)


def test_failure_is_loud(float64):
    cell, params = chaotic()
    xs = inputs(256)

    def loss(params):
        _, ys, report = rec.solve_report(cell, params, xs, solver=rec.Newton(max_iters=10))
        return jnp.sum(ys), report

    (value, report), gradient = jax.jit(jax.value_and_grad(loss, has_aux=True))(params)
    assert (report.iterations == 10).all() and (report.residual > 1e-3).all()
    assert np.isnan(value) and all(np.isnan(leaf).all() for leaf in gradient)


def test_a_sequence_that_fails_leaves_the_others_alone(float64):
    cell, params = chaotic()
    xs = inputs(128).at[:, 0].set(0.0)  # at rest: zeros are its trajectory
    solve = jax.jit(lambda p, x: rec.solve_report(cell, p, x, solver=rec.Newton(max_iters=3)))
    _, ys, report = solve(params, xs)
    np.testing.assert_array_equal(ys[:, 0], 0.0)
    assert np.isnan(ys[:, 1]).all()
    np.testing.assert_array_equal(report.iterations[0], [0, 3])


@pytest.mark.parametrize("reverse", [True, pytest.param(False, marks=pytest.mark.medium)])
def test_a_good_guess_saves_iterations(reverse, float64):
    params, xs = in_float64(LSTM), inputs(30)
    options = {"reverse": reverse, **flags(30)}

    @jax.jit
    def solve(guess):
        return rec.solve_report(LSTM, params, xs, solver=rec.Newton(20), guess=guess, **options)

    expected = rec.unroll(rec.with_states(LSTM), params, xs, **options)
    zeros = jax.tree.map(jnp.zeros_like, expected[1][1])
    final, ys, report = solve(zeros)
    close((final, (ys, report.states)), expected, 1e-10)
    near = jax.tree.map(lambda leaf: leaf * 1.001, report.states)
    counts = [int(solve(guess)[2].iterations.max()) for guess in (zeros, near, report.states)]
    assert counts[0] > counts[1] > counts[2] == 0


def test_what_cannot_be_solved_is_said_with_its_bytes():
    cell = rec.LSTM(3, 40)
    params = cell.init(jax.random.key(0))
    # 100 steps, 2 sequences, 80² numbers of 4 bytes
    with pytest.raises(
        rec.Unsupported, match=r"80 real coordinates, more than max_state=64.* 5,120,000 bytes"
    ):
        rec.unroll(cell, params, inputs(100), solver=rec.Newton())
    with pytest.raises(rec.Unsupported, match=r": .* 64,000 bytes"):
        rec.unroll(cell, params, inputs(100), solver=rec.Newton(jacobian="diagonal"))


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: rec.Newton(0), "window: expected an integer of at least 1, got 0"),
        (lambda: rec.Newton(jacobian="none"), "jacobian: expected 'full' or 'diagonal', got 'none'"),
        (lambda: rec.Newton(damping=-1.0), "damping: expected a number from 0, got -1.0"),
        (
            lambda: rec.solve_report(
                LSTM, LSTM.init(jax.random.key(0)), inputs(5), solver=rec.Newton(), guess=jnp.zeros((5, 2, 4))
            ),
            "guess: expected states of shapes",
        ),
    ],
)
def test_a_wrong_argument_is_named(build, message):
    with pytest.raises(ValueError, match=message):
        build()


def test_agreement_in_float32():
    params, xs = LSTM.init(jax.random.key(0)), inputs(64)
    solver = rec.Newton(32)
    solved = jax.jit(lambda p, x: rec.unroll(LSTM, p, x, solver=solver))(params, xs)
    close(solved, rec.unroll(LSTM, params, xs), 1e-4)


ROUND = dict(zip(("zoneout_lstm", "lru", "hs97", "learned_start"), KINDS, strict=True)) | {
    "exprnn": "diagonal"
}


@pytest.mark.medium
@pytest.mark.parametrize(("name", "kind"), [*ROUND.items()])
def test_awkward_cells(name, kind):
    """Complex states, blocks, matrix exponentials, learned starts and noise, each by another kind."""
    assert check_cell(AWKWARD[name], solvers=(KINDS[kind],))[KINDS[kind]] == "ok"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "kind"),
    [
        *((name, kind) for name in ROUND if name != "exprnn" for kind in KINDS),
        # modReLU jumps, and damped steps do not end after as many iterations as there are steps: no convergence
        *(("exprnn", kind) for kind in ("full", "diagonal")),
    ],
)
def test_awkward_cells_by_every_kind(name, kind):
    assert check_cell(AWKWARD[name], solvers=(KINDS[kind],))[KINDS[kind]] == "ok"


MEASURED = json.loads((ROOT / "docs" / "newton.json").read_text())


def test_what_decides_is_the_lyapunov_exponent():
    """The committed measurement: twenty networks, 4,096 steps."""
    rows = MEASURED["rows"]
    assert len(rows) == 20 and MEASURED["about"]["steps"] == 4096
    contracting = [row for row in rows if row["exponent"] < -0.1]
    chaotic = [row for row in rows if row["exponent"] > 0]
    assert len(contracting) > 5 and len(chaotic) > 5
    assert all(row["converged"] and row["iterations"] <= 12 and row["error"] < 1e-10 for row in contracting)
    assert not any(row["converged"] for row in chaotic)


@pytest.mark.medium
@pytest.mark.parametrize("name", ["tanh gain 0.9", "GRU gain 2.0", "LSTM forget bias 0.0", "tanh gain 3.0"])
def test_the_measurement_is_repeatable(name, float64):
    (stored,) = (row for row in MEASURED["rows"] if row["setting"] == name)
    # a chaotic network goes another way on a processor that rounds otherwise; its exponent is an average over that way
    rounding = 0.1 if stored["exponent"] > 0 else 1e-6
    error = pytest.approx(stored["error"], abs=1e-10) if stored["converged"] else None
    exponent = pytest.approx(stored["exponent"], rel=rounding)
    assert newton_benchmark.measure((name,)) == [{**stored, "error": error, "exponent": exponent}]
