"""Gated networks that are no LSTM."""

from recurrent.cells.brc import BRC, NBRC
from recurrent.cells.fast_rnn import FastGRNN
from recurrent.cells.gru import GRU
from recurrent.cells.mgu import MGU
from recurrent.cells.minimal_rnn import MinimalRNN
from recurrent.cells.nru import NRU
from recurrent.cells.qrnn import QRNN
from recurrent.cells.rhn import RHN
from recurrent.cells.sru import SRU
from recurrent.registry.base import Entry

__all__ = ["ENTRIES"]

ENTRIES = (
    Entry("gru", GRU, "Cho et al. (2014)", "two gates, one state"),
    Entry("mgu", MGU, "Zhou et al. (2016)", "one gate resets and updates"),
    Entry("minimal_rnn", MinimalRNN, "Chen (2017)", "one gate, inputs encoded apart"),
    Entry("brc", BRC, "Vecoven et al. (2021)", "bistable units that can latch"),
    Entry("nbrc", NBRC, "Vecoven et al. (2021)", "a BRC whose gates read all units"),
    Entry("rhn", RHN, "Zilly et al. (2017)", "several highway layers a step"),
    Entry("qrnn", QRNN, "Bradbury et al. (2017)", "gates from a convolution over inputs"),
    Entry("sru", SRU, "Lei et al. (2018)", "elementwise recurrence and a highway"),
    Entry("fast_grnn", FastGRNN, "Kusupati et al. (2018)", "a gate that shares the matrices"),
    Entry(
        "nru",
        NRU,
        "Chandar et al. (2019)",
        "a memory without saturating gates",
        small_options={"memory_size": 8, "num_heads": 2, "relu": True},
    ),
)
