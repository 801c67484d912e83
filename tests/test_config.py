"""Configurations and cells by name: stored as JSON, compared, labelled, and never silently another."""

import dataclasses
import json
import subprocess
import sys

import pytest

import recurrent as rec
from experiments.adding_problem import DEFAULT, AddingConfig
from experiments.errors import Fault
from experiments.lab import cells, config
from experiments.lab.cells import CellSpec, folder_names, label, parse_cell
from experiments.pixel_mnist import PixelConfig

CELLS = (
    "lstm",
    "lstm(forget_bias=5, peepholes=True)",
    "lstm(forget_bias=('chrono', 100))",
    "elman(hidden_size=7)",
)


@pytest.mark.parametrize("text", CELLS)
def test_a_configuration_survives_json(text):
    made = dataclasses.replace(DEFAULT, clip_norm=None, seed=3).with_cell(parse_cell(text))
    stored = json.loads(json.dumps(config.as_json(made)))
    assert config.from_json(AddingConfig, stored) == made
    assert stored["cell"]["cell"] == text.partition("(")[0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_stes": 5}, "--num-stes"),
        ({"num_updates": 0}, "--num-updates: input should be greater than 0, got 0"),
        ({"batch_size": 1.5}, "--batch-size"),
        ({"optimizer": "adams"}, "--optimizer"),
        ({"eval_every": 30}, r"--eval-every: expected a multiple of --log-every \(50\), got 30"),
        ({"cell": {"forget_bias": 1}}, "cell"),
    ],
)
def test_what_is_stored_is_validated(change, message):
    with pytest.raises(Fault, match=message) as error:
        config.from_json(AddingConfig, {**config.as_json(DEFAULT), **change})
    assert "\n" not in str(error.value)


def test_a_configuration_of_another_experiment_is_refused():
    with pytest.raises(Fault):
        config.from_json(PixelConfig, config.as_json(DEFAULT))


def test_identity_leaves_the_number_of_updates_open_where_the_schedule_does():
    longer = dataclasses.replace(DEFAULT, num_updates=9999)
    assert config.identity(longer) == config.identity(DEFAULT)
    cosine = dataclasses.replace(DEFAULT, schedule="cosine")
    assert config.identity(cosine) != config.identity(dataclasses.replace(cosine, num_updates=9999))


@pytest.mark.parametrize(
    "field", [f.name for f in dataclasses.fields(AddingConfig) if f.name not in ("cell", "num_updates")]
)
def test_every_other_field_is_identity_and_names_the_folder(field):
    words = {"optimizer": "sgd", "schedule": "cosine", "select": "validation"}
    others = {**words, "solver": "sequential", "variant": "hs97", "log_every": 25}
    value = getattr(DEFAULT, field)
    other = others[field] if field in others else value * 2 if isinstance(value, float) else value + 100
    changed = dataclasses.replace(DEFAULT, **{field: other})
    assert config.identity(changed) != config.identity(DEFAULT)
    assert config.config_hash(changed) != config.config_hash(DEFAULT)


def test_the_folder_is_shared_by_cells_and_the_same_in_every_process():
    lstm, gru = (DEFAULT.with_cell(parse_cell(name)) for name in ("lstm", "gru"))
    assert config.config_hash(lstm) == config.config_hash(gru)
    code = "from experiments.lab.config import config_hash; from experiments.adding_problem import DEFAULT"
    command = [sys.executable, "-c", f"{code}; print(config_hash(DEFAULT))"]
    elsewhere = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    assert elsewhere == config.config_hash(DEFAULT)


def test_options_are_literals_in_the_order_of_the_builder():
    spec = parse_cell(" lstm( peepholes = True , forget_bias=('chrono', 100), hidden_size=12) ")
    assert spec.options == (("hidden_size", 12), ("forget_bias", ("chrono", 100)), ("peepholes", True))
    assert cells.build(spec, 3, 64) == rec.LSTM(3, 12, forget_bias=("chrono", 100), peepholes=True)
    assert cells.build(parse_cell("lstm"), 3, 64) == rec.LSTM(3, 64)


def test_labels_hold_what_is_not_default():
    assert label(parse_cell("lstm(peepholes=False, forget_bias=1.0)")) == "lstm"
    assert label(parse_cell("lstm(peepholes=True, forget_bias=5)")) == "lstm(forget_bias=5,peepholes=True)"
    assert label(parse_cell("gru(hidden_size=12)")) == "gru(hidden_size=12)"


def test_folders_of_cells():
    assert folder_names([parse_cell(text) for text in ("lstm(forget_bias=5)", "gru")]) == [
        "lstm-forget_bias=5-",
        "gru",
    ]
    # two labels that become one name are told apart by their hashes
    specs = [CellSpec("lstm", (("input_init", ("uniform", bound)),)) for bound in ("a b", "a-b")]
    names = folder_names(specs)
    assert len(set(names)) == 2
    assert all(name[:-5].endswith("--") and name[-5] == "-" for name in names)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("lstn", "unknown cell 'lstn'; did you mean lstm"),
        ("lstm(forget=5)", r"lstm has no option 'forget'; did you mean forget_bias\?"),
        ("lstm(5)", "expected options such as"),
        ("lstm(forget_bias=open('x'))", "expected options such as"),
        ("lstm(forget_bias", "expected name"),
        ("no_such_module:Cell", "cannot import no_such_module"),
        ("recurrent:LSTN", "recurrent has no LSTN; did you mean LSTM"),
        ("json:dumps", "json:dumps takes no argument input_size"),
    ],
)
def test_a_cell_that_is_not_one_is_refused_in_one_line(text, message):
    with pytest.raises(Fault, match=message) as error:
        parse_cell(text)
    assert error.value.code == 2 and "\n" not in str(error.value)


def test_a_module_and_class_is_a_cell_with_the_digest_of_its_source():
    spec = parse_cell("recurrent.cells.lstm:LSTM(forget_bias=2)")
    assert cells.build(spec, 3, 4) == rec.LSTM(3, 4, forget_bias=2)
    assert len(spec.source_sha256) == 64
    changed = dataclasses.replace(spec, source_sha256="0" * 64)
    with pytest.raises(Fault, match=r"the source of .*LSTM has changed"):
        cells.check_source(spec, changed)


def test_the_same_cell_twice_is_refused():
    with pytest.raises(Fault, match="lstm is given twice"):
        folder_names([parse_cell("lstm"), parse_cell("lstm(forget_bias=1.0)")])


def test_a_cell_that_refuses_its_options_says_why():
    with pytest.raises(Fault, match=r"--cell: gru\(reset='never'\): .*expected before or after, got 'never'"):
        cells.build(parse_cell("gru(reset='never')"), 3, 4)
