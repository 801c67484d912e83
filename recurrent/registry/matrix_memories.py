"""Networks that are linear in a state that is a matrix of associations."""

from recurrent import recipes
from recurrent.cells.delta_net import DeltaNet
from recurrent.cells.linear_attention import LinearAttention, gated_linear_attention, retention
from recurrent.cells.mlstm import MLSTM
from recurrent.registry.base import Entry

__all__ = ["ENTRIES"]

MATRIX_STATE = (
    "on a CPU: with one head of 128 units its state is 16,384 numbers a sequence, an LSTM's 256, and each step reads "
    "and writes all of them; n heads divide that by n, and Checkpointed, the default there, keeps few of them"
)
"""Why a cell of this family is slow."""

ENTRIES = (
    Entry(
        "linear_attention",
        LinearAttention,
        "Katharopoulos et al. (2020)",
        "adds an association a step",
        learning_options={"num_heads": 4},
    ),
    Entry(
        "retention",
        retention,
        "Sun et al. (2023)",
        "linear attention with a fixed decay a head",
        learning_options={"num_heads": 4},
    ),
    Entry(
        "gla",
        gated_linear_attention,
        "Yang et al. (2023)",
        "linear attention with a decay from the input",
        learning_options={"num_heads": 4},
        why_slow=MATRIX_STATE,
    ),
    Entry(
        "delta_net",
        DeltaNet,
        "Schlag et al. (2021)",
        "replaces what is stored under a key",
        learning_options={"num_heads": 4},
        why_slow=MATRIX_STATE,
    ),
    Entry(
        "gated_delta_net",
        recipes.gated_delta_net,
        "Yang et al. (2024)",
        "a delta net with a decay from the input",
        learning_options={"num_heads": 4},
        why_slow=MATRIX_STATE,
    ),
    Entry(
        "mlstm",
        MLSTM,
        "Beck et al. (2024)",
        "xLSTM's matrix memory",
        learning_options={"num_heads": 4},
        why_slow=MATRIX_STATE,
    ),
)
