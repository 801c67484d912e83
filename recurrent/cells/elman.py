"""The simple recurrent network, the IRNN and the np-RNN.

    h' = φ(x W_x + h W_h + b)          φ = tanh: h in (-1, 1);   φ = relu: h in [0, ∞)

Source: Elman (1990), "Finding structure in time". IRNN: Le, Jaitly & Hinton (2015), relu with W_h the
identity and small Gaussian W_x. np-RNN: Talathi & Vartak (2015), "Improving performance of recurrent neural network
with relu nonlinearity", relu with W_h positive definite and its largest eigenvalue 1.
"""

import dataclasses
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from recurrent import initializers
from recurrent.arrays import Key
from recurrent.cell import Cell
from recurrent.initializers import Spec
from recurrent.sizes import Size, integer

__all__ = ["Elman", "ElmanParams", "ElmanState", "irnn", "np_rnn"]

ACTIVATIONS = {"tanh": jnp.tanh, "relu": jax.nn.relu}


class ElmanParams(NamedTuple):
    """The parameters of `Elman`."""

    w_x: Float[Array, "d h"]
    w_h: Float[Array, "h h"]
    b: Float[Array, " h"]


class ElmanState(NamedTuple):
    """The state of `Elman`."""

    h: Float[Array, "*b h"]


@dataclasses.dataclass(frozen=True)
class Elman(Cell):
    """A simple recurrent network, h' = φ(x W_x + h W_h + b).

    Initialisation: with the defaults (orthogonal W_h, Glorot W_x, b = 0) a tanh network loses about three decades of
    its gradient over a hundred steps at the start; with ``('uniform',)`` for both, as in torch, more than twenty.
    Learning rate: Elman's was not found; Arjovsky, Shah & Bengio (2016) give the tanh network RMSprop at 1e-3, each
    entry of the gradient clipped at 1. Adam at 1e-2 hardly learns adding of 20 steps here.

    >>> cell = Elman(input_size=2, hidden_size=3)
    >>> weights = cell.prepare(cell.init(jax.random.key(0)))
    >>> state, y = cell.step(weights, cell.initial_state(weights, ()), cell.project(weights, jnp.zeros(2)))
    >>> y.tolist()
    [0.0, 0.0, 0.0]
    """

    input_size: Size
    hidden_size: Size
    activation: str = "tanh"
    input_init: Spec = "glorot"
    recurrent_init: Spec = "orthogonal"

    def __post_init__(self) -> None:
        """ValueError, naming the field, where a size or an option is out of its range."""
        super().__post_init__()
        if self.activation not in ACTIVATIONS:
            raise ValueError(f"activation: expected {' or '.join(ACTIVATIONS)}, got {self.activation!r}")
        initializers.check("input_init", self.input_init)
        initializers.check("recurrent_init", self.recurrent_init)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one input, ``(d,)``."""
        return (self.input_size,)

    @property
    def local_fields(self) -> tuple[str, ...]:
        """The fields that recur inside a unit alone: none, for h goes round through W_h."""
        return ()

    def init(self, key: Key) -> ElmanParams:
        """Fresh parameters: W_x and W_h as the fields say, b = 0."""
        key_x, key_h = jax.random.split(key)
        return ElmanParams(
            w_x=initializers.initialize(self.input_init, key_x, (self.input_size, self.hidden_size)),
            w_h=initializers.initialize(self.recurrent_init, key_h, (self.hidden_size, self.hidden_size)),
            b=jnp.zeros(self.hidden_size),
        )

    def initial_state(self, weights: ElmanParams, batch_shape: tuple[int, ...]) -> ElmanState:
        """The state before the first step: h = 0."""
        return ElmanState(jnp.zeros((*batch_shape, self.hidden_size), weights.b.dtype))

    def project(self, weights: ElmanParams, x: Float[Array, "*b d"]) -> Float[Array, "*b h"]:
        """What does not depend on the state: x W_x + b."""
        return x @ weights.w_x + weights.b

    def next_state(self, weights: ElmanParams, state: ElmanState, u: Float[Array, "*b h"]) -> ElmanState:
        """The state after one step: φ(u + h W_h)."""
        return ElmanState(ACTIVATIONS[self.activation](u + state.h @ weights.w_h))


def irnn(input_size: Size, hidden_size: Size, recurrent_init: Spec = "identity") -> Elman:
    """The IRNN of Le, Jaitly & Hinton (2015): relu, identity W_h, W_x from N(0, 0.001²), b = 0.

    Learning rate: the authors' was not found; Arjovsky, Shah & Bengio (2016) give it RMSprop at 1e-3, each entry of the
    gradient clipped at 1. Adam at 1e-2 hardly learns adding of 20 steps here.
    """
    return Elman(input_size, hidden_size, "relu", ("normal", 0.001), recurrent_init)


def np_rnn(input_size: Size, hidden_size: Size, recurrent_init: Spec = "positive_definite") -> Elman:
    """The np-RNN of Talathi & Vartak (2015): relu, W_h = (A + 1) / e with A = R Rᵀ / h, W_x from N(0, (g / h)²), b = 0.

    R is Gaussian, e the largest eigenvalue of A + 1, and g = √2 exp(1.2 / (max(h, 6) - 2.4)) the gain that Sussillo &
    Abbott (2014), "Random walk initialization for training very deep feedforward networks", give for relu.
    The scale of W_x is taken from published reimplementations.
    Learning rate: none was found in print; Adam at 1e-2 solves adding of 20 steps here.
    """
    hidden_size = integer("hidden_size", hidden_size, 1)
    gain = math.sqrt(2.0) * math.exp(1.2 / (max(hidden_size, 6) - 2.4))
    return Elman(input_size, hidden_size, "relu", ("normal", gain / hidden_size), recurrent_init)
