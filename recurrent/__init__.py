"""A laboratory for recurrent networks in JAX: cells, one way through time, diagnostics.

>>> import jax, jax.numpy as jnp, recurrent as rec
>>> cell = rec.LSTM(input_size=10, hidden_size=128)
>>> params = cell.init(jax.random.key(0))
>>> state, ys = rec.unroll(cell, params, jnp.ones((7, 32, 10)))
"""

from recurrent import arrays, diagnostics, forms, initializers, losses
from recurrent.cell import Cell, Layer, Noisy, Unsupported, state_vector
from recurrent.cells.elman import Elman, irnn
from recurrent.cells.gru import GRU
from recurrent.cells.lstm import LSTM
from recurrent.layers import Bidirectional, stack
from recurrent.parallel import Associative
from recurrent.registry import CELLS, INITIALIZERS
from recurrent.unroll import AUTO, Checkpointed, Sequential, mask_from_lengths, unroll
from recurrent.wrappers import cut, hold, with_states, zoneout

__all__ = [
    "AUTO",
    "CELLS",
    "GRU",
    "INITIALIZERS",
    "LSTM",
    "Associative",
    "Bidirectional",
    "Cell",
    "Checkpointed",
    "Elman",
    "Layer",
    "Noisy",
    "Sequential",
    "Unsupported",
    "arrays",
    "cut",
    "diagnostics",
    "forms",
    "hold",
    "initializers",
    "irnn",
    "losses",
    "mask_from_lengths",
    "stack",
    "state_vector",
    "unroll",
    "with_states",
    "zoneout",
]
