"""Configurations: through JSON and back, what makes two runs the same, and a hash that stays."""

import dataclasses
import json
import subprocess
import sys

import pytest
from lab_runs import ROOT

from experiments.adding_problem import AddingConfig
from experiments.errors import Fault
from experiments.lab.plan import configs
from experiments.lab.plan.cell_names import parse_cell
from experiments.lab.plan.configs import Config, Positive, configuration
from experiments.lab.plan.finding import load_experiment, names

PRESETS = [(name, preset) for name in names() for preset in load_experiment(name).presets]


@pytest.mark.parametrize(("name", "preset"), PRESETS, ids=lambda value: value)
def test_every_preset_goes_through_json_and_back(name, preset):
    experiment = load_experiment(name)
    for cell in (*experiment.cells, "lstm(hidden_size=3, forget_bias=('chrono', 9))", "recurrent:LSTM"):
        config = experiment.presets[preset].with_cell(parse_cell(cell))
        stored = json.loads(json.dumps(configs.as_json(config)))
        assert configs.from_json(experiment.config, stored) == config
        assert stored["cell"]["cell"] == config.cell.name


OTHERS = {
    "cell": parse_cell("gru"),
    "optimizer": "sgd",
    "schedule": "cosine",
    "clip_norm": None,
    "select": "validation",
    "stop": "solved",
    "start_from": "runs/other",
    "solver": "sequential",
    "gradient": "rtrl",
    "match": "state=9",
    "variant": "anywhere",
    "momentum": 0.9,
    "weight_decay": 0.1,
    "group_rates": "cell=2",
    "learning_rate": 0.5,
    "log_every": 25,
    "eval_every": 200,
    "checkpoint_every": 1000,
    "test_lengths": (50,),
}


READ_BY = {"momentum": {"optimizer": "sgd"}, "weight_decay": {"optimizer": "adamw"}}


@pytest.mark.parametrize("field", configs.flat(AddingConfig()))
def test_every_field_but_those_that_say_how_long_makes_another_run(field):
    config = AddingConfig(**READ_BY.get(field, {}))
    value = configs.flat(config)[field]
    other = configs.changed(config, **{field: OTHERS.get(field, (value and 999) or 1)})
    assert other != config
    length = field in ("num_updates", "stop")
    assert (configs.identity(other) != configs.identity(config)) == (not length)
    # a folder may hold several cells
    same = length or field == "cell"
    assert (configs.config_hash(other) != configs.config_hash(config)) == (not same)
    # and, of what varies there, the names alone count
    assert configs.config_hash(other, [field]) == configs.config_hash(config, [field])
    assert (configs.config_hash(config, [field]) != configs.config_hash(config)) == (field != "cell")


def test_under_a_schedule_the_number_of_updates_counts():
    config = AddingConfig(schedule="cosine")
    longer = dataclasses.replace(config, num_updates=2000)
    assert configs.identity(config) != configs.identity(longer)
    assert configs.config_hash(config) != configs.config_hash(longer)


HASH = """
from experiments.adding_problem import AddingConfig
from experiments.lab.plan.configs import config_hash
print(config_hash(AddingConfig()))
"""


def test_a_hash_is_the_same_in_every_process():
    found = set()
    for seed in ("0", "1"):  # of Python's own hashes
        done = subprocess.run(
            [sys.executable, "-c", HASH],
            cwd=ROOT,
            capture_output=True,
            text=True,
            env={"PYTHONHASHSEED": seed},
        )
        found.add(done.stdout.strip())
    assert found == {configs.config_hash(load_experiment("adding_problem").presets["default"])}
    assert len(found.pop()) == 8


def test_a_hash_does_not_depend_on_the_order_of_the_fields():
    @configuration()
    class First(Config):
        one: Positive = 1
        two: Positive = 2

    @configuration()
    class Second(Config):
        two: Positive = 2
        one: Positive = 1

    assert configs.config_hash(First()) == configs.config_hash(Second())
    assert configs.config_hash(First(one=2)) != configs.config_hash(Second(two=1))


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"mystery": 1}, "mystery"),
        ({"hidden_size": 0}, "--hidden-size: input should be greater than 0, got 0"),
        ({"hidden_size": 2.5}, "--hidden-size: input should be a valid integer.*, got 2.5"),
        ({"hidden_size": None}, "--hidden-size: input should be a valid integer, got None"),
        ({"learning_rate": float("inf")}, "--learning-rate: input should be a finite number, got inf"),
        (
            {"optimizer": "adan"},
            "--optimizer: expected one of adam, adamw, rmsprop, sgd, or module:function, got 'adan'",
        ),
        ({"eval_every": 75}, r"--eval-every: expected a multiple of --log-every \(50\), got 75"),
        ({"seed": 2**31}, "--seed: input should be less than 2147483648, got 2147483648"),
        ({"cell": "lstm"}, "object has no attribute"),
    ],
)
def test_what_is_stored_wrongly_is_named(change, complaint):
    stored = {**configs.as_json(AddingConfig()), **change}
    with pytest.raises(Fault, match=f"^not a configuration of this experiment: .*{complaint}") as raised:
        configs.from_json(AddingConfig, stored)
    assert raised.value.code == 2


def test_a_missing_field_has_its_default_and_a_missing_cell_is_named():
    stored = configs.as_json(AddingConfig(hidden_size=5))
    del stored["num_steps"]
    assert configs.from_json(AddingConfig, stored) == AddingConfig(hidden_size=5)
    with pytest.raises(Fault, match="'cell'"):
        configs.from_json(AddingConfig, {"hidden_size": 5})


def test_a_configuration_of_another_experiment_is_refused():
    with pytest.raises(Fault, match=r"^not a configuration of this experiment: "):
        configs.from_json(load_experiment("pixel_mnist").config, configs.as_json(AddingConfig()))


def test_a_configuration_is_frozen_and_takes_no_unknown_field():
    with pytest.raises(dataclasses.FrozenInstanceError):
        AddingConfig().hidden_size = 5  # type: ignore[misc]
    with pytest.raises(Exception, match="hiden_size"):
        AddingConfig(hiden_size=5)
    assert hash(AddingConfig()) == hash(AddingConfig())
