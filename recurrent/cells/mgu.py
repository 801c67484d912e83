"""The minimal gated unit: a gated recurrent unit whose one gate both resets and updates.

    f = σ(x W_xf + h W_hf + b_f)                   blocks in the order f, n
    n = tanh(x W_xn + (f ⊙ h) W_hn + b_n)
    h' = (1 - f) ⊙ h + f ⊙ n                       h in (-1, 1)

Source: Zhou, Wu, Zhang & Zhou (2016), "Minimal gated unit for recurrent neural networks". The paper calls f the forget
gate; where it is open, the state is replaced.
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

__all__ = ["MGU", "MGUParams", "MGUState"]


class MGUParams(NamedTuple):
    """The parameters of `MGU`; ``gates`` is 2h."""

    w_x: Float[Array, "d gates"]
    w_h: Float[Array, "h gates"]
    b: Float[Array, " gates"]


class MGUState(NamedTuple):
    """The state of `MGU`."""

    h: Float[Array, "*b h"]


@dataclasses.dataclass(frozen=True)
class MGU(Cell):
    """Minimal gated unit.

    Equations and source: the head of this module. ``forget_bias`` is the log-odds of keeping the state at x = h = 0 in
    the beginning: b_f starts at its negative. At 0 a step forgets half of the state.
    Initialisation: Glorot W_x and orthogonal W_h, as in `GRU`; the paper's was not found.
    Learning rate: none was found in print; Adam at 1e-2 solves adding of 20 steps here.

    >>> cell = MGU(input_size=2, hidden_size=3)
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

    def init(self, key: Key) -> MGUParams:
        """Fresh parameters: each block of W_x and W_h drawn apart, b_f = -``forget_bias``, b_n = 0."""
        key_x, key_h = jax.random.split(key)
        h = self.hidden_size
        return MGUParams(
            w_x=initializers.blocks(self.input_init, key_x, (self.input_size, h), 2),
            w_h=initializers.blocks(self.recurrent_init, key_h, (h, h), 2),
            b=jnp.concatenate([jnp.full(h, -float(self.forget_bias)), jnp.zeros(h)]),
        )

    def initial_state(self, weights: MGUParams, batch_shape: tuple[int, ...]) -> MGUState:
        """The state before the first step: h = 0."""
        return MGUState(jnp.zeros((*batch_shape, self.hidden_size), weights.b.dtype))

    def project(self, weights: MGUParams, x: Float[Array, "*b d"]) -> Float[Array, "*b gates"]:
        """What does not depend on the state: x W_x + b."""
        return x @ weights.w_x + weights.b

    def next_state(self, weights: MGUParams, state: MGUState, u: Float[Array, "*b gates"]) -> MGUState:
        """The state after one step, by the equations at the head of this module."""
        h, size = state.h, self.hidden_size
        f = jax.nn.sigmoid(u[..., :size] + h @ weights.w_h[:, :size])
        n = jnp.tanh(u[..., size:] + (f * h) @ weights.w_h[:, size:])
        return MGUState((1.0 - f) * h + f * n)
