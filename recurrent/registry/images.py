"""Networks that read images over time."""

from recurrent.cells.conv import ConvGRU, ConvLSTM
from recurrent.registry.base import Entry

__all__ = ["ENTRIES"]

ENTRIES = (
    Entry(
        "conv_lstm",
        ConvLSTM,
        "Shi et al. (2015)",
        "an LSTM whose products are convolutions",
        learning_options={"height": 1, "width": 1, "kernel": 1},
        small_options={"height": 3, "width": 2},
    ),
    Entry(
        "conv_gru",
        ConvGRU,
        "Ballas et al. (2016)",
        "a GRU whose products are convolutions",
        learning_options={"height": 1, "width": 1, "kernel": 1},
        small_options={"height": 3, "width": 2},
    ),
)
