"""Dropout of the candidate against loops in NumPy, and against the contract of cells."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import recurrent as rec
from recurrent.testing.contract import check_cell
from recurrent.wrappers.dropout import dropout
from recurrent.wrappers.recurrent_dropout import recurrent_dropout

KEY = jax.random.key(3)
CELLS = {
    "lstm": rec.LSTM(3, 4),
    "lstm, coupled, peepholes": rec.LSTM(3, 4, coupled=True, peepholes=True),
    "gru, reset after": rec.GRU(3, 4),
    "gru, reset before": rec.GRU(3, 4, reset="before"),
}
pytestmark = pytest.mark.usefixtures("float64")


def example(cell, steps=7, batch=3):
    """Parameters and inputs from NumPy: nothing to compile."""
    rng = np.random.default_rng(0)
    shapes = jax.eval_shape(cell.init, jax.random.key(0))
    params = jax.tree.map(lambda leaf: jnp.asarray(0.5 * rng.normal(size=leaf.shape)), shapes)
    return params, jnp.asarray(rng.normal(size=(steps, batch, 3)))


def drawn(cell, steps, batch, reset=None):
    """Which entries of the candidates are kept, in NumPy."""
    (keep,), below = cell.noise(KEY, steps, (batch,), reset)
    assert below is None
    return np.asarray(keep)


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def lstm(cell, p, xs, factors):
    h = c = np.zeros((*xs.shape[1:-1], 4))
    peep = np.asarray(p.p) if cell.peepholes else np.zeros((3, 4))
    ys = []
    for x, d in zip(xs, factors, strict=True):
        z = x @ p.w_x + h @ p.w_h + p.b
        i = sigmoid(z[..., :4] + peep[0] * c)
        f = 1 - i if cell.coupled else sigmoid(z[..., 4:8] + peep[1] * c)
        c = f * c + i * d * np.tanh(z[..., -8:-4])
        h = sigmoid(z[..., -4:] + peep[-1] * c) * np.tanh(c)
        ys.append(h)
    return np.stack(ys)


def gru(cell, p, xs, factors):
    h, ys = np.zeros((*xs.shape[1:-1], 4)), []
    for x, d in zip(xs, factors, strict=True):
        u = x @ p.w_x + p.b
        r, z = (sigmoid(u[..., s] + h @ p.w_h[:, s]) for s in (slice(0, 4), slice(4, 8)))
        if cell.reset == "before":
            n = np.tanh(u[..., 8:] + (r * h) @ p.w_h[:, 8:])
        else:
            n = np.tanh(u[..., 8:] + r * (h @ p.w_h[:, 8:] + p.b_h))
        h = (1 - z) * d * n + z * h
        ys.append(h)
    return np.stack(ys)


def loop(cell, params, xs, factors):
    numpy = jax.tree.map(np.asarray, params)
    return (lstm if isinstance(cell, rec.LSTM) else gru)(cell, numpy, np.asarray(xs), factors)


DROPPED = [*zip(CELLS, (False, True, True, False), strict=True)]


def check_verdicts(name, per_sequence, able):
    solvers = rec.Sequential(), *able, rec.Associative()
    verdicts = check_cell(recurrent_dropout(CELLS[name], 0.4, per_sequence), solvers=solvers)
    assert [solver for solver in solvers if verdicts[solver] != "ok"] == [rec.Associative()]


@pytest.mark.medium
@pytest.mark.parametrize(("name", "per_sequence"), DROPPED)
def test_dropped_cells_keep_the_contract_with_and_without_noise(name, per_sequence):
    """Noise of a step once by Newton's method, and noise of a sequence."""
    newton = name in ("lstm", "gru, reset after")
    check_verdicts(name, per_sequence, (rec.Newton(4),) if newton else (rec.Checkpointed(4),))


@pytest.mark.slow
@pytest.mark.parametrize(("name", "per_sequence"), DROPPED)
def test_dropped_cells_keep_the_contract_with_every_solver(name, per_sequence):
    check_verdicts(name, per_sequence, (rec.Checkpointed(4), rec.Newton(4)))


@pytest.mark.parametrize("name", CELLS)
def test_the_candidate_alone_is_dropped(name):
    inner = CELLS[name]
    cell = recurrent_dropout(inner, 0.25)
    params, xs = example(inner)
    keep = drawn(cell, 7, 3)
    assert 0 < keep.sum() < keep.size
    found = rec.unroll(cell, params, xs, key=KEY)[1]
    np.testing.assert_allclose(found, loop(inner, params, xs, keep / 0.75), atol=1e-14)


def test_every_solver_sees_the_same_masks():
    cell = recurrent_dropout(rec.GRU(3, 4), 0.25)
    params, xs = example(cell)
    expected = rec.unroll(cell, params, xs, key=KEY)[1]
    for solver in (rec.Checkpointed(3), rec.Newton(7)):
        found = rec.unroll(cell, params, xs, key=KEY, solver=solver)[1]
        np.testing.assert_allclose(found, expected, atol=1e-10)


