"""A laboratory for recurrent networks in JAX: cells, one way through time, diagnostics.

>>> import jax, jax.numpy as jnp, recurrent as rec
>>> cell = rec.LSTM(input_size=10, hidden_size=128)
>>> params = cell.init(jax.random.key(0))
>>> state, ys = rec.unroll(cell, params, jnp.ones((7, 32, 10)))
"""

from recurrent import arrays, diagnostics, forms, initializers, interop, losses, online
from recurrent.cell import Cell, Layer, Noisy, Unsupported, state_vector
from recurrent.cells.delta_net import DeltaNet
from recurrent.cells.elman import Elman, irnn
from recurrent.cells.gru import GRU
from recurrent.cells.linear_lmu import LinearLMU
from recurrent.cells.lru import LRU
from recurrent.cells.lstm import LSTM
from recurrent.cells.min_gated import MinGRU, MinLSTM
from recurrent.cells.mlstm import MLSTM
from recurrent.dilated import Dilated
from recurrent.dropout import dropout, variational_dropout, weight_drop
from recurrent.explain import explain, refusal
from recurrent.layers import Bidirectional, stack
from recurrent.newton import Newton, Report, solve_report
from recurrent.parallel import Associative
from recurrent.registry import CELLS, INITIALIZERS
from recurrent.solvers import AUTO, Checkpointed, Sequential
from recurrent.streaming import Stream, stream
from recurrent.unroll import mask_from_lengths, unroll
from recurrent.wrappers import cut, hold, residual, with_states, zoneout

__all__ = [
    "AUTO",
    "CELLS",
    "GRU",
    "INITIALIZERS",
    "LRU",
    "LSTM",
    "MLSTM",
    "Associative",
    "Bidirectional",
    "Cell",
    "Checkpointed",
    "DeltaNet",
    "Dilated",
    "Elman",
    "Layer",
    "LinearLMU",
    "MinGRU",
    "MinLSTM",
    "Newton",
    "Noisy",
    "Report",
    "Sequential",
    "Stream",
    "Unsupported",
    "arrays",
    "cut",
    "diagnostics",
    "dropout",
    "explain",
    "forms",
    "hold",
    "initializers",
    "interop",
    "irnn",
    "losses",
    "mask_from_lengths",
    "online",
    "refusal",
    "residual",
    "solve_report",
    "stack",
    "state_vector",
    "stream",
    "unroll",
    "variational_dropout",
    "weight_drop",
    "with_states",
    "zoneout",
]
