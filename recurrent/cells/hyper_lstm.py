"""Long short-term memory whose rows are scaled at each step by what a smaller one makes of input and state.

The small network, with blocks i, f, g, o and states ĥ, ĉ of its own, reads [x, h]:

    i, f, g, o = LN(split([x, h] Ŵ_x + ĥ Ŵ_h)) + b̂
    ĉ' = σ(f) ⊙ ĉ + σ(i) ⊙ tanh(g)
    ĥ' = σ(o) ⊙ tanh(LN(ĉ'))

For each block y of the main network it makes, through n numbers z = ĥ' W_z + b_z and v = ĥ' W_v,

    d_x = z_x A_x,  d_h = z_h A_h,  d_b = v B    vectors of h entries, matrices [n, h] of their own for each y
    y  = LN(d_x ⊙ (x W_x) + d_h ⊙ (h W_h) + d_b + b)
    c' = σ(f) ⊙ c + σ(i) ⊙ tanh(g)               c unbounded
    h' = σ(o) ⊙ tanh(LN(c'))                     h in (-1, 1)

LN normalises each block by itself, LN(z) = gain ⊙ (z - mean(z)) / √(var(z) + ε) + shift; in the small network
the shifts of the blocks are b̂. Without ``layer_norm`` it is the identity.

Source: Ha, Dai & Le (2017), "HyperNetworks"; order within a step, initialisation and ε
are those of the first author's code, whose main network is scaled by the new ĥ'.
"""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from recurrent import arrays, initializers
from recurrent.arrays import Key
from recurrent.cell import Cell
from recurrent.cells.layer_norm_lstm import normalize
from recurrent.initializers import Spec
from recurrent.sizes import Size

__all__ = ["HyperLSTM", "HyperLSTMParams", "HyperLSTMState", "HyperLSTMWeights", "LayerNormHyperLSTMParams"]

# What the authors start the scales d_x and d_h at, as others do the gains of batch normalisation.
FIRST_SCALE = 0.1


class HyperLSTMParams(NamedTuple):
    """The parameters of `HyperLSTM` without layer normalisation.

    ``gates`` is 4h, ``small_gates`` 4 small units. The columns of w_z are n for each block (i, f, g, o) of x, then of
    h; those of w_v n for each block. a_x, a_h and a_b hold the matrices A_x, A_h and B of the four blocks.
    """

    w_x: Float[Array, "d gates"]
    w_h: Float[Array, "h gates"]
    b: Float[Array, " gates"]
    small_w_x: Float[Array, "read small_gates"]
    small_w_h: Float[Array, "small small_gates"]
    small_b: Float[Array, " small_gates"]
    w_z: Float[Array, "small embedded"]
    b_z: Float[Array, " embedded"]
    w_v: Float[Array, "small embedded_b"]
    a_x: Float[Array, "4 n h"]
    a_h: Float[Array, "4 n h"]
    a_b: Float[Array, "4 n h"]


class LayerNormHyperLSTMParams(NamedTuple):
    """The parameters of `HyperLSTM`: `HyperLSTMParams`, then gains and shifts."""

    w_x: Float[Array, "d gates"]
    w_h: Float[Array, "h gates"]
    b: Float[Array, " gates"]
    small_w_x: Float[Array, "read small_gates"]
    small_w_h: Float[Array, "small small_gates"]
    small_b: Float[Array, " small_gates"]
    w_z: Float[Array, "small embedded"]
    b_z: Float[Array, " embedded"]
    w_v: Float[Array, "small embedded_b"]
    a_x: Float[Array, "4 n h"]
    a_h: Float[Array, "4 n h"]
    a_b: Float[Array, "4 n h"]
    gain: Float[Array, " gates"]
    shift: Float[Array, " gates"]
    gain_c: Float[Array, " h"]
    shift_c: Float[Array, " h"]
    small_gain: Float[Array, " small_gates"]
    small_gain_c: Float[Array, " small"]
    small_shift_c: Float[Array, " small"]


