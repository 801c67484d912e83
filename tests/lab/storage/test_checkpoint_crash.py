"""Checkpoints on a full disk and in processes that are killed: no earlier step is lost, and none is half there."""

import errno
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import jax
import pytest
from checkpoint_samples import assert_same_bits, files, names, state, three_steps
from places import ROOT

from experiments.errors import Fault
from experiments.lab.storage import checkpoint as checkpoints_module
from experiments.lab.storage.checkpoint import Checkpoints


@pytest.fixture
def copy(tmp_path):
    return three_steps(tmp_path / "run")


REFUSALS = {
    "as an OSError": OSError(errno.ENOSPC, "No space left on device"),
    "as a quota": OSError(errno.EDQUOT, "Disk quota exceeded"),
    "as tensorstore says it": ValueError(
        "RESOURCE_EXHAUSTED: Error writing\nlocal file: No space left on device"
    ),
}


@pytest.mark.parametrize("how", REFUSALS)
@pytest.mark.parametrize("where", ["orbax", "manifest", "rename"])
def test_a_full_disk_is_one_line_and_costs_no_earlier_step(copy, monkeypatch, capsys, how, where):
    def refuse(*_: Any) -> None:
        raise REFUSALS[how]

    before = files(copy)
    owner, name = {
        "orbax": (checkpoints_module, "_write"),
        "manifest": (checkpoints_module, "seal"),
        "rename": (os, "rename"),
    }[where]
    with Checkpoints(copy) as writer:
        monkeypatch.setattr(owner, name, refuse)
        with pytest.raises(Fault) as caught:
            writer.save(40, state(40), {})
        assert str(caught.value) == f"checkpoint 40 of {copy} was not written: no space left on the disk"
        assert caught.value.code == 1
        assert files(copy) == before
        assert writer.latest() == 30
        monkeypatch.undo()
        writer.save(40, state(40), {})
        assert_same_bits(writer.restore(state(0))[0], state(40))
    assert capsys.readouterr().err == ""


def test_a_disk_that_is_really_full(tmp_path, capfd, caplog):
    """A disk of 1 MiB takes one state of 400 kB and no second; with space again the same writer goes on."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("only root can mount a small disk")
    capfd.readouterr()
    try:
        # random bits, which no compression makes smaller
        trees = {step: jax.random.bits(jax.random.key(step), (100_000,)) for step in (1, 2)}
        (disk / "ballast").write_bytes(bytes(400_000))
        with Checkpoints(disk / "checkpoints") as writer:
            writer.save(1, trees[1], {})
            before = files(disk)
            for _ in range(2):
                with pytest.raises(
                    Fault, match=r"checkpoint 2 of .* was not written: no space left"
                ) as caught:
                    writer.save(2, trees[2], {})
                assert caught.value.code == 1
                assert files(disk) == before
            assert capfd.readouterr() == ("", "")
            assert caplog.records == []
            assert_same_bits(writer.restore(trees[1])[0], trees[1])
            (disk / "ballast").unlink()
            writer.save(2, trees[2], {})
        assert_same_bits(Checkpoints.read(disk / "checkpoints", trees[2]), trees[2])
    finally:
        subprocess.run(["umount", str(disk)], check=True)


class Killed(BaseException):
    """Passes every ``except Exception``, as the end of a process does."""


def test_an_end_at_any_call_to_the_disk_leaves_the_old_newest_step_or_the_new_one(copy, monkeypatch, capsys):
    """The k-th flush, rename or removal and all later ones do not happen, for every k."""
    calls: list[tuple[str, str]] = []
    limit = [sys.maxsize]

    def counted(owner: Any, name: str) -> None:
        original = getattr(owner, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            if len(calls) >= limit[0]:
                if name == "rmtree":  # the end comes in the middle of it
                    for path in [path for path in Path(args[0]).rglob("*") if path.is_file()][:1]:
                        path.unlink()
                raise Killed
            calls.append((name, str(args[-1])))
            return original(*args, **kwargs)

        monkeypatch.setattr(owner, name, call)

    for owner, name in ((os, "fsync"), (os, "rename"), (shutil, "rmtree")):
        counted(owner, name)
    outcomes = []
    for last in range(1000):
        place = copy.parent / f"until {last}" / "checkpoints"
        limit[0] = sys.maxsize
        shutil.copytree(copy, place)
        with Checkpoints(place) as writer:
            calls.clear()
            limit[0] = last
            try:
                writer.save(40, state(40), {})
                finished = True
            except Killed:
                finished = False
            limit[0] = sys.maxsize
            calls_of_save = list(calls)
        with Checkpoints(place) as writer:
            assert writer.notices == []
            newest = writer.latest()
            assert newest is not None
            assert_same_bits(writer.restore(state(0))[0], state(newest))
            # orbax writes a varying number of files: what counts is whether this save got to publish its step
            assert newest == (40 if ("rename", str(place / "40")) in calls_of_save else 30)
            outcomes.append(newest)
            if last % 8 == 0 or finished:
                writer.save(50, state(50), {})
                assert names(place) == (["20", "30", "50"] if newest == 30 else ["30", "40", "50"])
        shutil.rmtree(place.parent)
        if finished:
            break
    assert len(outcomes) > 10
    assert set(outcomes) == {30, 40}
    assert capsys.readouterr().err == ""


CHILD = """
import sys, time
from pathlib import Path
import numpy as np
from experiments.lab.storage.checkpoint import Checkpoints
tree = {"x": np.zeros((400, 400)), "n": np.zeros((), np.int64)}
with Checkpoints(Path(sys.argv[1])) as writer:
    step = writer.latest() or 0
    if step:
        tree, meta = writer.restore(tree)
        assert meta == {"step": step} and int(tree["n"]) == step, (meta, step)
        assert (tree["x"] == np.random.default_rng(step).random((400, 400))).all()
    print("ready", flush=True)
    while True:
        step += 1
        tree = {"x": np.random.default_rng(step).random((400, 400)), "n": np.array(step)}
        writer.save(step, tree, {"step": step})
        print(step, flush=True)
"""


@pytest.mark.medium
def test_processes_killed_while_saving_lose_nothing_that_was_saved(tmp_path):
    folder = tmp_path / "run" / "checkpoints"
    random.seed(1)
    reported = 0
    for _ in range(12):
        command = [sys.executable, "-c", CHILD, str(folder)]
        with subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as child:
            assert child.stdout.readline() == "ready\n", child.stderr.read()
            for _ in range(random.randint(1, 4)):  # every process gets somewhere, however busy the machine
                reported = int(child.stdout.readline())
            time.sleep(random.uniform(0.0, 0.1))
            child.send_signal(signal.SIGKILL)
            steps = [int(line) for line in child.stdout.read().split()]
            assert child.stderr.read() == ""
        reported = max([reported, *steps])
    with Checkpoints(folder) as writer:
        assert writer.notices == []
        # what was reported is there; a step whose report was killed may be, too
        assert writer.latest() in (reported, reported + 1)
    assert reported >= 12
    assert not (folder.parent / "damaged").exists()
