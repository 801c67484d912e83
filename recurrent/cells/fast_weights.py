"""Fast weights: an associative memory of the recent hidden states, asked several times within a step.

    A' = decay A + rate h hᵀ                     symmetric
    z  = x W_x + h W_h
    h₀ = φ(z)
    hₛ = φ(gain ⊙ norm(z + A' hₛ₋₁) + b)         s = 1 .. inner_steps; h' is the last
    norm(v) = (v - mean v) / √(variance of v + 10⁻⁵)     over the units

φ = relu: h in [0, ∞); φ = tanh: h in (-1, 1). Without ``layer_norm``, gain and norm go, and b is part of z. The state
map is not linear in the state.

Source: Ba, Hinton, Mnih, Leibo & Ionescu (2016), "Using fast weights to attend to the recent past"; layer norm: Ba,
Kiros & Hinton (2016). Without it, and with a rate far from 0, states expand.
"""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from recurrent import arrays, initializers
from recurrent.arrays import Key
from recurrent.cell import Cell
from recurrent.initializers import Spec
from recurrent.sizes import Size

__all__ = ["FastWeights", "FastWeightsParams", "FastWeightsState", "PlainFastWeightsParams"]

ACTIVATIONS = {"relu": jax.nn.relu, "tanh": jnp.tanh}
EPSILON = 1e-5


class FastWeightsParams(NamedTuple):
    """The parameters of `FastWeights`."""

    w_x: Float[Array, "d h"]
    w_h: Float[Array, "h h"]
    b: Float[Array, " h"]
    gain: Float[Array, " h"]


class PlainFastWeightsParams(NamedTuple):
    """The parameters of `FastWeights` without layer norm."""

    w_x: Float[Array, "d h"]
    w_h: Float[Array, "h h"]
    b: Float[Array, " h"]


class FastWeightsState(NamedTuple):
    """The state of `FastWeights`: what is emitted, and the memory of the states before it."""

    h: Float[Array, "*b h"]
    a: Float[Array, "*b h h"]


@dataclasses.dataclass(frozen=True)
class FastWeights(Cell):
    """A recurrent network with fast weights.

    Equations and source: the head of this module. A step moves all h² numbers of the memory, and backpropagation keeps
    them: it is slower than an `LSTM` of as many units.
    Initialisation: as in two reimplementations, W_h is 0.05 times the identity; the paper's note on its third version
    gives 1/√h as the bound of the uniform weights.
    Learning rate: the paper's was not found; those two take Adam at 1e-4 for associative retrieval. With tanh, ``rate``
    0.1 and without the layer norm, Adam at 1e-2 hardly learns adding of 20 steps here.

    >>> cell = FastWeights(input_size=2, hidden_size=3)
    >>> weights = cell.prepare(cell.init(jax.random.key(0)))
    >>> state, y = cell.step(weights, cell.initial_state(weights, ()), cell.project(weights, jnp.zeros(2)))
    >>> state.a.shape, y.tolist()
    ((3, 3), [0.0, 0.0, 0.0])
    """

    input_size: Size
    hidden_size: Size
    inner_steps: Size = 1
    decay: float | int = 0.95
    rate: float | int = 0.5
    layer_norm: bool = True
    activation: str = "relu"
    recurrent_init: Spec = ("identity", 0.05)

    def __post_init__(self) -> None:
        """ValueError, naming the field, where a size or an option is out of its range."""
        super().__post_init__()
        if not 0.0 <= self.decay <= 1.0:
            raise ValueError(f"decay: expected a number in [0, 1], got {self.decay}")
        if self.rate < 0.0:
            raise ValueError(f"rate: expected a number of at least 0, got {self.rate}")
        if self.activation not in ACTIVATIONS:
            raise ValueError(f"activation: expected {' or '.join(ACTIVATIONS)}, got {self.activation!r}")
        initializers.check("recurrent_init", self.recurrent_init)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one input, ``(d,)``."""
        return (self.input_size,)

    def init(self, key: Key) -> FastWeightsParams | PlainFastWeightsParams:
        """Fresh parameters: W_x from U(±1/√h), W_h as ``recurrent_init`` says, b = 0, gain 1."""
        key_x, key_h = jax.random.split(key)
        d, h = self.input_size, self.hidden_size
        w_x = initializers.initialize("uniform", key_x, (d, h))
        w_h = initializers.initialize(self.recurrent_init, key_h, (h, h))
        if self.layer_norm:
            return FastWeightsParams(w_x, w_h, jnp.zeros(h), jnp.ones(h))
        return PlainFastWeightsParams(w_x, w_h, jnp.zeros(h))

    def initial_state(
        self, weights: FastWeightsParams | PlainFastWeightsParams, batch_shape: tuple[int, ...]
    ) -> FastWeightsState:
        """The state before the first step: h = A = 0."""
        h, dtype = self.hidden_size, weights.b.dtype
        return FastWeightsState(jnp.zeros((*batch_shape, h), dtype), jnp.zeros((*batch_shape, h, h), dtype))

    def project(
        self, weights: FastWeightsParams | PlainFastWeightsParams, x: Float[Array, "*b d"]
    ) -> Float[Array, "*b h"]:
        """What does not depend on the state: x W_x, and b where nothing is normalised."""
        u = x @ weights.w_x
        return u if isinstance(weights, FastWeightsParams) else u + weights.b

    def next_state(
        self,
        weights: FastWeightsParams | PlainFastWeightsParams,
        state: FastWeightsState,
        u: Float[Array, "*b h"],
    ) -> FastWeightsState:
        """The state after one step, by the equations at the head of this module."""
        phi = ACTIVATIONS[self.activation]
        a = self.decay * state.a + arrays.outer(self.rate * state.h, state.h)
        z = u + state.h @ weights.w_h
        h = phi(z)
        for _ in range(self.inner_steps):
            v = z + jnp.einsum("...ij,...j->...i", a, h)
            if isinstance(weights, FastWeightsParams):
                v = weights.gain * _normalized(v) + weights.b
            h = phi(v)
        return FastWeightsState(h, a)


def _normalized(v: Float[Array, "*b h"]) -> Float[Array, "*b h"]:
    centred = v - jnp.mean(v, axis=-1, keepdims=True)
    # inside the root, so that value and gradient are finite where all units agree
    return centred / jnp.sqrt(jnp.mean(centred * centred, axis=-1, keepdims=True) + EPSILON)
