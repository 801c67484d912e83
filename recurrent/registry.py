"""What the command line may name: cells and initialisers."""

from collections.abc import Callable

from recurrent.cell import Cell
from recurrent.cells.elman import Elman, irnn
from recurrent.cells.gru import GRU
from recurrent.cells.lstm import LSTM
from recurrent.initializers import INITIALIZERS

__all__ = ["CELLS", "INITIALIZERS"]

CELLS: dict[str, Callable[..., Cell]] = {
    "elman": Elman,
    "irnn": irnn,
    "lstm": LSTM,
    "gru": GRU,
}
"""Builders ``(input_size, hidden_size, **options) -> Cell`` by command-line name."""
