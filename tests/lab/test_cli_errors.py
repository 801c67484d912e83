"""Every mistake on a command line is one line and an exit code, and leaves the disk as it was."""

import dataclasses
import os
import re
import shlex
import sys
import typing

import pytest
from annotated_types import Gt
from lab_runs import ADDING, command, digest, elsewhere, heard, refused

from experiments import __main__ as package
from experiments.errors import guarded
from experiments.lab import cli
from experiments.lab.plan.finding import load_experiment

pytest_plugins = ["lab_fixtures"]
pytestmark = pytest.mark.usefixtures("compile_once", "trace_once")

FLAGS = {
    "--hidden-sze 5": "--hidden-sze: unknown flag; did you mean --hidden-size?",
    "--num_seds 5": "--num_seds: unknown flag; did you mean --num-seeds?",
    "--celll lstm": "--celll: unknown flag; did you mean --cell?",
    "--no-progres": "--no-progres: unknown flag; did you mean --no-progress?",
    "--no-progress=yes": "--no-progress: takes no value",
    "--hidden-size 5 lstm": "--hidden-size: expected an integer, got 'lstm'",
    "--hidden-size 5 --hidden-size 6": "--hidden-size: given twice; several values stand behind one flag",
    "--learning-rate 1e-3 3e-3 0.001": "--learning-rate: a value is given twice in 1e-3 3e-3 0.001",
    "--learning-rate 1e-3 fast": "--learning-rate: expected a number, got 'fast'",
    "--num-steps 20 3": "--num-steps: expected at least 4 for adding (canonical), got 3",
    "--num-updates 20 40": "--num-updates: elman num_updates=40 and elman num_updates=20 are one run",
    "--num-evaluation 0": "--num-evaluation: expected at least 1, got 0",
    "--num-steps 0": "--num-steps: expected at least 4 for adding (canonical), got 0",
    "-n 5": "unknown argument -n, 5 (a preset or verb comes first, flags start with --)",
    "--hidden-size": "--hidden-size: expected a value",
    "--hidden-size --num-seeds 2": "--hidden-size: expected a value",
    "--cell": "--cell: expected a value",
    "--cell --num-seeds 2": "--cell: expected a value",
    "--device": "--device: expected a value",
    "--device cpu --device gpu": "--device: given twice",
    "--hidden-size 4.5": "--hidden-size: expected an integer, got '4.5'",
    "--num-updates 1e3": "--num-updates: expected an integer, got '1e3'",
    "--learning-rate fast": "--learning-rate: expected a number, got 'fast'",
    "--learning-rate 0": "--learning-rate: input should be greater than 0, got 0.0",
    "--learning-rate nan": "--learning-rate: input should be a finite number, got nan",
    "--clip-norm inf": "--clip-norm: input should be a finite number, got inf",
    "--clip-norm -1": "--clip-norm: input should be greater than 0, got -1.0",
    "--seed -1": "--seed: input should be greater than or equal to 0, got -1",
    "--seed 2147483648": "--seed: input should be less than 2147483648, got 2147483648",
    "--seed 2147483647 --num-seeds 2": "--seed: expected the last network's below 2**31, got 2147483647",
    "--optimizer adan": "--optimizer: expected one of adam, adamw, rmsprop, sgd, or module:function, got 'adan'; "
    "did you mean adam?",
    "--optimizer no_such_module:make": "--optimizer: cannot import no_such_module: ModuleNotFoundError: ",
    "--optimizer optax:lino": "--optimizer: optax has no lino; did you mean lion?",
    "--optimizer math:sin": "--optimizer: math:sin has no source file in Python",
    "--optimizer optax:constant_schedule": "--optimizer: optax:constant_schedule made a function, expected an optax.",
    "--optimizer optax:masked": "--optimizer: optax:masked: TypeError: ",
    "--momentum 1": "--momentum: input should be less than 1, got 1.0",
    "--momentum 0.9": "--momentum: only --optimizer rmsprop or sgd takes it, got adam",
    "--weight-decay 0.1 --optimizer sgd": "--weight-decay: only --optimizer adamw takes it, got sgd",
    "--warmup -1": "--warmup: input should be greater than or equal to 0, got -1",
    "--warmup 40 --schedule cosine": "--warmup: expected less than --num-updates (40) before a cosine, got 40",
    "--group-rates 0.1": "--group-rates: expected parameter=multiplier, more by commas as in cell.w_h=0.1,readout=2, "
    "got '0.1'",
    "--group-rates readout=-1": "--group-rates: expected parameter=multiplier, more by commas as in cell.w_h=0.1",
    "--group-rates readout=1,readout=2": "--group-rates: readout is given twice",
    "--group-rates cell.w_hh=2": "--group-rates: no parameter 'cell.w_hh'; did you mean cell.w_h? (parameters: cell.",
    "--group-rates cell.recurrent=2": "--group-rates: no parameter 'cell.recurrent'",
    "--schedule 1": "--schedule: expected one of constant, cosine, got '1'",
    "--device gpuu": "--device: expected one of auto, cpu, gpu, tpu, got 'gpuu'; did you mean gpu?",
    "--eval-every 15": "--eval-every: expected a multiple of --log-every (10), got 15",
    "--checkpoint-every 25": "--checkpoint-every: expected a multiple of --log-every (10), got 25",
    "--num-steps 3": "--num-steps: expected at least 4 for adding (canonical), got 3",
    "--variant hs97 --num-steps 19": "--num-steps: expected at least 20 for adding (hs97), got 19",
}
CELLS = {
    "lstn": "unknown cell 'lstn'; did you mean lstm? (python -m experiments cells lists them, or module:Class)",
    "elman lstn": "unknown cell 'lstn'; did you mean lstm? (python -m experiments cells",
    "xyzzy": "unknown cell 'xyzzy' (known: elman, ",
    "elman elman": "elman is given twice",
    "lstm 'lstm(forget_bias=1.0)'": "lstm is given twice",
    "'lstm(forget_bais=5)'": "lstm has no option 'forget_bais'; did you mean forget_bias? (its options: ",
    "'lstm(hiden_size=5)'": "lstm has no option 'hiden_size'; did you mean hidden_size? (its options: ",
    "'lstm(input_size=5)'": "lstm has no option 'input_size'",
    "'lstm(hidden_size=0)'": "lstm(hidden_size=0): hidden_size: expected a positive integer, got 0",
    "'lstm(forget_bias=None)'": "lstm(forget_bias=None): Type",
    "'lstm(forget_bias=(\"chronos\", 9))'": "lstm(forget_bias=('chronos', 9)): ",
    "'lstm('": "expected name, name(option=value) or module:Class, got 'lstm('",
    "a:b:c": "expected name, name(option=value) or module:Class, got 'a:b:c'",
    "'lstm(5)'": "expected options such as (forget_bias=5), each once, got 'lstm(5)'",
    "'lstm(forget_bias=one)'": "expected options such as (forget_bias=5), each once",
    "'lstm(forget_bias=1, forget_bias=2)'": "expected options such as (forget_bias=5), each once",
    "'lstm(forget_bias={1})'": "expected options such as (forget_bias=5), each once",
    "'lstm(forget_bias=1e999)'": "expected options such as (forget_bias=5), each once",
    "no_such_module:Cell": "cannot import no_such_module: ModuleNotFoundError: No module named "
    "'no_such_module' (give the path of its file, stand in its folder, or set PYTHONPATH)",
    "raises:Cell": "cannot import raises: ZeroDivisionError: division by zero",
    "leaves:Cell": "cannot import leaves: SystemExit: 3",
    "nowhere.py:Cell": "nowhere.py: there is no such file",
    "misspelt:Cell": "cannot import misspelt: SyntaxError: ",
    "cells:Cel": "cells has no Cel; did you mean Cell?",
    "cells:number": "cells has no number",
    "cells:Cell": "cells:Cell takes no argument hidden_size",
    "cells:NoCell": "cells:NoCell made a NoCell, expected a recurrent.Cell",
    "cells:Moody": "cells:Moody: KeyError: 'not today'",
    "cells:Crooked": "cells:Crooked: TypeError: ",
    "recurrent:Cell": "recurrent:Cell takes no argument input_size",
    "builtins:dict": "builtins:dict has no source file in Python",
    "math:sin": "math:sin has no source file in Python",
}
STRANGERS = {
    "raises": "1 / 0",
    "leaves": "raise SystemExit(3)",
    "misspelt": "clas Cell: pass",
    "cells": """
import dataclasses
import jax.numpy as jnp
import recurrent as rec
number = 5
class Cell:
    def __init__(self, input_size): pass
class NoCell:
    def __init__(self, input_size, hidden_size): pass
class Moody:
    def __init__(self, input_size, hidden_size): raise KeyError("not today")
@dataclasses.dataclass(frozen=True)
class Crooked(rec.Elman):
    def next_state(self, weights, state, u):
        return state._replace(h=jnp.zeros((2, 2)) @ jnp.zeros((3, 3)))
""",
}
KNOWN = "(known: list, run, cells, compare, status, reproduce, suite, keep, report)"
COMMANDS = {
    "lits": f"unknown command 'lits'; did you mean list? {KNOWN}",
    "adding_problem": "unknown command 'adding_problem'; did you mean run adding_problem? (known: ",
    "list all": "list: unknown argument all",
    "run": "run: expected a .py file, a module, or the name of an experiment (adding_problem, ",
    "run addin_problem": "unknown experiment 'addin_problem'; did you mean adding_problem? (expected ",
    "run adding_problem smok": "unknown preset or verb 'smok'; did you mean smoke? (known: default, smoke, ",
    "run adding_problem smple": "unknown preset or verb 'smple'; did you mean sample? (known: default, ",
    "run adding_problem sample --hidden-size 0": "--hidden-size: input should be greater than 0, got 0",
    "run adding_problem sample --num-steps 2": "--num-steps: expected at least 4 for adding (canonical), got 2",
    "keep": "keep: expected the folder of one run",
    "keep nowhere": "nowhere holds no run (a run has a config.json)",
}


