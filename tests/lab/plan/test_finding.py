"""Experiments are found by name, by file and by module; what is not found says what to type instead."""

import sys

import pytest
from lab_runs import assert_refused
from own_experiment import packaged, written
from places import ROOT

from experiments.adding_problem import EXPERIMENT as ADDING
from experiments.lab.plan import finding

pytest_plugins = ["own_experiment"]


def test_a_relative_path_and_a_module_in_the_folder_are_the_same_experiment(tmp_path, monkeypatch):
    written(tmp_path, "own_relative")
    monkeypatch.chdir(tmp_path)
    by_path, by_module = (finding.find(name) for name in ("own_relative.py", "own_relative"))
    assert by_path is by_module is sys.modules["own_relative"].EXPERIMENT
    assert by_path.source == str(tmp_path / "own_relative.py")
    assert by_path.command == f"python -m experiments run {tmp_path / 'own_relative.py'}"


def test_a_module_within_a_package_keeps_its_relative_imports(tmp_path, monkeypatch):
    folder = tmp_path / "own_package" / "deep"
    folder.mkdir(parents=True)
    (folder / "helper.py").write_text("LENGTH = 7\n")
    written(
        folder,
        "task",
        ("= 5 ", "= LENGTH "),
        ("\n\ndef surely", "\nfrom .helper import LENGTH\n\ndef surely"),
    )
    monkeypatch.chdir(tmp_path)
    found = finding.find("own_package.deep.task")
    assert found.presets["default"].task.num_steps == 7
    # and from anywhere by what a run has stored
    module, source = found.module, found.source
    monkeypatch.chdir(ROOT)
    for name in [name for name in sys.modules if name.startswith("own_package")]:
        del sys.modules[name]
    sys.path.remove(str(tmp_path))
    again = finding.load_stored("first", module, source)
    assert again is not found and again.presets["default"].task.num_steps == 7


@pytest.mark.parametrize(
    "name", ["adding_problem", "experiments.adding_problem", "experiments/adding_problem.py"]
)
def test_ours_have_their_last_part_their_module_and_their_file(name, monkeypatch):
    monkeypatch.chdir(ROOT)
    assert finding.find(name) is ADDING
    assert ADDING.source is None and ADDING.source_sha256 is None and ADDING.is_ours


def test_the_last_part_names_one_experiment_or_none(monkeypatch):
    monkeypatch.setattr(
        finding, "names", lambda: ["memory.adding_problem", "online.adding_problem", "adding_problem"]
    )
    assert finding.find("adding_problem") is ADDING  # an exact name
    monkeypatch.setattr(finding, "names", lambda: ["memory.adding", "online.adding"])
    complaint = "experiment 'adding': expected one of memory.adding, online.adding, which all end so"
    assert_refused(packaged("run", "adding"), complaint)


def test_a_helper_beside_an_experiment_is_none(tmp_path, monkeypatch):
    written(
        tmp_path,
        "own_main",
        ("= 5 ", "= own_lengths.LENGTH "),
        ("import dataclasses", "import own_lengths\nimport dataclasses"),
    )
    (tmp_path / "own_lengths.py").write_text("LENGTH = 6\n")
    assert finding.find(str(tmp_path / "own_main.py")).presets["default"].task.num_steps == 6
    complaint = r"experiment .*own_lengths\.py: own_lengths declares no EXPERIMENT = Experiment\(\.\.\.\)"
    assert_refused(packaged("run", tmp_path / "own_lengths.py"), complaint)
    # in the package: a folder with an experiment, and a helper that speaks of one
    (tmp_path / "group").mkdir()
    for name, text in {
        "__init__": "",
        "helper": '"""EXPERIMENTS and EXPERIMENT."""\n',
        "one": "EXPERIMENT = 1\n",
    }.items():
        (tmp_path / "group" / f"{name}.py").write_text(text)
    monkeypatch.setattr(finding.experiments, "__path__", [str(tmp_path)])
    assert finding.names() == ["group.one", "own_main"]


def test_a_name_that_is_nothing_says_what_to_type(tmp_path, monkeypatch):
    written(tmp_path, "own_parity")
    (tmp_path / "torch_side.py").write_text("")
    monkeypatch.chdir(tmp_path)
    words = {
        "own_party.py": r"experiment own_party\.py: there is no such file; did you mean own_parity\.py\?",
        "nothere.py": r"experiment \S*nothere\.py: there is no such file$",
        "./own_parity": r"unknown experiment './own_parity'; did you mean own_parity\.py\?",
        "coppy_memory": r"unknown experiment 'coppy_memory'; did you mean copy_memory\? \(expected a name that",
        "own_parity.deep": r"unknown experiment 'own_parity\.deep'",
        "..": r"unknown experiment '\.\.'",
        "json": r"experiment json: json declares no EXPERIMENT",
    }
    for word, complaint in words.items():
        assert_refused(packaged("run", word), complaint)
    assert_refused(
        packaged("run"), r"run: expected a \.py file, a module, or the name of an experiment \(adding"
    )
    assert_refused(
        packaged("run", "own_parity.py", "smok"), r"unknown preset or verb 'smok'; did you mean smoke\?"
    )


def test_a_file_called_like_a_module_that_runs_already_is_to_be_renamed(tmp_path):
    (tmp_path / "two").mkdir()
    first = written(tmp_path, "own_twice")
    second = written(tmp_path / "two", "own_twice")
    assert finding.find(str(first)).source == str(first)
    assert_refused(packaged("run", second), "another module is called own_twice; rename the file")
    assert_refused(
        packaged("run", written(tmp_path, "own_v1.2")), "the name of a module has no dot; rename the file"
    )
