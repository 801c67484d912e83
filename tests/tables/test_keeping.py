"""What is kept of a run: under which name, with which code, beside how many settings; and when that code is stale."""

import hashlib
import json
import subprocess

import pytest
from places import ROOT

from experiments import adding_problem
from experiments.__main__ import main
from experiments.errors import Fault
from experiments.hs97 import adding
from experiments.lab.plan import configs
from experiments.lab.plan.resolved import Machine, Resolved
from experiments.lab.storage import folders
from experiments.tables import keeping, provenance, published, report


def head():
    done = subprocess.run(["git", "-C", str(ROOT), "rev-parse", "HEAD"], capture_output=True, text=True)
    if done.returncode:
        pytest.skip("not a git checkout: nothing says which code made a summary")
    return done.stdout.strip()


RESOLVED = Resolved(
    Machine("cpu", 1, 1, {"python": "3.11"}, "a cpu", "0" * 64, False), "Sequential()", "vectorized", ()
)


def run_folder(out, name, *, summary=None, experiment=adding_problem.EXPERIMENT, **changes):
    """A run's folder as the lab leaves it, without its checkpoints."""
    config = configs.as_json(configs.changed(experiment.presets["smoke"], **changes))
    place = out / name
    place.mkdir(parents=True)
    stored = folders.Stored(experiment.name, "smoke", config, RESOLVED)
    (place / folders.CONFIG).write_text(json.dumps(stored.as_json()))
    (place / folders.METRICS).write_text("")
    if summary is not None:
        ended = {"experiment": experiment.name, "preset": "smoke", "cell": "elman", "config": config}
        rest = {
            "test": {},
            "facts": {},
            "baseline": 0.1,
            "wall_seconds": 1.0,
            "num_updates": config["num_updates"],
        }
        seeds = [{"seed_index": index} for index in range(config["num_seeds"])]
        content = {**ended, **rest, "seeds": seeds, "environment": {"commit": head()}, **summary}
        (place / folders.SUMMARY).write_text(json.dumps(content))
    return place


@pytest.fixture
def kept(tmp_path, monkeypatch):
    monkeypatch.setattr(keeping, "RESULTS", tmp_path / "results")
    return tmp_path / "results" / "adding_problem" / "smoke"


def test_a_run_is_kept_under_its_folders_name_or_anothers(tmp_path, kept):
    place = run_folder(tmp_path / "runs" / "out", "elman", summary={}, cell="elman")
    assert keeping.keep(place.parent) == kept / "elman.json"
    assert main(["keep", str(place), "--as", "my-number--as-printed"]) == 0
    first, second = (json.loads(path.read_text()) for path in sorted(kept.glob("*.json")))
    assert first == second and first["settings_tried"] == 1
    assert first["config"] == json.loads((place / folders.SUMMARY).read_text())["config"]


def test_another_configuration_does_not_overwrite_one(tmp_path, kept):
    place = run_folder(tmp_path / "runs" / "out", "elman", summary={}, cell="elman")
    other = run_folder(tmp_path / "runs" / "other", "elman", summary={}, cell="elman", learning_rate=0.1)
    longer = run_folder(tmp_path / "runs" / "longer", "elman", summary={}, cell="elman", num_updates=80)
    keeping.keep(place)
    with pytest.raises(Fault, match=r"is of another configuration; give keep --as NAME"):
        keeping.keep(other)
    keeping.keep(other, "faster")
    keeping.keep(longer)
    found = {path.stem: json.loads(path.read_text())["config"] for path in kept.glob("*.json")}
    assert found["faster"]["learning_rate"] == 0.1 and found["elman"]["num_updates"] == 80


def test_settings_are_counted_by_what_was_asked(tmp_path, kept):
    runs = tmp_path / "runs"
    place = run_folder(runs / "out", "elman", summary={}, cell="elman")
    run_folder(runs / "out", "rate", cell="elman", learning_rate=0.1)
    run_folder(runs / "again", "elman", cell="elman")  # the same once more
    run_folder(runs / "longer", "elman", cell="elman", num_updates=80)  # the same for longer
    run_folder(runs / "old" / "other", "option", cell="elman(hidden_size=8)")
    run_folder(runs / "lstm", "lstm", cell="lstm")  # another cell
    run_folder(runs / "hs97", "elman", experiment=adding.EXPERIMENT, cell="elman")  # another experiment
    (runs / "out" / "broken").mkdir()
    (runs / "out" / "broken" / folders.CONFIG).write_text("{")
    assert json.loads(keeping.keep(place).read_text())["settings_tried"] == 3


def test_a_run_whose_code_nobody_knows_is_not_kept(tmp_path, kept):
    for index, (commit, complaint) in enumerate(
        [
            ("0" * 40 + "-dirty", "changes that were not committed .*commit what there is and run it again"),
            ("0" * 40, "this repository has no commit 0{40}, which made it; fetch that commit, or"),
            (None, "its summary names no commit"),
        ]
    ):
        head()  # skips where git knows none
        place = run_folder(
            tmp_path / str(index), "elman", summary={"environment": {"commit": commit}}, cell="elman"
        )
        with pytest.raises(Fault, match=complaint):
            keeping.keep(place)
    assert not kept.exists()


