"""What cannot run of a stranger's experiment is refused before its first update: one line, and nothing on the disk."""

import pytest
from lab_runs import assert_refused
from own_experiment import packaged, smoke, written

from experiments.lab import planning

pytest_plugins = ["lab_fixtures", "own_experiment"]
pytestmark = pytest.mark.usefixtures("compile_once")


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
