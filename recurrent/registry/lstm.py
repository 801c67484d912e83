"""Long short-term memory, from the first to its descendants."""

from recurrent import recipes
from recurrent.cells.gers2000 import GersBlock
from recurrent.cells.hs97 import HS97
from recurrent.cells.hs97_long_lag import HS97LongLag
from recurrent.cells.hyper_lstm import HyperLSTM
from recurrent.cells.janet import JANET
from recurrent.cells.layer_norm_lstm import LayerNormLSTM
from recurrent.cells.lstm import LSTM
from recurrent.cells.lstmp import LSTMP
from recurrent.cells.mogrifier import MogrifierLSTM
from recurrent.cells.multiplicative_lstm import MultiplicativeLSTM
from recurrent.cells.phased_lstm import PhasedLSTM
from recurrent.cells.slstm import SLSTM
from recurrent.cells.ur_lstm import URLSTM
from recurrent.registry.base import Entry

__all__ = ["ENTRIES"]

ENTRIES = (
    Entry("lstm", LSTM, "Gers et al. (2000)", "the default: input, forget and output gates"),
    Entry(
        "hs97",
        HS97,
        "Hochreiter & Schmidhuber (1997)",
        "the first: no forget gate, gates feed gates",
        learning_options={"bias": "hidden", "init_range": 0.5},
        learning_rate_factor=3.0,
    ),
    Entry(
        "hs97_cut",
        recipes.hs97_cut,
        "Hochreiter & Schmidhuber (1997)",
        "HS97 with the truncated gradient of its paper",
        learning_options={"bias": "hidden", "init_range": 0.5},
        learning_rate_factor=3.0,
    ),
    Entry(
        "hs97_long_lag",
        HS97LongLag,
        "Hochreiter & Schmidhuber (1997)",
        "one gate, no recurrent weights",
        learning_rate_factor=10.0,
    ),
    Entry("gers2000", GersBlock, "Gers et al. (2000)", "memory blocks with the first forget gate"),
    Entry("lstmp", LSTMP, "Sak et al. (2014)", "recurs through a projection; large memories"),
    Entry("layer_norm_lstm", LayerNormLSTM, "Ba et al. (2016)", "normalised products and memory"),
    Entry("multiplicative_lstm", MultiplicativeLSTM, "Krause et al. (2016)", "a matrix for each input"),
    Entry("mogrifier_lstm", MogrifierLSTM, "Melis et al. (2020)", "input and state gate each other"),
    Entry("ur_lstm", URLSTM, "Gu et al. (2020)", "refined gate, time scales spread at the start"),
    Entry("janet", JANET, "van der Westhuizen & Lasenby (2018)", "the forget gate alone"),
    Entry(
        "hyper_lstm",
        HyperLSTM,
        "Ha et al. (2017)",
        "a small LSTM scales the weights of a large one",
        why_slow="on a CPU, barely: a second LSTM runs beside it, and each gate has vectors of its own for the "
        "scales of its two products and a normalisation, work on many small arrays",
        small_options={"small_size": 3, "embedding_size": 2, "epsilon": 0.1},
    ),
    Entry("slstm", SLSTM, "Beck et al. (2024)", "exponential gates and a normaliser; heads"),
    Entry(
        "phased_lstm",
        PhasedLSTM,
        "Neil et al. (2016)",
        "opens to a rhythm; time stamps are inputs",
        small_options={"leak": 0.1, "open_share": 0.5, "log_periods": (0.0, 1.0)},
    ),
)
