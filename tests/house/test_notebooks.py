"""The two forms of a notebook say the same; `make test-medium` executes them."""

import jupytext
import pytest
from places import ROOT

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.py"))


def cells(path):
    return [(cell.cell_type, cell.source) for cell in jupytext.read(path).cells]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_pair_says_the_same(path):
    assert cells(path) == cells(path.with_suffix(".ipynb")), f"jupytext --sync {path.name}"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_committed_notebook_has_no_outputs(path):
    notebook = jupytext.read(path.with_suffix(".ipynb"))
    assert not any(cell.get("outputs") for cell in notebook.cells)


def test_every_notebook_has_a_pair():
    assert NOTEBOOKS
    for path in NOTEBOOKS[0].parent.glob("*.ipynb"):
        assert path.with_suffix(".py") in NOTEBOOKS
