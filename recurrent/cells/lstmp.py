"""Long short-term memory with a projection: what recurs is smaller than the memory.

    i, f, g, o = split(x W_x + r W_h + b)        r: the first ``projection_size`` entries of h
    c' = σ(f) ⊙ c + σ(i) ⊙ tanh(g)               c unbounded
    h' = (σ(o) ⊙ tanh(c')) W_p                   h unbounded

Peepholes add p_i ⊙ c to i, p_f ⊙ c to f and p_o ⊙ c' to o. The last ``extra_size`` entries of h are a projection
that is emitted without recurring.

Source: Sak, Senior & Beaufays (2014), "Long short-term memory recurrent neural network architectures for large scale
acoustic modeling"; there r and the projection that does not recur, p, have a matrix each. Without peepholes and
``extra_size`` it is the LSTM with ``proj_size`` of torch and cuDNN.
"""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from recurrent import initializers
from recurrent.arrays import Key
from recurrent.cell import Cell
from recurrent.initializers import Spec
from recurrent.sizes import Count, Size

__all__ = ["LSTMP", "LSTMPParams", "LSTMPState", "PeepholeLSTMPParams"]


class LSTMPParams(NamedTuple):
    """The parameters of `LSTMP` without peepholes; ``gates`` is 4 cells, ``k`` projection_size + extra_size."""

    w_x: Float[Array, "d gates"]
    w_h: Float[Array, "r gates"]
    b: Float[Array, " gates"]
    w_p: Float[Array, "cells k"]


class PeepholeLSTMPParams(NamedTuple):
    """The parameters of `LSTMP` with peepholes; the rows of p are p_i, p_f, p_o."""

    w_x: Float[Array, "d gates"]
    w_h: Float[Array, "r gates"]
    b: Float[Array, " gates"]
    w_p: Float[Array, "cells k"]
    p: Float[Array, "3 cells"]


class LSTMPState(NamedTuple):
    """The state of `LSTMP`: what is emitted, and the memory cell."""

    h: Float[Array, "*b k"]
    c: Float[Array, "*b cells"]


@dataclasses.dataclass(frozen=True)
class LSTMP(Cell):
    """Long short-term memory with a recurrent projection.

    Equations and source: the head of this module. ``hidden_size`` counts memory cells; ``projection_size`` None: half
    of them, at least one.
    Initialisation: W_x Glorot, W_h and W_p orthogonal, forget biases 1 and peepholes 0, as in the library's `LSTM`;
    what the authors start from was not found.
    Learning rate: none was found in print (the authors' training is asynchronous stochastic gradient descent); Adam at
    1e-2 solves adding of 20 steps here.

    >>> cell = LSTMP(input_size=2, hidden_size=4, projection_size=1, extra_size=1)
    >>> weights = cell.prepare(cell.init(jax.random.key(0)))
    >>> state, y = cell.step(weights, cell.initial_state(weights, ()), cell.project(weights, jnp.zeros(2)))
    >>> y.tolist()
    [0.0, 0.0]
    """

    input_size: Size
    hidden_size: Size
    projection_size: Size | None = None
    extra_size: Count = 0
    peepholes: bool = True
    forget_bias: float | int = 1.0
    input_init: Spec = "glorot"
    recurrent_init: Spec = "orthogonal"

    def __post_init__(self) -> None:
        """ValueError, naming the field, where a size or an option is out of its range."""
        super().__post_init__()
        initializers.check("input_init", self.input_init)
        initializers.check("recurrent_init", self.recurrent_init)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one input, ``(d,)``."""
        return (self.input_size,)

    @property
    def recurrent_size(self) -> int:
        """How many entries of h the next step reads."""
        return max(1, self.hidden_size // 2) if self.projection_size is None else self.projection_size

    def init(self, key: Key) -> LSTMPParams | PeepholeLSTMPParams:
        """Fresh parameters: each gate's block of W_x and W_h drawn apart, W_p as W_h; biases 0 but for the forget bias,
        peepholes 0.
        """
        key_x, key_h, key_p = jax.random.split(key, 3)
        h, r = self.hidden_size, self.recurrent_size
        params = LSTMPParams(
            w_x=initializers.blocks(self.input_init, key_x, (self.input_size, h), 4),
            w_h=initializers.blocks(self.recurrent_init, key_h, (r, h), 4),
            b=jnp.zeros((4, h)).at[1].set(self.forget_bias).reshape(-1),
            w_p=initializers.initialize(self.recurrent_init, key_p, (h, r + self.extra_size)),
        )
        return PeepholeLSTMPParams(*params, p=jnp.zeros((3, h))) if self.peepholes else params

    def initial_state(
        self, weights: LSTMPParams | PeepholeLSTMPParams, batch_shape: tuple[int, ...]
    ) -> LSTMPState:
        """The state before the first step: h = c = 0."""
        return LSTMPState(
            h=jnp.zeros((*batch_shape, self.recurrent_size + self.extra_size), weights.b.dtype),
            c=jnp.zeros((*batch_shape, self.hidden_size), weights.b.dtype),
        )

    def project(
        self, weights: LSTMPParams | PeepholeLSTMPParams, x: Float[Array, "*b d"]
    ) -> Float[Array, "*b gates"]:
        """What does not depend on the state: x W_x + b."""
        return x @ weights.w_x + weights.b

    def next_state(
        self, weights: LSTMPParams | PeepholeLSTMPParams, state: LSTMPState, u: Float[Array, "*b gates"]
    ) -> LSTMPState:
        """The state after one step, by the equations at the head of this module."""
        z = u + state.h[..., : self.recurrent_size] @ weights.w_h
        z_i, z_f, g, z_o = jnp.split(z, 4, axis=-1)
        peepholes = weights.p if isinstance(weights, PeepholeLSTMPParams) else None
        if peepholes is not None:
            z_i, z_f = z_i + peepholes[0] * state.c, z_f + peepholes[1] * state.c
        c = jax.nn.sigmoid(z_f) * state.c + jax.nn.sigmoid(z_i) * jnp.tanh(g)
        if peepholes is not None:
            z_o = z_o + peepholes[2] * c
        return LSTMPState(h=(jax.nn.sigmoid(z_o) * jnp.tanh(c)) @ weights.w_p, c=c)
