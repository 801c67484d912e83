"""A run that is killed at any moment, and started again by the same command, ends as one that never was.

The smoke preset with more updates, in processes of their own; SIGKILL cannot be caught.
"""

import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from lab_runs import command, elsewhere_meanwhile, hashes, one_core, rows, run, steps, summary

pytest_plugins = ["lab_fixtures"]
pytestmark = [pytest.mark.optimised, pytest.mark.usefixtures("compile_once")]

SAVING = ("--num-updates", "240", "--checkpoint-every", "10")  # chunks of 10 updates, each saved
LONG = ("--num-updates", "1600", "--checkpoint-every", "20")  # several seconds


def phase(place: Path) -> str:
    """Where a run is: in its start-up, in training, in a save, or at its end."""
    if not (place / "metrics.jsonl").exists():
        return "start-up"
    if (place / "checkpoints" / ".unfinished").exists():
        return "save"
    return "end" if (place / "summary.json").exists() else "training"


def kill(child: subprocess.Popen[str], place: Path, is_time: Callable[[], bool]) -> str:
    """Kill a process as soon as it is time; the phase in which it died, or how it had ended before."""
    while child.poll() is None:
        if is_time():
            child.send_signal(signal.SIGSTOP)  # so that it cannot leave the phase before it dies
            if is_time():
                child.send_signal(signal.SIGKILL)
                child.wait()
                return phase(place)
            child.send_signal(signal.SIGCONT)
        time.sleep(0.001)
    assert child.returncode == 0, child.stderr.read()
    return "too late"


def restart(out: Path, cache: Path, flags: tuple[str, ...], is_time: Callable[[], bool]) -> str:
    with one_core(), elsewhere_meanwhile(command(out, *flags), cache) as child:
        died = kill(child, out / "elman", is_time)
        assert died == "too late" or child.stderr.read() == ""
    return died


def assert_as_if_never_killed(place: Path, expected: Path) -> None:
    assert hashes(place) == hashes(expected)
    written = rows(place)
    keys = Counter((row["update"], row["seed_index"], row["split"]) for row in written)
    assert set(keys.values()) == {1}
    assert written == rows(expected)
    assert summary(place)["test"] == summary(expected)["test"]
    assert steps(place) == steps(expected)
    assert not (place / "damaged").exists() and not (place / "checkpoints" / ".unfinished").exists()


@pytest.fixture(scope="module")
def saving(compile_once, tmp_path_factory):
    """An unbroken run that saves after every chunk, in this process."""
    out = tmp_path_factory.mktemp("saving") / "out"
    with one_core():
        assert run(out, *SAVING).code == 0
    return out / "elman"


@pytest.mark.medium
def test_kills_in_start_up_in_training_and_in_a_save_lose_nothing(saving, cache, tmp_path):
    out = tmp_path / "out"
    place = out / "elman"
    assert restart(out, cache, SAVING, lambda: (place / "config.json").exists()) == "start-up"
    assert steps(place) == []
    assert restart(out, cache, SAVING, lambda: phase(place) == "save" and len(rows(place)) > 20) == "save"
    reached = steps(place)[-1]
    assert (
        restart(out, cache, SAVING, lambda: phase(place) == "training" and steps(place)[-1] > reached)
        == "training"
    )
    assert reached < steps(place)[-1] < 240
    with one_core():
        assert run(out, *SAVING).code == 0
    assert_as_if_never_killed(place, saving)


@pytest.mark.medium
def test_kills_at_random_moments_lose_nothing(compile_once, cache, tmp_path, capsys):
    """Twenty-four kills, four on the way of each of six runs, spread from the start-up to the end."""
    unbroken = tmp_path / "unbroken" / "elman"
    with one_core():
        assert run(unbroken.parent, *LONG).code == 0
    whole = (unbroken / "metrics.jsonl").stat().st_size
    random.seed(0)
    # how much of the metrics is written; the first and the last six stand for the start-up and the end
    parts = [(number - 6 + random.random()) / 12 for number in range(24)]
    fallen: list[tuple[str, int]] = []
    for number in range(6):
        out = tmp_path / f"killed {number}"
        for part in parts[number::6]:
            is_time = moment(out / "elman", part, whole)
            fallen.append((restart(out, cache, LONG, is_time), max(steps(out / "elman"), default=0)))
        with one_core():
            assert run(out, *LONG).code == 0
        assert_as_if_never_killed(out / "elman", unbroken)
    phases = Counter(died for died, _ in fallen)
    with capsys.disabled():
        print(f"\n24 kills: {dict(phases)}; phase and newest checkpoint: {fallen}")
    assert {"start-up", "training", "save", "end"} <= set(phases)
    assert phases["training"] + phases["save"] >= 10


def moment(place: Path, part: float, whole: int) -> Callable[[], bool]:
    """Whether a random while has gone by since this part of the metrics was there; below 0 and above 1: since when."""
    started: list[float] = []
    pause = random.uniform(0.0, 0.05) if 0 < part < 1 else random.uniform(0.0, 3.0 if part < 0 else 0.5)

    def is_time() -> bool:
        metrics = place / "metrics.jsonl"
        size = metrics.stat().st_size if metrics.exists() else 0
        if not started and size >= min(part, 1.0) * whole:
            started.append(time.monotonic())
        return bool(started) and time.monotonic() >= started[0] + pause

    return is_time
