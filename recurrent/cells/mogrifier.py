"""Long short-term memory whose input and output gate each other, in turn, before they meet.

    for k = 1, 2, ..., rounds:
        odd k     x <- 2 σ(h Q_k + s_k) ⊙ x
        even k    h <- 2 σ(x R_k + s_k) ⊙ h
    i, f, g, o = split(x W_x + h W_h + b)        of the x and h that the rounds left
    c' = σ(f) ⊙ c + σ(i) ⊙ tanh(g)               c unbounded; c takes no part in the rounds
    h' = σ(o) ⊙ tanh(c')                         h in (-1, 1)

With ``rank``, each Q_k and R_k is a product of two matrices with so many columns and rows.

Source: Melis, Kočiský & Blunsom (2020), "Mogrifier LSTM". The biases s_k, which start at 0, are those of the authors'
code; the paper's equations have none. Differs: in the authors' configurations the input gate is at most 1 - σ(f).
"""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from recurrent import arrays, initializers
from recurrent.arrays import Key
from recurrent.cell import Cell
from recurrent.cells.lstm import LSTMState
from recurrent.initializers import Spec
from recurrent.sizes import Size

__all__ = [
    "LowRankMogrifierLSTMParams",
    "MogrifierLSTM",
    "MogrifierLSTMParams",
    "MogrifierLSTMWeights",
    "OneRoundLowRankMogrifierLSTMParams",
    "OneRoundMogrifierLSTMParams",
]


class OneRoundMogrifierLSTMParams(NamedTuple):
    """The parameters of `MogrifierLSTM` with one round."""

    w_x: Float[Array, "d gates"]
    w_h: Float[Array, "h gates"]
    b: Float[Array, " gates"]
    q: Float[Array, "odd h d"]
    s_q: Float[Array, "odd d"]


class MogrifierLSTMParams(NamedTuple):
    """The parameters of `MogrifierLSTM`; q[j] is Q of round 2j + 1, r[j] is R of round 2j + 2."""

    w_x: Float[Array, "d gates"]
    w_h: Float[Array, "h gates"]
    b: Float[Array, " gates"]
    q: Float[Array, "odd h d"]
    s_q: Float[Array, "odd d"]
    r: Float[Array, "even d h"]
    s_r: Float[Array, "even h"]


class OneRoundLowRankMogrifierLSTMParams(NamedTuple):
    """The parameters of `MogrifierLSTM` with one round and ``rank``; Q is q_left q_right."""

    w_x: Float[Array, "d gates"]
    w_h: Float[Array, "h gates"]
    b: Float[Array, " gates"]
    q_left: Float[Array, "odd h rank"]
    q_right: Float[Array, "odd rank d"]
    s_q: Float[Array, "odd d"]


class LowRankMogrifierLSTMParams(NamedTuple):
    """The parameters of `MogrifierLSTM` with ``rank``; Q is q_left q_right and R is r_left r_right."""

    w_x: Float[Array, "d gates"]
    w_h: Float[Array, "h gates"]
    b: Float[Array, " gates"]
    q_left: Float[Array, "odd h rank"]
    q_right: Float[Array, "odd rank d"]
    s_q: Float[Array, "odd d"]
    r_left: Float[Array, "even d rank"]
    r_right: Float[Array, "even rank h"]
    s_r: Float[Array, "even h"]


class MogrifierLSTMWeights(NamedTuple):
    """What `MogrifierLSTM.prepare` makes: W_x over W_h, and for odd and even rounds their matrices and their biases."""

    w: Float[Array, "all gates"]
    b: Float[Array, " gates"]
    odd: tuple[tuple[Array, ...], Array]
    even: tuple[tuple[Array, ...], Array] | None


Params = (
    OneRoundMogrifierLSTMParams
    | MogrifierLSTMParams
    | OneRoundLowRankMogrifierLSTMParams
    | LowRankMogrifierLSTMParams
)


