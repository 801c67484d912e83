"""Cells by name: what is read, what a run is called, and what a stranger's module may be."""

import re
import string
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

import recurrent as rec
from experiments.errors import Fault
from experiments.lab.plan import cell_names, optimizer_names
from experiments.lab.plan.cell_names import CellSpec, build, label, parse_cell
from experiments.lab.plan.grids import folder_names

STRANGER = """
import dataclasses
import recurrent as rec

@dataclasses.dataclass(frozen=True)
class Mine(rec.Elman):
    "With one option more."
    scale: float = 2.0

def make(input_size, hidden_size, *, scale=1.0, kind):
    return Mine(input_size, hidden_size, scale=scale)
"""


@pytest.fixture
def stranger(tmp_path, monkeypatch):
    """A module on the path, forgotten afterwards."""
    (tmp_path / "names_stranger.py").write_text(STRANGER)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path / "names_stranger.py"
    sys.modules.pop("names_stranger", None)


@pytest.mark.parametrize(
    ("text", "name", "options"),
    [
        ("lstm", "lstm", {}),
        ("  lstm ", "lstm", {}),
        ("lstm()", "lstm", {}),
        ("lstm(forget_bias=5)", "lstm", {"forget_bias": 5}),
        ("lstm( forget_bias = -5.5 )", "lstm", {"forget_bias": -5.5}),
        ("lstm(forget_bias=('chrono', 100))", "lstm", {"forget_bias": ("chrono", 100)}),
        ("lstm(forget_bias=['chrono', 100])", "lstm", {"forget_bias": ("chrono", 100)}),
        ("lstm(peepholes=True,\n forget_bias=0)", "lstm", {"forget_bias": 0, "peepholes": True}),
        ("lstm(hidden_size=7, forget_bias=0)", "lstm", {"hidden_size": 7, "forget_bias": 0}),
        ("lstm(forget_bias=1.0, peepholes=False)", "lstm", {}),
        ("lstm(forget_bias=1)", "lstm", {}),
    ],
)
def test_a_name_with_options_is_read(text, name, options):
    spec = parse_cell(text)
    assert (spec.name, spec.options, spec.source_sha256) == (name, tuple(options.items()), None)
    assert cell_names.from_json(spec.as_json()) == spec


def test_options_reach_the_cell_and_hidden_size_among_them_wins():
    cell = build(parse_cell("lstm(forget_bias=5, hidden_size=7)"), 2, 64)
    assert cell == rec.LSTM(2, 7, forget_bias=5)
    assert build(parse_cell("lstm"), 2, 64) == rec.LSTM(2, 64)
    chrono = build(parse_cell("lstm(forget_bias=('chrono', 100))"), 2, 3)
    assert chrono.forget_bias == ("chrono", 100)


def test_a_cell_that_refuses_its_options_says_why():
    with pytest.raises(
        Fault, match=r"^--cell: gru\(reset='never'\): .*expected before or after, got 'never'"
    ):
        build(parse_cell("gru(reset='never')"), 3, 4)


def test_a_label_is_the_name_with_what_is_not_default_in_the_order_of_the_builder():
    assert (
        label(parse_cell("lstm(peepholes=True, forget_bias=5, coupled=False)"))
        == "lstm(forget_bias=5,peepholes=True)"
    )
    assert label(parse_cell("lstm(forget_bias=1.0)")) == "lstm"
    assert label(parse_cell("lstm(forget_bias=5, hidden_size=3)")) == "lstm(hidden_size=3,forget_bias=5)"
    for name in rec.CELLS:
        assert label(parse_cell(name)) == name
        assert label(parse_cell(label(parse_cell(f"{name}(hidden_size=3)")))) == f"{name}(hidden_size=3)"


def test_folder_names_are_labels_without_what_a_file_system_dislikes():
    texts = ["elman", "lstm(forget_bias=-5)", "lstm(forget_bias=('chrono', 100))"]
    names = folder_names([label(parse_cell(text)) for text in texts])
    assert names == ["elman", "lstm-forget_bias=-5-", "lstm-forget_bias=--chrono---100--"]