def sizes() -> list[str]:
    """The flags of all sizes of a configuration; those of a task have bounds of their own."""
    hints = typing.get_type_hints(ADDING.config, include_extras=True)
    kinds = {name: typing.get_args(hint) for name, hint in hints.items()}
    found = [name for name, kind in kinds.items() if kind and kind[0] is int and _is_positive(kind)]
    return [f"--{name.replace('_', '-')}" for name in found]


def _is_positive(kind: tuple[typing.Any, ...]) -> bool:
    return any(Gt(0) in getattr(mark, "metadata", [mark]) for mark in kind[1:])


@pytest.mark.parametrize(("words", "complaint"), FLAGS.items(), ids=FLAGS)
def test_a_wrong_flag_or_value_is_named(words, complaint, tmp_path):
    assert refused(tmp_path / "out", *shlex.split(words)).startswith(complaint)


def test_every_size_has_to_be_positive(tmp_path):
    assert {"--hidden-size", "--batch-size", "--num-seeds", "--log-every"} <= set(sizes())
    assert len(sizes()) >= 8
    for flag in sizes():
        for value in ("0", "-1"):
            complaint = refused(tmp_path / "out", flag, value)
            assert complaint == f"{flag}: input should be greater than 0, got {value}"


@pytest.mark.parametrize(("words", "complaint"), CELLS.items(), ids=CELLS)
def test_a_wrong_cell_is_named(words, complaint, tmp_path, monkeypatch):
    for name, source in STRANGERS.items():
        (tmp_path / f"{name}.py").write_text(source)
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    assert refused(tmp_path / "out", "--cell", *shlex.split(words)).startswith(f"--cell: {complaint}")


