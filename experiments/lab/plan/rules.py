"""Gradient rules by name: what ``--gradient`` takes."""

import ast
import dataclasses
from collections.abc import Mapping
from typing import Any

from experiments.errors import nearest
from recurrent import online

NAMES: Mapping[str, Any] = {
    "bptt": online.BPTT,
    "truncated": online.Truncated,
    "rtrl": online.RTRL,
    "uoro": online.UORO,
    "snap1": online.SnAp1,
    "eprop": online.EProp,
}
"""The rules that a configuration names."""


EXAMPLE = "truncated(k1=5,k2=10)"


def parse(text: str) -> online.Rule:
    """The rule that ``rtrl`` or ``truncated(k1=5, k2=10)`` stands for.

    Raises:
        ValueError: no such rule, no such option, or an option that is missing or out of range.

    >>> parse("truncated(k2=10, k1=5)")
    Truncated(k1=5, k2=10)
    """
    name, options = _read(text)
    if name not in NAMES:
        raise ValueError(
            f"--gradient: unknown rule {name!r}{nearest(name, NAMES)} (known: {', '.join(NAMES)})"
        )
    known = [field.name for field in dataclasses.fields(NAMES[name])]
    for option in options:
        if option not in known:
            listed = f" (its options: {', '.join(known)})" if known else ""
            raise ValueError(f"--gradient: {name} has no option {option!r}{nearest(option, known)}{listed}")
    for option in known:
        if option not in options:
            raise ValueError(f"--gradient: {name} needs {option}, as in {EXAMPLE}")
        if type(options[option]) is not int:
            raise ValueError(f"--gradient: {option}: expected an integer, got {options[option]!r}")
    try:
        return NAMES[name](**options)
    except ValueError as error:
        raise ValueError(f"--gradient: {error}") from error


def _read(text: str) -> tuple[str, dict[str, Any]]:
    """The name and the options that are written; ValueError where it is neither a name nor a call of one."""
    try:
        match ast.parse(text.strip(), mode="eval").body:
            case ast.Name(name):
                return name, {}
            case ast.Call(ast.Name(name), [], words):
                options = {str(word.arg): ast.literal_eval(word.value) for word in words}
                if len(options) == len(words) and all(word.arg for word in words):
                    return name, options
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        pass  # said below, like all else that is not understood
    raise ValueError(f"--gradient: expected a name, or options each once as in {EXAMPLE}, got {text!r}")


def label(rule: online.Rule) -> str:
    """How a configuration spells a rule; the inverse of `parse`.

    >>> label(parse("truncated(k2=10, k1=5)"))
    'truncated(k1=5,k2=10)'
    """
    name = next(name for name, kind in NAMES.items() if kind is type(rule))
    options = ",".join(f"{option}={value!r}" for option, value in vars(rule).items())
    return f"{name}({options})" if options else name
