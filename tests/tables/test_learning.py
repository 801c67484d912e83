"""Every cell learns: in minutes the adding problem of 20 steps, in the slow lane that of 100, as docs/ tells."""

import inspect
import json
import re

import matplotlib.pyplot as plt
import numpy as np
import pytest

import recurrent as rec
from benchmarks.learning import BUDGETS, error_of_one, learn
from benchmarks.learning_picture import draw
from experiments.tables.ways import DOCS

# Inputs at regular times have no gaps: a decay towards the last value has nothing to act on.
STUCK = {"gru_d": ["cell.w_decay_x", "cell.b_decay_x"]}


def told(name):
    """What the committed table says: `{cell: row}`."""
    return {row["cell"]: row for row in json.loads((DOCS / f"learning.{name}.json").read_text())["rows"]}


@pytest.mark.parametrize("name", BUDGETS)
def test_the_tables_hold_every_cell(name):
    rows = told(name)
    assert list(rows) == list(rec.CELLS)
    assert all(row["finite"] and row["stuck"] == STUCK.get(cell, []) for cell, row in rows.items())


def notes(text):
    """A docstring as one line."""
    return " ".join(text.split())


@pytest.mark.parametrize("cell", rec.CELLS)
def test_a_docstring_tells_how_a_cell_is_trained_and_what_the_tables_hold(cell):
    """``solves``: a tenth of the error of always answering 1 is left; ``learns``: a half; ``hardly learns``: more."""
    build = rec.CELLS[cell]
    own, module = (notes(inspect.getdoc(each) or "") for each in (build, inspect.getmodule(build)))
    assert "Learning rate:" in own + module
    for rate, word, steps in re.findall(
        r"Adam at ([\d.e-]+) (solves|hardly learns|learns) adding of (\d+) steps here", own
    ):
        name = {20: "short", 100: "long"}[int(steps)]
        row, one = (
            told(name)[cell],
            json.loads((DOCS / f"learning.{name}.json").read_text())["about"]["baseline"],
        )
        left = row["mse_after"] / one
        assert float(rate) == pytest.approx(row["rate"])
        assert word == ("solves" if left < 0.1 else "learns" if left < 0.5 else "hardly learns"), left


@pytest.mark.medium
@pytest.mark.parametrize("cell", rec.CELLS)
def test_a_cell_learns_something(cell):
    check(cell, "short")
    assert told("short")[cell]["mse_after"] < 0.97 * error_of_one(BUDGETS["short"])


@pytest.mark.slow
@pytest.mark.parametrize("cell", rec.CELLS)
def test_a_cell_learns_as_far_as_the_table_tells(cell):
    check(cell, "long")


def test_the_picture_shows_what_the_table_holds():
    content = json.loads((DOCS / "learning.long.json").read_text())
    figure = draw(content)
    before, after, errors, *_ = figure.axes
    lines = [label.get_text() for label in before.get_yticklabels()]
    assert lines == list(rec.CELLS)
    for cell in ("elman", "lstm", "fast_weights", "dilated_gru"):
        row, line = told("long")[cell], lines.index(cell)
        for axes, gradient in ((before, row["gradient_before"]), (after, row["gradient_after"])):
            decades = axes.images[0].get_array()[line]
            wanted = [max(norm, 1e-38) / gradient[0] if gradient[0] else np.nan for norm in gradient]
            np.testing.assert_allclose(10.0 ** np.ma.filled(decades, np.nan), wanted, rtol=1e-6)
        (x, y) = errors.collections[0].get_offsets()[line]
        assert (x, y) == (pytest.approx(max(row["mse_after"], 1e-5)), line)
    plt.close(figure)


def check(cell, name):
    """A training like the one in the table; machines and versions round differently, errors near 0 are all alike."""
    row, before = learn(cell, BUDGETS[name]), told(name)[cell]
    assert row["finite"]
    assert row["stuck"] == STUCK.get(cell, [])
    np.testing.assert_allclose(row["mse_before"], before["mse_before"], rtol=1e-3)
    assert row["mse_after"] < 1.3 * before["mse_after"] + 0.01
    # lag 0 alone: further back the norms may be what rounding left of them
    np.testing.assert_allclose(row["gradient_before"][0], before["gradient_before"][0], rtol=1e-2)
