"""Damage to checkpoints: any is found, named and moved aside, the step before is used, and nothing is deleted."""

import os
import random
import shutil
from pathlib import Path

import pytest
from checkpoint_samples import assert_same_bits, files, names, state, three_steps

from experiments.errors import Fault
from experiments.lab.storage.checkpoint import Checkpoints
from experiments.lab.storage.manifest import MANIFEST, UNFINISHED, damage


@pytest.fixture
def copy(tmp_path):
    return three_steps(tmp_path / "run")


def flip(path: Path, bit: int) -> None:
    content = bytearray(path.read_bytes())
    content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)


def test_every_flipped_bit_in_every_file_is_detected_and_its_file_named(copy):
    random.seed(0)
    step = copy / "30"
    stored = files(step)
    assert len(stored) > 8
    assert damage(step) is None
    for name, content in stored.items():
        for bit in random.sample(range(8 * len(content)), 24):
            flip(step / name, bit)
            found = damage(step)
            assert found is not None, (name, bit)
            assert name in found or name == MANIFEST, (name, bit, found)
            flip(step / name, bit)
    assert damage(step) is None


def truncate(step: Path) -> None:
    os.truncate(step / "state" / "manifest.ocdbt", 20)


def add(step: Path) -> None:
    (step / "state" / "extra").write_bytes(b"")


def lengthen(step: Path) -> None:
    with (step / MANIFEST).open("a") as file:
        file.write("\n")


def replace_by_file(step: Path) -> None:
    shutil.rmtree(step)
    step.write_text("30")


DAMAGES = {
    "a flipped bit": (lambda step: flip(step / "state" / "_METADATA", 77), "state/_METADATA does not match"),
    "a truncated file": (truncate, "state/manifest.ocdbt does not match its sha256"),
    "a missing file": (lambda step: (step / "meta" / "metadata").unlink(), "meta/metadata is missing"),
    "a missing folder": (lambda step: shutil.rmtree(step / "meta"), "meta/commit_success.txt is missing"),
    "a strange file": (add, "state/extra is not in manifest.sha256"),
    "no manifest": (lambda step: (step / MANIFEST).unlink(), "manifest.sha256 is missing"),
    "an empty manifest": (lambda step: os.truncate(step / MANIFEST, 0), "is not in manifest.sha256"),
    "a longer manifest": (lengthen, "manifest.sha256 was changed"),
    "a file in its place": (replace_by_file, "cannot be read"),
}


@pytest.mark.parametrize("kind", DAMAGES)
def test_damage_is_named_and_moved_aside_and_the_step_before_is_used_then_rewritten(copy, capsys, kind):
    hurt, named = DAMAGES[kind]
    hurt(copy / "30")
    hurt_files = files(copy.parent)
    # who only reads changes nothing
    assert_same_bits(Checkpoints.read(copy, state(0)), state(20))
    assert named in capsys.readouterr().err
    assert files(copy.parent) == hurt_files

    with Checkpoints(copy) as checkpoints:
        (notice,) = checkpoints.notices
        assert notice.startswith(f"checkpoint 30 of {copy}: ")
        assert named in notice
        assert notice.endswith("; moved to damaged/30, 20 is used")
        assert capsys.readouterr().err == notice + "\n"
        moved = {
            name.replace("checkpoints/30", "damaged/30"): content for name, content in hurt_files.items()
        }
        assert files(copy.parent) == moved
        assert checkpoints.latest() == 20
        restored, meta = checkpoints.restore(state(0))
        assert_same_bits(restored, state(20))
        assert meta == {"wall_seconds": 2.5}
        # a manager of orbax's own, opened before the damaged step was moved away, would not write these
        checkpoints.save(25, state(25), {})
        checkpoints.save(30, state(31), {"again": True})
    with Checkpoints(copy) as checkpoints:
        assert checkpoints.notices == []
        restored, meta = checkpoints.restore(state(0))
        assert_same_bits(restored, state(31))
        assert meta == {"again": True}
    assert names(copy) == ["20", "25", "30"]
    assert names(copy.parent / "damaged") == ["30"]


def test_several_damaged_steps_find_names_that_are_free(copy):
    for count in range(3):
        flip(copy / "30" / MANIFEST, 10)
        if count == 1:
            flip(copy / "10" / MANIFEST, 10)
        with Checkpoints(copy) as checkpoints:
            assert len(checkpoints.notices) == (2 if count == 1 else 1)
            assert checkpoints.latest() == 20
            checkpoints.save(30, state(30), {})
    assert names(copy.parent / "damaged") == ["10", "30", "30-1", "30-2"]


def test_where_no_step_is_good_nothing_is_touched(copy):
    for step in names(copy):
        flip(copy / step / "meta" / "metadata", 5)
    before = files(copy.parent)
    for attempt in (Checkpoints, lambda folder: Checkpoints.read(folder, state(0))):
        for _ in range(2):
            with pytest.raises(Fault, match=r"no checkpoint of .* is good .*; nothing was changed") as caught:
                attempt(copy)
            assert caught.value.code == 2
            assert str(caught.value).count("meta/metadata does not match its sha256") == 3
            assert "\n" not in str(caught.value)
            assert files(copy.parent) == before


def test_reading_where_there_is_nothing_is_a_fault_and_creates_nothing(tmp_path):
    folder = tmp_path / "run" / "checkpoints"
    with pytest.raises(Fault, match="has no checkpoint") as caught:
        Checkpoints.read(folder, state(0))
    assert caught.value.code == 2
    assert not folder.parent.exists()


def test_what_is_not_a_step_is_left_alone_and_what_interrupted_saves_left_is_removed(copy, capsys):
    for scrap in (UNFINISHED, "40.orbax-checkpoint-tmp", "40.orbax-checkpoint-tmp-17"):
        shutil.copytree(copy / "30", copy / scrap / "state")
    (copy / "notes.txt").write_text("mine")
    (copy / "007").mkdir()
    Checkpoints(copy).close()
    assert names(copy) == ["007", "10", "20", "30", "notes.txt"]
    assert capsys.readouterr().err == ""
    assert not (copy.parent / "damaged").exists()
