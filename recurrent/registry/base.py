"""What the library knows of a cell beside its code."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from recurrent.cell import Cell, Layer

__all__ = ["Entry"]


@dataclasses.dataclass(frozen=True)
class Entry:
    """A cell under its command-line name, with all that the tables and benchmarks have to be told about it.

    Four words are enough; the rest is for a cell whose defaults do not suit what every cell is put through. What
    follows from the code is asked of the cell: its parameters, its state, its linear form, the solvers that run it.

    >>> from recurrent.cells.elman import Elman
    >>> Entry("elman", Elman, "Elman (1990)", "the baseline").year
    1990
    """

    name: str
    """What ``--cell`` takes, a key of `recurrent.registry.CELLS`."""
    build: Callable[..., Cell | Layer]
    """The class, or a function of ``(input_size, hidden_size, **options)``."""
    source: str
    """Authors and year of the paper, as in "Cho et al. (2014)"."""
    about: str
    """What sets the cell apart, in half a line."""
    _: dataclasses.KW_ONLY
    learning_options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """Options with which `benchmarks.learning` trains it on adding: one pixel, several heads, weights, less noise."""
    learning_rate_factor: float = 1.0
    """Its learning rate there as a multiple of the common one, where it does not learn at that."""
    why_slow: str = ""
    """Why a training step of it takes more than four times as long as an LSTM's; empty where it does not."""
    small_options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """Options at 3 inputs and 4 units, the size at which cells are checked against their references."""

    @property
    def year(self) -> int:
        """The year in which the source was published."""
        return int(self.source[-5:-1])
