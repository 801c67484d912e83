"""A folder of runs has one owner at a time: who comes second is told by whom it is used, and changes nothing."""

import json
import os
import platform
import threading
import time

import pytest
from lab_runs import (
    assert_refused,
    command,
    digest,
    elsewhere_meanwhile,
    hashes,
    one_core,
    rows,
    run,
    when_row,
)

from experiments import lab
from experiments.errors import Fault
from experiments.lab.storage import found
from experiments.lab.storage.folders import LOCK
from experiments.lab.storage.owner import owned

pytest_plugins = ["lab_fixtures"]
pytestmark = pytest.mark.usefixtures("compile_once", "trace_once")
HERE = rf"^--out: .*out is in use by process {os.getpid()} on {platform.node()}; wait until it ends"


def test_a_second_run_is_refused_while_the_first_one_trains(tmp_path, finished):
    out, seen = tmp_path / "first" / "out", []

    def second():
        before = digest(out)
        assert_refused(run(out), HERE)
        seen.append(digest(out) == before)

    def from_python():
        config = lab.open_run(finished).config
        with pytest.raises(Fault, match=HERE) as caught:
            lab.run([config], experiment=lab.open_run(finished).experiment, out=out, progress=False)
        seen.append(caught.value.code == 2)

    def elsewhere():
        thread = threading.Thread(target=second)
        thread.start()
        thread.join()
        from_python()
        assert run(out, "--plan").code == 0
        assert found.below(out)[0].status == found.TRAINING
        assert run(out.parent / "other", "--num-updates", "10").code == 0

    with when_row(20, elsewhere):
        assert run(out).code == 0
    assert seen == [True, True]
    assert rows(out / "elman") == rows(finished / "elman")
    assert not (out / LOCK).exists()


def test_what_a_dead_owner_left_neither_locks_nor_is_a_run(unfinished, finished):
    (unfinished / LOCK).write_text('{"process": 1, "host": "gone"}')
    assert run(unfinished).code == 0
    assert hashes(unfinished / "elman") == hashes(finished / "elman")
    assert not (unfinished / LOCK).exists()


def test_a_refused_command_leaves_no_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert_refused(run(None, "--out", "a/b", "--start-from", "nowhere"), "^--start-from: ")
    assert list(tmp_path.iterdir()) == []


def test_a_process_that_is_killed_leaves_no_lock(cache, tmp_path, finished):
    out = tmp_path / "killed" / "out"
    with one_core(), elsewhere_meanwhile(command(out, "--num-updates", "4000"), cache) as child:
        while not (out / "elman" / "metrics.jsonl").exists():
            assert child.poll() is None, child.stderr.read()
            time.sleep(0.01)
        complaint = (
            rf"^--out: .*out is in use by process {child.pid} on {platform.node()}; wait until it ends"
        )
        assert_refused(run(out), complaint)
        child.kill()
        child.wait()
    assert found.below(out)[0].status == found.INTERRUPTED
    assert (out / LOCK).exists()
    with owned(out):
        assert found.below(out)[0].status == found.WAITING


def test_a_file_system_without_locks_is_one_line(tmp_path, monkeypatch):
    import filelock._native._unix as unix

    def refused(descriptor):
        raise OSError(37, "No locks available")

    monkeypatch.setattr(unix, "lock_fd_nonblocking", refused)
    assert_refused(run(tmp_path / "out"), "^--out: .*out cannot be locked: No locks available$")
    assert not (tmp_path / "out").exists()


def test_a_run_whose_process_is_alive_waits_until_it_trains(unfinished):
    owner = {"process": os.getpid(), "host": platform.node()}
    for content, state in (
        (owner, found.WAITING),
        ({**owner, "runs": ["elman"]}, found.WAITING),
        ({**owner, "runs": ["gru"]}, found.INTERRUPTED),
        ({**owner, "host": "elsewhere"}, found.INTERRUPTED),
        ([], found.INTERRUPTED),
    ):
        (unfinished / LOCK).write_text(json.dumps(content))
        assert found.below(unfinished)[0].status == state