class HyperLSTMWeights(NamedTuple):
    """What `HyperLSTM.prepare` makes: one product each for x, for h and for ĥ'; gains and shifts where there are."""

    w_in: Float[Array, "d both"]
    w_h: Float[Array, "h both"]
    small_w_h: Float[Array, "small small_gates"]
    small_b: Float[Array, " small_gates"]
    w_z: Float[Array, "small all"]
    b_z: Float[Array, " all"]
    a: Float[Array, "12 n h"]
    b: Float[Array, " gates"]
    norm: LayerNormHyperLSTMParams | None


class HyperLSTMState(NamedTuple):
    """The state of `HyperLSTM`: of the main network, then of the small one."""

    h: Float[Array, "*b h"]
    c: Float[Array, "*b h"]
    small_h: Float[Array, "*b small"]
    small_c: Float[Array, "*b small"]


@dataclasses.dataclass(frozen=True)
class HyperLSTM(Cell):
    """Long short-term memory whose weights are scaled at each step by a second, smaller one.

    Equations and source: the head of this module. ``small_size`` units in the small network, which scales the main one
    through ``embedding_size`` numbers n. At the start all scales are 0.1 and nothing depends on ĥ. Forget biases start
    at 1, in the shifts where there are any. Two networks and the scales take their time: with many small units and
    a small main network it is about four times as slow as the `LSTM`. ``epsilon`` is ε.
    Learning rate: Adam at 1e-3, times 0.9999 an update down to 1e-5, gradients clipped entry by entry at 1, in the
    first author's sketch-rnn, which offers this cell; none was found for the tasks of the paper. Adam at 1e-2 solves
    adding of 20 steps here.

    >>> cell = HyperLSTM(input_size=2, hidden_size=3, small_size=2)
    >>> weights = cell.prepare(cell.init(jax.random.key(0)))
    >>> state, y = cell.step(weights, cell.initial_state(weights, ()), cell.project(weights, jnp.zeros(2)))
    >>> y.tolist()
    [0.0, 0.0, 0.0]
    """

    input_size: Size
    hidden_size: Size
    small_size: Size = 64
    embedding_size: Size = 4
    layer_norm: bool = True
    epsilon: float | int = 1e-3
    forget_bias: float | int = 1.0
    input_init: Spec = "glorot"
    recurrent_init: Spec = "orthogonal"

    def __post_init__(self) -> None:
        """ValueError, naming the field, where a size or an option is out of its range."""
        super().__post_init__()
        if self.epsilon <= 0.0:
            raise ValueError(f"epsilon: expected a positive number, got {self.epsilon}")
        initializers.check("input_init", self.input_init)
        initializers.check("recurrent_init", self.recurrent_init)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one input, ``(d,)``."""
        return (self.input_size,)

    def init(self, key: Key) -> HyperLSTMParams | LayerNormHyperLSTMParams:
        """Fresh parameters: each gate's block drawn apart; scales 0.1, by z = 1; W_v is N(0, 0.01²), and nothing else
        is read from ĥ yet.
        """
        key_x, key_h, key_small_x, key_small_h, key_v = jax.random.split(key, 5)
        d, h, small, n = self.input_size, self.hidden_size, self.small_size, self.embedding_size

        def biases(size: int, forget: bool) -> Array:
            return jnp.zeros((4, size)).at[1].set(self.forget_bias if forget else 0.0).reshape(-1)

        params = HyperLSTMParams(
            w_x=initializers.blocks(self.input_init, key_x, (d, h), 4),
            w_h=initializers.blocks(self.recurrent_init, key_h, (h, h), 4),
            b=biases(h, not self.layer_norm),
            small_w_x=initializers.blocks(self.input_init, key_small_x, (d + h, small), 4),
            small_w_h=initializers.blocks(self.recurrent_init, key_small_h, (small, small), 4),
            small_b=biases(small, True),
            w_z=jnp.zeros((small, 8 * n)),
            b_z=jnp.ones(8 * n),
            w_v=initializers.normal(key_v, (small, 4 * n)),
            a_x=jnp.full((4, n, h), FIRST_SCALE / n),
            a_h=jnp.full((4, n, h), FIRST_SCALE / n),
            a_b=jnp.zeros((4, n, h)),
        )
        if not self.layer_norm:
            return params
        return LayerNormHyperLSTMParams(
            *params,
            gain=jnp.ones(4 * h),
            shift=biases(h, True),
            gain_c=jnp.ones(h),
            shift_c=jnp.zeros(h),
            small_gain=jnp.ones(4 * small),
            small_gain_c=jnp.ones(small),
            small_shift_c=jnp.zeros(small),
        )

    def prepare(self, params: HyperLSTMParams | LayerNormHyperLSTMParams) -> HyperLSTMWeights:
        """The weights that each step reads: both networks' matrices for x side by side, and those for h."""
        small_x, small_h = jnp.split(params.small_w_x, [self.input_size])
        return HyperLSTMWeights(
            w_in=jnp.concatenate([params.w_x, small_x], axis=-1),
            w_h=jnp.concatenate([params.w_h, small_h], axis=-1),
            small_w_h=params.small_w_h,
            small_b=params.small_b,
            w_z=jnp.concatenate([params.w_z, params.w_v], axis=-1),
            b_z=jnp.concatenate([params.b_z, jnp.zeros(params.w_v.shape[-1], params.b_z.dtype)]),
            a=jnp.concatenate([params.a_x, params.a_h, params.a_b]),
            b=params.b,
            norm=params if isinstance(params, LayerNormHyperLSTMParams) else None,
        )

    def initial_state(self, weights: HyperLSTMWeights, batch_shape: tuple[int, ...]) -> HyperLSTMState:
        """The state before the first step: all 0."""
        main = arrays.zeros(2, (*batch_shape, self.hidden_size), weights.b.dtype)
        return HyperLSTMState(*main, *arrays.zeros(2, (*batch_shape, self.small_size), weights.b.dtype))

    def project(self, weights: HyperLSTMWeights, x: Float[Array, "*b d"]) -> Float[Array, "*b both"]:
        """What does not depend on the state: x W_x, and what x adds to the small network."""
        return x @ weights.w_in

    def next_state(
        self, weights: HyperLSTMWeights, state: HyperLSTMState, u: Float[Array, "*b both"]
    ) -> HyperLSTMState:
        """The state after one step, by the equations at the head of this module."""
        norm, h = weights.norm, self.hidden_size
        from_x, small_x = jnp.split(u, [4 * h], axis=-1)
        from_h, small_h = jnp.split(state.h @ weights.w_h, [4 * h], axis=-1)
        small_z = _blocks(small_x + small_h + state.small_h @ weights.small_w_h)
        if norm is not None:
            small_z = _blocks(norm.small_gain) * normalize(small_z, self.epsilon)
        small_c, small_o = _remember(small_z + _blocks(weights.small_b), state.small_c)
        small_seen = small_c
        if norm is not None:
            small_seen = norm.small_gain_c * normalize(small_c, self.epsilon) + norm.small_shift_c
        new_small_h = small_o * jnp.tanh(small_seen)

        z = new_small_h @ weights.w_z + weights.b_z
        d = jnp.einsum("...kn,knh->...kh", z.reshape(*z.shape[:-1], 12, self.embedding_size), weights.a)
        d_x, d_h, d_b = jnp.split(d, 3, axis=-2)
        y = d_x * _blocks(from_x) + d_h * _blocks(from_h) + d_b + _blocks(weights.b)
        if norm is not None:
            y = _blocks(norm.gain) * normalize(y, self.epsilon) + _blocks(norm.shift)
        c, o = _remember(y, state.c)
        seen = c if norm is None else norm.gain_c * normalize(c, self.epsilon) + norm.shift_c
        return HyperLSTMState(h=o * jnp.tanh(seen), c=c, small_h=new_small_h, small_c=small_c)


def _blocks(z: Float[Array, "*b gates"]) -> Float[Array, "*b 4 h"]:
    """The columns of all gates with the blocks i, f, g, o along an axis of their own."""
    return z.reshape(*z.shape[:-1], 4, z.shape[-1] // 4)


def _remember(
    z: Float[Array, "*b 4 h"], c: Float[Array, "*b h"]
) -> tuple[Float[Array, "*b h"], Float[Array, "*b h"]]:
    """``(c', σ(o))``: the new memory, and the opened output gate."""
    i, f, g, o = (z[..., k, :] for k in range(4))
    return jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g), jax.nn.sigmoid(o)
