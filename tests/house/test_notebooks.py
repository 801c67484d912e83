"""The two forms of a notebook say the same, and what is committed is what running it shows."""

import copy

import jupytext
import nbclient
import pytest
from places import ROOT

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.py"))


def cells(path):
    return [(cell.cell_type, cell.source) for cell in jupytext.read(path).cells]


def pictures(notebook):
    """For each cell the pictures that are asked for, and those that are there."""
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    shown = [sum("image/png" in output.get("data", {}) for output in cell.outputs) for cell in code]
    return [cell.source.count("plt.show()") for cell in code], shown


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_pair_says_the_same(path):
    assert cells(path) == cells(path.with_suffix(".ipynb")), f"jupytext --sync {path.name}"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_committed_notebook_shows_what_it_asks_for(path):
    """Each cell has been run, in order, without an error; each picture is there, and so is each printed line."""
    notebook = jupytext.read(path.with_suffix(".ipynb"))
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    asked, shown = pictures(notebook)
    assert asked == shown and sum(asked) >= 2
    for cell in code:
        assert ("print(" in cell.source) == any(output.output_type == "stream" for output in cell.outputs)
        assert not any(output.output_type == "error" for output in cell.outputs)


@pytest.mark.medium
@pytest.mark.optimised
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_and_shows_its_pictures(path, monkeypatch):
    monkeypatch.delenv("MPLBACKEND", raising=False)  # of the lanes; a notebook draws into itself
    notebook = copy.deepcopy(jupytext.read(path.with_suffix(".ipynb")))
    for cell in notebook.cells:
        cell.outputs = [] if cell.cell_type == "code" else cell.get("outputs")
    nbclient.NotebookClient(
        notebook, timeout=600, resources={"metadata": {"path": str(path.parent)}}
    ).execute()
    asked, shown = pictures(notebook)
    assert asked == shown


def test_every_notebook_has_a_pair():
    assert NOTEBOOKS
    for path in NOTEBOOKS[0].parent.glob("*.ipynb"):
        assert path.with_suffix(".py") in NOTEBOOKS
