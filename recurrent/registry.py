"""What the command line may name: cells and initialisers."""

from collections.abc import Callable

from recurrent.cell import Cell
from recurrent.cells.delta_net import DeltaNet
from recurrent.cells.elman import Elman, irnn
from recurrent.cells.gru import GRU
from recurrent.cells.linear_lmu import LinearLMU
from recurrent.cells.lru import LRU
from recurrent.cells.lstm import LSTM
from recurrent.cells.min_gated import MinGRU, MinLSTM
from recurrent.cells.mlstm import MLSTM
from recurrent.initializers import INITIALIZERS

__all__ = ["CELLS", "INITIALIZERS"]

CELLS: dict[str, Callable[..., Cell]] = {
    "elman": Elman,
    "irnn": irnn,
    "lstm": LSTM,
    "gru": GRU,
    "lru": LRU,
    "min_gru": MinGRU,
    "min_lstm": MinLSTM,
    "linear_lmu": LinearLMU,
    "delta_net": DeltaNet,
    "mlstm": MLSTM,
}
"""Builders ``(input_size, hidden_size, **options) -> Cell`` by command-line name."""
