"""The simple recurrent unit: a gated elementwise recurrence, and a highway past it.

    f, n, r, s = split(x W_x + b)                  b on f and r alone; s = α x where d = h, else a block of W_x
    c' = σ(f + v_f ⊙ c) ⊙ c + (1 - σ(f + v_f ⊙ c)) ⊙ n        c between 0 and the candidates so far
    h' = σ(r + v_r ⊙ c) ⊙ c' + (1 - σ(r + v_r ⊙ c)) ⊙ s       the old c in both gates

Without ``peepholes`` v = 0: the recurrence of c is linear. α = √(1 + 2 exp(b_r)) keeps the variance of the highway.

Source: Lei, Zhang, Wang, Dai & Artzi (2018), "Simple recurrent units for highly parallelizable recurrence";
the scaling, the fourth block and the initialisation are those of the authors' code.
"""

import dataclasses
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from recurrent import arrays, forms
from recurrent.arrays import Key
from recurrent.cell import Cell
from recurrent.sizes import Size

__all__ = ["SRU", "SRULinearParams", "SRULinearState", "SRUParams", "SRUState"]


class SRUParams(NamedTuple):
    """The parameters of `SRU`; ``blocks`` is 3h where d = h, else 4h; ``gates`` is 2h: f and r."""

    w_x: Float[Array, "d blocks"]
    b: Float[Array, " gates"]
    v: Float[Array, " gates"]


class SRULinearParams(NamedTuple):
    """The parameters of `SRU` without peepholes."""

    w_x: Float[Array, "d blocks"]
    b: Float[Array, " gates"]


class SRUState(NamedTuple):
    """The state of `SRU`: what is emitted, which no step reads, and the memory cell."""

    h: Float[Array, "*b h"]
    c: Float[Array, "*b h"]


class SRULinearState(NamedTuple):
    """The state of `SRU` without peepholes."""

    c: Float[Array, "*b h"]


