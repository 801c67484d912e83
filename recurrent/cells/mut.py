"""The three gated cells that a search over ten thousand architectures ended with.

With e = x W_e, an embedding of as many numbers as there are units, because e meets h entry by entry:

    MUT1    r = σ(e W_xr + h W_hr + b_r)           MUT2    r = σ(e + h W_hr + b_r)
            z = σ(e W_xz + b_z)                            z = σ(e W_xz + h W_hz + b_z)
            n = tanh(tanh(e) + (r ⊙ h) W_hn + b_n)         n = tanh(e W_xn + (r ⊙ h) W_hn + b_n)

    MUT3    r = σ(e W_xr + h W_hr + b_r)
            z = σ(e W_xz + tanh(h) W_hz + b_z)     all three:
            n = tanh(e W_xn + (r ⊙ h) W_hn + b_n)          h' = z ⊙ n + (1 - z) ⊙ h          h in (-1, 1)

Blocks are in the order r, z, n; z is the share of what is *new*, unlike the GRU's.

Source: Jozefowicz, Zaremba & Sutskever (2015), "An empirical exploration of recurrent network architectures". There the
embedding is a layer in front of the cell, and inputs are symbols; here it is a parameter of the cell.
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

__all__ = ["MUT1", "MUT2", "MUT3", "MUTParams", "MUTState", "MUTWeights"]


class MUTParams(NamedTuple):
    """The parameters of `MUT1` (w_x: r, z; w_h: r, n), `MUT2` (z, n; r, z, n) and `MUT3` (r, z, n; r, z, n)."""

    w_e: Float[Array, "d h"]
    w_x: Float[Array, "h from_e"]
    w_h: Float[Array, "h from_h"]
    b: Float[Array, " gates"]


class MUTWeights(NamedTuple):
    """What ``prepare`` makes: the embedding within the products that follow it, blocks in the order r, z, n."""

    w_in: Float[Array, "d gates"]
    w_h: Float[Array, "h from_h"]
    b: Float[Array, " gates"]


class MUTState(NamedTuple):
    """The state of `MUT1`, `MUT2` and `MUT3`."""

    h: Float[Array, "*b h"]


@dataclasses.dataclass(frozen=True)
class _MUT(Cell):
    """What `MUT1`, `MUT2` and `MUT3` share: all but which products there are, and the gates."""

    input_size: Size
    hidden_size: Size
    input_init: Spec = "uniform"
    recurrent_init: Spec = "uniform"
    bias_init: Spec = "uniform"

    def __post_init__(self) -> None:
        """ValueError, naming the field, where a size or an option is out of its range."""
        super().__post_init__()
        for field in ("input_init", "recurrent_init", "bias_init"):
            initializers.check(field, getattr(self, field))

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one input, ``(d,)``."""
        return (self.input_size,)

    def _init(self, key: Key, from_e: int, from_h: int) -> MUTParams:
        key_e, key_x, key_h, key_b = jax.random.split(key, 4)
        h = self.hidden_size
        return MUTParams(
            w_e=initializers.initialize(self.input_init, key_e, (self.input_size, h)),
            w_x=initializers.blocks(self.input_init, key_x, (h, h), from_e),
            w_h=initializers.blocks(self.recurrent_init, key_h, (h, h), from_h),
            b=initializers.initialize(self.bias_init, key_b, (3, h)).reshape(-1),
        )

    def initial_state(self, weights: MUTWeights, batch_shape: tuple[int, ...]) -> MUTState:
        """The state before the first step: h = 0."""
        return MUTState(jnp.zeros((*batch_shape, self.hidden_size), weights.b.dtype))

    def project(self, weights: MUTWeights, x: Float[Array, "*b d"]) -> Float[Array, "*b gates"]:
        """What does not depend on the state: what e adds to r, z and n, with their biases."""
        return x @ weights.w_in + weights.b


