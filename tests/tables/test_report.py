"""README's tables are what the code and the committed results say; a result's command makes its configuration."""

import json
import shlex

import pytest

from experiments.errors import Fault
from experiments.lab import cli
from experiments.lab.plan import configs
from experiments.lab.plan.finding import load_experiment
from experiments.tables import catalogue, keeping, report

# those of suites are made of many runs, and have tests of their own
RESULTS = sorted(
    path for path in keeping.RESULTS.rglob("*.json") if "suite" not in path.relative_to(keeping.RESULTS).parts
)


# The table of all cells traces each of them some thirty times.
PAGES = [
    pytest.param(path, id=path.name, marks=[pytest.mark.medium] if path.name == "cells.md" else [])
    for path in report.documents()
]


@pytest.mark.parametrize("path", PAGES)
def test_a_page_is_what_the_code_says(path):
    text = path.read_text(encoding="utf-8")
    assert report.filled(text) == text, "python -m experiments report makes the tables anew"


def test_a_table_that_has_drifted_is_made_anew():
    stale = "before\n<!-- table: families -->\nold\n<!-- end -->\nafter"
    table = catalogue.families()
    assert report.filled(stale) == f"before\n<!-- table: families -->\n{table}\n<!-- end -->\nafter"
    assert "`lstm`" in table


def test_an_unknown_table_is_named():
    with pytest.raises(Fault, match="no table is called 'cels'"):
        report.filled("<!-- table: cels -->\n<!-- end -->")


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: "/".join(path.parts[-3:]))
def test_the_command_of_a_result_makes_its_configuration(path):
    summary = json.loads(path.read_text(encoding="utf-8"))
    experiment = load_experiment(summary["experiment"])
    _, _, module, *words = shlex.split(report.command_of(summary))
    assert module == f"experiments.{experiment.name}"
    request = cli.parse(experiment, words)
    assert request.word == summary["preset"]
    made = [configs.as_json(one) for one in request.configs]
    assert json.loads(json.dumps(made)) == [summary["config"]]  # tuples are lists there


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: "/".join(path.parts[-3:]))
def test_a_result_says_what_it_was_computed_with(path):
    summary = json.loads(path.read_text(encoding="utf-8"))
    assert summary["notes"] == []
    assert {"jax", "numpy", "python"} <= set(summary["environment"]["versions"])
    assert [len(seed["params_sha256"]) for seed in summary["seeds"]] == [64] * summary["config"]["num_seeds"]
