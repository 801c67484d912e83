"""A folder begun by an earlier version of the code opens, has the hash that it was found by, goes on and ends.

The folders in ``earlier/`` were written before configurations held their task: ``copy_memory smoke`` with 20 of its 40
updates. Beside each stands the summary of a run that was never interrupted.
"""

import json
import os
import shutil
from pathlib import Path

import jax
import pytest
from lab_runs import edit, rows, run, summary

from experiments import copy_memory
from experiments.lab.opened import open_run
from experiments.lab.plan import configs
from experiments.lab.plan.cell_names import parse_cell
from experiments.lab.run import default_out

pytest_plugins = ["lab_fixtures"]
pytestmark = pytest.mark.usefixtures("compile_once", "same_cores")
EARLIER = Path(__file__).parent / "earlier"
CELLS = ("elman", "dilated_lstm")
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


@pytest.fixture
def folder(tmp_path):
    """A copy of all runs, as if they had been started on this machine."""
    out = tmp_path / "out"
    for cell in CELLS:
        place = Path(shutil.copytree(EARLIER / cell, out / cell))
        edit(place, lambda stored: stored["resolved"].update(num_devices=jax.device_count(), num_cores=CORES))
    return out


def stored(cell):
    return json.loads((EARLIER / cell / "config.json").read_text())


@pytest.mark.parametrize("cell", CELLS)
def test_what_it_stored_is_a_configuration_of_today_and_keeps_its_hash(cell):
    config = configs.changed(copy_memory.EXPERIMENT.presets["smoke"], num_updates=20)
    config = config.with_cell(parse_cell(cell))
    assert configs.from_json(copy_memory.CopyingConfig, stored(cell)["config"]) == config
    assert configs.as_json(config) == stored(cell)["config"]
    assert default_out(copy_memory.EXPERIMENT, "smoke", [config]).name == "smoke-234b532a"


@pytest.mark.parametrize("cell", CELLS)
def test_it_opens(cell, folder):
    opened = open_run(folder / cell)
    assert opened.summary == json.loads((EARLIER / cell / "summary.json").read_text())
    assert (opened.task.delay, opened.config.num_updates, opened.label) == (3, 20, cell)
    assert len(opened.metrics) == len(rows(EARLIER / cell))


def test_it_goes_on_and_ends_as_a_run_that_was_never_interrupted(folder):
    outcome = run(folder, "--cell", *CELLS, experiment=copy_memory.EXPERIMENT)
    assert (outcome.code, outcome.errors) == (0, [])
    for cell in CELLS:
        expected = json.loads((EARLIER / f"{cell}.expected.json").read_text())
        found = summary(folder / cell)
        assert found["num_updates"] == 40
        assert found["config"] == expected["config"]
        for name, value in expected["test"].items():
            assert found["test"][name]["seeds"] == pytest.approx(value["seeds"], rel=1e-4), name
        # the solver stays what it was, also where it was not resolved for each part of a layer
        after = json.loads((folder / cell / "config.json").read_text())["resolved"]["solver"]
        assert after == stored(cell)["resolved"]["solver"]
