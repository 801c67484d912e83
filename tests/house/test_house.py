"""The rules of the house that no linter knows: names, lengths, addresses, pins, budgets, versions."""

import ast
import fnmatch
import importlib.metadata
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from places import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CONSTRAINTS = ROOT / "requirements" / "constraints.txt"
EXTRA_PINS = [ROOT / "requirements" / name for name in ("peers.txt", "docs.txt")]
MAX_LINES = 300


def modules() -> list[Path]:
    folders = ("recurrent", "experiments", "tests", "benchmarks", "notebooks")
    return [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_the_public_names_are_one_list_and_no_code():
    docstring, *statements = ast.parse((ROOT / "recurrent" / "__init__.py").read_text()).body
    assert isinstance(docstring, ast.Expr)
    *others, last = statements
    assert all(isinstance(node, ast.Import | ast.ImportFrom) for node in others)
    assert isinstance(last, ast.Assign) and ast.unparse(last.targets[0]) == "__all__"
    imported = [alias.asname or alias.name for node in others for alias in node.names]
    assert sorted(ast.literal_eval(last.value)) == sorted(imported)


def test_a_long_module_says_why():
    for path in modules():
        source = path.read_text()
        lines = source.count("\n")
        reason = f"{MAX_LINES} lines" in (ast.get_docstring(ast.parse(source)) or "")
        assert lines <= MAX_LINES or reason, (
            f"{name_of(path)}: {lines} lines; split it, or say in its docstring why it is over {MAX_LINES} lines"
        )


def test_no_module_is_named_after_the_standard_library():
    taken = [name_of(path) for path in modules() if path.stem in sys.stdlib_module_names]
    assert taken == []


# A home or a mount of one machine, and a package index: put together here so that this file passes its own test.
MACHINE_PATH = re.compile(r"""[\s"'(=:`](/(?:home|root|work|opt|srv|Users)/[\w.-]+)""")
INDEX_ADDRESS = re.compile(
    "|".join(["index" + "-url", "find" + "-links", r"https?://\S*/" + r"simple\b", r"://pypi" + r"\."])
)


def tracked() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    if listed.returncode:
        pytest.skip("not a git checkout: nothing says which files belong to the project")
    paths = [ROOT / name for name in listed.stdout.split("\0") if name]
    return [path for path in paths if path.is_file()]


@pytest.mark.parametrize("pattern", [MACHINE_PATH, INDEX_ADDRESS], ids=["path", "index"])
def test_no_file_knows_one_machine(pattern):
    found = []
    for path in tracked():
        text = path.read_bytes()
        if b"\0" not in text:
            lines = enumerate(f" {text.decode()}".splitlines(), 1)
            found += [
                f"{name_of(path)}:{number}: {line.strip()[:80]}"
                for number, line in lines
                if pattern.search(line)
            ]
    assert found == []


def test_the_patterns_find_what_they_are_for():
    assert MACHINE_PATH.search(' open("' + "/home" + '/me/runs")') and not MACHINE_PATH.search("runs/home/me")
    assert INDEX_ADDRESS.search("--extra-" + "index" + "-url x") and not INDEX_ADDRESS.search(
        "https://arxiv.org/abs/1504"
    )


PYTHONS = ["3.11", "3.12", "3.13"]
RUNNING = f"{sys.version_info.major}.{sys.version_info.minor}"


def pins(python: str = RUNNING) -> dict[str, str]:
    """What is pinned for one Python: a line with a marker counts where the marker says so."""
    found = {}
    for path in (CONSTRAINTS, *EXTRA_PINS):
        for line in path.read_text().splitlines():
            if line and not line.startswith("#"):
                pin = re.fullmatch(
                    r"([A-Za-z0-9_.-]+)==([A-Za-z0-9.]+)(?: ; (python_version (?:<|>=) \"3\.\d+\"))?", line
                )
                assert pin, f"{path.name}: not name==version, nor with a marker for some Pythons: {line}"
                name = canonicalize_name(pin[1])
                if pin[3] is None or Marker(pin[3]).evaluate({"python_version": python}):
                    assert name not in found, f"{path.name}: pinned twice for Python {python}: {line}"
                    found[name] = pin[2]
    return found


def test_the_classifiers_name_the_pythons_that_are_pinned():
    assert [line.rpartition(" ")[2] for line in PROJECT["classifiers"] if "Python :: 3." in line] == PYTHONS


@pytest.mark.parametrize("python", PYTHONS)
def test_every_pin_is_for_every_python(python):
    assert set(pins(python)) == set(pins())


def requirements(*extras: str) -> list[Requirement]:
    """What the project asks for, its own extras opened."""
    found = [Requirement(line) for line in PROJECT["dependencies"]]
    for extra in extras:
        for requirement in map(Requirement, PROJECT["optional-dependencies"][extra]):
            own = requirement.name == PROJECT["name"]
            found += (
                requirements(*requirement.extras)[len(PROJECT["dependencies"]) :] if own else [requirement]
            )
    return found


@pytest.mark.parametrize("python", PYTHONS)
def test_every_requirement_is_pinned_within_its_bound(python):
    for requirement in requirements("dev"):
        pin = pins(python).get(canonicalize_name(requirement.name))
        assert pin is not None, f"{requirement.name}: not in requirements/{CONSTRAINTS.name}"
        assert requirement.specifier.contains(pin), f"{requirement} is pinned at {pin}"


def check_pinned(asked: list[Requirement]) -> None:
    """Each requirement, and all that it brings along, is installed in the version pinned."""
    todo, seen = list(asked), set()
    while todo:
        requirement = todo.pop()
        name = canonicalize_name(requirement.name)
        if (name, *sorted(requirement.extras)) in seen:
            continue
        seen.add((name, *sorted(requirement.extras)))
        assert name in pins(), f"{name}: is brought along, is not in requirements/{CONSTRAINTS.name}"
        assert importlib.metadata.version(name) == pins()[name], (
            f"{name}: installed in another version than pinned"
        )
        for line in importlib.metadata.requires(name) or ():
            inner = Requirement(line)
            environments = [{"extra": extra} for extra in ("", *requirement.extras)]
            if inner.marker is None or any(
                inner.marker.evaluate(environment) for environment in environments
            ):
                todo.append(inner)
    assert len(seen) > len(asked)


linux = pytest.mark.skipif(
    sys.platform != "linux", reason="the pins were frozen on Linux; other systems need a few names more"
)


@linux
def test_all_that_the_requirements_bring_along_is_pinned():
    check_pinned(requirements("dev"))


@linux
@pytest.mark.medium
def test_all_that_the_documentation_needs_is_pinned():
    pytest.importorskip("sphinx")
    lines = (ROOT / "requirements" / "docs.txt").read_text().splitlines()
    check_pinned([Requirement(line) for line in lines if not line.startswith("#")])


def test_one_version():
    version = PROJECT["version"]
    citation = re.search(r"^version: (\S+)$", (ROOT / "CITATION.cff").read_text(), re.MULTILINE)
    newest = re.search(r"^## (\d\S*)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert citation and newest and [citation[1], newest[1]] == [version, version]


def budgets(text: str) -> dict[str, tuple[float, list[tuple[str, float, list[str]]]]]:
    """CONTRIBUTING's tables: lane -> (minutes, rows of part, minutes, patterns of steps and files)."""
    found = {}
    for lane, minutes, table in re.findall(
        r"^### `make ([\w-]+)`: (\d+) minutes\n+((?:\|.*\n)+)", text, re.MULTILINE
    ):
        rows = [[cell.strip() for cell in line.strip()[1:-1].split("|")] for line in table.splitlines()[2:]]
        found[lane] = (
            float(minutes),
            [(part, float(m), re.findall(r"`([^`]+)`", files)) for part, m, files in rows],
        )
    return found


def costs(measured: dict) -> dict[str, float]:
    """Wall seconds of one lane's steps, and of its tests by their ids, or by the file for all that are short."""
    return measured["steps"] | {test: s / measured["workers"] for test, s in measured["tests"].items()}


def overspent(lane: tuple[float, list[tuple[str, float, list[str]]]], measured: dict) -> list[str]:
    """The parts of one lane that took longer than allowed; a test counts in the first row that names it."""
    minutes, rows = lane
    spent = dict.fromkeys((part for part, _, _ in rows), 0.0)
    for name, seconds in costs(measured).items():
        owner = next(
            part for part, _, patterns in rows if any(fnmatch.fnmatch(name, pattern) for pattern in patterns)
        )
        spent[owner] += seconds / 60
    found = [
        f"{part}: {spent[part]:.1f} of {allowed:g} minutes"
        for part, allowed, _ in rows
        if spent[part] > allowed
    ]
    promised = sum(allowed for _, allowed, _ in rows)
    return found + [f"the parts add up to {promised:g} of {minutes:g} minutes"] * (promised > minutes)


def idle(lane: tuple[float, list[tuple[str, float, list[str]]]], measured: dict) -> list[str]:
    """The patterns of one lane that name nothing measured; room that is reserved has none."""
    names = list(costs(measured))
    patterns = [pattern for _, _, patterns in lane[1] for pattern in patterns]
    empty = [part for part, _, patterns in lane[1] if not patterns and not part.startswith("reserved: ")]
    return empty + [pattern for pattern in patterns if not fnmatch.filter(names, pattern)]


LANES = budgets((ROOT / "CONTRIBUTING.md").read_text())
NOTHING: dict = {"steps": {}, "tests": {}, "workers": 1}
DURATIONS = json.loads((ROOT / "tests" / "durations.json").read_text())


def test_the_lanes_keep_to_their_budgets():
    minutes = {lane: minutes for lane, (minutes, _) in LANES.items()}
    assert minutes == {"test": 10, "test-medium": 25, "test-newest": 4}
    for lane in LANES:
        assert overspent(LANES[lane], DURATIONS.get(lane, NOTHING)) == [], lane


def test_every_pattern_of_a_budget_names_something():
    for lane in LANES:
        if lane in DURATIONS:
            assert idle(LANES[lane], DURATIONS[lane]) == [], lane


TABLE = """### `make test`: 3 minutes

| part | minutes | files |
| --- | --- | --- |
| install | 2 | `install` |
| cells | 1 | `tests/cells/*` |
| products | 0.5 | `tests/test_cell*::test_product*` |
| reserved: more | 0.5 |  |
| the rest | 1 | `*` |
"""
MEASURED = {
    "workers": 2,
    "steps": {"install": 90},
    "tests": {"tests/cells/test_a.py": 10, "tests/cells/test_a.py::test_b[c]": 120, "recurrent/forms.py": 60},
}


def test_an_overspent_budget_is_named():
    assert overspent(budgets(TABLE)["test"], MEASURED) == [
        "cells: 1.1 of 1 minutes",
        "the parts add up to 5 of 3 minutes",
    ]


def test_a_pattern_that_names_nothing_is_named():
    assert idle(budgets(TABLE)["test"], MEASURED) == ["tests/test_cell*::test_product*"]
    unnamed = TABLE.replace("reserved: more", "more")
    assert idle(budgets(unnamed)["test"], MEASURED) == ["more", "tests/test_cell*::test_product*"]
