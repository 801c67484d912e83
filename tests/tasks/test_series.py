"""The time series against finer integrations of their equations, written again here; baselines from many draws."""

import math

import jax.numpy as jnp
import numpy as np
import pytest
from recall_draws import judged, many, part
from scipy.interpolate import CubicSpline

from experiments.tasks.base import Batch
from experiments.tasks.fitzhugh_nagumo import FitzHughNagumo
from experiments.tasks.mackey_glass import MackeyGlass, long_orbits
from experiments.tasks.narma import Narma
from experiments.tasks.series import Lorenz, lorenz_moments

pytestmark = pytest.mark.medium

MANY, SOME = 2000, 40
LORENZ = [Lorenz(60), Lorenz(60, horizon=20), Lorenz(60, "first_coordinate")]
MACKEY = [MackeyGlass(120), MackeyGlass(80, horizon=5, delay=30)]
NEURON = [FitzHughNagumo(300), FitzHughNagumo(300, horizon=3)]
NARMA = [Narma(200), Narma(300, "order_30")]
TASKS = LORENZ + MACKEY + NEURON + NARMA


def ids(task):
    if not hasattr(task, "num_steps"):
        return None
    return f"{type(task).__name__}-{getattr(task, 'variant', '')}-{getattr(task, 'horizon', '')}"


def fine(field, state, time, pieces):
    """The midpoint method in many pieces, float64."""
    h = time / pieces
    for _ in range(pieces):
        slope = field(*state)
        slope = field(*(x + h / 2 * dx for x, dx in zip(state, slope, strict=True)))
        state = [x + h * dx for x, dx in zip(state, slope, strict=True)]
    return state


def solve_lorenz(task, inputs):
    """From each state alone."""
    mean, deviation, _ = lorenz_moments(task.horizon)
    state = [inputs[..., i].astype(float) * deviation[i] + mean[i] for i in range(3)]
    later = fine(
        lambda x, y, z: (10 * (y - x), 28 * x - x * z - y, x * y - 8 * z / 3),
        state,
        0.02 * task.horizon,
        200 * task.horizon,
    )
    return np.stack([(x - mean[i]) / deviation[i] for i, x in enumerate(later)], axis=-1)


def solve_neuron(task, inputs):
    """From the first voltage alone: w is 0 there."""
    state, answers = [inputs[0, :, 0].astype(float), np.zeros(inputs.shape[1])], []
    for step in range(task.num_steps + task.horizon):
        assert step >= task.num_steps or np.allclose(state[0], inputs[step, :, 0], atol=2e-3)
        answers.append(state[0])
        state = fine(lambda v, w: (v - v**3 / 3 - w + 0.5, (v + 0.7 - 0.8 * w) / 50), state, 0.4, 100)
    return np.array(answers[task.horizon :])[..., None]


def solve_mackey_glass(task, inputs):
    """From what was read up to each step: a spline through the past drives x to its value a horizon later."""
    mean = long_orbits(task.delay, task.horizon)[0]
    x = 1 + np.arctanh(inputs[..., 0].astype(float) + mean)
    past = CubicSpline(np.arange(len(x)), x)
    now, pieces = np.arange(task.delay, len(x)), 200
    state, h = x[task.delay :], task.horizon / pieces
    assert task.horizon <= task.delay  # nothing later than the present drives it

    def slope(at, x):
        old = past(now + at - task.delay)
        return 0.2 * old / (1 + old**10) - 0.1 * x

    for piece in range(pieces):
        half = state + h / 2 * slope(piece * h, state)
        state = state + h * slope((piece + 0.5) * h, half)
    answers = np.full(inputs.shape, np.nan)
    answers[task.delay :, :, 0] = np.tanh(state - 1) - mean
    return answers


def solve_narma(task, inputs):
    """The printed recurrence, one number after another."""
    n, a, b, c, most = (
        (10, 0.3, 0.05, 0.1, 1.0) if task.variant == "canonical" else (30, 0.2, 0.04, 0.001, 0.6)
    )
    answers = np.zeros(inputs.shape)
    for number, u in enumerate(inputs[..., 0].T.astype(float).tolist()):
        y = [0.0]
        for t in range(len(u)):
            old = u[t - n + 1] if t >= n - 1 else 0.0
            y.append(
                min(most, a * y[t] + b * y[t] * sum(y[max(0, t - n + 1) : t + 1]) + 1.5 * old * u[t] + c)
            )
        answers[:, number, 0] = y[1:]
    return answers


