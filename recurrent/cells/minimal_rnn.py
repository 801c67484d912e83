"""The minimal recurrent network: the input is encoded by itself, and one gate blends the code into the state.

    z = tanh(x W_x + b_x)
    k = σ(h W_h + z W_z + b)
    h' = k ⊙ h + (1 - k) ⊙ z                       h between 0 and the codes so far, in (-1, 1)

Source: Chen (2017), "MinimalRNN: toward more interpretable and trainable recurrent neural networks", with the one
layer of tanh for the encoder Φ.
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

__all__ = ["MinimalRNN", "MinimalRNNParams", "MinimalRNNState"]


class MinimalRNNParams(NamedTuple):
    """The parameters of `MinimalRNN`: of the encoder, then of the gate."""

    w_x: Float[Array, "d h"]
    b_x: Float[Array, " h"]
    w_h: Float[Array, "h h"]
    w_z: Float[Array, "h h"]
    b: Float[Array, " h"]


class MinimalRNNState(NamedTuple):
    """The state of `MinimalRNN`."""

    h: Float[Array, "*b h"]


@dataclasses.dataclass(frozen=True)
class MinimalRNN(Cell):
    """Minimal recurrent network.

    Equations and source: the head of this module. ``forget_bias`` is where b starts, the log-odds of keeping the
    state; at 0 a step forgets half of it. No ``local_fields``: an entry of W_x acts on every unit through z W_z.
    Initialisation: Glorot W_x and W_z, orthogonal W_h; the paper's was not found.
    Learning rate: none was found in print; Adam at 1e-2 solves adding of 20 steps here.

    >>> cell = MinimalRNN(input_size=2, hidden_size=3)
    >>> weights = cell.prepare(cell.init(jax.random.key(0)))
    >>> state, y = cell.step(weights, cell.initial_state(weights, ()), cell.project(weights, jnp.zeros(2)))
    >>> y.tolist()
    [0.0, 0.0, 0.0]
    """

    input_size: Size
    hidden_size: Size
    forget_bias: float | int = 0.0
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

    def init(self, key: Key) -> MinimalRNNParams:
        """Fresh parameters: W_x and W_z as ``input_init`` says, W_h as ``recurrent_init``, b_x 0, b the
        ``forget_bias``.
        """
        key_x, key_h, key_z = jax.random.split(key, 3)
        h = self.hidden_size
        return MinimalRNNParams(
            w_x=initializers.initialize(self.input_init, key_x, (self.input_size, h)),
            b_x=jnp.zeros(h),
            w_h=initializers.initialize(self.recurrent_init, key_h, (h, h)),
            w_z=initializers.initialize(self.input_init, key_z, (h, h)),
            b=jnp.full(h, float(self.forget_bias)),
        )

    def initial_state(self, weights: MinimalRNNParams, batch_shape: tuple[int, ...]) -> MinimalRNNState:
        """The state before the first step: h = 0."""
        return MinimalRNNState(jnp.zeros((*batch_shape, self.hidden_size), weights.b.dtype))

    def project(self, weights: MinimalRNNParams, x: Float[Array, "*b d"]) -> Float[Array, "*b both"]:
        """What does not depend on the state: z W_z + b, and z."""
        z = jnp.tanh(x @ weights.w_x + weights.b_x)
        return jnp.concatenate([z @ weights.w_z + weights.b, z], axis=-1)

    def next_state(
        self, weights: MinimalRNNParams, state: MinimalRNNState, u: Float[Array, "*b both"]
    ) -> MinimalRNNState:
        """The state after one step, by the equations at the head of this module."""
        gate, z = jnp.split(u, 2, axis=-1)
        k = jax.nn.sigmoid(gate + state.h @ weights.w_h)
        return MinimalRNNState(k * state.h + (1.0 - k) * z)
