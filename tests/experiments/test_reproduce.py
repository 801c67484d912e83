"""``reproduce``: which runs a name stands for, what would run; one tiny number made, kept, judged and found again."""

import json
import math
import re
import subprocess

import pytest
from lab_runs import heard
from places import ROOT

from experiments import reproduce
from experiments.__main__ import main
from experiments.errors import Fault
from experiments.lab import cli
from experiments.lab.plan.finding import load_experiment, names
from experiments.lab.storage import summaries
from experiments.tables import keeping, outcomes, published

pytest_plugins = ["lab_fixtures"]

TINY = """
[paper]
title = "On memory"
authors = "A. Author"
year = 1999
source = "arXiv 0000.00000"

[[row]]
name = "tiny-copy"
benchmark = "copying"
setting = "T = 3"
model = "RNN"
protocol = "once"
metric = "cross_entropy"
value = 0.5
unit = "nats a step"
baseline = 0.6
where = "Table 1"
verified = true

[[row.run]]
name = "as printed"
command = "copy_memory smoke --cell elman"
differs = "Nothing."

[[row.run]]
name = "wrong"
command = "copy_memory smoke --cell elman --delay 0"
differs = "It cannot be."

[[row]]
name = "unrun-copy"
benchmark = "copying"
setting = "T = 4"
model = "RNN"
protocol = "once"
metric = "updates"
value = 5
unit = "updates"
where = "Table 1"
verified = false
"""


def git(*words):
    return subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True, text=True).stdout.strip()


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    folder = tmp_path / "published"
    folder.mkdir()
    (folder / "author99.toml").write_text(TINY)
    monkeypatch.setattr(published, "FOLDER", folder)
    monkeypatch.setattr(keeping, "RESULTS", tmp_path / "results")
    # whatever was changed in this checkout: what is kept here is thrown away
    monkeypatch.setattr(summaries, "commit", lambda: git("rev-parse", "HEAD") or None)
    return tmp_path


def test_a_name_is_a_number_or_a_paper_and_nothing_is_all():
    papers = published.load()
    one = reproduce.of_rows(["hs97-adding-100"], papers)
    assert [chosen.name for chosen in one] == [
        "hs97-adding-100--linear-output",
        "hs97-adding-100--logistic-output-as-printed",
    ]
    assert one[0].words == ("--num-updates", "600000") and one[0].experiment == "hs97.adding"
    assert str(one[0].place) == "hs97-adding-100/linear-output"
    assert reproduce.of_rows(["hs97-adding-100", "hs97"], papers)[:2] == one
    of_paper, every = reproduce.of_rows(["hs97"], papers), reproduce.of_rows([], papers)
    count = sum(len(row.runs) for paper in papers for row in paper.rows)
    assert (len(set(of_paper)), len(set(every))) == (len(of_paper), count)
    assert set(of_paper) < set(every)


def test_what_cannot_be_meant_is_refused():
    papers = published.load()
    with pytest.raises(Fault, match=r"is called 'hs97-ading-100'; did you mean hs97-adding-100\?"):
        reproduce.of_rows(["hs97-ading-100"], papers)
    with pytest.raises(Fault, match="gers2000 has no run here"):
        reproduce.of_rows(["gers2000"], papers)
    with pytest.raises(Fault, match="--preset: expected smoke, got 'paper'"):
        reproduce.main(["--preset", "paper"])
    with pytest.raises(Fault, match="--pln: unknown flag"):
        reproduce.main(["--pln"])


def test_a_plan_trains_nothing_and_names_what_cannot_run(tiny):
    shown = heard(lambda: main(["reproduce", "--plan", "--out", str(tiny / "runs")]))
    assert shown.code == 1
    assert shown.errors == ["tiny-copy, wrong: --delay: expected at least 1 for copying, got 0"]
    lines = shown.out.splitlines()
    assert re.fullmatch(
        rf"tiny-copy, as printed +new +< 0\.1 +{tiny}/runs/tiny-copy/as-printed/elman", lines[1]
    )
    assert lines[-1] == "1 runs, about 0.0 minutes on two cores; nothing was trained"
    assert not (tiny / "runs").exists()


def test_the_smallest_of_all_is_every_experiment_once():
    chosen = reproduce.of_experiments([], keep=False)
    assert [one.experiment for one in chosen] == names()
    for one in chosen:
        _, request = one.load()
        assert request.word == "smoke" and len(request.configs) == 1 and not one.keeps


@pytest.mark.medium
def test_a_number_is_made_kept_and_found_again(tiny, compile_once):
    if not git("rev-parse", "HEAD"):
        pytest.skip("not a git checkout: nothing says which code made a summary")
    words = ["reproduce", "tiny-copy", "--out", str(tiny / "runs")]
    first = heard(lambda: main(words))
    # the run that cannot be stops no other
    assert first.code == 1 and "1 failed: tiny-copy, wrong" in first.errors[-1]
    assert "1 of 2 runs are as asked for" in first.out
    (kept,) = (tiny / "results").rglob("*.json")
    assert kept.parts[-3:] == ("copy_memory", "smoke", "tiny-copy--as-printed.json")
    content = json.loads(kept.read_text())
    assert content["settings_tried"] == 1
    assert "experiments/tasks/copying.py" in content["code"]
    (row, _), *_ = (paper.rows for paper in published.load())
    one = outcomes.outcome(row, row.runs[0])
    assert one.trials == (content["test"]["cross_entropy"]["seeds"][0],)
    assert one.verdict == "undecided"  # one network
    (place,) = (tiny / "runs" / "tiny-copy" / "as-printed").glob("elman")
    before = {path: path.stat().st_mtime_ns for path in place.rglob("*") if path.is_file()}
    again = heard(lambda: main(words))
    assert {path: path.stat().st_mtime_ns for path in place.rglob("*") if path.is_file()} == before
    assert again.code == 1 and json.loads(kept.read_text())["seeds"] == content["seeds"]
    plan = heard(lambda: main([*words, "--plan"]))
    assert re.search(r"tiny-copy, as printed +has ended +0\.0", plan.out)


SMOKE = sorted(keeping.RESULTS.glob("*/smoke/*.json"))


@pytest.mark.medium
def test_one_committed_summary_is_made_again(tmp_path, compile_once):
    """Another one at every commit: metrics agree to 1 %, whatever the machine."""
    if not SMOKE:
        pytest.skip("no smallest runs are committed")
    path = SMOKE[int(git("rev-parse", "HEAD") or "0", 16) % len(SMOKE)]
    content = json.loads(path.read_text())
    experiment = load_experiment(content["experiment"])
    words = ["smoke", "--cell", content["cell"], "--out", str(tmp_path), "--no-progress"]
    done = heard(lambda: cli.main(experiment, words))
    assert done.code == 0, done.err
    (made,) = tmp_path.glob("*/summary.json")
    found = json.loads(made.read_text())
    assert found["config"] == content["config"]
    for name, value in content["test"].items():
        for before, now in zip(value["seeds"], found["test"][name]["seeds"], strict=True):
            assert math.isclose(before, now, rel_tol=0.01, abs_tol=1e-6), f"{path.parts[-3:]}: {name}"
