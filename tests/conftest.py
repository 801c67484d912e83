"""What every test stands on: JAX on the CPU, 64-bit floats on request, strict ranks, and the measured durations.

`recurrent` is imported by no line here: the jaxtyping hook, which turns its annotations into checks, comes first.
"""

import json
import os
import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import jax
import pytest

ROOT = Path(__file__).resolve().parent.parent
DURATIONS = ROOT / "tests" / "durations.json"
WORTH_A_LINE = 0.5  # seconds of one test
MUCH = 2 * 2**30  # bytes

# Child processes inherit the platform; a run on another device names it in the environment.
os.environ.setdefault("JAX_PLATFORMS", "cpu")
jax.config.update("jax_platforms", os.environ["JAX_PLATFORMS"])

# The same examples on every machine, no data base of failures, and its own files where caches belong.
os.environ.setdefault("HYPOTHESIS_STORAGE_DIRECTORY", str(ROOT / ".cache" / "hypothesis"))
hypothesis.settings.register_profile("recurrent", deadline=None, derandomize=True, database=None)
hypothesis.settings.load_profile("recurrent")

# The modules that tests import: their assertions are rewritten, whichever test is the first to import them.
HELPERS = tuple(path.stem for path in sorted((ROOT / "tests" / "support").glob("*.py")))
pytest.register_assert_rewrite(*HELPERS)

from quick_options import QUICK  # noqa: E402 - after the rewriting of its like


def strict_modules() -> set[str]:
    """Names of the modules whose tests raise on rank promotion: tasks, losses and diagnostics."""
    folders = ROOT / "experiments" / "tasks", ROOT / "recurrent" / "diagnostics"
    return {"tasks", "losses", "diagnostics"} | {
        path.stem for folder in folders for path in folder.rglob("[a-z]*.py")
    }


def is_strict(test_module: str) -> bool:
    """Whether ``test_<name>[_...]`` or ``test_tasks_<name>`` tests a task, a loss or a diagnostic.

    >>> is_strict("test_losses"), is_strict("tests.test_adding_oracle"), is_strict("test_unroll")
    (True, True, False)
    """
    name = test_module.rpartition(".")[2].removeprefix("test_")
    return any(re.match(rf"{re.escape(module)}(_|$)", name) for module in strict_modules())


@pytest.fixture(autouse=True)
def strict_ranks(request: pytest.FixtureRequest) -> Iterator[None]:
    """Rank promotion raises in the tests of tasks, losses and diagnostics: it catches ``[t, b]`` against ``[b]``."""
    module = getattr(request, "module", None)
    if module is None or not is_strict(module.__name__):
        yield
        return
    with jax.numpy_rank_promotion("raise"):
        yield


@pytest.fixture(autouse=True)
def little_memory() -> Iterator[None]:
    """Compiled programs of earlier tests go where a process has grown: kept ones slow whatever walks over them."""
    yield
    if resident() > MUCH:
        jax.clear_caches()


def resident() -> int:
    """Bytes of this process in memory; 0 where the system does not say."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


@pytest.fixture
def float64() -> Iterator[None]:
    """64-bit floats for one test; ``with jax.enable_x64(True):`` does the same for a few lines."""
    with jax.enable_x64(True):
        yield


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--quick-compile`` and ``--store-durations LANE``."""
    parser.addoption(
        "--quick-compile",
        action="store_true",
        help="compile in a third of the time what then runs slowly; tests marked `optimised` are left out",
    )
    parser.addoption(
        "--store-durations",
        metavar="LANE",
        help="write the seconds of every test into tests/durations.json",
    )


