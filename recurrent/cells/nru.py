"""The non-saturating recurrent unit: a memory that heads write to and erase from, and no gate that saturates.

    h' = relu(x W_x + [h, m] W_h + b)                          h in [0, ∞)
    α, β, p, q, e, g = split([h', m] W_m + b_m)                sizes k, k, s, s, s, s with s² = k · memory_size
    A = rows_k(p ⊗ q),  B = rows_k(e ⊗ g)                      s · s numbers row by row, as k rows of memory_size
    m' = m + 1/k Σ_i (α_i A_i / ‖A_i‖ - β_i B_i / ‖B_i‖)       i over the k heads; m unbounded

with ‖v‖ = (Σ |v|⁵ + 10⁻¹⁵)^(1/5); ``relu`` also rectifies α, β, A and B.

Source: Chandar, Sankar, Vorontsov, Kahou & Bengio (2019), "Towards non-saturating recurrent units for modelling
long-term dependencies", as the authors' code has it: norms of order 5, and the mean over heads. Differs: the norm
there is cut off at 10⁻¹² instead of having 10⁻¹⁵ under its root, and has no derivative at 0. A direction is shorter
here by 2e-11 of itself where ‖v‖ is 0.1, by 2e-6 at 0.01 and by an eighth at 0.001: at equal weights outputs differ
from the authors' by 6e-4 over 30 steps, and by 0.19 with ``relu``, whose norms are often near 0. Norms of 0.01 to 0.1
are usual at the start; v / ‖v‖ curves strongly there, so finite differences of this cell need steps of 1e-6 or less.
"""

import dataclasses
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from recurrent import arrays
from recurrent.arrays import Key
from recurrent.cell import Cell
from recurrent.sizes import Size

__all__ = ["NRU", "NRUParams", "NRUState"]


class NRUParams(NamedTuple):
    """The parameters of `NRU`; ``joint`` is h + memory_size, the rows of h before those of m; ``heads`` is 2k + 4s."""

    w_x: Float[Array, "d h"]
    w_h: Float[Array, "joint h"]
    b: Float[Array, " h"]
    w_m: Float[Array, "joint heads"]
    b_m: Float[Array, " heads"]


class NRUState(NamedTuple):
    """The state of `NRU`: what is emitted, and the memory."""

    h: Float[Array, "*b h"]
    m: Float[Array, "*b m"]


@dataclasses.dataclass(frozen=True)
class NRU(Cell):
    """Non-saturating recurrent unit.

    Equations and source: the head of this module. ``num_heads`` is k; k · ``memory_size`` has to be a square number.
    The authors take 4 heads and memories of 64 to 256.
    Initialisation: as torch's linear layers, weights and biases, in the authors' code and here.
    Learning rate: Adam at 1e-3 in the authors' code for permuted MNIST, gradients clipped to norm 1.

    >>> cell = NRU(input_size=2, hidden_size=3)
    >>> weights = cell.prepare(cell.init(jax.random.key(0)))
    >>> state, y = cell.step(weights, cell.initial_state(weights, ()), cell.project(weights, jnp.ones(2)))
    >>> y.shape, state.m.shape
    ((3,), (64,))
    """

    input_size: Size
    hidden_size: Size
    memory_size: Size = 64
    num_heads: Size = 4
    relu: bool = False

    def __post_init__(self) -> None:
        """ValueError, naming the field, where a size or an option is out of its range."""
        super().__post_init__()
        if self._factor_size**2 != self.num_heads * self.memory_size:
            raise ValueError(
                "memory_size: expected num_heads * memory_size to be a square number,"
                f" got {self.num_heads} * {self.memory_size}"
            )

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one input, ``(d,)``."""
        return (self.input_size,)

    @property
    def _factor_size(self) -> int:
        return math.isqrt(self.num_heads * self.memory_size)

    def init(self, key: Key) -> NRUParams:
        """Fresh parameters: uniform in ±1/√inputs, biases too: the default of torch's linear layers, which the authors
        keep.
        """
        keys = jax.random.split(key, 5)
        d, h, joint = self.input_size, self.hidden_size, self.hidden_size + self.memory_size
        heads = 2 * self.num_heads + 4 * self._factor_size

        def draw(key: Key, inputs: int, *shape: int) -> Array:
            return jax.random.uniform(key, shape, minval=-(inputs**-0.5), maxval=inputs**-0.5)

        return NRUParams(
            w_x=draw(keys[0], d + joint, d, h),
            w_h=draw(keys[1], d + joint, joint, h),
            b=draw(keys[2], d + joint, h),
            w_m=draw(keys[3], joint, joint, heads),
            b_m=draw(keys[4], joint, heads),
        )

    def initial_state(self, weights: NRUParams, batch_shape: tuple[int, ...]) -> NRUState:
        """The state before the first step: h = m = 0."""
        dtype = weights.b.dtype
        return NRUState(
            jnp.zeros((*batch_shape, self.hidden_size), dtype),
            jnp.zeros((*batch_shape, self.memory_size), dtype),
        )

    def project(self, weights: NRUParams, x: Float[Array, "*b d"]) -> Float[Array, "*b h"]:
        """What does not depend on the state: x W_x + b."""
        return x @ weights.w_x + weights.b

    def next_state(self, weights: NRUParams, state: NRUState, u: Float[Array, "*b h"]) -> NRUState:
        """The state after one step, by the equations at the head of this module."""
        k, s = self.num_heads, self._factor_size
        h = jax.nn.relu(u + jnp.concatenate([state.h, state.m], axis=-1) @ weights.w_h)
        z = jnp.concatenate([h, state.m], axis=-1) @ weights.w_m + weights.b_m
        alpha, beta, p, q, e, g = jnp.split(z, [k, 2 * k, 2 * k + s, 2 * k + 2 * s, 2 * k + 3 * s], axis=-1)
        change = self._heads(alpha, p, q) - self._heads(beta, e, g)
        return NRUState(h, state.m + change)

    def _heads(self, strength: Array, left: Array, right: Array) -> Float[Array, "*b m"]:
        """The mean over heads of strength times direction."""
        rows = arrays.outer(left, right)
        rows = rows.reshape(*strength.shape, self.memory_size)
        if self.relu:
            strength, rows = jax.nn.relu(strength), jax.nn.relu(rows)
        # |v|⁵ as v⁴ |v|, and a constant under the root: value and derivatives are finite at 0
        norm = (jnp.sum(rows**4 * jnp.abs(rows), axis=-1) + 1e-15) ** 0.2
        return jnp.einsum("...k,...km->...m", strength / norm, rows) / self.num_heads
