"""What a person most likely meant by wrong words is what the line says; what can mean one thing means it."""

import dataclasses
import re
import shlex

import pytest
from lab_runs import ADDING, heard, refused

from experiments.errors import Fault
from experiments.lab import cli
from experiments.lab.opened import open_run
from experiments.lab.plan.experiment import OfRun

pytest_plugins = ["lab_fixtures"]
pytestmark = pytest.mark.usefixtures("compile_once", "trace_once")

MEANT = {
    "--clip-norm off": "--clip-norm: expected a number or None, got 'off'",
    "--clip-norm 1 off": "--clip-norm: expected a number or None, got 'off'",
    "--preset smoke": "--preset: unknown flag; a preset or verb comes first, and without dashes, as in: smoke",
    "--smoke": "--smoke: unknown flag; a preset or verb comes first, and without dashes, as in: smoke",
    "--sample": "--sample: unknown flag; a preset or verb comes first, and without dashes, as in: sample",
    "--lr 1": "--lr: unknown flag; did you mean --learning-rate?",
    "--seeds 3": "--seeds: unknown flag; did you mean --num-seeds?",
    "--cell lstm,gru": "--cell: expected one cell a word, got 'lstm,gru'; several stand behind one flag: lstm gru",
    "--cell 'lstm(forget_bias=1),gru'": "--cell: expected one cell a word, got 'lstm(forget_bias=1),gru'",
    "--cell leaky": "--cell: unknown cell 'leaky'; leaky.py is here: did you mean leaky:Leaky?",
    "--cell leaky.py": "--cell: unknown cell 'leaky.py'; leaky.py is here: did you mean leaky.py:Leaky?",
    "--cell several": "--cell: unknown cell 'several'; several.py is here: name its class, as in several:MyCell",
    "--cell 'elman(recurrent_init=orthogonal)'": "--cell: expected options such as (forget_bias=5), each once, got "
    "'elman(recurrent_init=orthogonal)'; a text has quotes: recurrent_init='orthogonal'",
    "--cell 'lstm(peepholes=true)'": "--cell: expected options such as (forget_bias=5), each once, got "
    "'lstm(peepholes=true)'; did you mean peepholes=True?",
    "--solver associative": "--solver: Associative(chunk=None) cannot run elman: its state map has no linear form",
}


@pytest.mark.parametrize(("words", "complaint"), MEANT.items(), ids=MEANT)
def test_what_was_meant_is_said(words, complaint, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "leaky.py").write_text("import recurrent as rec\nclass Leaky(rec.Elman):\n    pass\n")
    (tmp_path / "several.py").write_text("class One: pass\nclass Two: pass\n")
    assert refused(tmp_path / "out", *shlex.split(words)).startswith(complaint)


@pytest.mark.parametrize(
    ("words", "complaint"),
    {
        "--hidden-size 16,32": "--hidden-size: expected an integer, got '16,32'; several values are words: 16 32",
        "--learning-rate 1e-3,3e-3": "--learning-rate: expected a number, got '1e-3,3e-3'; several values are words: ",
        "--cell lstm smoke": "--cell: smoke is no cell; a preset or verb comes first, before all flags",
        "--cell lstm sample": "--cell: sample is no cell; a preset or verb comes first, before all flags",
    }.items(),
)
def test_what_stands_in_the_wrong_place_is_named(words, complaint, tmp_path):
    assert refused(tmp_path / "out", *shlex.split(words)).startswith(complaint)


DRIFTING = """
import jax.numpy as jnp
import optax
def make(learning_rate):
    def update(grads, count, params=None):
        return grads, count + 0.5
    return optax.GradientTransformation(lambda params: jnp.zeros((), jnp.int32), update)
"""


def test_what_an_update_remembers_keeps_its_type(tmp_path, monkeypatch):
    (tmp_path / "drifting.py").write_text(DRIFTING)
    monkeypatch.syspath_prepend(tmp_path)
    complaint = refused(tmp_path / "out", "--optimizer", "drifting:make")
    assert re.search(
        r"^elman: \S*opt_state\S* is int32\[\] before an update, float32\[\] after it$", complaint
    )


@pytest.mark.parametrize(
    ("words", "same"),
    {
        "--clip-norm none": "--clip-norm None",
        "--clip-norm 1 NONE": "--clip-norm 1 None",
        "--cell LSTM": "--cell lstm",
        "--cell Min-GRU": "--cell min_gru",
        "--cell 'GRU(hidden_size=3)'": "--cell 'gru(hidden_size=3)'",
        "--device CPU": "--device cpu",
        "--device cuda": "--device gpu",
    }.items(),
)
def test_what_can_mean_only_one_thing_means_it(words, same):
    first, other = (cli.parse(ADDING, shlex.split(each)) for each in (words, same))
    assert (first.configs, first.device) == (other.configs, other.device)


def test_python_is_told_of_its_argument_and_the_command_line_of_its_flag(finished):
    with pytest.raises(Fault, match=r"^seed_index: .*elman has networks 0 to 1, asked for 3$"):
        open_run(finished, seed_index=3)
    experiment = dataclasses.replace(ADDING, verbs={"look": OfRun(lambda run: None)})
    outcome = heard(lambda: cli.main(experiment, ["look", str(finished), "--seed-index", "3"]))
    assert re.fullmatch("--seed-index: .*elman has networks 0 to 1, asked for 3", outcome.errors[0])