SOLVERS = {
    Lorenz: solve_lorenz,
    FitzHughNagumo: solve_neuron,
    MackeyGlass: solve_mackey_glass,
    Narma: solve_narma,
}


@pytest.mark.parametrize("task", LORENZ[:2] + MACKEY + NEURON + NARMA, ids=ids)
def test_who_knows_the_equations_is_right(task):
    batch = part(many(task, MANY), SOME)
    outputs = SOLVERS[type(task)](task, batch.inputs)
    known = ~np.isnan(outputs).any(axis=-1)
    tolerance = {Lorenz: 3e-3, FitzHughNagumo: 3e-3, MackeyGlass: 5e-4, Narma: 1e-5}[type(task)]
    assert np.max(np.abs(outputs - batch.targets)[known]) < tolerance
    assert known.mean() > 0.6
    solved_batch = batch._replace(weights=batch.weights * known)
    assert judged(task, outputs, solved_batch)[2]
    assert (
        np.array_equal(batch.targets[: -task.horizon], batch.inputs[task.horizon :])
        if hasattr(task, "horizon")
        else True
    )


def test_the_first_coordinate_is_that_of_the_whole_state():
    one, all_three = many(LORENZ[2], MANY), many(LORENZ[0], MANY)
    assert np.array_equal(one.inputs, all_three.inputs[..., :1])
    assert np.array_equal(one.targets, all_three.targets[..., :1])


@pytest.mark.parametrize("task", TASKS, ids=ids)
def test_no_constant_of_a_step_beats_the_baseline(task):
    batch = many(task, MANY)
    means = np.mean(batch.targets, axis=1, keepdims=True)
    squares = np.mean((batch.targets - means) ** 2, axis=-1) * batch.weights * MANY / (MANY - 1)
    each = squares.sum(axis=0) / batch.weights.sum(axis=0)
    error = np.std(each) / math.sqrt(MANY)
    assert (
        abs(each.mean() - task.baseline) < 5 * error + 0.005 * task.baseline
    )  # the long orbits have an error too
    assert not judged(task, np.broadcast_to(means, batch.targets.shape), batch)[2]


@pytest.mark.parametrize("task", TASKS, ids=ids)
def test_the_variance_and_the_error_of_copying_are_those_of_the_draws(task):
    batch, statistics = many(task, MANY), task.statistics
    if not isinstance(task, FitzHughNagumo):  # all of whose orbits have one mean
        assert math.isclose(statistics.variance, task.baseline)
    kept = batch.weights[:, 0] > 0
    each = np.mean((batch.targets[kept] - batch.targets[kept].mean(axis=(0, 1))) ** 2, axis=(0, 2))
    assert (
        abs(each.mean() - statistics.variance)
        < 5 * np.std(each) / math.sqrt(MANY) + 0.005 * statistics.variance
    )
    if isinstance(task, Narma):
        assert statistics.copying == math.inf
    else:
        each = np.mean((batch.targets - batch.inputs) ** 2, axis=(0, 2))
        assert (
            abs(each.mean() - statistics.copying)
            < 5 * np.std(each) / math.sqrt(MANY) + 0.01 * statistics.copying
        )
        assert not judged(task, batch.inputs, batch)[2]


def test_the_moments_of_lorenz_keep_its_laws():
    """On the attractor d/dt of z and of x^2/2 have mean 0: the means of xy and x^2 are 8/3 of that of z."""
    mean, deviation, copying = lorenz_moments(1)
    assert mean[:2] == (0.0, 0.0) and abs(deviation[0] ** 2 / (8 / 3 * mean[2]) - 1) < 2e-3
    assert abs(mean[2] - 23.55) < 0.05 and abs(deviation[2] - 8.62) < 0.05
    # over a short time the change is the slope: x' = 10 (y - x), whose square has the mean 100 (y^2 - x^2)
    slope = 100 * (deviation[1] ** 2 - deviation[0] ** 2)
    assert abs(copying[0] - slope * 0.02**2 / deviation[0] ** 2) < 0.05 * copying[0]


def test_copying_mackey_glass_costs_what_was_published():
    statistics = MackeyGlass().statistics
    assert abs(math.sqrt(statistics.copying / statistics.variance) - 1.624) < 0.01
    assert abs(long_orbits(17, 15)[0] + 0.066) < 0.002


