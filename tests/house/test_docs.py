"""The documentation: modules and public names have their page, links lead to files, code runs, Sphinx is content."""

import ast
import importlib
import inspect
import itertools
import os
import pkgutil
import re
import shutil
import subprocess
import sys
import types
import zlib
from pathlib import Path

import code_blocks
import pytest
from places import ROOT

import recurrent as rec
from experiments.tables import catalogue

DOCS = ROOT / "docs"
PAGES = sorted(path for path in DOCS.rglob("*.md") if "_build" not in path.parts)


def children(name: str) -> list[str]:
    """A module and all below it, but for those with an underscore in front."""
    path = getattr(importlib.import_module(name), "__path__", ())
    inner = [f"{name}.{child.name}" for child in pkgutil.iter_modules(path) if child.name[0] != "_"]
    return [name, *(below for child in inner for below in children(child))]


def documented() -> list[str]:
    """The modules on the API pages, packages opened."""
    named = re.findall(r"^\.\. modules:: (.+)$", "\n".join(path.read_text() for path in PAGES), re.MULTILINE)
    return [module for line in named for name in line.split() for module in children(name)]


def test_every_module_is_on_one_page():
    found = sorted(documented())
    assert found == sorted(set(children("recurrent")) - {"recurrent"}), (
        "a module is named after `.. modules::` on one of docs/api/*.md, or its package is"
    )


def defined_at(name: str) -> str | None:
    """Where Sphinx puts a public name; None where no page has it."""
    found = getattr(rec, name)
    if isinstance(found, types.ModuleType):
        return found.__name__ if found.__name__ in documented() else None
    if isinstance(found, type | types.FunctionType):
        return f"{found.__module__}.{found.__qualname__}" if found.__module__ in documented() else None
    text = "\n".join(path.read_text() for path in PAGES)
    for module in documented():
        place = f"{module}.{name}"
        if name in described(module) or re.search(rf"^\.\. autodata:: {place}$", text, re.MULTILINE):
            return place
    return None


def described(module: str) -> set[str]:
    """The module's data that a string follows: Sphinx takes no other."""
    body = ast.parse(inspect.getsource(importlib.import_module(module))).body
    return {
        target.id
        for statement, after in itertools.pairwise(body)
        if isinstance(statement, ast.Assign | ast.AnnAssign)
        and isinstance(after, ast.Expr)
        and isinstance(after.value, ast.Constant)
        for target in getattr(statement, "targets", [getattr(statement, "target", None)])
        if isinstance(target, ast.Name)
    }


def test_every_public_name_is_documented():
    assert [name for name in rec.__all__ if defined_at(name) is None] == []


def broken_links(path: Path, text: str) -> list[str]:
    """Relative links of a page to files that do not exist, or that Sphinx cannot link to."""
    prose = re.sub(r"^```.*?^```|`[^`\n]*`", "", text, flags=re.DOTALL | re.MULTILINE)
    found = []
    for link in re.findall(r"\]\(([^)\s]+)", prose) + re.findall(r"^\[[^\]]+\]: (\S+)", prose, re.MULTILINE):
        target = (path.parent / link.partition("#")[0]).resolve()
        relative = not re.match(r"\w+:|#", link)
        outside = target.suffix == ".md" and not target.is_relative_to(DOCS)
        if relative and (outside or not target.exists()):
            found.append(f"{path.name}: {link}")
    return found


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(DOCS)))
def test_links_lead_to_files(path):
    assert broken_links(path, path.read_text()) == []


def test_a_link_to_nowhere_is_named():
    text = (
        "[a](api/cells.md#lstm) [b](nowhere.md) [c](https://example.org/x) `[d](code)`\n\n[e]: ../README.md\n"
    )
    assert broken_links(DOCS / "page.md", text) == ["page.md: nowhere.md", "page.md: ../README.md"]


@pytest.mark.medium
def test_the_python_blocks_run():
    done = code_blocks.run(*PAGES)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_cell_of_ones_own_has_the_row_that_its_page_shows(tmp_path, monkeypatch):
    page = (DOCS / "your_own_cell.md").read_text()
    code, shown = (
        re.search(rf"^```{kind}\n(.*?)^```", page, re.DOTALL | re.MULTILINE) for kind in ("python", "text")
    )
    (tmp_path / "leaky.py").write_text(code[1])
    monkeypatch.syspath_prepend(tmp_path)
    rows = itertools.takewhile(bool, catalogue.text(["elman", "leaky:Leaky"]))
    assert list(rows)[:3] == shown[1].splitlines()
    assert sum(1 for line in code[1].splitlines() if line.startswith("    ")) <= 30


def sphinx(*arguments: Path | str) -> subprocess.CompletedProcess[str]:
    for module in ("sphinx", "myst_parser", "furo"):
        pytest.importorskip(module)
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


@pytest.mark.medium
def test_sphinx_has_no_complaint_and_knows_every_public_name(tmp_path):
    done = sphinx("-d", tmp_path / "doctrees", DOCS, tmp_path / "html")
    assert done.returncode == 0, done.stdout + done.stderr
    # four lines of text, then a compressed list: a name, its kind, its page
    packed = (tmp_path / "html" / "objects.inv").read_bytes().split(b"\n", 4)[4]
    known = {line.partition(" ")[0] for line in zlib.decompress(packed).decode().splitlines()}
    assert {str(defined_at(name)) for name in rec.__all__} - known == set()


@pytest.mark.medium
def test_a_name_that_leads_nowhere_stops_the_build(tmp_path):
    shutil.copy(DOCS / "conf.py", tmp_path)
    (tmp_path / "index.md").write_text("# Page\n\n{py:obj}`recurrent.no_such_name` and {py:obj}`rec.LSTM`\n")
    done = sphinx("-d", tmp_path / "doctrees", tmp_path, tmp_path / "html")
    assert done.returncode != 0
    assert "reference target not found: recurrent.no_such_name" in done.stderr


@pytest.mark.medium
def test_what_conf_says_of_itself_is_true():
    for module in ("sphinx", "docutils"):
        pytest.importorskip(module)
    done = subprocess.run(
        [sys.executable, "-m", "doctest", "docs/conf.py"],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
