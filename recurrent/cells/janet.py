"""Long short-term memory with the forget gate alone.

    f, g = split(x W_x + h W_h + b)              blocks in this order
    h' = σ(f) ⊙ h + (1 - σ(f - β)) ⊙ tanh(g)     |h| < e^β

Source: van der Westhuizen & Lasenby (2018), "The unreasonable effectiveness of the forget gate" (JANET). There the
memory c and the output h have two names and one value.
"""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from recurrent import initializers
from recurrent.arrays import Key
from recurrent.cell import Cell
from recurrent.initializers import ForgetBias, Spec
from recurrent.sizes import Size

__all__ = ["JANET", "JANETParams", "JANETState"]


class JANETParams(NamedTuple):
    """The parameters of `JANET`; ``gates`` is 2h."""

    w_x: Float[Array, "d gates"]
    w_h: Float[Array, "h gates"]
    b: Float[Array, " gates"]


class JANETState(NamedTuple):
    """The state of `JANET`, which is also what is emitted."""

    h: Float[Array, "*b h"]


@dataclasses.dataclass(frozen=True)
class JANET(Cell):
    """The forget-gate-only LSTM.

    Equations and source: the head of this module. β = 0 is an average of old and new; β > 0 takes in more than is
    forgotten. The paper's forget biases are chrono biases, log U[1, t_max - 1], for dependencies of up to t_max steps;
    the default of 100 steps has to be set to the task.
    Initialisation: chrono biases, with the length of the sequences as t_max in the authors' code; matrices Glorot, each
    block apart (theirs are their framework's default).
    Learning rate: Adam at 1e-3, gradients clipped at norm 5, in the authors' code for adding, copying and pixels of
    MNIST alike; Adam at 1e-2 solves adding of 20 steps here.

    >>> cell = JANET(input_size=2, hidden_size=3)
    >>> weights = cell.prepare(cell.init(jax.random.key(0)))
    >>> state, y = cell.step(weights, cell.initial_state(weights, ()), cell.project(weights, jnp.zeros(2)))
    >>> y.tolist()
    [0.0, 0.0, 0.0]
    """

    input_size: Size
    hidden_size: Size
    beta: float | int = 1.0
    forget_bias: ForgetBias = ("chrono", 100)
    input_init: Spec = "glorot"
    recurrent_init: Spec = "glorot"

    def __post_init__(self) -> None:
        """ValueError, naming the field, where a size or an option is out of its range."""
        super().__post_init__()
        if self.beta < 0.0:
            raise ValueError(f"beta: expected a number of at least 0, got {self.beta}")
        initializers.check("input_init", self.input_init)
        initializers.check("recurrent_init", self.recurrent_init)
        initializers.check_forget_bias("forget_bias", self.forget_bias)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one input, ``(d,)``."""
        return (self.input_size,)

    @property
    def local_fields(self) -> tuple[str, ...]:
        """The fields that recur inside a unit alone: none, for h goes round through W_h."""
        return ()

    def init(self, key: Key) -> JANETParams:
        """Fresh parameters: each block of W_x and W_h drawn apart, b_f as ``forget_bias`` says, b_g = 0."""
        key_x, key_h, key_b = jax.random.split(key, 3)
        h = self.hidden_size
        return JANETParams(
            w_x=initializers.blocks(self.input_init, key_x, (self.input_size, h), 2),
            w_h=initializers.blocks(self.recurrent_init, key_h, (h, h), 2),
            b=jnp.concatenate([initializers.forget_bias(self.forget_bias, key_b, (h,)), jnp.zeros(h)]),
        )

    def initial_state(self, weights: JANETParams, batch_shape: tuple[int, ...]) -> JANETState:
        """The state before the first step: h = 0."""
        return JANETState(jnp.zeros((*batch_shape, self.hidden_size), weights.b.dtype))

    def project(self, weights: JANETParams, x: Float[Array, "*b d"]) -> Float[Array, "*b gates"]:
        """What does not depend on the state: x W_x + b."""
        return x @ weights.w_x + weights.b

    def next_state(self, weights: JANETParams, state: JANETState, u: Float[Array, "*b gates"]) -> JANETState:
        """The state after one step, by the equations at the head of this module."""
        f, g = jnp.split(u + state.h @ weights.w_h, 2, axis=-1)
        # 1 - σ(f - β) is σ(β - f), without the cancellation of an open gate
        return JANETState(jax.nn.sigmoid(f) * state.h + jax.nn.sigmoid(self.beta - f) * jnp.tanh(g))
