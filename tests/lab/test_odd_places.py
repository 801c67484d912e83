"""A run in a folder of any name goes its whole way: trained, saved, read again, looked at."""

import pytest
import run_folders
from lab_runs import hashes, heard, run

from experiments.__main__ import main
from experiments.lab.frames import frame, metrics
from experiments.lab.opened import open_run

pytest_plugins = ["lab_fixtures"]
pytestmark = pytest.mark.usefixtures("compile_once", "trace_once")
ODD = "-a [lr=1e-3]*?\\%20#'\"é{$HOME$x_^$}\n~"


def test_a_run_in_a_folder_of_any_name(tmp_path, finished, monkeypatch):
    (tmp_path / ODD).mkdir()
    monkeypatch.chdir(tmp_path / ODD)
    out = tmp_path / ODD / ODD
    assert run(out, "--num-updates", "20").code == 0
    outcome = run(ODD, "--tensorboard")
    assert (outcome.code, outcome.errors) == (0, [])
    assert hashes(out / "elman") == hashes(finished / "elman")
    assert open_run(out).summary["num_updates"] == 40
    assert len(frame(out)) == 2 and len(metrics(out)) > 2
    assert list((out / "elman" / "tensorboard").iterdir())
    words = ["compare", str(out), str(finished), "--out", ODD, "--csv", f"{ODD}.csv"]
    assert heard(lambda: main(words)).code == 0
    assert (out / "compare.png").is_file()


def test_dollars_in_a_name_are_no_formula(tmp_path):
    for name in ("$x_^$", "a $b^^$"):
        run_folders.make(tmp_path / name)
    outcome = heard(lambda: main(["compare", str(tmp_path), "--out", str(tmp_path)]))
    assert (outcome.code, outcome.err) == (0, "")
    assert (tmp_path / "compare.png").is_file()