def test_labels_that_collide_as_folders_get_four_digits_of_their_hash():
    specs = [CellSpec("lstm", (("name", "a b"),)), CellSpec("lstm", (("name", "a-b"),)), CellSpec("elman")]
    labels = list(map(label, specs))
    first, second, third = folder_names(labels)
    assert first != second and third == "elman"
    for name in (first, second):
        assert re.fullmatch(r"lstm-name=-a-b---[0-9a-f]{4}", name)
    assert folder_names(labels[::-1]) == [third, second, first]


def test_a_long_label_is_cut_and_told_apart_by_its_hash():
    labels = [label(CellSpec("lstm", (("name", "x" * 300 + end),))) for end in "ab"]
    first, second = folder_names(labels)
    assert first != second and max(len(first), len(second)) <= 255
    assert folder_names(labels[:1]) == [first]


@given(st.lists(st.text(alphabet=string.printable, max_size=300), min_size=1, max_size=5, unique=True))
def test_different_labels_never_share_a_folder(values):
    names = folder_names([label(CellSpec("lstm", (("name", value),))) for value in values])
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[A-Za-z0-9._=-]{1,255}", name) for name in names)


def test_a_strangers_class_and_function_are_cells_with_a_source(stranger):
    spec = parse_cell("names_stranger:Mine(scale=3.0)")
    assert spec.is_foreign and spec.name == "names_stranger:Mine" and spec.options == (("scale", 3.0),)
    cell = build(spec, 2, 5)
    assert (type(cell).__name__, cell.hidden_size, cell.scale) == ("Mine", 5, 3.0)
    assert folder_names([label(spec)]) == ["names_stranger-Mine-scale=3.0-"]
    assert cell_names.from_json(spec.as_json()) == spec
    made = parse_cell("names_stranger:make(kind='any', scale=1)")
    assert made.options == (("kind", "any"),)
    assert build(made, 2, 5).scale == 1.0
    with pytest.raises(Fault, match=r"names_stranger:make: TypeError: .*'kind'"):
        build(parse_cell("names_stranger:make"), 2, 5)


def test_the_path_of_a_file_is_its_module_and_is_found_again_from_anywhere(tmp_path, monkeypatch):
    (tmp_path / "names_by_path.py").write_text(STRANGER)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    spec = parse_cell(f"{tmp_path / 'names_by_path.py'}:Mine(scale=3.0)")
    assert (label(spec), spec.source_path) == (
        "names_by_path:Mine(scale=3.0)",
        str(tmp_path / "names_by_path.py"),
    )
    assert (
        spec == parse_cell("names_by_path.py:Mine(scale=3.0)") == parse_cell("names_by_path:Mine(scale=3.0)")
    )
    by_path = optimizer_names.canonical(f"{tmp_path / 'names_by_path.py'}:make")
    assert by_path == optimizer_names.canonical("names_by_path:make")
    # in another process, in another folder
    stored = spec.as_json()
    sys.path.remove(str(tmp_path))
    monkeypatch.chdir("/")
    monkeypatch.delitem(sys.modules, "names_by_path")
    again = cell_names.from_json(stored)
    assert again == spec and again.source_path == spec.source_path
    assert build(again, 2, 5).scale == 3.0
    # elsewhere a file of the same name
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "names_by_path.py").write_text(STRANGER)
    with pytest.raises(Fault, match="another module is called names_by_path; rename the file"):
        parse_cell(str(tmp_path / "other" / "names_by_path.py:Mine"))
    monkeypatch.delitem(sys.modules, "names_by_path")
    with pytest.raises(Fault, match=r"--cell: /\S*nowhere\.py: there is no such file"):
        parse_cell(str(tmp_path / "nowhere.py:Mine"))


def test_a_strangers_source_is_known_by_its_digest_and_a_library_has_none(stranger):
    first = parse_cell("names_stranger:Mine")
    cell_names.check_source(parse_cell("names_stranger:Mine"), first)
    stranger.write_text(STRANGER + "\n")
    changed = parse_cell("names_stranger:Mine")
    assert changed.source_sha256 != first.source_sha256
    with pytest.raises(Fault, match="the source of names_stranger:Mine has changed"):
        cell_names.check_source(changed, first)
    # that of the module where the class is written, wherever it was imported from
    other = parse_cell("recurrent:LSTM")
    assert other.source_sha256 == parse_cell("recurrent.cells.lstm:LSTM").source_sha256
