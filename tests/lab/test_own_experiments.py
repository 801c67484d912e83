"""Experiments outside the repository: found by file or module, run, resumed and opened like ours, refused in a line."""

import json
import re
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from lab_runs import Outcome, assert_refused, compiling_into, hashes, heard, interrupted_at, rows, summary
from places import ROOT

from experiments import __main__ as package
from experiments import lab
from experiments.adding_problem import EXPERIMENT as ADDING
from experiments.errors import Fault, guarded
from experiments.lab import planning
from experiments.lab.plan import finding

pytest_plugins = ["lab_fixtures"]
pytestmark = pytest.mark.usefixtures("compile_once")

OWN = '''"""Question: is the first bit one?"""
import dataclasses
import jax, jax.numpy as jnp
import recurrent as rec
from experiments import lab
from experiments.models.base import LastStep
from experiments.tasks.base import Batch, Generated
from experiments.tasks.criteria import AccuracyAtLeast


def surely_right(outputs, batch):
    right = jax.nn.softmax(outputs)[jnp.arange(len(batch.targets)), batch.targets]
    return jnp.sum((right > 0.9) * batch.weights), jnp.sum(batch.weights)


@dataclasses.dataclass(frozen=True)
class First(Generated):
    num_steps: int = 5  # Bits of a sequence.
    input_shape, output_shape = (1,), (2,)
    baseline, criterion = 0.6931, AccuracyAtLeast(0.99)
    lag = property(lambda self: self.num_steps - 1)

    def sample(self, key, batch_size):
        bits = jax.random.bernoulli(key, shape=(self.num_steps, batch_size, 1))
        return Batch(bits.astype(jnp.float32), bits[0, :, 0].astype(int), jnp.ones(batch_size))

    def loss(self, outputs, batch):
        return rec.losses.cross_entropy(outputs, batch.targets, batch.weights)

    def metrics(self, outputs, batch):
        right = rec.losses.accuracy(outputs, batch.targets, batch.weights)
        return {"accuracy": right, "surely_right": surely_right(outputs, batch)}


@lab.configuration()
class FirstConfig(lab.Config):
    task: lab.TaskFlags[First] = First()


def build(config):
    return lab.parts(config, LastStep())


PRESETS = lab.presets(FirstConfig, smoke={"num_evaluation": 64, "hidden_size": 4, "num_updates": 20})
EXPERIMENT = lab.Experiment("first", __doc__, FirstConfig, PRESETS, build, minutes=1, cells=("elman",))
END = None
if __name__ == "__main__":
    raise SystemExit(lab.main(EXPERIMENT))
'''


@pytest.fixture(autouse=True)
def forgotten(monkeypatch):
    """What a test lets Python import, and where it lets Python look, is forgotten after it."""
    before, path = set(sys.modules), list(sys.path)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - before:
        if str(ROOT) not in str(getattr(sys.modules[name], "__file__", ROOT)) and name.startswith("own_"):
            del sys.modules[name]


def written(folder: Path, name: str, *changes: tuple[str, str]) -> Path:
    """The experiment in a file, with replacements."""
    text = OWN
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path = folder / f"{name}.py"
    path.write_text(text)
    return path


def packaged(*words: object) -> Outcome:
    """``python -m experiments`` in this process."""
    return heard(lambda: guarded(lambda: package.main([str(word) for word in words])))


def smoke(name: object, out: Path, *flags: object) -> Outcome:
    return packaged("run", name, "smoke", "--no-progress", "--out", out, *flags)


def other_process(*words: object, cwd: Path, cache: Path) -> Outcome:
    """Words for another Python, where only the repository is on the path."""
    environment = {**compiling_into(cache), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, *map(str, words)]
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)
    return Outcome(done.returncode, done.stdout, done.stderr)


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
    assert re.search(r"^cell +num steps +test accuracy +test surely right", outcome.out, re.MULTILINE)


def test_help_shows_the_fields_of_the_task_with_their_comments(tmp_path):
    shown = packaged("run", written(tmp_path, "own_help"), "--help")
    assert shown.code == 0
    assert re.search(r"--num-steps INT +Bits of a sequence\. \(default: 5\)", " ".join(shown.out.split()))


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