@dataclasses.dataclass(frozen=True)
class MogrifierLSTM(Cell):
    """Mogrifier long short-term memory.

    Equations and source: the head of this module. ``rounds``: at least 1 (none is the `LSTM`); the paper finds five or
    six best. ``rank`` None: full matrices. The factor 2 keeps each round near the identity while Q and R are small. The
    input meets the state first, so nothing is known before the step; with ``rounds`` products one after another,
    a small network on a CPU takes about ``rounds`` times as long as the LSTM.
    Initialisation: W_x, Q and R Glorot, W_h orthogonal, forget bias 1; in the authors' code, whose forget biases have
    mean 1, too, all matrices start from a truncated normal distribution of variance 1 / inputs.
    Learning rate: Adam without its first moment (β₁ = 0) in the authors' code, gradients clipped at norm 10, tuned to
    2.3e-3 for words and 3.7e-3 for characters of Penn Treebank, and 1e-3 to 2.2e-3 for enwik8; Adam at 1e-2 solves
    adding of 20 steps here.

    >>> cell = MogrifierLSTM(input_size=2, hidden_size=3)
    >>> weights = cell.prepare(cell.init(jax.random.key(0)))
    >>> state, y = cell.step(weights, cell.initial_state(weights, ()), cell.project(weights, jnp.zeros(2)))
    >>> y.tolist()
    [0.0, 0.0, 0.0]
    """

    input_size: Size
    hidden_size: Size
    rounds: Size = 5
    rank: Size | None = None
    forget_bias: float | int = 1.0
    input_init: Spec = "glorot"
    recurrent_init: Spec = "orthogonal"
    mogrifier_init: Spec = "glorot"

    def __post_init__(self) -> None:
        """ValueError, naming the field, where a size or an option is out of its range."""
        super().__post_init__()
        for field in ("input_init", "recurrent_init", "mogrifier_init"):
            initializers.check(field, getattr(self, field))

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one input, ``(d,)``."""
        return (self.input_size,)

    def init(self, key: Key) -> Params:
        """Fresh parameters: each matrix and each gate's block drawn apart, biases 0 but for the forget bias."""
        key_x, key_h, key_q, key_r = jax.random.split(key, 4)
        d, h = self.input_size, self.hidden_size
        shared = (
            initializers.blocks(self.input_init, key_x, (d, h), 4),
            initializers.blocks(self.recurrent_init, key_h, (h, h), 4),
            jnp.zeros((4, h)).at[1].set(self.forget_bias).reshape(-1),
        )
        odd = self._init_rounds(key_q, (self.rounds + 1) // 2, h, d)
        if self.rounds == 1:
            kind = OneRoundMogrifierLSTMParams if self.rank is None else OneRoundLowRankMogrifierLSTMParams
            return kind(*shared, *odd)
        even = self._init_rounds(key_r, self.rounds // 2, d, h)
        kind = MogrifierLSTMParams if self.rank is None else LowRankMogrifierLSTMParams
        return kind(*shared, *odd, *even)

    def _init_rounds(self, key: Key, count: int, fan_in: int, fan_out: int) -> tuple[Array, ...]:
        """The matrices of ``count`` rounds, stacked, and their biases."""
        rank = self.rank
        shapes = [(fan_in, fan_out)] if rank is None else [(fan_in, rank), (rank, fan_out)]

        def stack(key: Key, shape: tuple[int, int]) -> Array:
            keys = jax.random.split(key, count)
            return jnp.stack([initializers.initialize(self.mogrifier_init, part, shape) for part in keys])

        matrices = map(stack, jax.random.split(key, len(shapes)), shapes)
        return *matrices, jnp.zeros((count, fan_out))

    def prepare(self, params: Params) -> MogrifierLSTMWeights:
        """The weights that each step reads: W_x over W_h, for one product of x and h."""
        w_x, w_h, b, *rest = params
        size = 2 if self.rank is None else 3
        *q, s_q = rest[:size]
        odd, w = (tuple(q), s_q), jnp.concatenate([w_x, w_h])
        if self.rounds == 1:
            return MogrifierLSTMWeights(w, b, odd, None)
        *r, s_r = rest[size:]
        return MogrifierLSTMWeights(w, b, odd, (tuple(r), s_r))

    def initial_state(self, weights: MogrifierLSTMWeights, batch_shape: tuple[int, ...]) -> LSTMState:
        """The state before the first step: h = c = 0."""
        return LSTMState(*arrays.zeros(2, (*batch_shape, self.hidden_size), weights.b.dtype))

    def next_state(
        self, weights: MogrifierLSTMWeights, state: LSTMState, u: Float[Array, "*b d"]
    ) -> LSTMState:
        """The state after one step, by the equations at the head of this module."""
        x, h = u, state.h
        for k in range(self.rounds):
            if k % 2 == 0:
                x = _gate(h, weights.odd, k // 2) * x
            elif weights.even is not None:
                h = _gate(x, weights.even, k // 2) * h
        z = jnp.concatenate([x, h], axis=-1) @ weights.w + weights.b
        z_i, z_f, g, z_o = jnp.split(z, 4, axis=-1)
        c = jax.nn.sigmoid(z_f) * state.c + jax.nn.sigmoid(z_i) * jnp.tanh(g)
        return LSTMState(h=jax.nn.sigmoid(z_o) * jnp.tanh(c), c=c)


def _gate(z: Array, rounds: tuple[tuple[Array, ...], Array], index: int) -> Array:
    """The gate of one round, 2 σ(z Q + s), between 0 and 2."""
    matrices, shifts = rounds
    for matrix in matrices:
        z = z @ matrix[index]
    return 2.0 * jax.nn.sigmoid(z + shifts[index])
