"""Networks with a memory that is no matrix of associations beside or in place of units."""

from recurrent.cells.fast_weights import FastWeights
from recurrent.cells.lmu import LMU
from recurrent.cells.stack_rnn import StackRNN
from recurrent.registry.base import Entry

__all__ = ["ENTRIES"]

ENTRIES = (
    Entry("lmu", LMU, "Voelker et al. (2019)", "a linear memory and a nonlinear state"),
    Entry(
        "fast_weights",
        FastWeights,
        "Ba et al. (2016)",
        "asks its recent states; not linear",
        learning_options={"layer_norm": False, "activation": "tanh", "rate": 0.1},
    ),
    Entry(
        "stack_rnn",
        StackRNN,
        "Joulin & Mikolov (2015)",
        "pushes to and pops from stacks",
        learning_options={"weight_init": ("normal", 1.0)},
        learning_rate_factor=0.3,
        small_options={"num_stacks": 2, "capacity": 4},
    ),
)
