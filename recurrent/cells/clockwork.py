"""The clockwork recurrent network: modules that compute only every so many steps, and listen to slower ones.

    h'_i = tanh(x W_xi + Σ_(j >= i) h_j W_ji + b_i)     where t mod T_i = 0, else h_i; h in (-1, 1)
    t' = t + 1                                          t = 0 at the first step: every module computes there

for modules i = 0..g-1 with periods T_0 < T_1 < ...; a module hears itself and the slower ones. Unit u of h belongs
to module ⌊u g / h⌋.

Source: Koutník, Greff, Gomez & Schmidhuber (2014), "A clockwork RNN".
"""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from recurrent import initializers
from recurrent.arrays import Key
from recurrent.cell import Cell
from recurrent.initializers import Spec
from recurrent.sizes import Size

__all__ = ["Clockwork", "ClockworkParams", "ClockworkState", "ClockworkWeights"]


class ClockworkParams(NamedTuple):
    """The parameters of `Clockwork`; the entries of W_h from a faster module to a slower one have no effect."""

    w_x: Float[Array, "d h"]
    w_h: Float[Array, "h h"]
    b: Float[Array, " h"]


class ClockworkWeights(NamedTuple):
    """What `Clockwork.prepare` makes: W_h with zeros from faster to slower modules, and the period of each unit."""

    w_x: Float[Array, "d h"]
    w_h: Float[Array, "h h"]
    b: Float[Array, " h"]
    period: Float[Array, " h"]


class ClockworkState(NamedTuple):
    """The state of `Clockwork`: what is emitted, and the number of steps so far."""

    h: Float[Array, "*b h"]
    step: Float[Array, "*b"]


@dataclasses.dataclass(frozen=True)
class Clockwork(Cell):
    """Clockwork recurrent network.

    Equations and source: the head of this module. ``periods`` are T_0, T_1, ...; the paper takes powers of 2. A step is
    counted in the state: a reset starts the clocks again, and masked steps do not advance them. In float32 the count
    is exact up to 2²⁴ steps. All modules are computed at every step, and those whose time has not come are dropped:
    in an array program that costs what choosing them would.
    Initialisation: W_x and W_h from N(0, 0.1²), b = 0.
    Learning rate: none was found in print; Adam at 0.1 hardly learns adding of 20 steps here.

    >>> cell = Clockwork(input_size=2, hidden_size=2, periods=(1, 3))
    >>> params = cell.init(jax.random.key(0))._replace(w_x=jnp.ones((2, 2)), w_h=jnp.zeros((2, 2)))
    >>> import recurrent as rec
    >>> _, ys = rec.unroll(cell, params, jnp.arange(8.0).reshape(4, 2) / 10)
    >>> [[round(float(unit), 1) for unit in y] for y in ys]
    [[0.1, 0.1], [0.5, 0.1], [0.7, 0.1], [0.9, 0.9]]
    """

    input_size: Size
    hidden_size: Size
    periods: tuple[Size, ...] = (1, 2, 4, 8)
    input_init: Spec = ("normal", 0.1)
    recurrent_init: Spec = ("normal", 0.1)

    def __post_init__(self) -> None:
        """ValueError, naming the field, where a size or an option is out of its range."""
        super().__post_init__()
        increasing = all(a < b for a, b in zip(self.periods, self.periods[1:], strict=False))
        if not self.periods or not increasing:
            raise ValueError(f"periods: expected increasing numbers from 1 on, got {self.periods}")
        if self.hidden_size < len(self.periods):
            raise ValueError(
                f"hidden_size: expected at least one unit for each of {len(self.periods)} periods,"
                f" got {self.hidden_size}"
            )
        initializers.check("input_init", self.input_init)
        initializers.check("recurrent_init", self.recurrent_init)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one input, ``(d,)``."""
        return (self.input_size,)

    def init(self, key: Key) -> ClockworkParams:
        """Fresh parameters: W_x and W_h as the fields say, b = 0."""
        key_x, key_h = jax.random.split(key)
        h = self.hidden_size
        return ClockworkParams(
            w_x=initializers.initialize(self.input_init, key_x, (self.input_size, h)),
            w_h=initializers.initialize(self.recurrent_init, key_h, (h, h)),
            b=jnp.zeros(h),
        )

    def prepare(self, params: ClockworkParams) -> ClockworkWeights:
        """The weights that each step reads: W_h without the entries from faster to slower modules, and the periods."""
        period = np.array(self.periods)[np.arange(self.hidden_size) * len(self.periods) // self.hidden_size]
        hears = period[:, None] >= period  # rows of W_h are sources, columns are destinations
        return ClockworkWeights(
            w_x=params.w_x,
            w_h=jnp.where(hears, params.w_h, 0.0),
            b=params.b,
            period=jnp.asarray(period, params.b.dtype),
        )

    def initial_state(self, weights: ClockworkWeights, batch_shape: tuple[int, ...]) -> ClockworkState:
        """The state before the first step: h = 0 and no step so far."""
        dtype = weights.b.dtype
        return ClockworkState(
            jnp.zeros((*batch_shape, self.hidden_size), dtype), jnp.zeros(batch_shape, dtype)
        )

    def project(self, weights: ClockworkWeights, x: Float[Array, "*b d"]) -> Float[Array, "*b h"]:
        """What does not depend on the state: x W_x + b."""
        return x @ weights.w_x + weights.b

    def next_state(
        self, weights: ClockworkWeights, state: ClockworkState, u: Float[Array, "*b h"]
    ) -> ClockworkState:
        """The state after one step, by the equations at the head of this module."""
        new = jnp.tanh(u + state.h @ weights.w_h)
        # rounded, because a solver may try states between two counts
        is_active = jnp.mod(jnp.round(state.step)[..., None], weights.period) == 0.0
        return ClockworkState(jnp.where(is_active, new, state.h), state.step + 1.0)
