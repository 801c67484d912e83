"""The cells that the contract is run on, small, with options that differ from the defaults, and their references."""

import numpy as np
from awkward_cells import AWKWARD
from references import REFERENCES
from references_dynamical import REFERENCES_DYNAMICAL
from references_gated import REFERENCES_GATED
from references_linear import REFERENCES_LINEAR
from references_lstm import REFERENCES_LSTM
from references_memory import REFERENCES_MEMORY
from references_orthogonal import REFERENCES_ORTHOGONAL
from references_ssm import REFERENCES_SSM

import recurrent as rec
from recurrent import registry
from recurrent.testing import SOLVERS
from recurrent.wrappers.cut import Cut

# Options of the entry, where the defaults do not suit 4 units or make differences of step 1e-5 too coarse an oracle.
SMALL = {entry.name: entry.build(3, 4, **entry.small_options) for entry in registry.entries()}
# Layers have a contract of their own, and a cell that is cut has, by definition, not the gradient of its values.
ELSEWHERE = tuple(name for name, cell in SMALL.items() if isinstance(cell, rec.Layer | Cut))
VARIANTS = {
    "antisymmetric_rnn gated": rec.AntisymmetricRNN(3, 4, gated=True, epsilon=0.5, gamma=0.3),
    "cfc no_gate": rec.CfC(3, 4, mode="no_gate", activation="tanh", backbone_size=5, dt=0.3),
    "cfc pure times": rec.CfC(3, 4, mode="pure", dt=None),
    "conv_lstm peepholes": rec.ConvLSTM(2, 2, height=3, width=2, peepholes=True),
    "delta_net heads": rec.DeltaNet(3, 4, num_heads=2, gated=True, negative_eigenvalues=True),
    "elman relu": rec.Elman(3, 4, "relu"),
    "eunn fft": rec.EUNN(3, 4, style="fft"),
    "fast_weights inner": rec.FastWeights(3, 4, inner_steps=2, rate=0.1, layer_norm=False, activation="tanh"),
    "gers2000 blocks": rec.GersBlock(3, 4, block_size=2),
    "gla scalar": rec.gated_linear_attention(3, 4, num_heads=2, decay="scalar"),
    "goru fft": rec.GORU(3, 4, style="fft"),
    "gru before": rec.GRU(3, 4, reset="before"),
    "gru_d mean": rec.GRUD(3, 4, mean=(0.5, -1.0, 2.0)),
    "hs97 blocks": rec.HS97(3, 4, block_size=2, bias="hidden"),
    "hs97_long_lag gain": rec.HS97LongLag(3, 4, gain=0.5),
    "hyper_lstm plain": rec.HyperLSTM(3, 4, small_size=3, embedding_size=2, layer_norm=False),
    "indrnn bound": rec.IndRNN(3, 4, activation="tanh", bound=1.0),
    "linear_attention heads": rec.LinearAttention(3, 4, num_heads=2, decay="diagonal", gate_rank=2),
    "linear_lmu channels": rec.LinearLMU(3, 4, order=3, theta=10.0, memory_size=2),
    "linoss imex": rec.LinOSS(3, 4, output_size=2, discretisation="imex"),
    "lmu bias": rec.LMU(3, 4, order=4, theta=10.0, bias=True),
    "lmu order": rec.LMU(3, 4, order=3, theta=10.0),
    "lru ring": rec.LRU(3, 4, output_size=2, r_min=0.5, r_max=0.9, max_phase=1.0),
    "lstm chrono": rec.LSTM(3, 4, forget_bias=("chrono", 20)),
    "lstm coupled": rec.LSTM(3, 4, coupled=True),
    "lstm coupled peepholes": rec.LSTM(3, 4, peepholes=True, coupled=True),
    "lstm peepholes": rec.LSTM(3, 4, peepholes=True),
    "lstmp plain": rec.LSTMP(3, 4, projection_size=2, extra_size=1, peepholes=False),
    "ltc pairs": rec.LTC(3, 4, synapses="pairs", dt=None, unfolds=2),
    "min_gru log_space": rec.MinGRU(3, 4, log_space=True),
    "min_lstm log_space": rec.MinLSTM(3, 4, log_space=True),
    "mlstm heads": rec.MLSTM(3, 4, num_heads=2, forget_gate="exp"),
    "mogrifier_lstm rank": rec.MogrifierLSTM(3, 4, rounds=2, rank=2),
    "multiplicative_lstm usual": rec.MultiplicativeLSTM(3, 4, squashing="usual"),
    "qrnn window": rec.QRNN(3, 4, pooling="ifo", window=1),
    "rg_lru blocks": rec.RGLRU(3, 4, blocks=2),
    "rg_lru starts": rec.RGLRU(3, 4, starts=True),
    "rhn uncoupled": rec.RHN(3, 4, depth=2, coupled=False),
    "s5 blocks": rec.S5(3, 4, output_size=2, blocks=2),
    "s6 negative": rec.S6(3, 4, state_size=2, dt_rank=2, negative_eigenvalues=True),
    "slstm heads": rec.SLSTM(3, 4, num_heads=2, forget_gate="exp", recurrent_init="glorot"),
    "sru linear": rec.SRU(3, 4, peepholes=False),
    "stack_rnn deep": rec.StackRNN(3, 4, num_stacks=2, depth=1, capacity=3, noop=False),
}
CELLS = {
    **{name: cell for name, cell in SMALL.items() if name not in ELSEWHERE},
    **VARIANTS,
    **{f"awkward {name}": cell for name, cell in AWKWARD.items()},
}

