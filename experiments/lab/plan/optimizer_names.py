"""Optimizers by name: what ``--optimizer`` and ``--group-rates`` take, and which flags belong to which rule."""

import math
import re
from collections.abc import Mapping

from experiments.errors import Fault, nearest
from experiments.lab.plan import foreign

RULES = ("adam", "adamw", "rmsprop", "sgd")
"""The rules that a configuration names; any other is ``module:function``."""

TAKES: Mapping[str, tuple[str, ...]] = {"momentum": ("rmsprop", "sgd"), "weight_decay": ("adamw",)}
"""The rules that a field is for; with any other rule it would change nothing."""

DIGITS = 16  # of a source's sha256, behind the name of a function
EXAMPLE = "cell.w_h=0.1,readout=2"


def canonical(text: str) -> str:
    """One spelling of each rule: its name, or ``module:function@digits`` with the source's first sha256 digits.

    Digits that are given stay: they are those of the source that a run was started with.

    Raises:
        ValueError: there is no such rule, no such function, or it has no source.

    >>> canonical("sgd")
    'sgd'
    """
    found = re.fullmatch(r"((?:[^:]+\.py|[\w.]+):\w+)(@[0-9a-f]+)?", text)
    if found is None:
        if text not in RULES:
            known = f"{', '.join(RULES)}, or module:function"
            raise ValueError(f"--optimizer: expected one of {known}, got {text!r}{nearest(text, RULES)}")
        return text
    name, digits = found.groups()
    if digits:
        return text
    try:
        name, _ = foreign.by_path("--optimizer", name)
        return f"{name}@{foreign.source_sha256('--optimizer', name)[:DIGITS]}"
    except Fault as fault:
        raise ValueError(str(fault)) from fault


def check_fields(rule: str, fields: Mapping[str, float]) -> None:
    """ValueError where one of `TAKES` is not at 0 beside a rule that does not read it."""
    for name, rules in TAKES.items():
        if fields[name] and rule not in rules:
            flag = name.replace("_", "-")
            raise ValueError(f"--{flag}: only --optimizer {' or '.join(rules)} takes it, got {rule}")


def parse_groups(text: str) -> tuple[tuple[str, float], ...]:
    """``(path, multiplier)`` of each group that ``cell.w_h=0.1,readout=2`` names, in the order of the paths.

    Raises:
        ValueError: a word is no such pair, a multiplier is negative or not finite, or a path is given twice.

    >>> parse_groups("readout=2, cell.w_h=0.1")
    (('cell.w_h', 0.1), ('readout', 2.0))
    """
    groups: dict[str, float] = {}
    for word in filter(None, (word.strip() for word in text.split(","))):
        path, equals, number = (part.strip() for part in word.partition("="))
        try:
            multiplier = float(number)
        except ValueError:
            multiplier = math.nan
        if not (path and equals and 0 <= multiplier < math.inf):
            raise ValueError(
                f"--group-rates: expected parameter=multiplier, more by commas as in {EXAMPLE}, got {word!r}"
            )
        if path in groups:
            raise ValueError(f"--group-rates: {path} is given twice")
        groups[path] = multiplier
    return tuple(sorted(groups.items()))


def label_groups(groups: tuple[tuple[str, float], ...]) -> str:
    """How a configuration spells groups; the inverse of `parse_groups`.

    >>> label_groups(parse_groups("readout=2, cell.w_h=0.1"))
    'cell.w_h=0.1,readout=2.0'
    """
    return ",".join(f"{path}={multiplier!r}" for path, multiplier in groups)
