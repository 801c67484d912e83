"""Fields that are whole numbers: any integer is taken, NumPy's too, and its range is said where it is declared.

A field annotated `Size` or `Count` is checked and made an ``int`` by `settle`, which cells, layers and solvers call
when they are made: equal sizes make equal values with equal hashes, whoever computed them.
"""

import dataclasses
import functools
import operator
import typing
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

__all__ = ["AtLeast", "Count", "Size", "declared", "integer", "settle"]


class AtLeast(NamedTuple):
    """The range of a field: integers from ``lowest`` on."""

    lowest: int


if TYPE_CHECKING:
    Size = int
    Count = int
else:
    # what stands in the annotation is what may be given, and that is checked here, with a message of one line
    Size = Annotated[Any, AtLeast(1)]
    Count = Annotated[Any, AtLeast(0)]


def integer(name: str, value: Any, lowest: int) -> int:
    """``value`` as an int; ValueError, naming the field, unless it is an integer of at least ``lowest``.

    >>> import numpy as np
    >>> integer("hidden_size", np.int64(4), 1)
    4
    """
    try:
        found = operator.index(value)
    except TypeError:
        found = None
    if found is None or found < lowest:
        raise ValueError(f"{name}: expected an integer of at least {lowest}, got {value!r}") from None
    return found


@functools.cache
def declared(cls: type) -> dict[str, tuple[int, bool]]:
    """``(lowest, whether None may stand there)`` for every field of a dataclass that is annotated with a range."""
    found = {}
    for field in dataclasses.fields(cls):
        for note in _ranges(field.type):
            found[field.name] = note.lowest, type(None) in typing.get_args(field.type)
    return found


def _ranges(hint: Any) -> Iterator[AtLeast]:
    """The ranges that an annotation names: its own, that of a choice, or that of the entries of a tuple."""
    for note in getattr(hint, "__metadata__", ()):
        if isinstance(note, AtLeast):
            yield note
    for part in typing.get_args(hint):
        yield from _ranges(part)


def settle(value: Any) -> None:
    """Make an int of every declared field of a frozen dataclass; a tuple is settled entry by entry.

    Raises:
        ValueError: a field holds no integer, or one out of its range.
    """
    for name, (lowest, optional) in declared(type(value)).items():
        given = getattr(value, name)
        if given is None and optional:
            continue
        settled = tuple(integer(name, one, lowest) for one in given) if isinstance(given, tuple) else None
        # frozen: a field is set this way while the value is made, and never afterwards
        object.__setattr__(value, name, integer(name, given, lowest) if settled is None else settled)