@pytest.mark.parametrize(("words", "complaint"), COMMANDS.items(), ids=COMMANDS)
def test_a_wrong_command_is_named(words, complaint, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    outcome = heard(lambda: guarded(lambda: package.main(shlex.split(words))))
    assert (outcome.code, len(outcome.errors), outcome.notices) == (2, 1, [])
    assert outcome.errors[0].startswith(complaint)
    assert digest(tmp_path) == {}


def test_a_preset_is_named_before_flags_are_looked_at(tmp_path):
    outcome = heard(lambda: cli.main(ADDING, ["papr", "--hidden-sze", "5", "--out", str(tmp_path / "out")]))
    known = f"(known: {', '.join([*ADDING.presets, *cli.all_verbs(ADDING)])})"
    assert outcome.errors == [f"unknown preset or verb 'papr'; did you mean paper? {known}"]


def test_help_is_no_mistake():
    outcome = heard(lambda: cli.main(ADDING, ["smoke", "--hidden-sze", "--help"]))
    assert (outcome.code, outcome.err) == (0, "") and "--hidden-size" in outcome.out


def test_missing_data_say_how_to_get_them(tmp_path, monkeypatch):
    monkeypatch.setenv("RECURRENT_DATA", str(tmp_path / "data"))
    outcome = heard(lambda: cli.main(load_experiment("pixel_mnist"), ["--out", str(tmp_path / "out")]))
    assert (outcome.code, outcome.notices) == (2, [])
    assert re.fullmatch(r"mnist: not in \S*data; run python -m experiments\.data mnist", outcome.errors[0])
    assert digest(tmp_path) == {}


PROCESSES = {
    ("--num-seeds", "0"): "--num-seeds: input should be greater than 0, got 0",
    (
        "--device",
        "gpu",
    ): "--device: JAX finds no gpu here (pip install -e '.[cuda]' installs support for one)",
}


@pytest.mark.parametrize(("flags", "complaint"), PROCESSES.items(), ids=lambda value: value[0])
def test_another_process_ends_with_the_line_and_the_code(flags, complaint, tmp_path):
    # without the platform of the tests, for lab.start chooses it; and without the accelerators that may be here
    environment = {name: value for name, value in os.environ.items() if name != "JAX_PLATFORMS"}
    environment["CUDA_VISIBLE_DEVICES"] = ""
    outcome = elsewhere(command(tmp_path / "out", *flags), env=environment)
    assert (outcome.code, outcome.out, outcome.err) == (2, "", f"error: {complaint}\n")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("device", ["gpu", "tpu"])
def test_a_missing_device_is_named_where_jax_runs_already(tmp_path, device):
    complaint = refused(tmp_path / "out", "--device", device)
    assert complaint.startswith(f"--device: JAX finds no {device} here (pip install -e ")


def test_the_package_lists_its_commands_in_another_process():
    words = [sys.executable, "-m", "experiments", "rnu"]
    outcome = elsewhere(words)
    assert outcome.code == 2
    assert outcome.err == f"error: unknown command 'rnu'; did you mean run? {KNOWN}\n"


def test_the_experiment_of_these_tests_is_the_real_one():
    assert dataclasses.replace(
        ADDING, pictures=load_experiment("adding_problem").pictures
    ) == load_experiment("adding_problem")
