"""A laboratory for recurrent networks in JAX: cells, solvers that run them over sequences, diagnostics.

>>> import jax, jax.numpy as jnp, recurrent as rec
>>> cell = rec.LSTM(input_size=10, hidden_size=128)
>>> params = cell.init(jax.random.key(0))
>>> state, ys = rec.unroll(cell, params, jnp.ones((7, 32, 10)))
"""

from recurrent import arrays, diagnostics, forms, initializers, interop, losses, online, recipes
from recurrent.cell import Cell, Layer, Noisy, Unsupported, state_vector
from recurrent.cells.antisymmetric import AntisymmetricRNN
from recurrent.cells.brc import BRC, NBRC
from recurrent.cells.cfc import CfC
from recurrent.cells.clockwork import Clockwork
from recurrent.cells.conv import ConvGRU, ConvLSTM
from recurrent.cells.cornn import CoRNN
from recurrent.cells.delta_net import DeltaNet
from recurrent.cells.elman import Elman, irnn, np_rnn
from recurrent.cells.esn import ESN, ridge_readout
from recurrent.cells.eunn import EUNN
from recurrent.cells.exprnn import ExpRNN
from recurrent.cells.fast_rnn import FastGRNN, FastRNN
from recurrent.cells.fast_weights import FastWeights
from recurrent.cells.full_capacity_urnn import FullCapacityURNN
from recurrent.cells.gers2000 import GersBlock
from recurrent.cells.goru import GORU
from recurrent.cells.gru import GRU
from recurrent.cells.gru_d import GRUD, GRUDInput, time_since_observed
from recurrent.cells.hs97 import HS97
from recurrent.cells.hs97_long_lag import HS97LongLag
from recurrent.cells.hyper_lstm import HyperLSTM
from recurrent.cells.indrnn import IndRNN
from recurrent.cells.janet import JANET
from recurrent.cells.layer_norm_lstm import LayerNormLSTM
from recurrent.cells.lem import LEM
from recurrent.cells.linear_attention import LinearAttention, gated_linear_attention, retention
from recurrent.cells.linear_lmu import LinearLMU
from recurrent.cells.linoss import LinOSS
from recurrent.cells.lipschitz import LipschitzRNN
from recurrent.cells.lmu import LMU
from recurrent.cells.lru import LRU
from recurrent.cells.lstm import LSTM
from recurrent.cells.lstm_forms import LSTMForm, LSTMVariant
from recurrent.cells.lstmp import LSTMP
from recurrent.cells.ltc import LTC
from recurrent.cells.mgu import MGU
from recurrent.cells.min_gated import MinGRU, MinLSTM
from recurrent.cells.minimal_rnn import MinimalRNN
from recurrent.cells.mlstm import MLSTM
from recurrent.cells.mogrifier import MogrifierLSTM
from recurrent.cells.multiplicative_lstm import MultiplicativeLSTM
from recurrent.cells.mut import MUT1, MUT2, MUT3
from recurrent.cells.nru import NRU
from recurrent.cells.orthogonal import param_labels, soft_orthogonality
from recurrent.cells.phased_lstm import PhasedLSTM, StampedInput
from recurrent.cells.qrnn import QRNN
from recurrent.cells.rg_lru import RGLRU, SegmentInput
from recurrent.cells.rhn import RHN
from recurrent.cells.s4d import S4D
from recurrent.cells.s5 import S5
from recurrent.cells.s6 import S6
from recurrent.cells.scornn import ScoRNN
from recurrent.cells.slstm import SLSTM
from recurrent.cells.sru import SRU
from recurrent.cells.stack_rnn import StackRNN
from recurrent.cells.timed import TimedInput
from recurrent.cells.unicornn import UnICORNN
from recurrent.cells.ur_lstm import URLSTM
from recurrent.cells.urnn import URNN
from recurrent.explain import explain, refusal, solve_report
from recurrent.layers.bidirectional import Bidirectional
from recurrent.layers.dilated import Dilated
from recurrent.layers.stack import stack
from recurrent.layers.weight_drop import WeightDrop, weight_drop
from recurrent.penalties import activation_penalty, norm_stabilizer, slowness_penalty
from recurrent.registry import CELLS, INITIALIZERS
from recurrent.solvers.associative import Associative
from recurrent.solvers.auto import AUTO
from recurrent.solvers.checkpointed import Checkpointed
from recurrent.solvers.fused.solver import Fused
from recurrent.solvers.newton.solver import Newton, Report
from recurrent.solvers.sequential import Sequential
from recurrent.streaming import Stream, stream
from recurrent.unroll import mask_from_lengths, unroll
from recurrent.wrappers.base import hold
from recurrent.wrappers.cut import cut
from recurrent.wrappers.dropout import dropout, variational_dropout
from recurrent.wrappers.recurrent_dropout import recurrent_dropout
from recurrent.wrappers.residual import residual
from recurrent.wrappers.with_states import with_states
from recurrent.wrappers.zoneout import zoneout

__all__ = [
    "AUTO",
    "BRC",
    "CELLS",
    "ESN",
    "EUNN",
    "GORU",
    "GRU",
    "GRUD",
    "HS97",
    "INITIALIZERS",
    "JANET",
    "LEM",
    "LMU",
    "LRU",
    "LSTM",
    "LSTMP",
    "LTC",
    "MGU",
    "MLSTM",
    "MUT1",
    "MUT2",
    "MUT3",
    "NBRC",
    "NRU",
    "QRNN",
    "RGLRU",
    "RHN",
    "S4D",
    "S5",
    "S6",
    "SLSTM",
    "SRU",
    "URLSTM",
    "URNN",
    "AntisymmetricRNN",
    "Associative",
    "Bidirectional",
    "Cell",
    "CfC",
    "Checkpointed",
    "Clockwork",
    "CoRNN",
    "ConvGRU",
    "ConvLSTM",
    "DeltaNet",
    "Dilated",
    "Elman",
    "ExpRNN",
    "FastGRNN",
    "FastRNN",
    "FastWeights",
    "FullCapacityURNN",
    "Fused",
    "GRUDInput",
    "GersBlock",
    "HS97LongLag",
    "HyperLSTM",
    "IndRNN",
    "LSTMForm",
    "LSTMVariant",
    "Layer",
    "LayerNormLSTM",
    "LinOSS",
    "LinearAttention",
    "LinearLMU",
    "LipschitzRNN",
    "MinGRU",
    "MinLSTM",
    "MinimalRNN",
    "MogrifierLSTM",
    "MultiplicativeLSTM",
    "Newton",
    "Noisy",
    "PhasedLSTM",
    "Report",
    "ScoRNN",
    "SegmentInput",
    "Sequential",
    "StackRNN",
    "StampedInput",
    "Stream",
    "TimedInput",
    "UnICORNN",
    "Unsupported",
    "WeightDrop",
    "activation_penalty",
    "arrays",
    "cut",
    "diagnostics",
    "dropout",
    "explain",
    "forms",
    "gated_linear_attention",
    "hold",
    "initializers",
    "interop",
    "irnn",
    "losses",
    "mask_from_lengths",
    "norm_stabilizer",
    "np_rnn",
    "online",
    "param_labels",
    "recipes",
    "recurrent_dropout",
    "refusal",
    "residual",
    "retention",
    "ridge_readout",
    "slowness_penalty",
    "soft_orthogonality",
    "solve_report",
    "stack",
    "state_vector",
    "stream",
    "time_since_observed",
    "unroll",
    "variational_dropout",
    "weight_drop",
    "with_states",
    "zoneout",
]
