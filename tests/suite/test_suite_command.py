"""``python -m experiments suite``: what it refuses, what it plans, and a small suite from end to end."""

import signal
import sys
import time

import pytest
from lab_runs import assert_refused, compiling_into, elsewhere, elsewhere_meanwhile, hashes, heard, one_core

from experiments.__main__ import main
from experiments.errors import guarded
from experiments.suite import picture, results
from experiments.suite.suites import SUITES

pytest_plugins = ["lab_fixtures"]

CELL = """
import recurrent as rec

def Doubled(input_size, hidden_size):
    return rec.Elman(input_size, hidden_size)

def Broken(input_size, hidden_size):
    raise ValueError("no such size")
"""


def suite(*words):
    return heard(lambda: guarded(lambda: main(["suite", *map(str, words)])))


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ((), "suite: expected one of core, all, smoke"),
        (("cor",), "suite: unknown suite 'cor'; did you mean core"),
        (("core", "--cel", "lstm"), "--cel: unknown argument; did you mean --cell"),
        (("core", "--cell", "lsmt"), "--cell: unknown cell 'lsmt'; did you mean lstm"),
        (("core", "--cell", "gru", "GRU"), "--cell: gru is given twice"),
        (("core", "--device", "abacus"), "--device: expected one of auto, cpu, gpu, tpu, got 'abacus'"),
    ],
)
def test_a_mistake_is_one_line(words, complaint):
    assert_refused(suite(*words), complaint)


def test_one_s_own_cell_is_not_kept(tmp_path, monkeypatch):
    (tmp_path / "suite_cells.py").write_text(CELL)
    monkeypatch.syspath_prepend(tmp_path)
    outcome = suite("smoke", "--cell", "suite_cells:Doubled", "--keep", "--plan")
    assert_refused(outcome, "--keep: suite_cells:Doubled is no cell of the library")


def test_a_plan_lists_the_runs_and_trains_nothing(tmp_path):
    outcome = suite("core", "--cell", "lstm", "min_gru", "--out", tmp_path / "out", "--plan")
    assert (outcome.code, outcome.err) == (0, "") and not (tmp_path / "out").exists()
    lines = [line.split("  ") for line in outcome.out.splitlines()]
    assert lines[1][0] == "lstm" and "20 of 20" in lines[1] and lines[2][0] == "min_gru"
    assert "2 cells, about" in outcome.out and "parity (1300 updates)" in outcome.out


def test_without_cells_a_plan_has_all_that_are_not_measured(tmp_path, monkeypatch):
    monkeypatch.setattr(results, "COMMITTED", tmp_path)
    planned = suite("smoke", "--plan").out.splitlines()
    assert [line.split()[0] for line in planned[1:4]] == ["elman", "lstm", "lstm_v"]
    assert planned[-1].startswith("88 cells")


@pytest.mark.medium
def test_two_cells_and_a_strangers_are_measured_kept_and_placed(compile_once, tmp_path, monkeypatch):
    (tmp_path / "suite_cells.py").write_text(CELL)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(results, "COMMITTED", tmp_path / "kept")
    out = tmp_path / "out"
    first = suite("smoke", "--cell", "gru", "elman", "--out", out, "--keep", "--no-progress")
    assert first.code == 0, first.err
    known = results.committed(SUITES["smoke"])
    assert set(known) == {"gru", "elman"}
    assert all(set(one.measured) == {"adding", "parity"} for one in known.values())
    assert all(one.environment["num_cores"] >= 1 for one in known.values())

    own = "suite_cells:Doubled", "suite_cells:Broken"
    second = suite("smoke", "--cell", *own, "--out", tmp_path / "own", "--no-progress")
    assert second.code == 0, second.err
    assert "rank 1.5 of 3" in second.out or "rank 2.5 of 3" in second.out  # it is an Elman network
    assert "suite_cells:Broken cannot run adding, parity" in second.out and "no such size" in second.out
    doubled = results.in_folder(tmp_path / "own", SUITES["smoke"])["suite_cells:Doubled"]
    for name, one in known["elman"].measured.items():
        assert (doubled.measured[name].test, doubled.measured[name].rate) == (one.test, one.rate)
    assert (tmp_path / "own" / picture.PICTURE).read_bytes()[:4] == b"\x89PNG"

    again = suite("smoke", "--cell", "elman", "--out", out, "--no-progress")
    assert "elman (1 of 1): measured already" in again.out and again.code == 0


@pytest.mark.medium
def test_a_suite_that_is_killed_goes_on_to_the_same_bits(compile_once, cache, tmp_path):
    out, unbroken = tmp_path / "out", tmp_path / "unbroken"

    def words(place):
        cell = "--cell", "elman"
        return [
            sys.executable,
            "-m",
            "experiments",
            "suite",
            "smoke",
            *cell,
            "--out",
            str(place),
            "--no-progress",
        ]

    with one_core():
        with elsewhere_meanwhile(words(out), cache) as child:
            while child.poll() is None and not list(out.glob("elman/adding/*/summary.json")):
                time.sleep(0.01)
            child.send_signal(signal.SIGKILL)
        assert not (out / "elman" / results.RESULT).exists()
        for place in (out, unbroken):
            done = elsewhere(words(place), env=compiling_into(cache))
            assert done.code == 0, done.err
    runs = sorted(path.parent.relative_to(out) for path in out.glob("*/*/*/summary.json"))
    assert len(runs) == 4
    for place in runs:
        assert hashes(out / place) == hashes(unbroken / place)
    both = [results.read(place / "elman" / results.RESULT) for place in (out, unbroken)]
    assert {name: one.test for name, one in both[0].measured.items()} == {
        name: one.test for name, one in both[1].measured.items()
    }
