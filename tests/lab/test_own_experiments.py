"""Experiments outside the repository are run, resumed and opened like ours, from a command, a script or Python."""

import json
import re
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from lab_runs import assert_refused, digest, hashes, interrupted_at, rows, summary
from own_experiment import OWN, other_process, packaged, smoke, written

from experiments import lab
from experiments.errors import Fault
from experiments.lab.plan import finding

pytest_plugins = ["lab_fixtures", "own_experiment"]
pytestmark = pytest.mark.usefixtures("compile_once", "trace_once")


def test_a_file_is_run_and_leaves_what_ours_leave(tmp_path):
    path = written(tmp_path, "own_file")
    outcome = smoke(path, tmp_path / "out", "--num-steps", "3", "4")
    assert (outcome.code, outcome.errors) == (0, []), outcome
    for length in (3, 4):
        place = tmp_path / "out" / f"elman-num_steps={length}"
        stored = json.loads((place / "config.json").read_text())
        assert (stored["experiment"], stored["module"], stored["source"]) == ("first", "own_file", str(path))
        assert stored["config"]["num_steps"] == length
        found = summary(place)
        assert (found["num_updates"], found["lag"], found["baseline"]) == (20, length - 1, 0.6931)
    assert re.search(
        r"^cell +num steps +parameters +state +test accuracy +test surely right", outcome.out, re.MULTILINE
    )


def test_help_shows_the_fields_of_the_task_with_their_comments(tmp_path):
    shown = packaged("run", written(tmp_path, "own_help"), "--help")
    assert shown.code == 0
    assert re.search(r"--num-steps INT +Bits of a sequence\. \(default: 5\)", " ".join(shown.out.split()))


def test_the_same_command_goes_on_and_a_changed_file_is_told(tmp_path):
    path, whole, parts = written(tmp_path, "own_resumed"), tmp_path / "whole", tmp_path / "parts"
    assert smoke(path, whole).code == 0
    with interrupted_at(10):
        assert smoke(path, parts).code == 143
    path.write_text(path.read_text() + "# another remark\n")
    outcome = smoke(path, parts)
    assert outcome.code == 0
    told = f"warning: elman: {path} has changed since the run was started: "
    assert outcome.notices == [f"{told}it may go on as another one; another --out starts anew"]
    assert summary(parts / "elman")["notes"] == [f"{path} has changed"]
    assert hashes(parts / "elman") == hashes(whole / "elman")
    again = smoke(path, parts)
    assert again.code == 0 and "finished already, 20 updates" in again.out + again.err
    assert again.notices == []


def test_a_finished_run_of_a_changed_file_says_whose_numbers_it_shows(tmp_path):
    path, out = written(tmp_path, "own_edited"), tmp_path / "out"
    assert smoke(path, out).code == 0
    before = digest(out)
    path.write_text(path.read_text().replace("bits[0, :, 0].astype(int)", "1 - bits[0, :, 0].astype(int)"))
    outcome = smoke(path, out)
    assert outcome.code == 0 and "finished already, 20 updates" in outcome.out
    told = f"warning: elman: {path} has changed since the run was started: "
    assert outcome.notices == [f"{told}its numbers are those of the earlier file; another --out starts anew"]
    assert digest(out) == before


def test_a_metric_of_ones_own_is_a_function_in_the_module(tmp_path):
    path = written(tmp_path, "own_measured")
    outcome = smoke(path, tmp_path / "out", "--learning-rate", "0.02")
    place = tmp_path / "out" / "elman"
    validation = [row for row in rows(place) if row["split"] == "validation"]
    assert [row["update"] for row in validation] == [0, 20]
    assert all(0 <= row["surely_right"] <= row["accuracy"] <= 1 for row in validation)
    found = summary(place)["test"]["surely_right"]["mean"]
    table = json.loads((tmp_path / "out" / "table.json").read_text())
    assert table[0]["test surely right"] == found
    assert f"{found:.4g}" in outcome.out
    # and by hand
    opened = lab.open_run(place)
    size = opened.config.evaluation_batch_size
    batch = opened.task.evaluation((), "test", jnp.array(0), jax.random.key(0), size)
    outputs, _ = opened.model.apply(opened.params, batch, carry=(), key=None)
    right, count = sys.modules["own_measured"].surely_right(outputs, batch)
    assert (opened.task.num_batches("test", size), float(count)) == (1, 64)
    assert float(right) / 64 == pytest.approx(found, abs=1e-6) and 0 < found < 1


