"""The recurrent highway network: several highway layers from one step to the next.

    s = h, then for each layer l = 1..depth, with x W_x in the first one only:
        n = tanh(x W_xn + s W_hn[l] + b_n[l])
        t = σ(x W_xt + s W_ht[l] + b_t[l])
        c = 1 - t, or where not coupled σ(x W_xc + s W_hc[l] + b_c[l])
        s = n ⊙ t + s ⊙ c                          coupled: s in (-1, 1), else unbounded
    h' = s                                         blocks in the order t, n or t, c, n

Source: Zilly, Srivastava, Koutník & Schmidhuber (2017), "Recurrent highway networks". Differs: the authors draw all
weights from U(±0.04), for 800 units and more; here each block of W_h is orthogonal and W_x is Glorot.
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

__all__ = ["RHN", "RHNParams", "RHNState"]


class RHNParams(NamedTuple):
    """The parameters of `RHN`; ``gates`` is 2h, or 3h where the gates are not coupled."""

    w_x: Float[Array, "d gates"]
    w_h: Float[Array, "depth h gates"]
    b: Float[Array, "depth gates"]


class RHNState(NamedTuple):
    """The state of `RHN`: what leaves the last layer."""

    h: Float[Array, "*b h"]


@dataclasses.dataclass(frozen=True)
class RHN(Cell):
    """Recurrent highway network.

    Equations and source: the head of this module. A step has ``depth`` products one after the other: its time grows
    with the depth. The bias of t starts at ``transform_bias``, negative so that a layer passes its input on in the
    beginning; the authors take -2 for words and -4 for characters. Where not coupled, the bias of c starts at the
    opposite number.
    Learning rate: 0.2 by plain gradient descent in the authors' code, gradients clipped to norm 10; it is divided by
    1.02 an epoch from the 21st on for Penn Treebank, by 1.03 from the sixth on for enwik8 and text8.

    >>> cell = RHN(input_size=2, hidden_size=3)
    >>> weights = cell.prepare(cell.init(jax.random.key(0)))
    >>> state, y = cell.step(weights, cell.initial_state(weights, ()), cell.project(weights, jnp.zeros(2)))
    >>> y.tolist()
    [0.0, 0.0, 0.0]
    """

    input_size: Size
    hidden_size: Size
    depth: Size = 3
    coupled: bool = True
    transform_bias: float | int = -2.0
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
    def local_fields(self) -> tuple[str, ...] | None:
        """The fields that recur inside a unit alone: none; no units are declared from two layers on, where the
        parameters of the first act on every unit within one step.
        """
        return () if self.depth == 1 else None

    def init(self, key: Key) -> RHNParams:
        """Fresh parameters: each block of W_x and of each layer's W_h drawn apart, biases 0 but those of t and c."""
        key_x, key_h = jax.random.split(key)
        h, num_blocks = self.hidden_size, 2 if self.coupled else 3
        transform = jnp.full(h, float(self.transform_bias))
        gates = [transform] if self.coupled else [transform, -transform]
        keys = jax.random.split(key_h, self.depth)
        return RHNParams(
            w_x=initializers.blocks(self.input_init, key_x, (self.input_size, h), num_blocks),
            w_h=jnp.stack([initializers.blocks(self.recurrent_init, k, (h, h), num_blocks) for k in keys]),
            b=jnp.tile(jnp.concatenate([*gates, jnp.zeros(h)]), (self.depth, 1)),
        )

    def initial_state(self, weights: RHNParams, batch_shape: tuple[int, ...]) -> RHNState:
        """The state before the first step: h = 0."""
        return RHNState(jnp.zeros((*batch_shape, self.hidden_size), weights.b.dtype))

    def project(self, weights: RHNParams, x: Float[Array, "*b d"]) -> Float[Array, "*b gates"]:
        """What does not depend on the state: x W_x + b of the first layer."""
        return x @ weights.w_x + weights.b[0]

    def next_state(self, weights: RHNParams, state: RHNState, u: Float[Array, "*b gates"]) -> RHNState:
        """The state after one step, by the equations at the head of this module."""
        s = state.h
        for layer in range(self.depth):
            z = s @ weights.w_h[layer] + (u if layer == 0 else weights.b[layer])
            z_t, *z_c, z_n = jnp.split(z, 2 if self.coupled else 3, axis=-1)
            t = jax.nn.sigmoid(z_t)
            c = jax.nn.sigmoid(z_c[0]) if z_c else 1.0 - t
            s = jnp.tanh(z_n) * t + s * c
        return RHNState(s)
