"""Runs for the tests of the laboratory: commands in this process or in another, and what they leave on the disk.

A plugin of the test modules that name it: it holds their fixtures. Everything is compiled once a session.
"""

import contextlib
import dataclasses
import hashlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import pytest
from jax.experimental.compilation_cache import compilation_cache

from experiments import adding_problem
from experiments.lab import cli, machine
from experiments.lab.experiment import Experiment
from experiments.lab.records import Records

ROOT = Path(__file__).resolve().parent.parent
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
        return [line for line in self.err.splitlines() if not line.startswith("error: ")]


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
    """The same as words for another process."""
    return [sys.executable, "-m", "experiments.adding_problem", *SMOKE, "--out", str(out), *flags]


def elsewhere(words: list[str], **options: Any) -> Outcome:
    """Run words in another process, to their end."""
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, **options)
    return Outcome(done.returncode, done.stdout, done.stderr)


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
    return sorted(int(entry.name) for entry in (place / "checkpoints").iterdir())


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


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("compiled")


@pytest.fixture(scope="module")
def compile_once(cache: Path) -> Iterator[None]:
    """Programs go to a cache that this session alone fills; JAX runs, so that `lab.start` adds no devices."""
    jax.devices()
    machine._say_once.cache_clear()
    names = ("jax_compilation_cache_dir", "jax_persistent_cache_min_compile_time_secs")
    former = {name: getattr(jax.config, name) for name in names}
    for name, value in zip(names, (str(cache), 0.0), strict=True):
        jax.config.update(name, value)
    compilation_cache.reset_cache()
    yield
    for name, value in former.items():
        jax.config.update(name, value)
    compilation_cache.reset_cache()


@pytest.fixture(scope="session")
def _runs(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    made: dict[str, Path] = {}

    def make(kind: str) -> Path:
        if kind not in made:
            made[kind] = tmp_path_factory.mktemp("runs") / "out"
            if kind == "finished":
                assert run(made[kind]).code == 0
            else:
                with interrupted_at(int(kind)):
                    assert run(made[kind]).code == 143
        return made[kind]

    return make


@pytest.fixture
def finished(compile_once: None, _runs: Callable[[str], Path], tmp_path: Path) -> Path:
    """A copy of the folder of a finished run, ``elman`` inside: 40 updates of two networks."""
    return Path(shutil.copytree(_runs("finished"), tmp_path / "out"))


@pytest.fixture
def unfinished(compile_once: None, _runs: Callable[[str], Path], tmp_path: Path) -> Path:
    """A copy of one that was stopped after 20 of 40 updates."""
    return Path(shutil.copytree(_runs("20"), tmp_path / "stopped"))


@pytest.fixture
def finished_elsewhere(compile_once: None) -> Iterator[None]:
    """Gives this process its cores back after a run has restricted it."""
    cores = os.sched_getaffinity(0)
    yield
    os.sched_setaffinity(0, cores)
