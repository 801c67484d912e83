"""Data frames say what the JSON files say, of finished runs and of others."""

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import run_folders
from lab_runs import rows, summary
from places import ROOT

from experiments import copy_memory, lab
from experiments.errors import Fault

pytest_plugins = ["lab_fixtures"]


def test_a_real_run_is_a_row_a_network_with_the_numbers_of_its_summary(finished):
    found, written = lab.frame(finished), summary(finished / "elman")
    assert list(found.seed_index) == [0, 1] and list(found.seed) == [0, 1]
    assert set(written["config"]) - {"cell"} <= set(found.columns)
    for name, value in written["test"].items():
        assert list(found[f"test_{name}"]) == value["seeds"]
    for name in ("solved", "params_sha256"):
        assert list(found[name]) == [seed[name] for seed in written["seeds"]]
    first = found.iloc[0]
    assert (first.cell, first.experiment, first.preset) == ("elman", "adding_problem", "smoke")
    assert (first.baseline, first.lag, first.seconds) == (1 / 6, written["lag"], written["wall_seconds"])
    assert (first.num_updates, first.updates, first.status) == (40, 40, "ended")
    assert first.learning_rate == written["config"]["learning_rate"]
    assert first.folder == str(finished / "elman")


def test_the_lines_of_metrics_are_rows(finished):
    found, written = lab.metrics(finished), rows(finished / "elman")
    assert len(found) == len(written)
    for name in ("update", "seed_index", "split", "loss"):
        assert list(found[name]) == [line[name] for line in written]
    assert "state_gradient" not in found and any("state_gradient" in line for line in written)
    training = found[found.split == "training"]
    assert list(training.grad_norm) == [line["grad_norm"] for line in written if line["split"] == "training"]
    assert found[found.split == "validation"].grad_norm.isna().all()


@pytest.fixture
def several(tmp_path):
    """Runs in every state, at several depths."""
    make = run_folders.make
    make(tmp_path / "a" / "ended")
    make(
        tmp_path / "a" / "deep" / "er" / "solved",
        num_updates=80,
        stop="solved",
        stopped="solved",
        learning_rate=1e-3,
    )
    make(tmp_path / "a" / "lost", cell="gru", frozen=[1])
    make(tmp_path / "b" / "training", test=None, updates=20, progress={"update": 20})
    make(tmp_path / "b" / "dead", test=None, updates=20, progress={"process": run_folders.dead()}, seed=5)
    make(
        tmp_path / "b" / "longer", num_updates=60, updates=40, cell="elman"
    )  # its summary is of the shorter run
    return tmp_path


def test_every_state_of_a_run_has_its_rows(several):
    found = lab.frame(several)
    places = found.folder.str.rpartition("/")[2]
    status = {place: list(found.status[places == place]) for place in places.unique()}
    assert status == {
        "ended": ["ended"] * 2,
        "solved": ["stopped: solved"] * 2,
        "lost": ["ended", "lost"],
        "training": ["training"] * 2,
        "dead": ["interrupted"] * 2,
        "longer": ["interrupted"] * 2,
    }
    ended = found.status.isin(["ended", "stopped: solved", "lost"])
    assert found.test_loss[ended].tolist() == [0.5, 0.125] * 3
    assert found.solved[ended].tolist() == [True, False] * 3
    np.testing.assert_array_equal(found.updates_to_solve[ended], [20, np.nan] * 3)
    missing = found[~ended]
    for name in (
        "test_loss",
        "test_accuracy",
        "solved",
        "updates_to_solve",
        "baseline",
        "lag",
        "seconds",
        "params_sha256",
    ):
        assert missing[name].isna().all(), name
    assert dict(zip(places, found.updates, strict=True)) == {
        "ended": 40,
        "solved": 40,
        "lost": 40,
        "training": 20,
        "dead": 20,
        "longer": 40,
    }
    assert dict(zip(places, found.num_updates, strict=True))["solved"] == 80
    assert found.seed[places == "dead"].tolist() == [5, 6]


def test_a_summary_says_solved_only_where_that_is_to_be_the_end(tmp_path):
    run_folders.make(tmp_path / "goes_on", num_updates=80, stopped="solved")  # --stop updates, since
    assert lab.frame(tmp_path).status.tolist() == ["interrupted"] * 2


