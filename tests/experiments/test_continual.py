"""The continual Reber grammar: the printed network, what its flags refuse, and a run that goes on."""

import re

import jax
import numpy as np
import pytest
from lab_runs import run, summary

from experiments.continual.reber import EXPERIMENT, FORGETS, NEVER_FORGETS
from experiments.lab.plan.cell_names import parse_cell
from experiments.lab.plan.configs import changed

pytest_plugins = ["lab_fixtures"]


def parts(cell=FORGETS, **fields):
    config = changed(EXPERIMENT.presets["default"], **fields)
    return EXPERIMENT.build(config.with_cell(parse_cell(cell)))


def test_the_network_has_the_weights_that_are_printed():
    params = parts().model.init(jax.random.key(0))
    assert sum(leaf.size for leaf in jax.tree.leaves(params)) == 424
    for leaf in (params.cell.w_x, params.cell.w_h, *params.readout):
        assert 0.15 < float(np.abs(leaf).max()) <= 0.2
    biases = [-0.5, -1, -1.5, -2], [0.5, 1, 1.5, 2], [-0.5, -1, -1.5, -2]
    np.testing.assert_array_equal(params.cell.b, np.concatenate(biases))
    without = parts(NEVER_FORGETS).model.init(jax.random.key(0))
    np.testing.assert_array_equal(without.cell.b, np.concatenate([biases[0], [1000] * 4, biases[2]]))


def test_the_rate_is_that_of_half_the_squared_error():
    made = parts(learning_rate=0.5, rate_decay=0.99).model
    assert (made.learning_rate, made.rate_decay) == (0.25, 0.99)
    assert made.model.cell.fields == ("h",) and made.judge.error**2 == pytest.approx(0.49)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (
            ("--batch-size", "2"),
            "--batch-size: each symbol is a step of plain gradient descent here; expected 1, got 2",
        ),
        (("--optimizer", "adam"), "--optimizer: each symbol .*; expected 'sgd', got 'adam'"),
        (
            ("--gradient", "bptt"),
            "--gradient: expected a rule that travels forward in time, such as rtrl, got bptt",
        ),
        (
            ("--num-steps", "100"),
            "--num-steps: an update is one stream; expected at least --stream-length .200., got 100",
        ),
        (("--cut", "i"), "--cut: fields: expected a field of the state .h., got 'i'"),
        (("--rate-decay", "0"), "--rate-decay: .*greater than 0"),
    ],
)
def test_what_a_stream_cannot_have_is_refused_in_one_line(tmp_path, flags, message):
    outcome = run(tmp_path, *flags, experiment=EXPERIMENT)
    assert outcome.code == 2 and len(outcome.errors) == 1
    (error,) = outcome.errors
    assert re.match(message, error), error


@pytest.mark.medium
def test_a_run_that_goes_on_ends_with_the_bits_of_one_that_never_stopped(compile_once, tmp_path):
    cell = ("--cell", FORGETS, "--checkpoint-every", "10")
    whole = run(tmp_path / "whole", *cell, "--num-updates", "40", experiment=EXPERIMENT)
    half = run(tmp_path / "parts", *cell, "--num-updates", "20", experiment=EXPERIMENT)
    rest = run(tmp_path / "parts", *cell, "--num-updates", "40", experiment=EXPERIMENT)
    assert [outcome.code for outcome in (whole, half, rest)] == [0, 0, 0], rest.err
    found = []
    for place in ("whole", "parts"):
        (folder,) = (entry for entry in (tmp_path / place).iterdir() if entry.is_dir())
        found.append(summary(folder))
    first, second = ([seed["params_sha256"] for seed in each["seeds"]] for each in found)
    assert first == second and len(set(first)) == 2
    assert found[0]["test"] == found[1]["test"] and found[0]["num_parameters"] == 424
    # networks that were never trained make no error by the printed rule, and still are not solved
    assert [seed["tested_update"] for seed in found[0]["seeds"]] == [40, 40]
