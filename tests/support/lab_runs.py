"""Runs for the tests of the laboratory: commands in this process or in another, and what they leave on the disk."""

import contextlib
import dataclasses
import hashlib
import io
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from places import ROOT

from experiments import adding_problem
from experiments.lab import cli
from experiments.lab.plan.experiment import Experiment
from experiments.lab.storage.records import Records

ADDING = dataclasses.replace(adding_problem.EXPERIMENT, pictures=())
SMOKE = ("smoke", "--no-progress", "--cell", "elman")


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What a command left: its exit code and its words."""

    code: int
    out: str
    err: str

    @property
    def errors(self) -> list[str]:
        return [line.removeprefix("error: ") for line in self.err.splitlines() if line.startswith("error: ")]

    @property
    def notices(self) -> list[str]:
        """The other lines, but for the one that stands before the first run of a process where JAX runs already."""
        others = [line for line in self.err.splitlines() if not line.startswith("error: ")]
        return [line for line in others if not line.startswith("note: JAX had started before")]


def heard(call: Callable[[], int]) -> Outcome:
    """Call something that prints and returns an exit code."""
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
        code = call()
    return Outcome(code, out.getvalue(), err.getvalue())


def run(out: Path | None, *flags: str, experiment: Experiment = ADDING) -> Outcome:
    """The smoke preset of an experiment, one Elman network unless ``flags`` name others, in this process."""
    place = () if out is None else ("--out", str(out))
    words = SMOKE[:2] if "--cell" in flags else SMOKE
    return heard(lambda: cli.main(experiment, [*words, *place, *flags]))


def command(out: Path, *flags: str) -> list[str]:
    """The command line of the smoke preset with one Elman network, for another process."""
    return [sys.executable, "-m", "experiments.adding_problem", *SMOKE, "--out", str(out), *flags]


def elsewhere(words: list[str], **options: Any) -> Outcome:
    """Run words in another process, to their end."""
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, **options)
    return Outcome(done.returncode, done.stdout, done.stderr)


def elsewhere_meanwhile(words: list[str], cache: Path) -> subprocess.Popen[str]:
    """Start words in another process, which reads this session's programs: a killed one must not write any."""
    environment = {**compiling_into(cache), "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "1000"}
    pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    return subprocess.Popen(words, cwd=ROOT, env=environment, text=True, **pipes)


def compiling_into(cache: Path) -> dict[str, str]:
    """The environment of a process that shares this session's programs."""
    cached = {"JAX_COMPILATION_CACHE_DIR": str(cache), "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
    return {**os.environ, **cached}


@contextlib.contextmanager
def one_core() -> Iterator[None]:
    """Processes started meanwhile have one core, hence one device, as this one has, and share its programs."""
    if not hasattr(os, "sched_getaffinity"):
        yield
        return
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


def assert_refused(outcome: Outcome, complaint: str, code: int = 2) -> None:
    assert (outcome.code, len(outcome.errors), outcome.notices) == (code, 1, []), outcome
    assert re.search(complaint, outcome.errors[0]), outcome.errors[0]


def refused(out: Path, *flags: str) -> str:
    """What a command says that is refused before it has written anything."""
    outcome = run(out, *flags)
    assert (outcome.code, len(outcome.errors)) == (2, 1), outcome
    assert outcome.notices == [] and "Traceback" not in outcome.err
    assert not out.exists()
    return outcome.errors[0]


def digest(folder: Path) -> dict[str, tuple[int, str]]:
    """Time of the last change and sha256 of every file; folders, too, have a name."""
    return {
        str(path.relative_to(folder)): (
            path.stat().st_mtime_ns,
            hashlib.sha256(path.read_bytes()).hexdigest(),
        )
        if path.is_file()
        else (0, "folder")
        for path in sorted(folder.rglob("*"))
    }


def rows(place: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (place / "metrics.jsonl").read_text().splitlines()]


def summary(place: Path) -> dict[str, Any]:
    return json.loads((place / "summary.json").read_text())


def hashes(place: Path) -> list[str]:
    return [seed["params_sha256"] for seed in summary(place)["seeds"]]


def results(place: Path) -> dict[str, Any]:
    """A summary without what depends on the clock or on the commit."""
    return {
        name: value for name, value in summary(place).items() if name not in ("wall_seconds", "environment")
    }


def steps(place: Path) -> list[int]:
    return sorted(int(entry.name) for entry in (place / "checkpoints").glob("[0-9]*"))


def edit(place: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """Change a run's config.json."""
    stored = json.loads((place / "config.json").read_text())
    change(stored)
    (place / "config.json").write_text(json.dumps(stored))


def damage(place: Path, step: int) -> None:
    """Flip one bit of the largest file of a checkpoint."""
    files = [path for path in (place / "checkpoints" / str(step)).rglob("*") if path.is_file()]
    largest = max(files, key=lambda path: path.stat().st_size)
    content = bytearray(largest.read_bytes())
    content[len(content) // 2] ^= 1
    largest.write_bytes(content)


@contextlib.contextmanager
def when_row(update: int, action: Callable[[], None]) -> Iterator[None]:
    """Do something once, right after the first row of an update has been written."""
    append, pending = Records.append, [action]

    def appended(self: Records, row: dict[str, Any]) -> None:
        append(self, row)
        if row["update"] >= update and pending:
            pending.pop()()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Records, "append", appended)
        yield


def interrupted_at(update: int, number: int = signal.SIGTERM) -> contextlib.AbstractContextManager[None]:
    """A signal to this process while the chunk that ends at ``update`` is written."""
    return when_row(update, lambda: os.kill(os.getpid(), number))