def pytest_configure(config: pytest.Config) -> None:
    """The compiler reads its flags later, when JAX first runs. The process that hears all reports measures."""
    if config.getoption("--quick-compile"):
        flags = (f"--{name}={str(value).lower()}" for name, value in QUICK.items())
        os.environ["XLA_FLAGS"] = " ".join([os.environ.get("XLA_FLAGS", ""), *flags]).strip()
    lane = config.getoption("--store-durations")
    if lane and not hasattr(config, "workerinput"):
        workers = max(config.getoption("numprocesses", None) or 1, 1)
        config.pluginmanager.register(Durations(lane, workers, config.getoption("--quick-compile")))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where everything compiles quickly, no test of programs, memory or bits runs."""
    if not config.getoption("--quick-compile"):
        return
    optimised = [item for item in items if item.get_closest_marker("optimised")]
    config.hook.pytest_deselected(items=optimised)
    items[:] = [item for item in items if item not in set(optimised)]


class Durations:
    """Sums set-up, call and tear-down of every test, in seconds of one worker."""

    def __init__(self, lane: str, workers: int, is_first: bool) -> None:
        self.lane, self.workers, self.is_first = lane, workers, is_first
        self.seconds: dict[str, float] = defaultdict(float)

    def pytest_runtest_logreport(self, report: Any) -> None:
        self.seconds[report.nodeid] += report.duration

    def pytest_sessionfinish(self) -> None:
        stored = json.loads(DURATIONS.read_text()) if DURATIONS.exists() else {}
        stored[self.lane] = merged(
            stored.get(self.lane, {}), self.workers, self.seconds, stamps(self.lane), self.is_first
        )
        DURATIONS.write_text(json.dumps(stored, indent=1, sort_keys=True) + "\n")


def stamps(lane: str) -> dict[str, float]:
    """Seconds of the lane's steps before its tests, as the Makefile left them in the environment."""
    steps = {
        "test": {"install": "dev", "check": "check"},
        "test-newest": {"install": "dev"},
        "test-medium": {"install peers": "peers", "install docs": "docs"},
    }
    paths = {step: Path(sys.prefix) / f"{stamp}.stamp" for step, stamp in steps.get(lane, {}).items()}
    return {
        step: float(path.read_text())
        for step, path in paths.items()
        if path.exists() and path.read_text().strip()
    }


def file_of(test: str) -> str:
    """The file of a test's id.

    >>> file_of("tests/test_a.py::test_b[c::d]"), file_of("tests/test_a.py")
    ('tests/test_a.py', 'tests/test_a.py')
    """
    return test.partition("::")[0]


def merged(
    old: dict[str, Any], workers: int, tests: dict[str, float], steps: dict[str, float], is_first: bool
) -> dict[str, Any]:
    """The lane's entry: the files just measured replace their old numbers, files that are gone drop out.

    Tests of at least `WORTH_A_LINE` stand by themselves, the others of a file under its path. The first pass of
    a lane leaves its numbers as ``pending``; the second, of what is not compiled quickly, makes the entry of both.

    >>> first = merged({"tests": {"gone.py::test_d": 9.0}}, 2, {"a.py::test_b": 0.4}, {}, True)
    >>> entry = merged(first, 2, {"a.py::test_long": 59.0, "a.py::test_c[1]": 0.4}, {"install": 90.0}, False)
    >>> entry["tests"], entry["total_seconds"], sorted(entry)
    ({'a.py': 0.8, 'a.py::test_long': 59.0}, 119.9, ['steps', 'tests', 'total_seconds', 'workers'])
    """
    if is_first:
        return old | {"pending": dict(tests)}
    tests = {**old.get("pending", {}), **tests}
    files = {file_of(test) for test in tests}
    summed = dict.fromkeys(sorted(files), 0.0) | {
        test: seconds
        for test, seconds in old.get("tests", {}).items()
        if file_of(test) not in files and (ROOT / file_of(test)).exists()
    }
    for test, seconds in tests.items():
        name = test if seconds >= WORTH_A_LINE else file_of(test)
        summed[name] = summed.get(name, 0.0) + seconds
    kept = {name: round(seconds, 1) for name, seconds in summed.items()}
    total = sum(kept.values()) / workers + sum(steps.values())
    return {"workers": workers, "steps": steps, "tests": kept, "total_seconds": round(total, 1)}
