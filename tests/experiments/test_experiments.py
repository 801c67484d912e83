"""Every experiment: what it declares, its help, its smoke preset; and a stranger's cell beside ours."""

import itertools
import json
import re
import sys

import numpy as np
import pytest
from lab_runs import heard, run, summary

import recurrent as rec
from experiments.__main__ import main
from experiments.lab import arguments, cli
from experiments.lab.pictures import gradient_flow
from experiments.lab.plan import configs
from experiments.lab.plan.experiment import section
from experiments.lab.plan.finding import load_experiment, names
from recurrent.testing.contract import check_cell

pytest_plugins = ["lab_fixtures"]


def few_at_once(*quick):
    """All experiments; those that are not named in the medium lane."""
    return [name if name in quick else pytest.param(name, marks=pytest.mark.medium) for name in names()]


def test_the_list_has_question_command_and_minutes_of_each():
    listed = heard(lambda: main([]))
    assert listed.code == 0 and listed.err == ""
    for name in names():
        experiment = load_experiment(name)
        plural = "" if experiment.minutes == 1 else "s"
        assert f"{experiment.command}    ({experiment.minutes:g} minute{plural} on two cores)" in listed.out
        assert experiment.question in " ".join(listed.out.split())
    last = listed.out.splitlines()[-1]
    assert all(word in last for word in ("run", "cells", "compare", "status", "--help"))


@pytest.mark.parametrize(
    "verb", ["list", "run", "cells", "compare", "status", "reproduce", "suite", "keep", "report"]
)
def test_help_behind_a_command_is_about_that_command(verb):
    for words in ([verb, "--help"], [verb, "-h"]):
        shown = heard(lambda words=words: main(words))
        assert (shown.code, shown.err) == (0, "")
        first, *rest = shown.out.splitlines()
        assert first.startswith(f"usage: python -m experiments {verb}") and rest[-1].endswith(
            "python -m experiments --help"
        )
    assert "one experiment, or one of your own" in heard(lambda: main(["run", "--help"])).out
    assert "--csv FILE" in heard(lambda: main(["compare", "--help"])).out
    assert "--hidden-size" in heard(lambda: main(["run", "adding_problem", "--help"])).out


@pytest.mark.parametrize("name", names())
def test_a_module_says_what_it_claims(name):
    experiment = load_experiment(name)
    assert experiment.name == name
    assert all(
        section(experiment.doc, title) for title in ("Question", "Source", "Run", "Expect", "Deviations")
    )
    assert section(experiment.doc, "Run").endswith(experiment.command) or experiment.command in experiment.doc
    assert {"smoke", "default", "paper"} == set(experiment.presets)
    for preset in experiment.presets.values():
        assert type(preset) is experiment.config
        experiment.build(preset)  # sizes that fit


@pytest.mark.parametrize("name", few_at_once("adding_problem", "pixel_mnist", "hs97.two_classes"))
def test_help_shows_every_flag_with_its_meaning_and_default(name):
    experiment = load_experiment(name)
    shown = heard(lambda: cli.main(experiment, ["--help"]))
    assert shown.code == 0
    words = " ".join(shown.out.split())
    for name, default in configs.flat(experiment.presets["default"]).items():
        if name != "cell":
            flag = f"--{name.replace('_', '-')}"
            word = configs.as_word(default) or "none" if isinstance(default, tuple) else str(default)
            assert re.search(rf"{flag} [^│]*│?.*?\(default: {re.escape(word)}", words), flag
    assert "``" not in shown.out and ">>>" not in shown.out and "\n\n\n" not in shown.out
    assert max(map(len, shown.out.splitlines())) <= 120
    for flag in ("--cell", "--out", "--plan", "--device", "--on-this-machine", "--no-progress"):
        assert flag in words


def test_help_breaks_a_sentence_only_where_a_line_is_full():
    shown = heard(lambda: cli.main(load_experiment("adding_problem"), ["--help"])).out.splitlines()
    (first,) = (index for index, line in enumerate(shown) if line.startswith("  --gradient"))
    last = next(index for index in range(first, len(shown)) if shown[index].endswith("(default: bptt)"))
    for line, following in itertools.pairwise(shown[first : last + 1]):
        assert len(line) + 1 + len(following.split()[0]) > arguments.WIDTH


@pytest.mark.medium
@pytest.mark.parametrize("name", names())
def test_the_smoke_preset_ends_with_a_summary_and_pictures(name, compile_once, tmp_path):
    experiment = load_experiment(name)
    outcome = run(tmp_path, experiment=experiment)
    assert outcome.code == 0, outcome.err
    (place,) = (entry for entry in tmp_path.iterdir() if entry.is_dir())
    found, config = summary(place), experiment.presets["smoke"]
    assert found["num_updates"] == config.num_updates
    assert np.isfinite([value["mean"] for value in found["test"].values()]).all()
    assert len(found["seeds"]) == config.num_seeds
    assert found["data"] == ("synthetic" if name == "pixel_mnist" else "generated")
    drawn = ["curves.png"] + ["gradient_flow.png"] * (gradient_flow.draw in experiment.pictures)
    for picture in drawn + ["lengths.png"] * bool(config.test_lengths):
        assert (tmp_path / picture).read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    for metric, value in found["test"].items():  # the loss is one of them, or half of one
        assert metric == "loss" or f"{value['mean']:.4g}" in outcome.out, metric


CELL = """
import dataclasses
from typing import Any, NamedTuple
import jax, jax.numpy as jnp
import recurrent as rec

class Params(NamedTuple): w_x: Any; w_h: Any; b: Any
class State(NamedTuple): h: Any

@dataclasses.dataclass(frozen=True)
class MyCell(rec.Cell):
    input_size: int
    hidden_size: int
    input_shape = property(lambda self: (self.input_size,))
    def init(self, key):
        w = jax.nn.initializers.orthogonal()(key, (self.hidden_size, self.hidden_size))
        return Params(jax.random.normal(key, (self.input_size, self.hidden_size)), w, jnp.zeros(self.hidden_size))
    def initial_state(self, w, batch_shape):
        return State(jnp.zeros((*batch_shape, self.hidden_size), w.b.dtype))
    def project(self, w, x): return x @ w.w_x + w.b
    def next_state(self, w, state, u): return State(jnp.tanh(u + state.h @ w.w_h))
"""


@pytest.mark.medium
def test_a_strangers_cell_trains_beside_ours_and_keeps_the_contract(compile_once, tmp_path, monkeypatch):
    (tmp_path / "strangers_cell.py").write_text(CELL)
    monkeypatch.syspath_prepend(tmp_path)
    outcome = run(tmp_path / "out", "--cell", "strangers_cell:MyCell", "elman")
    assert outcome.code == 0, outcome.err
    stranger, ours = (summary(tmp_path / "out" / cell) for cell in ("strangers_cell-MyCell", "elman"))
    assert stranger["num_parameters"] == ours["num_parameters"]
    assert stranger["seeds"][0]["params_sha256"] != ours["seeds"][0]["params_sha256"]
    assert json.loads((tmp_path / "out" / "table.json").read_text())[-1]["cell"] == "strangers_cell:MyCell"
    verdicts = check_cell(sys.modules["strangers_cell"].MyCell(3, 4), solvers=(rec.Checkpointed(),))
    assert verdicts[rec.Checkpointed()] == "ok"
