"""Long short-term memory with layer normalisation of the two products and of the memory.

    LN(z; a, s) = a ⊙ (z - mean(z)) / √(var(z) + ε) + s         over all entries of z; var divides by their number
    i, f, g, o = split(LN(x W_x; a_x, s_x) + LN(h W_h; a_h, s_h) + b)
    c' = σ(f) ⊙ c + σ(i) ⊙ tanh(g)               c unbounded
    h' = σ(o) ⊙ tanh(LN(c'; a_c, s_c))           h in (-1, 1)

The two products are normalised over all four blocks at once; c is carried on without normalisation.

Source: Ba, Kiros & Hinton (2016), "Layer normalization"; ε = 10⁻⁵ is that of the authors' code. Differs: the authors'
code adds its bias twice, so equal weights need twice that bias here.
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

__all__ = ["LayerNormLSTM", "LayerNormLSTMParams"]


class LayerNormLSTMParams(NamedTuple):
    """The parameters of `LayerNormLSTM`; ``gates`` is 4h, a gain and a shift for each of the three normalisations."""

    w_x: Float[Array, "d gates"]
    w_h: Float[Array, "h gates"]
    b: Float[Array, " gates"]
    gain_x: Float[Array, " gates"]
    shift_x: Float[Array, " gates"]
    gain_h: Float[Array, " gates"]
    shift_h: Float[Array, " gates"]
    gain_c: Float[Array, " h"]
    shift_c: Float[Array, " h"]


@dataclasses.dataclass(frozen=True)
class LayerNormLSTM(Cell):
    """Long short-term memory with layer normalisation.

    Equations and source: the head of this module. Near h = 0, where a sequence starts, and near x = 0 the derivative of
    LN is up to 1/√ε times its gain.
    Initialisation: gains 1, shifts 0 and orthogonal blocks of W_h, as in the authors' code; W_x is Glorot, and the
    forget bias starts at 1, where theirs is 0.
    Learning rate: Adam at 8e-5 with batches of 64 for reading comprehension, in the command the authors give; Adam at
    1e-2 solves adding of 20 steps here.

    >>> cell = LayerNormLSTM(input_size=2, hidden_size=3)
    >>> weights = cell.prepare(cell.init(jax.random.key(0)))
    >>> state, y = cell.step(weights, cell.initial_state(weights, ()), cell.project(weights, jnp.zeros(2)))
    >>> y.tolist()
    [0.0, 0.0, 0.0]
    """

    input_size: Size
    hidden_size: Size
    epsilon: float | int = 1e-5
    forget_bias: float | int = 1.0
    input_init: Spec = "glorot"
    recurrent_init: Spec = "orthogonal"

    def __post_init__(self) -> None:
        """ValueError, naming the field, where a size or an option is out of its range."""
        super().__post_init__()
        if self.hidden_size < 2:
            raise ValueError(f"hidden_size: expected at least 2 to normalise over, got {self.hidden_size}")
        if self.epsilon <= 0.0:
            raise ValueError(f"epsilon: expected a positive number, got {self.epsilon}")
        initializers.check("input_init", self.input_init)
        initializers.check("recurrent_init", self.recurrent_init)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one input, ``(d,)``."""
        return (self.input_size,)

    def init(self, key: Key) -> LayerNormLSTMParams:
        """Fresh parameters: each gate's block of W_x and W_h drawn apart; b = 0 but for the forget bias."""
        key_x, key_h = jax.random.split(key)
        h = self.hidden_size
        return LayerNormLSTMParams(
            w_x=initializers.blocks(self.input_init, key_x, (self.input_size, h), 4),
            w_h=initializers.blocks(self.recurrent_init, key_h, (h, h), 4),
            b=jnp.zeros((4, h)).at[1].set(self.forget_bias).reshape(-1),
            gain_x=jnp.ones(4 * h),
            shift_x=jnp.zeros(4 * h),
            gain_h=jnp.ones(4 * h),
            shift_h=jnp.zeros(4 * h),
            gain_c=jnp.ones(h),
            shift_c=jnp.zeros(h),
        )

    def initial_state(self, weights: LayerNormLSTMParams, batch_shape: tuple[int, ...]) -> LSTMState:
        """The state before the first step: h = c = 0."""
        return LSTMState(*arrays.zeros(2, (*batch_shape, self.hidden_size), weights.b.dtype))

    def project(self, weights: LayerNormLSTMParams, x: Float[Array, "*b d"]) -> Float[Array, "*b gates"]:
        """What does not depend on the state: LN(x W_x) + s_h + b."""
        normal = normalize(x @ weights.w_x, self.epsilon)
        return weights.gain_x * normal + (weights.shift_x + weights.shift_h + weights.b)

    def next_state(
        self, weights: LayerNormLSTMParams, state: LSTMState, u: Float[Array, "*b gates"]
    ) -> LSTMState:
        """The state after one step, by the equations at the head of this module."""
        z = u + weights.gain_h * normalize(state.h @ weights.w_h, self.epsilon)
        z_i, z_f, g, z_o = jnp.split(z, 4, axis=-1)
        c = jax.nn.sigmoid(z_f) * state.c + jax.nn.sigmoid(z_i) * jnp.tanh(g)
        seen = weights.gain_c * normalize(c, self.epsilon) + weights.shift_c
        return LSTMState(h=jax.nn.sigmoid(z_o) * jnp.tanh(seen), c=c)


def normalize(z: Float[Array, "... n"], epsilon: float | int) -> Float[Array, "... n"]:
    """(z - mean) / √(var + ``epsilon``) over the last axis; 0, with finite derivatives, where all entries are equal."""
    z = z - jnp.mean(z, axis=-1, keepdims=True)
    return z * jax.lax.rsqrt(jnp.mean(z * z, axis=-1, keepdims=True) + epsilon)
