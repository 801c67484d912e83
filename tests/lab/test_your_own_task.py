"""The page docs/your_own_task.md: parity and sequences from a file, as files of a stranger, are what it says."""

import importlib
import re
import sys
from pathlib import Path
from types import ModuleType

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from lab_runs import Outcome, assert_refused, heard, rows, summary
from places import ROOT

from experiments import __main__ as package
from experiments.errors import guarded

pytest_plugins = ["lab_fixtures"]
pytestmark = pytest.mark.usefixtures("compile_once", "trace_once")

PAGE = (ROOT / "docs" / "your_own_task.md").read_text()
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


def module(folder: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The block of the page that declares the experiment ``name``, as a module in a file."""
    (code,) = (block for block in BLOCKS if f'lab.Experiment("{name}"' in block)
    (folder / f"page_{name}.py").write_text(code)
    monkeypatch.syspath_prepend(folder)
    monkeypatch.delitem(sys.modules, f"page_{name}", raising=False)
    return importlib.import_module(f"page_{name}")


def smoke(path: str | None, *flags: object) -> Outcome:
    words = ["run", str(path), "smoke", "--no-progress", "--cell", "elman", *map(str, flags)]
    return heard(lambda: guarded(lambda: package.main(words)))


@pytest.fixture
def parity(tmp_path, monkeypatch):
    return module(tmp_path, "parity", monkeypatch)


@pytest.fixture
def sequences(tmp_path, monkeypatch):
    found = module(tmp_path, "sequences", monkeypatch)
    generator = np.random.default_rng(0)
    inputs, targets = generator.normal(size=(57, 6, 2)), np.arange(57) % 3
    np.savez(tmp_path / "data.npz", inputs=inputs, targets=targets)
    return found


def test_parity_has_at_most_forty_lines(parity):
    assert sum(1 for line in Path(parity.__file__).read_text().splitlines() if line.strip()) <= 40


@pytest.mark.parametrize(
    ("split", "low", "high"), [("training", 1, 40), ("validation", 1, 40), ("test", 41, 100)]
)
def test_parity_asks_for_the_ones_that_the_mask_shows(parity, split, low, high):
    task = parity.Parity(num_evaluation=400)
    key = jax.random.key(1)
    batch = (
        task.batch((), key, jnp.array(0), 400)
        if split == "training"
        else task.evaluation((), split, jnp.array(0), key, 400)
    )
    bits, mask = np.asarray(batch.inputs)[..., 0], np.asarray(batch.mask)
    lengths = np.asarray(batch.info)
    assert (lengths.min(), lengths.max()) == (low, high)
    for length, column, target in zip(lengths, bits.T, np.asarray(batch.targets), strict=True):
        assert target == int(column[:length].sum()) % 2
    np.testing.assert_array_equal(mask.sum(axis=0), lengths)
    # the best constant scores the baseline
    total, count = task.loss(jnp.zeros((400, 2)), batch)
    assert float(total / count) == pytest.approx(task.baseline, abs=1e-4)
    # the bands cover every sequence once, and an oracle is right in each
    measured = task.metrics(jax.nn.one_hot(batch.targets, 2), batch)
    assert list(measured) == [f"accuracy_{at}_{at + 19}" for at in range(low, high, 20)]
    assert sum(float(number) for _, number in measured.values()) == 400
    for (right, number), at in zip(measured.values(), range(low, high, 20), strict=True):
        assert float(right) == float(number) == np.sum((lengths >= at) & (lengths <= at + 19))
    wrong = task.metrics(1 - jax.nn.one_hot(batch.targets, 2), batch)
    assert [float(right) for right, _ in wrong.values()] == [0.0] * len(wrong)


def test_parity_runs_with_its_flags_and_is_measured_by_length(parity, tmp_path):
    outcome = smoke(parity.__file__, "--out", tmp_path / "out", "--num-updates", 10, "--tested", 60)
    assert outcome.code == 0, outcome.err
    found = summary(tmp_path / "out" / "elman")
    assert list(found["test"]) == ["accuracy_21_40", "accuracy_41_60", "loss"]
    assert (found["lag"], found["num_updates"]) == (19, 10)
    validation = [row for row in rows(tmp_path / "out" / "elman") if row["split"] == "validation"]
    assert all(0 <= row["accuracy_1_20"] <= 1 and "accuracy_21_40" not in row for row in validation)
    assert "test accuracy 21 40  test accuracy 41 60" in outcome.out
    assert (tmp_path / "out" / "curves.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


@pytest.mark.slow
def test_an_lstm_learns_parity_and_goes_on_beyond_its_lengths(parity, tmp_path):
    words = ["run", parity.__file__, "--no-progress", "--cell", "lstm", "--out", str(tmp_path / "out")]
    assert heard(lambda: guarded(lambda: package.main(words))).code == 0
    found = summary(tmp_path / "out" / "lstm")
    assert found["seeds"][0]["updates_to_solve"] <= 1500
    assert all(value["mean"] > 0.99 for name, value in found["test"].items() if name != "loss")


def test_sequences_of_a_file_are_split_without_overlap_and_shown_as_they_are(sequences, tmp_path):
    task = sequences.Sequences(str(tmp_path / "data.npz"))
    data, stored = task.load(), np.load(tmp_path / "data.npz")
    assert [task.num_examples(split) for split in ("training", "validation", "test")] == [47, 5, 5]
    assert (task.input_shape, task.output_shape, task.num_steps, task.lag) == ((2,), (3,), 6, 5)
    assert task.baseline == pytest.approx(np.log(3))  # 19 of each class
    shown = []
    for split in ("training", "validation", "test"):
        batch = task.examples(data, split, jnp.arange(task.num_examples(split)))
        shown.append(np.swapaxes(batch.inputs, 0, 1))
        assert batch.weights.shape == batch.targets.shape
    np.testing.assert_array_equal(np.concatenate(shown), stored["inputs"].astype(np.float32))


def test_sequences_of_a_file_are_run_and_their_path_is_a_flag(sequences, tmp_path):
    out, data = tmp_path / "out", tmp_path / "data.npz"
    outcome = smoke(sequences.__file__, "--out", out, "--path", data, "--num-updates", 10)
    assert outcome.code == 0, outcome.err
    found = summary(out / "elman")
    assert (found["data"], found["config"]["path"]) == (str(data), str(data))
    fifths = found["test"]["accuracy"]["mean"] * 5  # of the five test sequences, each counted once
    assert fifths == pytest.approx(round(fifths), abs=1e-5)


FILES = {
    "flat": (
        {"inputs": np.zeros((20, 5)), "targets": np.zeros(20, int)},
        r"--path: expected inputs .* \(20, 5\)",
    ),
    "unequal": (
        {"inputs": np.zeros((20, 5, 1)), "targets": np.zeros(19, int)},
        r"--path: expected .*\(20, 5, 1\) and \(19,\)",
    ),
    "few": ({"inputs": np.zeros((9, 5, 1)), "targets": np.zeros(9, int)}, r"--path: expected .*n > 9, got"),
    "names": (
        {"x": np.zeros((20, 5, 1))},
        r"experiment sequences: build: KeyError: .*inputs.*\(page_sequences\.py, line \d+\)$",
    ),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_does_not_fit_is_refused_in_one_line(name, sequences, tmp_path):
    arrays, complaint = FILES[name]
    np.savez(tmp_path / f"{name}.npz", **arrays)
    outcome = smoke(sequences.__file__, "--out", tmp_path / "out", "--path", tmp_path / f"{name}.npz")
    assert_refused(outcome, complaint)
    assert not (tmp_path / "out").exists()


def test_a_file_that_is_not_there_is_named(sequences, tmp_path):
    outcome = smoke(sequences.__file__, "--out", tmp_path / "out", "--path", tmp_path / "nothing.npz")
    assert_refused(
        outcome,
        r"experiment sequences: build: FileNotFoundError: .*nothing\.npz' \(page_sequences\.py, line 1\d\)$",
    )
    assert not (tmp_path / "out").exists()
