"""The delay line: its targets by indexing, its noise by its spectrum and its distribution."""

import math

import numpy as np
import pytest
from recall_draws import judged, many

from experiments.tasks.recall.delay_line import DelayLine

MANY = 4000
TASKS = [DelayLine(8, num_outputs=3, cycles=2), DelayLine(40)]


def ids(task):
    return f"{task.delay}" if isinstance(task, DelayLine) else None


def solve(task, series):
    """The targets of one sequence at the steps that count."""
    places = np.linspace(0, task.delay, task.num_outputs, dtype=int)
    return {step: [series[step - place] for place in places] for step in range(task.delay, len(series))}


@pytest.mark.parametrize("task", TASKS, ids=ids)
def test_who_remembers_the_series_is_right(task):
    batch = many(task, MANY)
    outputs = np.full_like(batch.targets, np.nan)
    for number, series in enumerate(batch.inputs[..., 0].T.tolist()):
        for step, answer in solve(task, series).items():
            outputs[step, number] = answer
    loss, metrics, solved = judged(task, outputs, batch)
    assert loss == metrics["mse_longest"] == 0.0 and solved
    assert np.array_equal(batch.weights[:, 0], [0.0] * task.delay + [1.0] * (task.num_steps - task.delay))
    assert not judged(task, np.zeros_like(outputs), batch)[2]
    off = np.where(np.arange(task.num_outputs) == task.num_outputs - 1, 0.3, 0.0)
    _, metrics, solved = judged(task, outputs + off, batch)
    assert math.isclose(metrics["mse_longest"], 0.09, rel_tol=1e-4) and not solved
    assert math.isclose(metrics["mse"], 0.09 / task.num_outputs, rel_tol=1e-4)


@pytest.mark.parametrize("task", TASKS, ids=ids)
def test_no_constant_of_a_step_beats_the_baseline(task):
    batch = many(task, MANY)
    loss, _, _ = judged(task, np.zeros_like(batch.targets), batch)
    each = np.mean(batch.targets[task.delay :] ** 2, axis=(0, 2))
    error = np.std(each) / math.sqrt(MANY)
    assert abs(loss - task.baseline) < 5 * error
    means = np.broadcast_to(batch.targets.mean(axis=1, keepdims=True), batch.targets.shape)
    assert task.baseline - 5 * error < judged(task, means, batch)[0] * MANY / (MANY - 1)


@pytest.mark.parametrize("task", TASKS, ids=ids)
def test_the_noise_is_normal_and_has_the_printed_frequencies(task):
    series = many(task, MANY).inputs[..., 0]
    spectrum = np.abs(np.fft.rfft(series, axis=0)) ** 2 / len(series) ** 2
    power = spectrum.mean(axis=1)
    count = 5 * task.cycles // 2
    inside = np.zeros(len(power), bool)
    inside[1 : count + 1] = True
    # |c_f|^2 = (a^2 + b^2) / 4 with a, b of variance 1 / (4 F): the mean is 1 / (8 F), and so is the deviation
    assert (
        np.all(np.abs(power[inside] * 8 * count - 1) < 5 / math.sqrt(MANY)) and power[~inside].max() < 1e-12
    )
    for step in (0, len(series) // 3):
        scaled = series[step] / 0.5
        assert abs(scaled.mean()) < 5 / math.sqrt(MANY) and abs(scaled.var() - 1) < 5 * math.sqrt(2 / MANY)
        assert abs(np.mean(np.abs(scaled) < 1) - math.erf(math.sqrt(0.5))) < 5 * math.sqrt(0.22 / MANY)


def test_the_published_sizes():
    task = DelayLine(1600)
    assert (task.num_steps, task.lag, task.delays) == (4000, 1600, (0, 400, 800, 1200, 1600))
    assert DelayLine(25).delays == (0, 6, 12, 18, 25) and DelayLine().at_length(400).num_steps == 1000


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ({"delay": 20}, "delay: expected at least 21 for 10 cycles, two steps for each, got 20"),
        ({"num_outputs": 1}, "num_outputs: expected at least 2 for a delay line, got 1"),
        ({"cycles": 0}, "cycles: expected at least 1 for a delay line, got 0"),
    ],
)
def test_bad_values_are_refused(fields, line):
    with pytest.raises(ValueError) as caught:
        DelayLine(**fields)
    assert str(caught.value) == line
