"""compare and status: what they print is what the files hold; every mistake is one line and exit code 2."""

import time

import pandas as pd
import pytest
import run_folders
from lab_runs import assert_refused, heard

from experiments import __main__ as package
from experiments import copy_memory
from experiments.errors import guarded
from experiments.lab import status
from experiments.lab.training.pace import Pace


def command(*words):
    return heard(lambda: guarded(lambda: package.main([str(word) for word in words])))


@pytest.fixture
def runs(tmp_path):
    run_folders.make(tmp_path / "here" / "lstm", learning_rate=1e-3)
    run_folders.make(
        tmp_path / "here" / "gru", cell="gru", test={"accuracy": [0.5, 1.0], "loss": [0.5, 0.125]}
    )
    run_folders.make(tmp_path / "there", test=None, updates=20)
    return tmp_path


def test_runs_from_anywhere_stand_in_one_table_and_one_picture(runs, tmp_path):
    outcome = command(
        "compare", runs / "here", runs / "there", "--out", runs / "out", "--csv", runs / "all.csv"
    )
    assert outcome.code == 0, outcome.err
    head, *lines = outcome.out.splitlines()
    assert head.split("  ")[0] == "cell" and "learning rate" in head and "experiment" not in head
    entries = {line.split()[0]: line for line in lines[:2]}
    assert "0.005" in entries["gru"] and "0.75 ± 0.25" in entries["gru"]  # mean of 0.5 and 1
    assert "0.001" in entries["lstm"] and "0.5 ± 0.25" in entries["lstm"] and "1 of 2" in entries["lstm"]
    assert outcome.err == (
        f"note: {runs / 'there'} has not ended (interrupted, update 20 of 40); left out of table and picture\n"
    )
    assert (runs / "out" / "compare.png").read_bytes().startswith(b"\x89PNG")
    assert f"{runs / 'out' / 'compare.png'}" in outcome.out and f"{runs / 'all.csv'}" in outcome.out
    data = pd.read_csv(runs / "all.csv")
    assert data.test_accuracy.dropna().tolist() == [0.5, 1.0, 0.25, 0.75] and len(data) == 6


def test_the_picture_is_in_the_current_folder(runs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert command("compare", "here/lstm").code == 0
    assert (tmp_path / "compare.png").exists()


def test_experiments_are_named_where_they_differ(runs):
    run_folders.make(runs / "copying", experiment=copy_memory.EXPERIMENT, baseline=0.5)
    outcome = command("compare", runs / "here" / "lstm", runs / "copying", "--out", runs)
    assert outcome.code == 0, outcome.err
    head, first, second, *_ = outcome.out.splitlines()
    assert head.startswith("experiment") and "delay" in head
    assert first.startswith("adding_problem") and second.startswith("copy_memory")


def test_a_lost_networks_result_is_no_number(tmp_path):
    run_folders.make(tmp_path / "lost", test={"accuracy": [0.5, None], "loss": [None, None]}, frozen=[1])
    outcome = command("compare", tmp_path / "lost", "--out", tmp_path)
    assert outcome.code == 0 and "nan" in outcome.out, outcome


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ("compare", "^compare: expected the folder of a run"),
        ("compare gone", "gone is not there$"),
        ("compare .", "holds no run that can be read|holds no run"),
        ("compare there", "^compare: none of these runs has ended$"),
        ("compare here --cvs a", r"^--cvs: unknown flag \(expected compare RUN \[RUN ...\] \[--out DIR\]"),
        ("compare here --csv", "^--csv: expected a value$"),
        ("compare here --out here/lstm/config.json", "^--out: here/lstm/config.json is not a folder$"),
        ("status", "^status: expected one folder$"),
        ("status here there", "^status: expected one folder$"),
        ("status gone", "^gone is not there$"),
        ("statsu here", "unknown command 'statsu'; did you mean status"),
    ],
)
def test_mistakes_are_one_line(words, complaint, runs, monkeypatch):
    monkeypatch.chdir(runs)
    if words == "compare .":
        (runs / "empty").mkdir()
        monkeypatch.chdir(runs / "empty")
    outcome = command(*words.split())
    lines = [line for line in outcome.err.splitlines() if not line.startswith("note: there has not ended")]
    assert_refused(type(outcome)(outcome.code, outcome.out, "\n".join(lines)), complaint)


def test_a_csv_that_cannot_be_written_is_one_line(runs):
    outcome = command("compare", runs / "here", "--csv", runs / "no" / "folder.csv")
    assert outcome.code == 1 and len(outcome.errors) == 1 and "--csv" in outcome.errors[0]


def line_of(text, name):
    (line,) = [line for line in text.splitlines() if line.split()[:1] == [name]]
    return line


def test_status_says_how_far_how_fast_and_when(runs):
    now = 1_000_000.0
    going = {"update": 20, "updates_per_second": 2.5, "seconds_left": 300.0, "written_at": now - 20}
    run_folders.make(runs / "going", test=None, updates=20, progress=going)
    run_folders.make(runs / "silent", test=None, updates=20, progress={**going, "written_at": now - 3000})
    run_folders.make(runs / "lost", frozen=[0])
    text = status.text(runs, now)
    assert line_of(text, "here/gru").split() == [
        "here/gru",
        "ended",
        "40",
        "of",
        "40",
        "5",
    ]  # 40 in 8 seconds
    assert line_of(text, "there").split() == ["there", "interrupted", "20", "of", "40"]
    end = time.strftime("%a %H:%M", time.localtime(now + 280))
    assert line_of(text, "going").split() == f"going training 20 of 40 2.5 in 5 min, at {end}".split()
    assert line_of(text, "silent").endswith("2.5        silent for 50 min")
    assert "ended, 1 of 2 lost" in line_of(text, "lost")
    assert text.splitlines()[-1] == "2 training, 3 ended, 1 interrupted"
    assert command("status", runs).out.splitlines()[0].split() == [
        "run",
        "state",
        "updates",
        "updates/s",
        "ends",
    ]


def test_a_run_that_breaks_off_is_not_training_though_its_process_lives(tmp_path):
    place = run_folders.make(tmp_path / "one", test=None, updates=0)
    with pytest.raises(KeyError), Pace(place / "progress.json", "lstm", 0, 40) as pace:
        assert "training" in line_of(status.text(tmp_path), "one")
        pace.at(10)
        raise KeyError
    assert "interrupted" in line_of(status.text(tmp_path), "one")


def test_the_help_has_a_line_for_every_command():
    words = command("--help").out
    for name in ("list", "run", "cells", "compare", "status", "keep", "report"):
        assert sum(line.split()[:1] == [name] for line in words.splitlines()) == 1, name
