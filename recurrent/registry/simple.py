"""Simple recurrent networks: one state, no gates."""

from recurrent.cells.clockwork import Clockwork
from recurrent.cells.elman import Elman, irnn, np_rnn
from recurrent.cells.fast_rnn import FastRNN
from recurrent.cells.indrnn import IndRNN
from recurrent.registry.base import Entry

__all__ = ["ENTRIES"]

ENTRIES = (
    Entry("elman", Elman, "Elman (1990)", "the baseline: its gradient vanishes"),
    Entry("irnn", irnn, "Le et al. (2015)", "relu, starts at the identity"),
    Entry("np_rnn", np_rnn, "Talathi & Vartak (2015)", "relu, starts positive definite"),
    Entry("indrnn", IndRNN, "Li et al. (2018)", "no unit sees another; deep stacks"),
    Entry(
        "clockwork",
        Clockwork,
        "Koutník et al. (2014)",
        "modules with periods of their own",
        learning_rate_factor=10.0,
        small_options={"periods": (1, 2)},
    ),
    Entry(
        "fast_rnn",
        FastRNN,
        "Kusupati et al. (2018)",
        "a leaky Elman network, leak learned",
        learning_rate_factor=10.0,
    ),
)
