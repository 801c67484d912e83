"""The independently recurrent network: each unit sees its own past and no other's.

    h' = φ(x W_x + w_h ⊙ h + b)          φ = relu: h in [0, ∞);   φ = tanh: h in (-1, 1)

The gradient of a relu unit over T steps is at most |w_h|^T times that of one step: |w_h| <= γ^(1/T) bounds it by γ.

Source: Li, Li, Cook, Zhu & Gao (2018), "Independently recurrent neural network (IndRNN): building a longer and
deeper RNN"; bounds and ranges as the authors' code and notes have them.
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
from recurrent.sizes import Size

__all__ = ["IndRNN", "IndRNNParams", "IndRNNState"]

ACTIVATIONS = {"tanh": jnp.tanh, "relu": jax.nn.relu}


class IndRNNParams(NamedTuple):
    """The parameters of `IndRNN`."""

    w_x: Float[Array, "d h"]
    w_h: Float[Array, " h"]
    b: Float[Array, " h"]


class IndRNNState(NamedTuple):
    """The state of `IndRNN`."""

    h: Float[Array, "*b h"]


@dataclasses.dataclass(frozen=True)
class IndRNN(Cell):
    """Independently recurrent network; units meet in the next layer, so stack at least two.

    Equations and source: the head of this module.

    ``bound`` clips w_h to [-bound, bound] in ``prepare``; None: no bound. The authors take 2^(1 / num_steps) for relu,
    and none for a few dozen steps. They move the parameters back after every update, which `clipped` does: do so too,
    because here a weight beyond the bound has no gradient by which it could come back.
    ``recurrent_range`` is where w_h is drawn from: (0, 1) gives memories of all lengths; for the last of several
    layers, read at the last step alone, the authors begin near 1, such as (0.5^(1 / num_steps), 2^(1 / num_steps)).
    Initialisation: U(0, 1) for w_h is theirs, Glorot for W_x is not: ``('normal', 0.001)`` in their adding problem.
    Learning rate: Adam at 2e-4 in the authors' code, gradients clipped at 10; divided by ten every 20,000 updates or so
    for adding, every 600,000 for pixel MNIST.

    >>> cell = IndRNN(input_size=2, hidden_size=3, bound=2 ** (1 / 100))
    >>> weights = cell.prepare(cell.init(jax.random.key(0)))
    >>> state, y = cell.step(weights, cell.initial_state(weights, ()), cell.project(weights, jnp.zeros(2)))
    >>> y.tolist()
    [0.0, 0.0, 0.0]
    """

    input_size: Size
    hidden_size: Size
    activation: str = "relu"
    bound: float | int | None = None
    recurrent_range: tuple[float | int, float | int] = (0.0, 1.0)
    input_init: Spec = "glorot"

    def __post_init__(self) -> None:
        """ValueError, naming the field, where a size or an option is out of its range."""
        super().__post_init__()
        if self.activation not in ACTIVATIONS:
            raise ValueError(f"activation: expected {' or '.join(ACTIVATIONS)}, got {self.activation!r}")
        low, high = self.recurrent_range
        if low > high:
            raise ValueError(f"recurrent_range: expected (low, high), got {self.recurrent_range}")
        if self.bound is not None and max(-low, high) > self.bound:
            raise ValueError(
                f"bound: expected at least the size of recurrent_range {self.recurrent_range}, got {self.bound}"
            )
        initializers.check("input_init", self.input_init)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one input, ``(d,)``."""
        return (self.input_size,)

    @property
    def local_fields(self) -> tuple[str, ...]:
        """The fields that recur inside a unit alone: ``h``, for no unit sees another."""
        return ("h",)

    def init(self, key: Key) -> IndRNNParams:
        """Fresh parameters: W_x as the field says, w_h uniform in ``recurrent_range``, b = 0."""
        key_x, key_h = jax.random.split(key)
        low, high = map(float, self.recurrent_range)
        return IndRNNParams(
            w_x=initializers.initialize(self.input_init, key_x, (self.input_size, self.hidden_size)),
            w_h=jax.random.uniform(key_h, (self.hidden_size,), minval=low, maxval=high),
            b=jnp.zeros(self.hidden_size),
        )

    def clipped(self, params: IndRNNParams) -> IndRNNParams:
        """The parameters with w_h moved back into [-bound, bound]: call it after each update."""
        if self.bound is None:
            return params
        return params._replace(w_h=jnp.clip(params.w_h, -self.bound, self.bound))

    def prepare(self, params: IndRNNParams) -> IndRNNParams:
        """The weights that each step reads: w_h within its bound."""
        return self.clipped(params)

    def initial_state(self, weights: IndRNNParams, batch_shape: tuple[int, ...]) -> IndRNNState:
        """The state before the first step: h = 0."""
        return IndRNNState(jnp.zeros((*batch_shape, self.hidden_size), weights.b.dtype))

    def project(self, weights: IndRNNParams, x: Float[Array, "*b d"]) -> Float[Array, "*b h"]:
        """What does not depend on the state: x W_x + b."""
        return x @ weights.w_x + weights.b

    def next_state(self, weights: IndRNNParams, state: IndRNNState, u: Float[Array, "*b h"]) -> IndRNNState:
        """The state after one step: φ(u + w_h ⊙ h)."""
        return IndRNNState(ACTIVATIONS[self.activation](u + weights.w_h * state.h))
