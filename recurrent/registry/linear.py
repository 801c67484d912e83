"""Networks that are linear in a state that is a vector."""

from recurrent.cells.linear_lmu import LinearLMU
from recurrent.cells.lru import LRU
from recurrent.cells.min_gated import MinGRU, MinLSTM
from recurrent.cells.rg_lru import RGLRU
from recurrent.cells.s4d import S4D
from recurrent.cells.s5 import S5
from recurrent.cells.s6 import S6
from recurrent.registry.base import Entry

__all__ = ["ENTRIES"]

ENTRIES = (
    Entry("lru", LRU, "Orvieto et al. (2023)", "complex diagonal, on a ring of eigenvalues"),
    Entry("s4d", S4D, "Gu et al. (2022)", "one diagonal system a channel", small_options={"state_size": 4}),
    Entry("s5", S5, "Smith et al. (2023)", "one diagonal system for all channels"),
    Entry(
        "s6", S6, "Gu & Dao (2023)", "Mamba's: step size follows the input", small_options={"state_size": 2}
    ),
    Entry("rg_lru", RGLRU, "De et al. (2024)", "Griffin's: decay gated by the input"),
    Entry("min_gru", MinGRU, "Feng et al. (2024)", "a GRU whose gates see the input alone"),
    Entry("min_lstm", MinLSTM, "Feng et al. (2024)", "an LSTM whose gates see the input alone"),
    Entry("linear_lmu", LinearLMU, "Chilkuri & Eliasmith (2021)", "the last θ steps as polynomials"),
)
