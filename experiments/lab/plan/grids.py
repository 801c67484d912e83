"""Grids: the product of several values a field, and what its runs and their folders are called."""

import hashlib
import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from experiments.errors import Fault
from experiments.lab.plan import cell_names, configs
from experiments.lab.plan.configs import Config

LONGEST = 200  # characters of a folder's name; file systems take 255 bytes


def grid(config: Config, **values: Iterable[Any]) -> list[Config]:
    """The configurations of all combinations: ``grid(config, cell=["lstm", "gru"], learning_rate=[1e-3, 3e-3])``.

    The last field varies fastest. Fields are named like flags, those of the task too; a cell is a name, with options
    where you like, as after ``--cell``.

    Raises:
        Fault: there is no such field or cell, a value is out of range, or ``match`` is to choose a size that is given.
    """
    if "hidden_size" in values and ("match" in values or config.match):
        raise Fault("--match: chooses the hidden size; leave --hidden-size out")
    axes = [[(name, value) for value in _several(name, given)] for name, given in values.items()]
    return [configs.changed(config, **dict(point)) for point in itertools.product(*axes)]


def _several(name: str, given: Iterable[Any]) -> list[Any]:
    if isinstance(given, str) or not isinstance(given, Iterable):
        given = [given]
    listed = list(given)
    if not listed:
        raise Fault(f"--{name.replace('_', '-')}: expected at least one value, got none")
    return listed


def varying(flat: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """The fields in which flat configurations differ, in their order.

    Not the hidden size where all have a ``match``: it follows from the others.

    >>> varying([{"cell": "lstm", "delay": 5, "seed": 0}, {"cell": "lstm", "delay": 9, "seed": 0}])
    ('delay',)
    """
    names = dict.fromkeys(name for one in flat for name in one)
    if all(one.get("match") for one in flat):
        names.pop("hidden_size", None)
    return tuple(name for name in names if any(one.get(name) != flat[0].get(name) for one in flat))


def labels(requested: Sequence[Config]) -> list[str]:
    """What each run is called: its cell, then what else varies among those requested.

    Raises:
        Fault: the same configuration is requested twice.
    """
    names = names_of(requested)
    for name in names:
        if names.count(name) > 1:
            raise Fault(f"--cell: {name} is given twice")
    return names


def names_of(runs: Sequence[Config]) -> list[str]:
    """The `label` of each configuration by what varies among them; a copy of a run has the name of the run."""
    fields = [name for name in varying([configs.flat(config) for config in runs]) if name != "cell"]
    return [label(cell_names.label(config.cell), configs.flat(config), fields) for config in runs]


def label(cell: str, flat: Mapping[str, Any], fields: Iterable[str]) -> str:
    """A cell and the values of some fields.

    >>> label("lstm", {"learning_rate": 0.001, "delay": 50}, ["learning_rate"])
    'lstm learning_rate=0.001'
    """
    return " ".join([cell, *(f"{name}={_text(flat.get(name))}" for name in fields)])


def _text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) and float(f"{value:g}") == value else str(value)


def folder_names(labels: Sequence[str]) -> list[str]:
    """A folder for each label, with ``-`` for what may not stand in a file name.

    Names that collide, and long ones, get four digits of their label's hash.

    >>> folder_names(["lstm(forget_bias=5)", "elman", "lstm learning_rate=0.001"])
    ['lstm-forget_bias=5-', 'elman', 'lstm-learning_rate=0.001']
    """
    names = [re.sub(r"[^A-Za-z0-9._=-]", "-", label) for label in labels]

    def distinct(name: str, label: str) -> str:
        if names.count(name) == 1 and len(name) <= LONGEST:
            return name
        return f"{name[:LONGEST]}-{hashlib.sha256(label.encode()).hexdigest()[:4]}"

    return [distinct(name, label) for name, label in zip(names, labels, strict=True)]