def test_runs_of_several_experiments_stand_in_one_frame(tmp_path):
    run_folders.make(tmp_path / "adding")
    run_folders.make(tmp_path / "copying", experiment=copy_memory.EXPERIMENT, test={"accuracy": [1.0, None]})
    found = lab.frame(tmp_path / "copying", tmp_path / "adding", tmp_path)  # each run once
    assert found.experiment.tolist() == ["copy_memory"] * 2 + ["adding_problem"] * 2
    assert found.delay.isna().tolist() == [False] * 2 + [True] * 2
    np.testing.assert_array_equal(found.test_accuracy, [1.0, np.nan, 0.25, 0.75])
    assert found.gradient.tolist() == ["bptt"] * 4  # stored without, for it is the default


def test_metrics_are_called_by_what_varies(tmp_path):
    for rate in (1e-3, 3e-3):
        run_folders.make(tmp_path / f"{rate}", learning_rate=rate)
    found = lab.metrics(tmp_path)
    assert "norms" not in found and "hidden_size" not in found
    assert found.groupby("label").learning_rate.unique().map(list).to_dict() == {
        "lstm learning_rate=0.001": [1e-3],
        "lstm learning_rate=0.003": [3e-3],
    }
    last = found[(found["update"] == 40) & (found.split == "validation")]
    assert last.loss.tolist() == [1 / 41, 1 / 42] * 2


DAMAGE = {
    "config.json": ("{", "is not a run's configuration"),
    "summary.json": ("[]", "is not a run's summary"),
    "metrics.jsonl": ("nonsense\n", "line 1: not a row of metrics"),
    "progress.json": ("nothing", "is not valid JSON"),
}


@pytest.mark.parametrize("name", DAMAGE)
@pytest.mark.parametrize("read", [lab.frame, lab.metrics])
def test_a_damaged_folder_is_named_and_left_out(name, read, tmp_path, capsys):
    run_folders.make(tmp_path / "good")
    content, complaint = DAMAGE[name]
    (run_folders.make(tmp_path / "bad") / name).write_text(content)
    assert set(read(tmp_path).folder) == {str(tmp_path / "good")}
    (line,) = capsys.readouterr().err.splitlines()
    assert (
        line.startswith("warning: ")
        and complaint in line
        and line.endswith(f"{tmp_path / 'bad'} is left out")
    )
    with pytest.raises(Fault, match="bad holds no run that can be read"):
        read(tmp_path / "bad")


def test_a_run_without_its_configuration_is_named(tmp_path, capsys):
    run_folders.make(tmp_path / "good")
    (run_folders.make(tmp_path / "bad") / "config.json").unlink()
    assert len(lab.frame(tmp_path)) == 2
    assert "bad holds metrics.jsonl but no config.json" in capsys.readouterr().err


def test_no_run_is_a_fault(tmp_path):
    with pytest.raises(Fault, match="holds no run"):
        lab.frame(tmp_path)
    with pytest.raises(Fault, match="is not there"):
        lab.metrics(tmp_path / "gone")


LIGHT = """
import sys
import experiments.lab as lab
assert not {"pandas", "matplotlib", "tensorboardX"} & set(sys.modules), "importing experiments.lab is heavy"
print(len(lab.frame(sys.argv[1])), len(lab.metrics(sys.argv[1])))
from experiments.lab import status
from pathlib import Path
status.text(Path(sys.argv[1]))
from jax._src import xla_bridge
assert not xla_bridge.backends_are_initialized(), "a frame starts a JAX backend"
"""


def test_reading_starts_no_backend(tmp_path):
    run_folders.make(tmp_path / "run")
    words = [sys.executable, "-c", LIGHT, str(tmp_path)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["2", "12"]


def test_a_frame_survives_a_csv(several, tmp_path):
    lab.frame(several).to_csv(tmp_path / "frame.csv", index=False)
    again = pd.read_csv(tmp_path / "frame.csv")
    assert again.test_loss.dropna().tolist() == [0.5, 0.125] * 3
    assert json.loads((several / "a" / "ended" / "summary.json").read_text())["test"]["loss"]["seeds"] == [
        0.5,
        0.125,
    ]