BROKEN = {
    "own_fails": (
        "END = None",
        "END = 1 / 0",
        r"own_fails: cannot be imported: ZeroDivisionError: .* \(own_fails\.py, line 46\)$",
    ),
    "own_syntax": (
        "END = None",
        "END = (",
        r"cannot be imported: SyntaxError: .*own_syntax\.py, line 46\)$",
    ),
    "own_absent": (
        "END = None",
        "import own_nowhere",
        r"ModuleNotFoundError: No module named 'own_nowhere' \(own_absent",
    ),
    "own_exits": ("END = None", "raise SystemExit(0)", r"it exits; what runs it belongs behind if __name__"),
    "own_other": ("EXPERIMENT = lab", "OTHER = lab", r"own_other declares no EXPERIMENT"),
    "own_presets": ("PRESETS, build", "{}, build", r"ValueError: presets: expected one called default"),
    "own_name": (
        '"first"',
        '"../first"',
        r"ValueError: name: expected letters, digits, .* got '\.\./first' \(own_name\.py",
    ),
    "own_clash": (
        "num_steps",
        "batch_size",
        r"TypeError: FirstConfig: batch_size is a field of the configuration and of its",
    ),
    "own_smoke": ('"num_evaluation"', '"num_evaluatoin"', r"Fault: --num-evaluatoin: unexpected"),
    # declared, and wrong where it is used
    "own_build": (
        "return lab.parts",
        "return lab.nothing",
        r"first: build: AttributeError: .*nothing.*\(own_build\.py, line 41\)$",
    ),
    "own_pair": (
        "return lab.parts(config, LastStep())",
        "return 1, 2",
        r"first: build: TypeError: .*optimizer",
    ),
    "own_size": ("self.num_steps - 1)", "self.num_step - 1)", r"AttributeError: .*'num_step'"),
    "own_loss": (
        "cross_entropy(outputs, batch.targets",
        "cross_entropy(outputs, batch.target",
        r"an update of elman: AttributeError: .*\(own_loss\.py, line \d+\)$",
    ),
    "own_metric": (
        "(right > 0.9)",
        "(wrong > 0.9)",
        r"the task: NameError: name 'wrong' is not defined \(own_metric\.py, line 13\)$",
    ),
    "own_total": ('"accuracy": right', '"accuracy": right[0]', r"the task: \w+Error"),
    "own_baseline": (
        "baseline, criterion = 0.6931,",
        "best, criterion = 0.6931,",
        r"the task: AttributeError: 'First' object has no attribute 'baseline'",
    ),
    "own_facts": (
        "minutes=1,",
        "minutes=1, facts=lambda config: config.nothing,",
        r"the task: AttributeError: .*nothing",
    ),
    "own_hash": (
        "dataclass(frozen=True)\nclass First",
        "dataclass(eq=True)\nclass First",
        r"TypeError|cannot be hashed",
    ),
    "own_list": (
        "num_steps: int = 5 ",
        "num_steps: int = 5; list: object = dataclasses.field(default_factory=list) ",
        r"First cannot be hashed: a task is a @dataclasses",
    ),
    "own_load": (
        "    def loss",
        "    def load(self):\n        return open('/nowhere')\n\n    def loss",
        r"the data: FileNotFoundError: .*'/nowhere' \(own_load\.py, line \d+\)$",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_cannot_run_is_one_line_and_leaves_nothing(name, tmp_path):
    old, new, complaint = BROKEN[name]
    outcome = smoke(written(tmp_path, name, (old, new)), tmp_path / "out")
    assert_refused(outcome, complaint)
    assert not (tmp_path / "out").exists()


def test_a_name_that_is_nothing_says_what_to_type(tmp_path, monkeypatch):
    written(tmp_path, "own_parity")
    monkeypatch.chdir(tmp_path)
    words = {
        "own_party.py": r"experiment own_party\.py: there is no such file; did you mean own_parity\.py\?",
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


def test_data_larger_than_memory_are_refused_with_their_size(tmp_path, monkeypatch):
    load = "    def load(self):\n        return jnp.zeros((3, 2**20))\n\n    def loss"
    path = written(tmp_path, "own_large", ("    def loss", load))
    monkeypatch.setattr(planning, "memory_bytes", lambda: 20 * 2**20)
    outcome = smoke(path, tmp_path / "out")
    assert_refused(
        outcome,
        r"the data of First take 12\.0 MiB, this machine holds at most 10\.0 MiB of them; take fewer, or shorter",
    )
    assert not (tmp_path / "out").exists()
    monkeypatch.setattr(planning, "memory_bytes", lambda: 24 * 2**20)
    assert packaged("run", path, "smoke", "--plan", "--out", tmp_path / "out").code == 0


def test_the_same_command_goes_on_and_a_changed_file_is_told(tmp_path):
    path, whole, parts = written(tmp_path, "own_resumed"), tmp_path / "whole", tmp_path / "parts"
    assert smoke(path, whole).code == 0
    with interrupted_at(10):
        assert smoke(path, parts).code == 143
    path.write_text(path.read_text() + "# another remark\n")
    outcome = smoke(path, parts)
    assert outcome.code == 0
    told = f"warning: elman: {path} has changed since the run was started: it may go on as another one"
    assert outcome.notices == [told]
    assert summary(parts / "elman")["notes"] == [f"{path} has changed"]
    assert hashes(parts / "elman") == hashes(whole / "elman")
    again = smoke(path, parts)
    assert again.code == 0 and "finished already, 20 updates" in again.out + again.err


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