def test_gradients_are_slopes():
    cell = recurrent_dropout(CELLS["lstm, coupled, peepholes"], 0.25)
    params, xs = example(cell)
    direction = jax.tree.map(lambda leaf: np.random.default_rng(leaf.size).normal(size=leaf.shape), params)
    slope = jax.jit(
        jax.value_and_grad(lambda params: jnp.sum(jnp.sin(rec.unroll(cell, params, xs, key=KEY)[1])))
    )
    pairs = zip(slope(params)[1], direction, strict=True)
    high, low = (
        slope(jax.tree.map(lambda leaf, way, step=step: leaf + step * way, params, direction))[0]
        for step in (1e-5, -1e-5)
    )
    np.testing.assert_allclose(sum(np.vdot(*pair) for pair in pairs), (high - low) / 2e-5, rtol=1e-7)


@pytest.mark.parametrize("name", CELLS)
def test_evaluation_is_the_cell(name):
    inner = CELLS[name]
    cell = recurrent_dropout(inner, 0.5)
    params, xs = example(inner)
    zeros = inner.initial_state(params, (3,))
    state = inner.next_state(params, zeros, inner.project(params, xs[0]))
    for found, expected in zip(
        cell.step(params, state, cell.project(params, xs[1])),
        inner.step(params, state, inner.project(params, xs[1])),
        strict=True,
    ):
        jax.tree.map(np.testing.assert_array_equal, found, expected)


def test_masks_are_drawn_at_their_rate_step_by_step_or_once():
    inner = rec.GRU(1, 40)
    keep = drawn(recurrent_dropout(inner, 0.2), 50, 20)
    np.testing.assert_allclose(np.mean(keep), 0.8, atol=0.01)
    # neighbours in time agree as often as independent draws do
    np.testing.assert_allclose(np.mean(keep[1:] == keep[:-1]), 0.8**2 + 0.2**2, atol=0.01)
    keep = drawn(recurrent_dropout(inner, 0.2, per_sequence=True), 3, 1000)
    assert (keep == keep[0]).all()
    np.testing.assert_allclose(np.mean(keep[0]), 0.8, atol=0.01)


@pytest.mark.parametrize("per_sequence", [False, True])
def test_memory_is_that_of_evaluation_on_average_however_long_it_lasts(per_sequence):
    # gates that read the input alone: c is linear in the candidates of all steps
    draws, steps = 4000, 30
    cell = recurrent_dropout(rec.LSTM(3, 4), 0.5, per_sequence)
    params, xs = example(cell, steps, 1)
    params = params._replace(w_h=jnp.zeros((4, 16)), b=jnp.asarray(np.repeat([0.0, 4.0, 1.0, 0.0], 4)))
    expected = np.asarray(rec.unroll(cell, params, xs)[0].c)[0]
    found = np.asarray(rec.unroll(cell, params, jnp.asarray(np.tile(xs, (1, draws, 1))), key=KEY)[0].c)
    error = np.std(found, axis=0) / np.sqrt(draws)
    assert np.max(np.abs(expected)) > 1.0 and np.min(error) > 0.0
    assert np.max(np.abs(np.mean(found, axis=0) - expected) / error) < 4.0


@pytest.mark.parametrize("reverse", [False, True])
def test_masks_of_a_sequence_hold_from_reset_to_reset(reverse):
    inner = rec.LSTM(3, 4)
    cell = recurrent_dropout(inner, 0.5, per_sequence=True)
    params, xs = example(cell, steps=8, batch=4)
    starts_segment = np.zeros((8, 4), bool)
    starts_segment[3] = starts_segment[5, :2] = True
    reset = jnp.asarray(starts_segment)
    keep = drawn(cell, 8, 4, reset)
    found = np.asarray(rec.unroll(cell, params, xs, key=KEY, reset=reset, reverse=reverse)[1])
    params, xs = jax.tree.map(np.asarray, (params, xs))
    assert (keep[2] != keep[3]).any() and (keep[4] != keep[5]).any()
    for sequence, starts in enumerate([(0, 3, 5), (0, 3, 5), (0, 3), (0, 3)]):
        for start, end in zip(starts, (*starts[1:], 8), strict=True):
            steps = slice(start, end)
            order = slice(None, None, -1 if reverse else 1)
            held = [keep[start, sequence] * 2] * (end - start)
            expected = loop(inner, params, xs[steps, sequence][order], held)[order]
            np.testing.assert_allclose(found[steps, sequence], expected, atol=1e-14)


def test_other_wrappers_go_outside():
    inner = rec.LSTM(3, 4)
    cell = dropout(recurrent_dropout(inner, 0.25), 0.5)
    params, xs = example(cell)
    (keep_inputs,), ((keep,), _) = jax.tree.map(np.asarray, cell.noise(KEY, 7, (3,), None))
    found = rec.unroll(cell, params, xs, key=KEY)[1]
    np.testing.assert_allclose(found, loop(inner, params, keep_inputs * xs * 2, keep / 0.75), atol=1e-14)
    assert rec.zoneout(recurrent_dropout(inner, 0.25), c=0.5).is_stochastic


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: recurrent_dropout(rec.LSTM(3, 4), 1.0), r"rate: expected a rate in \[0, 1\), got 1.0"),
        (lambda: recurrent_dropout(rec.GRU(3, 4), -0.1), r"rate: expected a rate in \[0, 1\), got -0.1"),
        (
            lambda: recurrent_dropout(rec.Elman(3, 4), 0.5),
            "cell: expected one with next_state_with.*got Elman",
        ),
        (lambda: recurrent_dropout(dropout(rec.LSTM(3, 4), 0.1), 0.5), "next_state_with.*got Dropout"),
    ],
)
def test_what_cannot_be_dropped_is_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()