def test_a_cell_by_the_path_of_its_file_goes_on_and_is_opened_again(tmp_path):
    file, out = tmp_path / "own_cell.py", tmp_path / "out"
    file.write_text("import recurrent as rec\nclass Mine(rec.Elman):\n    pass\n")
    words = ("run", "adding_problem", "smoke", "--no-progress", "--out", out, "--num-updates", "20")
    assert packaged(*words, "--cell", f"{file}:Mine").code == 0
    assert json.loads((out / "own_cell-Mine" / "config.json").read_text())["config"]["cell"][
        "source_path"
    ] == str(file)
    for spelling in (f"{file}:Mine", "own_cell:Mine"):  # the folder of the file is on the path now
        again = packaged(*words, "--cell", spelling)
        assert again.code == 0 and "own_cell:Mine: finished already, 20 updates" in again.out
    sys.path.remove(str(tmp_path))
    del sys.modules["own_cell"]
    assert type(lab.open_run(out).model.cell).__module__ == "own_cell"


@pytest.mark.medium
def test_a_script_runs_itself_and_another_process_opens_what_it_left(cache, tmp_path):
    """The class of a script stands in ``__main__``; what is stored is the name under which it is imported again."""
    path = written(tmp_path, "own_script")
    words = ("smoke", "--no-progress", "--out", "out")
    outcome = other_process("own_script.py", *words, cwd=tmp_path, cache=cache)
    assert outcome.code == 0, outcome.err
    stored = json.loads((tmp_path / "out" / "elman" / "config.json").read_text())
    assert (stored["module"], stored["source"]) == ("own_script", str(path))
    # the same run by file
    again = other_process("-m", "experiments", "run", path, *words, cwd=tmp_path, cache=cache)
    assert again.code == 0 and "finished already, 20 updates" in again.out + again.err
    code = (
        "from experiments import lab; run = lab.open_run('out'); "
        "print(run.experiment.name, type(run.task).__name__, type(run.task).__module__, run.config.hidden_size)"
    )
    (tmp_path / "nowhere").mkdir()
    opened = other_process("-c", code.replace("'out'", "'../out'"), cwd=tmp_path / "nowhere", cache=cache)
    assert opened.out == "first First own_script 4\n", opened.err
    # moved: by its module where Python finds it, else told
    moved = tmp_path / "moved"
    moved.mkdir()
    path.rename(moved / path.name)
    opening = (
        "import sys; from experiments import lab; from experiments.errors import guarded; "
        "sys.exit(guarded(lambda: print(lab.open_run('../out').task)))"
    )
    found = other_process("-c", opening, cwd=moved, cache=cache)
    assert found.out.startswith("First(num_evaluation=64, num_steps=5"), found.err
    gone = other_process("-c", opening, cwd=tmp_path / "nowhere", cache=cache)
    complaint = rf"experiment 'first' was declared in {path}, which is not there any more, .*give open_run\(\.\.\., exp"
    assert_refused(gone, complaint)


@pytest.mark.medium
def test_from_python_a_grid_of_ones_own(tmp_path):
    own = finding.find(str(written(tmp_path, "own_grid")))
    config = own.presets["smoke"]
    requested = lab.grid(config, cell=["elman", "lstm"], num_steps=[2, 3])
    runs = lab.run(requested, experiment=own, out=tmp_path / "out", progress=False)
    assert [one.folder.name for one in runs] == [
        f"{cell}-num_steps={length}" for cell in ("elman", "lstm") for length in (2, 3)
    ]
    assert [one.task.num_steps for one in runs] == [2, 3, 2, 3]
    assert len({seed for one in runs for seed in hashes(one.folder)}) == 4
    assert len(json.loads((tmp_path / "out" / "table.json").read_text())) == 4
    # without experiment=: of the module that defines the class
    again = lab.run(requested[:1], out=tmp_path / "again", progress=False)
    assert again[0].experiment is own and hashes(again[0].folder) == hashes(runs[0].folder)


def test_an_experiment_without_a_file_runs_and_is_given_to_open_run(tmp_path):
    names = {"__name__": "own_notebook", "__doc__": ""}  # as in a notebook: no module of that name, no file
    exec(compile(OWN.replace("__doc__", '""'), "<cell>", "exec"), names)
    own, config = names["EXPERIMENT"], names["PRESETS"]["smoke"].with_cell(lab.parse_cell("elman"))
    with pytest.raises(
        Fault, match=r"FirstConfig: own_notebook declares no EXPERIMENT of this .*give experiment="
    ):
        lab.plan([config], out=tmp_path / "out")
    (trained,) = lab.run([config], experiment=own, out=tmp_path / "out", progress=False)
    with pytest.raises(
        Fault, match=r"'first' was declared in no file \(in a notebook, say\): give open_run\(\.\.\., exp"
    ):
        lab.open_run(trained.folder)
    opened = lab.open_run(trained.folder, experiment=own)
    assert opened.task == config.task
    np.testing.assert_array_equal(opened.params.readout.w, trained.params.readout.w)