@dataclasses.dataclass(frozen=True)
class MUT1(_MUT):
    """The first mutant: an update gate that does not see the state, and a bounded input.

    Equations and source: the head of this module. All starts at U(±1/√h), the middle of the range that was searched.
    Learning rate: none was found in print; Adam at 1e-2 solves adding of 20 steps here.

    >>> cell = MUT1(input_size=2, hidden_size=3, bias_init="zeros")
    >>> weights = cell.prepare(cell.init(jax.random.key(0)))
    >>> state, y = cell.step(weights, cell.initial_state(weights, ()), cell.project(weights, jnp.zeros(2)))
    >>> y.tolist()
    [0.0, 0.0, 0.0]
    """

    def init(self, key: Key) -> MUTParams:
        """Fresh parameters: each block of each matrix is drawn apart."""
        return self._init(key, 2, 2)

    def prepare(self, params: MUTParams) -> MUTWeights:
        """The weights that each step reads: [W_e W_xr, W_e W_xz, W_e]."""
        w_in = jnp.concatenate([params.w_e @ params.w_x, params.w_e], axis=-1)
        return MUTWeights(w_in, params.w_h, params.b)

    def project(self, weights: MUTWeights, x: Float[Array, "*b d"]) -> Float[Array, "*b gates"]:
        """What does not depend on the state: what e adds to r, z and n, with their biases; to n it is tanh(e)."""
        gates, e = jnp.split(x @ weights.w_in, [2 * self.hidden_size], axis=-1)
        return jnp.concatenate([gates, jnp.tanh(e)], axis=-1) + weights.b

    def next_state(self, weights: MUTWeights, state: MUTState, u: Float[Array, "*b gates"]) -> MUTState:
        """The state after one step, by the equations at the head of this module."""
        w_hr, w_hn = jnp.split(weights.w_h, 2, axis=-1)
        u_r, u_z, u_n = jnp.split(u, 3, axis=-1)
        r, z = jax.nn.sigmoid(u_r + state.h @ w_hr), jax.nn.sigmoid(u_z)
        n = jnp.tanh(u_n + (r * state.h) @ w_hn)
        return MUTState(z * n + (1.0 - z) * state.h)


@dataclasses.dataclass(frozen=True)
class MUT2(_MUT):
    """The second mutant: a reset gate to which the embedded input is added as it is.

    Equations and source: the head of this module. All starts at U(±1/√h), the middle of the range that was searched.
    Learning rate: none was found in print; Adam at 1e-2 solves adding of 20 steps here.

    >>> cell = MUT2(input_size=2, hidden_size=3, bias_init="zeros")
    >>> weights = cell.prepare(cell.init(jax.random.key(0)))
    >>> state, y = cell.step(weights, cell.initial_state(weights, ()), cell.project(weights, jnp.zeros(2)))
    >>> y.tolist()
    [0.0, 0.0, 0.0]
    """

    def init(self, key: Key) -> MUTParams:
        """Fresh parameters: each block of each matrix is drawn apart."""
        return self._init(key, 2, 3)

    def prepare(self, params: MUTParams) -> MUTWeights:
        """The weights that each step reads: [W_e, W_e W_xz, W_e W_xn]."""
        w_in = jnp.concatenate([params.w_e, params.w_e @ params.w_x], axis=-1)
        return MUTWeights(w_in, params.w_h, params.b)

    def next_state(self, weights: MUTWeights, state: MUTState, u: Float[Array, "*b gates"]) -> MUTState:
        """The state after one step, by the equations at the head of this module."""
        w_hrz, w_hn = jnp.split(weights.w_h, [2 * self.hidden_size], axis=-1)
        u_rz, u_n = jnp.split(u, [2 * self.hidden_size], axis=-1)
        r, z = jnp.split(jax.nn.sigmoid(u_rz + state.h @ w_hrz), 2, axis=-1)
        n = jnp.tanh(u_n + (r * state.h) @ w_hn)
        return MUTState(z * n + (1.0 - z) * state.h)


@dataclasses.dataclass(frozen=True)
class MUT3(_MUT):
    """The third mutant: an update gate that sees tanh of the state.

    Equations and source: the head of this module. All starts at U(±1/√h), the middle of the range that was searched.
    Learning rate: none was found in print; Adam at 1e-2 solves adding of 20 steps here.

    >>> cell = MUT3(input_size=2, hidden_size=3, bias_init="zeros")
    >>> weights = cell.prepare(cell.init(jax.random.key(0)))
    >>> state, y = cell.step(weights, cell.initial_state(weights, ()), cell.project(weights, jnp.zeros(2)))
    >>> y.tolist()
    [0.0, 0.0, 0.0]
    """

    def init(self, key: Key) -> MUTParams:
        """Fresh parameters: each block of each matrix is drawn apart."""
        return self._init(key, 3, 3)

    def prepare(self, params: MUTParams) -> MUTWeights:
        """The weights that each step reads: W_e W_x."""
        return MUTWeights(params.w_e @ params.w_x, params.w_h, params.b)

    def next_state(self, weights: MUTWeights, state: MUTState, u: Float[Array, "*b gates"]) -> MUTState:
        """The state after one step, by the equations at the head of this module."""
        w_hr, w_hz, w_hn = jnp.split(weights.w_h, 3, axis=-1)
        u_r, u_z, u_n = jnp.split(u, 3, axis=-1)
        r = jax.nn.sigmoid(u_r + state.h @ w_hr)
        z = jax.nn.sigmoid(u_z + jnp.tanh(state.h) @ w_hz)
        n = jnp.tanh(u_n + (r * state.h) @ w_hn)
        return MUTState(z * n + (1.0 - z) * state.h)
