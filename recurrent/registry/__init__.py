"""What the command line may name: cells with their sources, one module a family, and initialisers."""

from collections.abc import Callable, Iterator
from typing import Any

from recurrent.initializers import INITIALIZERS
from recurrent.registry import (
    dynamical,
    gated,
    images,
    layered,
    linear,
    lstm,
    lstm_studies,
    matrix_memories,
    orthogonal,
    other_memories,
    reservoirs,
    simple,
)
from recurrent.registry.base import Entry

__all__ = ["CELLS", "ENTRIES", "INITIALIZERS", "Entry", "entries", "entry"]

ENTRIES: dict[str, tuple[Entry, ...]] = {
    "Simple": simple.ENTRIES,
    "Long short-term memory": lstm.ENTRIES,
    "Forms compared in print": lstm_studies.ENTRIES,
    "Gated": gated.ENTRIES,
    "Orthogonal and unitary": orthogonal.ENTRIES,
    "Dynamical systems": dynamical.ENTRIES,
    "Linear recurrences": linear.ENTRIES,
    "Matrix memories": matrix_memories.ENTRIES,
    "Other memories": other_memories.ENTRIES,
    "Images": images.ENTRIES,
    "Reservoirs": reservoirs.ENTRIES,
    "Regularised and layered": layered.ENTRIES,
}
"""All cells, family by family."""


def entries() -> Iterator[Entry]:
    """All cells, in the order of the tables."""
    for family in ENTRIES.values():
        yield from family


def entry(name: str) -> Entry:
    """The entry of a cell by its command-line name; KeyError where no cell has it.

    >>> entry("lstm").source
    'Gers et al. (2000)'
    """
    return {one.name: one for one in entries()}[name]


CELLS: dict[str, Callable[..., Any]] = {one.name: one.build for one in entries()}
"""Builders ``(input_size, hidden_size, **options) -> Cell`` by command-line name."""
