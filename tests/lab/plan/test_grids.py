"""Grids: which configurations a product has, what its runs are called, and what its folder's name depends on."""

import dataclasses
import itertools

import pytest

from experiments.adding_problem import AddingConfig
from experiments.copy_memory import CopyingConfig
from experiments.errors import Fault
from experiments.lab.plan import configs, grids
from experiments.lab.plan.cell_names import parse_cell
from experiments.lab.plan.configs import Config, TaskFlags, configuration
from experiments.lab.plan.finding import load_experiment
from experiments.lab.run import default_out
from experiments.tasks.adding import Adding

CELLS, RATES, DELAYS = ("lstm", "gru(reset='before')"), (1e-3, 3e-3), (5, 10, 20)


def product():
    return grids.grid(CopyingConfig(), cell=CELLS, learning_rate=RATES, delay=DELAYS)


def test_a_grid_is_the_product_and_its_last_field_varies_fastest():
    found = [(config.cell, config.learning_rate, config.task.delay) for config in product()]
    assert found == list(itertools.product(map(parse_cell, CELLS), RATES, DELAYS))
    assert {config.hidden_size for config in product()} == {64}
    assert grids.grid(CopyingConfig()) == [CopyingConfig()]
    assert grids.grid(CopyingConfig(), hidden_size=3) == [CopyingConfig(hidden_size=3)]


def test_runs_are_named_by_their_cell_and_by_what_varies():
    labels = grids.labels(product())
    assert labels[0] == "lstm learning_rate=0.001 delay=5"
    assert labels[-1] == "gru(reset='before') learning_rate=0.003 delay=20"
    assert grids.labels(product()[:1]) == ["lstm"]
    assert grids.labels(grids.grid(CopyingConfig(), cell=CELLS)) == list(CELLS)
    assert grids.folder_names(labels)[-1] == "gru-reset=-before---learning_rate=0.003-delay=20"
    assert len(set(grids.folder_names(labels))) == 12


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"delay": [5, 0]}, "--delay: expected at least 1 for copying, got 0"),
        ({"delay": []}, "--delay: expected at least one value, got none"),
        ({"delai": [5]}, ".*delai"),
        ({"learning_rate": [1e-3, -1.0]}, "--learning-rate: input should be greater than 0, got -1.0"),
        ({"cell": ["lstn"]}, "--cell: unknown cell 'lstn'; did you mean lstm?"),
    ],
)
def test_a_wrong_value_is_named(values, complaint):
    with pytest.raises(Fault, match=complaint) as raised:
        grids.grid(CopyingConfig(), **values)
    assert raised.value.code == 2


def test_the_same_run_twice_is_a_fault():
    specs = map(parse_cell, ("lstm(forget_bias=5)", "lstm(peepholes=False,forget_bias=5)"))
    with pytest.raises(Fault, match=r"^--cell: lstm\(forget_bias=5\) is given twice$") as raised:
        grids.labels([AddingConfig(cell=spec) for spec in specs])
    assert raised.value.code == 2


def test_the_folder_of_a_grid_depends_on_what_does_not_vary_and_on_the_names_of_what_does():
    experiment = load_experiment("copy_memory")

    def place(**values):
        return default_out(experiment, "default", grids.grid(CopyingConfig(), **values))

    grid = place(learning_rate=[1e-3, 3e-3])
    assert grid == place(learning_rate=[1e-3, 3e-3, 1e-2], cell=["lstm", "gru"])
    assert len({grid, place(), place(learning_rate=[1e-3]), place(delay=[5, 9]), place(hidden_size=3)}) == 5
    assert place() == place(cell=["lstm", "gru"])


def test_a_field_that_a_configuration_and_its_task_share_is_refused_where_it_is_declared():
    @dataclasses.dataclass(frozen=True)
    class Wide(Adding):
        hidden_size: int = 3

    with pytest.raises(TypeError, match="hidden_size is a field of the configuration and of its task"):

        @configuration()
        class WideConfig(Config):
            task: TaskFlags[Wide] = Wide()

    with pytest.raises(TypeError, match="hiden_size is no inherited field"):

        @configuration(hiden_size=3)
        class NarrowConfig(Config):
            pass


def test_a_change_reaches_the_task_and_is_checked_there():
    config = configs.changed(CopyingConfig(), delay=7, hidden_size=3)
    assert (config.task.delay, config.hidden_size) == (7, 3)
    with pytest.raises(Fault, match=r"^--variant: input should be 'canonical', .*got 'odd'$"):
        configs.changed(CopyingConfig(), variant="odd")


def test_a_configuration_starts_at_its_default_preset():
    for name in ("adding_problem", "copy_memory", "temporal_order", "pixel_mnist"):
        experiment = load_experiment(name)
        assert experiment.config() == experiment.presets["default"]
    assert (AddingConfig().num_updates, AddingConfig().num_seeds) == (1600, 3)
