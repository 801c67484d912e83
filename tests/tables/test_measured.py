"""What is committed about cells fits the registry; a cell of which nothing is measured has a place in every table."""

import json
from typing import Any

import matplotlib.pyplot as plt
import pytest

import recurrent as rec
from benchmarks.learning import BUDGETS, own_rate
from benchmarks.learning_picture import draw
from benchmarks.rows import kept
from experiments.tables import catalogue, measured, report, reproduced
from recurrent import registry
from recurrent.registry import Entry

SPEEDS = tuple(measured.DEVICES.values())
LEARNING = {f"learning.{name}": budget for name, budget in BUDGETS.items()}
FILES = (*SPEEDS, *LEARNING, "agreement.h100")


@pytest.mark.parametrize("name", FILES)
def test_a_measurement_is_of_cells_that_there_are(name):
    """Rows may be missing, until somebody has the machine; none may be left of a cell that is gone."""
    cells = [row["cell"] for row in measured.measured(name)["rows"]]
    assert set(cells) <= set(rec.CELLS)
    if name in SPEEDS + tuple(LEARNING):
        assert cells == [cell for cell in rec.CELLS if cell in cells], "once each, in the registry's order"


@pytest.mark.parametrize("name", SPEEDS)
def test_a_speed_is_of_the_cell_that_the_code_makes(name):
    for cell, row in measured.rows_of(name).items():
        assert row["parameters"] == catalogue.num_parameters(measured.wide_cell(cell)), cell


@pytest.mark.parametrize("name", LEARNING)
def test_a_training_is_of_the_options_that_the_entry_has(name):
    for cell, row in measured.rows_of(name).items():
        wanted = json.loads(json.dumps(dict(registry.entry(cell).learning_options)))
        assert (row["options"], row["rate"]) == (wanted, pytest.approx(own_rate(cell, LEARNING[name]))), cell


def test_a_measurement_is_added_to_those_of_the_same_device_only(tmp_path):
    path = tmp_path / "cells.json"
    assert kept(path, "cpu") == []
    path.write_text(json.dumps({"about": {"device": "NVIDIA H100"}, "rows": [{"cell": "lstm"}]}))
    assert kept(path, "NVIDIA H100") == [{"cell": "lstm"}]
    with pytest.raises(SystemExit, match="is of NVIDIA H100, this is cpu: give another file"):
        kept(path, "cpu")


def test_a_cell_that_is_four_times_slower_than_an_lstm_says_why():
    known = set().union(*(measured.rows_of(name) for name in SPEEDS))
    why = {entry.name for entry in registry.entries() if entry.why_slow and entry.name in known}
    # a measurement repeats to a tenth
    assert measured.slow_cells(1.1 * measured.SLOW) <= why <= measured.slow_cells(0.9 * measured.SLOW)


def test_every_cell_is_timed_with_as_many_numbers():
    sizes = {cell: measured.wide_cell(cell).output_shape for cell in ("lstm", "conv_lstm")}
    assert sizes == {"lstm": (128,), "conv_lstm": (8, 8, 2)}


class Fresh(rec.Elman):
    """A cell that somebody has just added."""


NEW = Entry("fresh", Fresh, "Somebody (2026)", "measured nowhere", why_slow="nobody knows whether it is")


def add(monkeypatch: pytest.MonkeyPatch, families: dict[str, Any]) -> None:
    monkeypatch.setattr(registry, "ENTRIES", families)
    monkeypatch.setattr(rec, "CELLS", {entry.name: entry.build for entry in registry.entries()})


def line_of(table: str, name: str) -> list[str]:
    (line,) = [line for line in table.splitlines() if line.startswith(f"| `{name}` |")]
    return [part.strip() for part in line.strip("|").split("|")]


@pytest.fixture
def one_more(monkeypatch):
    """The registry with a cell of which nothing is measured at the end of its first family."""
    first, *others = registry.ENTRIES
    simple = (*registry.ENTRIES[first], NEW)
    add(monkeypatch, {first: simple, **{family: registry.ENTRIES[family] for family in others}})


def test_a_new_cell_stands_in_the_measured_tables_as_not_measured_yet(one_more):
    speed = line_of(measured.speed_table(), "fresh")
    assert speed[:3] == ["`fresh`", "32,896", "not measured yet"]
    assert speed.count("not measured yet") == len(measured.DEVICES)
    assert line_of(measured.reasons_table(), "fresh")[1] == NEW.why_slow
    assert line_of(measured.learning_table("learning.long"), "fresh")[1:3] == ["not measured yet", ""]


def test_a_new_cell_changes_no_row_of_the_others(one_more, monkeypatch):
    with_it = {name: table() for name, table in measured.TABLES.items()}
    monkeypatch.undo()
    for name, table in measured.TABLES.items():
        kept = [line for line in with_it[name].splitlines() if "`fresh`" not in line]
        assert kept == table().splitlines()


def test_every_table_is_made_with_a_new_cell_in_it(monkeypatch):
    """With two cells beside it: the table of all cells traces each of them some thirty times."""
    family = (registry.entry("lstm"), NEW, registry.entry("lru"))
    add(monkeypatch, {"Some": family})
    published = reproduced.tables()  # their commands name cells that are not among these three
    made = {name: table() for name, table in report.TABLES.items() if name not in published}
    assert line_of(made["cells"], "fresh")[1:4] == ["Somebody (2026)", "measured nowhere", "dh + h² + h"]
    assert line_of(made["speed"], "fresh")[2] == "not measured yet"
    assert "`lstm`, `fresh`, `lru`" in made["families"]


def test_the_picture_of_learning_leaves_out_what_is_not_measured(one_more):
    content = measured.measured("learning.long")
    figure = draw(content)
    lines = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    plt.close(figure)
    assert lines == [row["cell"] for row in content["rows"]]
