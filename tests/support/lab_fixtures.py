"""Fixtures of the laboratory's tests, a plugin of the modules that name it: programs and runs, made once a session."""

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import jax
import pytest
from jax.experimental.compilation_cache import compilation_cache
from lab_runs import interrupted_at, run

from experiments.lab.plan import machine
from experiments.lab.training import programs
from experiments.lab.training.programs import ProgramCache


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


@pytest.fixture(scope="session")
def _programs() -> ProgramCache:
    return ProgramCache()


@pytest.fixture(scope="module")
def trace_once(_programs: ProgramCache) -> Iterator[None]:
    """All runs share what they have traced, as those of one grid do: for modules that change no traced function."""
    with pytest.MonkeyPatch.context() as patch:
        # by its name in sys.modules, for `experiments.lab.run` is the function
        patch.setattr(sys.modules["experiments.lab.run"], "ProgramCache", lambda: _programs)
        patch.setattr(programs, "KEPT", 40)
        yield


@pytest.fixture
def finished(compile_once: None, _runs: Callable[[str], Path], tmp_path: Path) -> Path:
    """A copy of the folder of a finished run, ``elman`` inside: 40 updates of two networks."""
    return Path(shutil.copytree(_runs("finished"), tmp_path / "out"))


@pytest.fixture
def unfinished(compile_once: None, _runs: Callable[[str], Path], tmp_path: Path) -> Path:
    """A copy of one that was stopped after 20 of 40 updates."""
    return Path(shutil.copytree(_runs("20"), tmp_path / "stopped"))


@pytest.fixture
def same_cores() -> Iterator[None]:
    """Gives this process its cores back after a run has restricted it."""
    cores = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
    yield
    if cores is not None:
        os.sched_setaffinity(0, cores)