def test_a_run_that_has_not_ended_is_not_kept(tmp_path, kept):
    place = run_folder(tmp_path / "out", "elman", cell="elman")
    with pytest.raises(Fault, match="has not ended"):
        keeping.keep(place)
    longer = run_folder(tmp_path / "longer", "elman", summary={"num_updates": 20}, cell="elman")
    with pytest.raises(Fault, match="has not ended"):
        keeping.keep(longer)
    with pytest.raises(Fault, match=r"expected the folder of one run \(expected keep RUN \[--as NAME\]\)"):
        keeping.main([])
    with pytest.raises(Fault, match="--as: expected letters, digits"):
        keeping.keep(place, "../elsewhere")


def test_the_code_is_that_of_experiment_task_model_and_cell_and_what_they_import():
    config = configs.changed(adding.EXPERIMENT.presets["default"], cell=adding.CELL)
    code = provenance.code(adding.EXPERIMENT, config, head())
    assert set(code) >= {
        "experiments/hs97/adding.py",
        "experiments/hs97/network.py",
        "experiments/tasks/adding.py",
        "experiments/tasks/marked_pairs.py",  # by way of the task
        "experiments/tasks/criteria.py",
        "experiments/models/cell_with_readout.py",
        "recurrent/cells/hs97.py",
        "recurrent/wrappers/cut.py",
        "recurrent/initializers.py",
    }
    rooms = ("experiments/hs97/", "experiments/tasks/", "experiments/models/", "recurrent/")
    assert all(path.startswith(rooms) for path in code)
    others = {
        "experiments/hs97/reber.py",
        "experiments/tasks/reber.py",
        "recurrent/cells/lstm.py",
        "recurrent/cell.py",
    }
    assert not others & set(code)


def test_a_digest_is_that_of_the_commit():
    path = "experiments/tasks/adding.py"
    config = adding_problem.EXPERIMENT.presets["default"]
    content = subprocess.run(["git", "-C", str(ROOT), "show", f"{head()}:{path}"], capture_output=True).stdout
    assert provenance.code(adding_problem.EXPERIMENT, config, head())[path] == provenance.digest(content)


SOURCE = b'''"""Words."""

SIGN = "# no comment"  # a comment


def f(x):
    """Words.

    x
    """
    return x
'''


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        (b"Words", b"Other words", True),
        (b"a comment", b"another", True),
        (b"    x\n", b"    x and\n    y\n", True),
        (b"\n\n\ndef", b"\n\ndef", True),
        (b"no comment", b"none", False),
        (b"return x", b"return -x", False),
        (b"f(x)", b"f(x, y=0)", False),
    ],
)
def test_words_change_no_digest_and_code_does(old, new, same):
    assert old in SOURCE
    assert (provenance.digest(SOURCE.replace(old, new)) == provenance.digest(SOURCE)) == same


def test_a_digest_is_that_of_what_is_left():
    left = b'SIGN = "# no comment"\ndef f(x):\n    return x'
    assert provenance.digest(SOURCE) == hashlib.sha256(left).hexdigest()


def test_what_has_changed_since_is_stale(tmp_path, monkeypatch):
    monkeypatch.setattr(provenance, "ROOT", tmp_path)
    (tmp_path / "a.py").write_text("a = 1\n")
    (tmp_path / "b.py").write_text("b = 1\n")
    digest = {name: provenance.digest((tmp_path / name).read_bytes()) for name in ("a.py", "b.py")}
    assert provenance.stale({"code": digest}) == [] and provenance.told({"code": digest}) == "as now"
    (tmp_path / "b.py").write_text("b = 2\n")
    assert provenance.stale({"code": digest}) == ["b.py"]
    (tmp_path / "a.py").unlink()
    assert provenance.told({"code": digest}) == "stale: a.py, b.py changed since"
    assert provenance.stale({}) is None and provenance.told({}) == "before this was recorded"


KEPT = keeping.kept_summaries()


@pytest.mark.parametrize("path", KEPT, ids=lambda path: "/".join(path.parts[-3:]))
def test_pages_say_which_kept_summaries_are_stale(path):
    """A module that decides a committed number has changed: the page has to say so, until the run is made again."""
    told = provenance.told(KEPT[path])
    if path.parent.name == "smoke":
        return  # on no page
    of_row = published.is_of_a_row(path.stem)
    page = ROOT / ("RESULTS.md" if of_row else "README.md")
    text = page.read_text(encoding="utf-8")
    assert f"code: {told}" in text if of_row else f"| {told} |" in text, "python -m experiments report"


def test_readme_has_no_rows_of_published_numbers(tmp_path, monkeypatch):
    monkeypatch.setattr(keeping, "RESULTS", tmp_path)
    for name in ("default/elman", "smoke/elman", "default/author99--as-printed"):
        path = tmp_path / "adding_problem" / f"{name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"name": name}))
    assert report.results("adding_problem") == [{"name": "default/elman"}]
