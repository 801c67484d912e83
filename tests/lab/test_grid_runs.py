"""A grid: its runs are those made one by one, it goes on where it stopped, and one that fails stops no other."""

import importlib
import os
import shutil
import signal
import sys

import pytest
from lab_runs import elsewhere, hashes, rows, run, when_row

from experiments import copy_memory, lab
from experiments.errors import Fault
from experiments.lab.plan import configs

pytest_plugins = ["lab_fixtures"]
pytestmark = [pytest.mark.optimised, pytest.mark.usefixtures("compile_once", "same_cores")]
GRID = ("--cell", "elman", "gru", "--learning-rate", "1e-3", "5e-3", "--num-updates", "10")
NAMES = [f"{cell}-learning_rate={rate}" for cell in ("elman", "gru") for rate in ("0.001", "0.005")]


@pytest.fixture(scope="module")
def whole(compile_once, tmp_path_factory):
    """The folder of the grid, made at once."""
    out = tmp_path_factory.mktemp("grid") / "out"
    assert run(out, *GRID).code == 0
    return out


def folders(out):
    return sorted(entry.name for entry in out.iterdir() if entry.is_dir())


def test_a_grid_has_one_folder_a_run_one_table_and_one_picture(whole):
    assert folders(whole) == sorted(NAMES)
    assert (whole / "table.json").exists() and (whole / "grid.png").read_bytes()[:4] == b"\x89PNG"
    frame = lab.frame(whole)
    assert sorted(zip(frame["cell"], frame["learning_rate"], frame["seed"], strict=True)) == [
        (cell, rate, seed) for cell in ("elman", "gru") for rate in (1e-3, 5e-3) for seed in (0, 1)
    ]
    assert set(frame["status"]) == {"ended"} and set(frame["updates"]) == {10}
    first = frame[(frame["cell"] == "gru") & (frame["learning_rate"] == 5e-3)].sort_values("seed_index")
    assert list(first["params_sha256"]) == hashes(whole / NAMES[3])


def test_each_run_is_the_one_that_is_made_alone(whole, tmp_path):
    assert run(tmp_path / "out", "--cell", "gru", "--learning-rate", "5e-3", "--num-updates", "10").code == 0
    assert hashes(tmp_path / "out" / "gru") == hashes(whole / NAMES[3])
    assert rows(tmp_path / "out" / "gru") == rows(whole / NAMES[3])


def test_an_interrupted_grid_goes_on_and_a_renamed_run_is_found(whole, tmp_path):
    out = tmp_path / "out"
    with when_row(10, lambda: os.kill(os.getpid(), signal.SIGTERM)):
        assert run(out, *GRID).code == 143
    assert folders(out) == NAMES[:1]
    (out / NAMES[0]).rename(out / "my favourite")
    outcome = run(out, *GRID)
    assert outcome.code == 0, outcome.err
    assert folders(out) == sorted(["my favourite", *NAMES[1:]])
    assert "elman learning_rate=0.001: finished already, 10 updates" in outcome.out
    assert hashes(out / "my favourite") == hashes(whole / NAMES[0])
    assert [hashes(out / name) for name in NAMES[1:]] == [hashes(whole / name) for name in NAMES[1:]]


def test_a_plan_names_the_runs_and_trains_nothing(whole, tmp_path):
    outcome = run(tmp_path / "out", *GRID, "--plan")
    assert (outcome.code, outcome.err) == (0, "") and not (tmp_path / "out").exists()
    assert sum(line.startswith(("elman ", "gru ")) for line in outcome.out.splitlines()) == 4
    assert "4 runs" in outcome.out
    assert run(whole, *GRID, "--plan").out.count("has ended") == 4


def test_a_run_that_fails_stops_no_other(whole, tmp_path, monkeypatch):
    lab_run = importlib.import_module("experiments.lab.run")
    drive = lab_run.drive

    def failing(job, *others):
        if job.label == "elman learning_rate=0.005":
            raise Fault("the moon is full")
        return drive(job, *others)

    monkeypatch.setattr(lab_run, "drive", failing)
    outcome = run(tmp_path / "out", *GRID)
    assert (outcome.code, outcome.errors) == (1, ["elman learning_rate=0.005: the moon is full"])
    assert folders(tmp_path / "out") == sorted(set(NAMES) - {NAMES[1]})
    assert hashes(tmp_path / "out" / NAMES[3]) == hashes(whole / NAMES[3])
    out = tmp_path / "out"
    assert "gru" in outcome.out
    assert outcome.out.splitlines()[-2:] == [f"in {out}", f"pictures: {out / 'grid.png'}"]


def test_from_python_a_grid_is_a_list_of_runs(whole):
    base = configs.changed(copy_memory.EXPERIMENT.presets["smoke"], num_updates=10)
    requested = lab.grid(base, cell=["elman", "gru"], delay=[2, 3])
    assert [(config.cell.name, config.task.delay) for config in requested] == [
        ("elman", 2),
        ("elman", 3),
        ("gru", 2),
        ("gru", 3),
    ]


def test_a_copy_of_a_run_is_no_accident(whole, tmp_path):
    out = shutil.copytree(whole, tmp_path / "out")
    shutil.copytree(out / NAMES[0], out / "copy")
    outcome = run(out, "--cell", "elman", "--learning-rate", "1e-3", "2e-3", "--num-updates", "10")
    assert outcome.code == 0, outcome.err


@pytest.mark.medium
def test_the_grid_of_another_process_has_the_same_runs(whole, tmp_path):
    words = [sys.executable, "-m", "experiments.adding_problem", "smoke", "--no-progress", *GRID]
    outcome = elsewhere([*words, "--out", str(tmp_path / "out")])
    assert outcome.code == 0, outcome.err
    assert folders(tmp_path / "out") == sorted(NAMES)
    found = [row["loss"] for row in rows(tmp_path / "out" / NAMES[0])]
    assert found == pytest.approx([row["loss"] for row in rows(whole / NAMES[0])], rel=1e-4)