def test_the_orbits_have_no_common_phase():
    """The mean over sequences stays near that of the series at every step: a common phase would move it by one."""
    for task in (LORENZ[0], MACKEY[0]):
        targets = many(task, MANY).targets
        means, deviation = targets.mean(axis=1), targets.std()
        assert np.abs(means).max() < (5 / math.sqrt(MANY) + 0.02) * deviation


@pytest.mark.parametrize("task", [LORENZ[0], MACKEY[0], NARMA[0]], ids=ids)
def test_the_normalised_error_is_the_mean_over_sequences(task):
    batch = part(many(task, MANY), SOME)
    weights = batch.weights.copy()
    weights[:, 5] = 0.0
    weights[-7:, 6] = 0.0
    outputs = batch.targets + np.random.default_rng(0).normal(size=batch.targets.shape).astype(np.float32)
    outputs[:, 5] = np.nan
    expected = []
    for number in (n for n in range(SOME) if n != 5):
        steps = weights[:, number] > 0
        error = np.mean((outputs[steps, number] - batch.targets[steps, number]) ** 2)
        expected.append(math.sqrt(error / task.statistics.variance))
    _, metrics, _ = judged(task, outputs, Batch(batch.inputs, batch.targets, weights))
    assert math.isclose(metrics["nrmse"], np.mean(expected), rel_tol=1e-5)
    assert math.isclose(judged(task, jnp.asarray(batch.targets), batch)[1]["nrmse"], 0.0, abs_tol=1e-7)


def test_narma_reads_uniform_inputs_and_stays_within_its_bound():
    for task, bound in zip(NARMA, (1.0, 0.6), strict=True):
        batch = many(task, MANY)
        assert 0 <= batch.inputs.min() and batch.inputs.max() < 0.5
        assert abs(batch.inputs.mean() - 0.25) < 5 / math.sqrt(48 * batch.inputs.size)
        assert batch.targets.max() <= bound and np.all(
            batch.targets[0] == (0.1 if bound == 1 else np.float32(0.001))
        )
        assert np.array_equal(batch.weights[:, 0], np.arange(len(batch.weights)) >= task.washout)


def test_the_neuron_starts_uniform():
    first = many(NEURON[0], MANY).inputs[0, :, 0]
    counts = np.histogram(first, bins=20, range=(-1, 1))[0]
    assert counts.sum() == MANY and abs(np.sum((counts - MANY / 20) ** 2 / (MANY / 20)) - 19) < 5 * math.sqrt(
        38
    )


def test_lags_and_lengths():
    assert [task.lag for task in (Lorenz(), MackeyGlass(), FitzHughNagumo(), Narma())] == [None, 17, None, 9]
    assert Narma(variant="order_30").lag == 29 and MackeyGlass(delay=30).lag == 30
    assert MackeyGlass().at_length(
        5000
    ).num_steps == 5000 and Lorenz().input_shape == Lorenz().output_shape == (3,)


@pytest.mark.parametrize(
    ("kind", "fields", "line"),
    [
        (Lorenz, {"num_steps": 0}, "num_steps: expected at least 1 for Lorenz, got 0"),
        (Lorenz, {"horizon": 0}, "horizon: expected at least 1 for Lorenz, got 0"),
        (Lorenz, {"variant": "first"}, "variant: expected one of canonical, first_coordinate, got 'first'"),
        (MackeyGlass, {"num_steps": 0}, "num_steps: expected at least 1 for Mackey-Glass, got 0"),
        (MackeyGlass, {"horizon": 0}, "horizon: expected at least 1 for Mackey-Glass, got 0"),
        (MackeyGlass, {"delay": 1}, "delay: expected at least 2 for Mackey-Glass, got 1"),
        (FitzHughNagumo, {"num_steps": 0}, "num_steps: expected at least 1 for FitzHugh-Nagumo, got 0"),
        (FitzHughNagumo, {"horizon": 0}, "horizon: expected at least 1 for FitzHugh-Nagumo, got 0"),
        (Narma, {"num_steps": 50}, "num_steps: expected at least 51 for NARMA (canonical), got 50"),
        (
            Narma,
            {"num_steps": 150, "variant": "order_30"},
            "num_steps: expected at least 151 for NARMA (order_30), got 150",
        ),
        (Narma, {"variant": "order30"}, "variant: expected one of canonical, order_30, got 'order30'"),
    ],
)
def test_bad_values_are_refused(kind, fields, line):
    with pytest.raises(ValueError) as caught:
        kind(**fields)
    assert str(caught.value).startswith(line)