# The fast lane has one cell of each kind.
FAST = ("elman", "lstm peepholes", "lru", "awkward zoneout_lstm", "awkward learned_start")

# A solver sees a cell through the contract alone. In the medium lane each solver runs one cell of each structure: real
# and complex states, one field and several, matrices, three event axes, weights that are prepared, noise, a start
# that is learned, an output that is not the state, and each linear form.
STRUCTURES = (
    "elman",  # one real field, read as it stands
    "lstm peepholes",  # two fields, one of them hidden
    "awkward hs97",  # four fields of two sizes, all fed back
    "awkward exprnn",  # a matrix exponential, prepared once
    "awkward convlstm",  # three event axes; too large for Newton
    "awkward zoneout_lstm",  # noise
    "awkward learned_start",  # the initial state is a parameter
    "awkward lru",  # Diagonal, complex, the output is not the state
    "awkward matrix_memory",  # ScalarDecay: a matrix, a vector and a running maximum
    "linear_lmu",  # Constant
    "linoss",  # Dense
    "delta_net",  # Delta
)


# What `Fused` finds no product in: convolutions under `jax.checkpoint`, and synapses that are pairs.
WITHOUT_PRODUCTS = ("conv_gru", "conv_lstm", "conv_lstm peepholes", "ltc pairs")


def solvers_for(name):
    """All for a cell of each structure; one, going round, for the others, and what has no linear form is refused."""
    if name in STRUCTURES:
        return SOLVERS[1:]
    is_linear = CELLS[name].has_linear_form
    alike = [
        other for other in CELLS if other not in STRUCTURES and CELLS[other].has_linear_form == is_linear
    ]
    able = [solver for solver in SOLVERS[1:] if is_linear or not isinstance(solver, rec.Associative)]
    turn = able[alike.index(name) % len(able)]
    return (turn,) if is_linear else (turn, rec.Associative())


def of_the_cell_inside(reference):
    """The reference of a wrapper that changes nothing in evaluation."""
    return lambda cell, params, xs, state: reference(cell.cell, params, xs, state)


def hs97_long_lag(cell, params, xs, state):
    """The sum over all steps so far, in closed form."""
    xs, w = np.asarray(xs, np.float64), np.asarray(params.w_x, np.float64)
    gates = 0.5 + 0.5 * np.tanh(0.5 * np.einsum("...d,dk->...k", xs, w))
    n = cell.hidden_size
    cs = np.asarray(state.c) + np.cumsum(gates[..., 0:n] * gates[..., n : 2 * n], axis=0)
    return (cs[-1],), cell.gain * cs


ORACLES = {
    **{f"awkward {name}": REFERENCES[name] for name in AWKWARD},
    **REFERENCES,
    **REFERENCES_DYNAMICAL,
    **REFERENCES_GATED,
    **REFERENCES_LINEAR,
    **REFERENCES_LSTM,
    **REFERENCES_MEMORY,
    **REFERENCES_ORTHOGONAL,
    **REFERENCES_SSM,
    "gated_delta_net": REFERENCES_LINEAR["delta_net"],
    "hs97_long_lag": hs97_long_lag,
    "irnn": REFERENCES["elman"],
    "recurrent_dropout_lstm": of_the_cell_inside(REFERENCES["lstm"]),
    "variational_lstm": of_the_cell_inside(REFERENCES["lstm"]),
}


def family(name):
    """A cell of the registry, whatever the options."""
    return name if name.startswith("awkward") else name.split()[0]


def reference(name):
    """The NumPy loop of a cell."""
    return ORACLES[family(name)]