@dataclasses.dataclass(frozen=True)
class SRU(Cell):
    """Simple recurrent unit.

    Equations and source: the head of this module. ``peepholes`` are the v ⊙ c of the paper; without them (its first
    version) the cell has a linear form. The bias of r starts at ``highway_bias``, from which α is computed: the more
    negative, the more of the input passes by. The recurrence has no other sight of h: what one unit knows reaches the
    others only in the next layer, so stack several.
    Learning rate: Adam at 1e-3 in the authors' code for classifying sentences, and for enwik8 with gradients clipped to
    norm 0.3; for words of Penn Treebank 1 by plain gradient descent, clipped to norm 5, times 0.98 an epoch from the
    176th on. Both language models start with ``highway_bias=-3``.

    >>> cell = SRU(input_size=2, hidden_size=3)
    >>> weights = cell.prepare(cell.init(jax.random.key(0)))
    >>> state, y = cell.step(weights, cell.initial_state(weights, ()), cell.project(weights, jnp.zeros(2)))
    >>> y.tolist()
    [0.0, 0.0, 0.0]
    """

    input_size: Size
    hidden_size: Size
    peepholes: bool = True
    highway_bias: float | int = 0.0

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one input, ``(d,)``."""
        return (self.input_size,)

    @property
    def has_linear_form(self) -> bool:
        """Whether the state map is linear in the state: it is where no gate depends on the state."""
        return not self.peepholes

    @property
    def local_fields(self) -> tuple[str, ...]:
        """The fields that recur inside a unit alone: all of them, for no unit sees another."""
        return ("h", "c") if self.peepholes else ("c",)

    @property
    def highway_scale(self) -> float:
        """α, a constant: it does not follow b_r through training."""
        return math.sqrt(1.0 + 2.0 * math.exp(self.highway_bias))

    def init(self, key: Key) -> SRUParams | SRULinearParams:
        """Fresh parameters: W_x of variance 1/d (a block s: times α²), v of variance 1; both times 1/2 in the gates
        with peepholes.
        """
        key_x, key_v = jax.random.split(key)
        d, h = self.input_size, self.hidden_size
        gate = math.sqrt(0.5) if self.peepholes else 1.0
        scales = [gate, 1.0, gate] if d == h else [gate, 1.0, gate, self.highway_scale]
        bound = math.sqrt(3.0 / d)
        w_x = jax.random.uniform(key_x, (d, len(scales) * h), minval=-bound, maxval=bound)
        params = SRULinearParams(
            w_x=w_x * jnp.repeat(jnp.array(scales), h),
            b=jnp.concatenate([jnp.zeros(h), jnp.full(h, float(self.highway_bias))]),
        )
        if not self.peepholes:
            return params
        bound = gate * math.sqrt(3.0)
        return SRUParams(*params, v=jax.random.uniform(key_v, (2 * h,), minval=-bound, maxval=bound))

    def prepare(self, params: SRUParams | SRULinearParams) -> SRUParams | SRULinearParams:
        """The weights that each step reads: b with blocks of zeros for n and s."""
        b_f, b_r = jnp.split(params.b, 2)
        rest = [jnp.zeros_like(b_f)] * (params.w_x.shape[-1] // self.hidden_size - 3)
        return params._replace(b=jnp.concatenate([b_f, jnp.zeros_like(b_f), b_r, *rest]))

    def initial_state(
        self, weights: SRUParams | SRULinearParams, batch_shape: tuple[int, ...]
    ) -> SRUState | SRULinearState:
        """The state before the first step: zeros."""
        h, c = arrays.zeros(2, (*batch_shape, self.hidden_size), weights.b.dtype)
        return SRUState(h, c) if self.peepholes else SRULinearState(c)

    def project(
        self, weights: SRUParams | SRULinearParams, x: Float[Array, "*b d"]
    ) -> Float[Array, "*b blocks"]:
        """What does not depend on the state: the products of x, blocks f, n, r and s."""
        u = x @ weights.w_x + weights.b
        if self.input_size != self.hidden_size:
            return u
        return jnp.concatenate([u, self.highway_scale * x], axis=-1)

    def next_state(
        self,
        weights: SRUParams | SRULinearParams,
        state: SRUState | SRULinearState,
        u: Float[Array, "*b blocks"],
    ) -> SRUState | SRULinearState:
        """The state after one step, by the equations at the head of this module."""
        if not isinstance(weights, SRUParams):
            return super().next_state(weights, state, u)
        v_f, v_r = jnp.split(weights.v, 2)
        f, n, r, s = jnp.split(u, 4, axis=-1)
        keep, add = _memory(f + v_f * state.c, n)
        c = keep * state.c + add
        return SRUState(h=_highway(r + v_r * state.c, c, s), c=c)

    def linear(self, weights: SRULinearParams, u: Float[Array, "*b blocks"]) -> forms.Diagonal:
        """The state map as a linear form: c' = σ(f) ⊙ c + (1 - σ(f)) ⊙ n; without peepholes."""
        if self.peepholes:
            return super().linear(weights, u)
        f, n, _, _ = jnp.split(u, 4, axis=-1)
        keep, add = _memory(f, n)
        return forms.Diagonal(SRULinearState(keep), SRULinearState(add))

    def output(
        self,
        weights: SRUParams | SRULinearParams,
        state: SRUState | SRULinearState,
        u: Float[Array, "*b blocks"],
    ) -> Float[Array, "*b h"]:
        """What is emitted: h. With peepholes it stands in the state, because its gate depends on the c that the new
        state lacks.
        """
        if isinstance(state, SRUState):
            return state.h
        _, _, r, s = jnp.split(u, 4, axis=-1)
        return _highway(r, state.c, s)


def _memory(f: Array, n: Array) -> tuple[Array, Array]:
    """What a step keeps of c, and what it adds to it."""
    # 1 - σ(f) is σ(-f), without the cancellation of an open gate
    return jax.nn.sigmoid(f), jax.nn.sigmoid(-f) * n


def _highway(r: Array, c: Array, s: Array) -> Array:
    return jax.nn.sigmoid(r) * c + jax.nn.sigmoid(-r) * s
