"""--tensorboard: event files hold the numbers of metrics.jsonl, each once, however often a run was stopped."""

import importlib.util
import math
from pathlib import Path

import pytest
from lab_runs import assert_refused, digest, hashes, rows, run

from experiments.lab.storage import event_files

pytest_plugins = ["lab_fixtures"]


def scalars(place: Path) -> list[tuple[int, str, float]]:
    """All scalars of a run's event files, read as their format says: records of (length, crc, event, crc)."""
    from tensorboardX.proto.event_pb2 import Event

    found = []
    for path in sorted((place / "tensorboard").iterdir()):
        content = path.read_bytes()
        while content:
            length = int.from_bytes(content[:8], "little")
            event = Event.FromString(content[12 : 12 + length])
            found += [(event.step, value.tag, value.simple_value) for value in event.summary.value]
            content = content[16 + length :]
    return found


def expected(place: Path) -> dict[tuple[int, str], float]:
    return {
        (row["update"], f"{row['split']}/{name}/seed_{row['seed_index']}"): math.nan
        if value is None
        else value
        for row in rows(place)
        for name, value in row.items()
        if name not in ("update", "seed_index", "split", "state_gradient")
    }


def assert_same(place: Path) -> None:
    found = scalars(place)
    assert len(found) == len({(step, tag) for step, tag, _ in found})
    assert {(step, tag): value for step, tag, value in found} == pytest.approx(expected(place), nan_ok=True)


def test_a_run_that_goes_on_writes_nothing_twice(unfinished, finished):
    assert run(unfinished, "--tensorboard").code == 0  # it was begun without
    assert_same(unfinished / "elman")
    assert hashes(unfinished / "elman") == hashes(finished / "elman")
    assert run(unfinished, "--tensorboard", "--num-updates", "60").code == 0
    assert_same(unfinished / "elman")
    assert max(step for step, _, _ in scalars(unfinished / "elman")) == 60


def test_a_finished_run_gets_them_and_keeps_the_rest(finished):
    before = digest(finished)
    assert run(finished, "--tensorboard").code == 0
    assert_same(finished / "elman")
    after = digest(finished)
    assert {name: after[name] for name in before} == before


def test_a_missing_package_is_said_before_anything_is_trained(tmp_path, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "tensorboardX" else find(name)
    )
    outcome = run(tmp_path / "out", "--tensorboard")
    assert_refused(outcome, r"^--tensorboard: needs tensorboardX \(pip install -e '\.\[tensorboard\]'\)$")
    assert not (tmp_path / "out").exists()


def test_what_is_not_finite_is_seen():
    row = {"update": 1, "seed_index": 0, "split": "training", "loss": None}
    assert math.isnan(event_files.scalars(row, 3)["training/loss/seed_3"])
