"""The bistable recurrent cell and its neuromodulated form: units that can latch, and can be told when.

    a = 1 + tanh(x W_xa + ∘_a + b_a)               feedback, in (0, 2): above 1 a unit has two stable states
    c = σ(x W_xc + ∘_c + b_c)                      how much of the state is kept
    h' = c ⊙ h + (1 - c) ⊙ tanh(x W_xn + a ⊙ h)    h in (-1, 1); blocks in the order a, c, n

    BRC      ∘_a = h ⊙ w_a,  ∘_c = h ⊙ w_c         no unit sees another
    nBRC     ∘_a = h W_a,    ∘_c = h W_c           every unit is modulated by the whole network

Source: Vecoven, Ernst & Drion (2021), "A bio-inspired bistable recurrent cell allows for long-lasting memory"; biases
and initialisation are those of the authors' code: none on the candidate, w = 1, everything else Glorot.
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

__all__ = ["BRC", "NBRC", "BRCParams", "BRCState", "NBRCParams"]


class BRCParams(NamedTuple):
    """The parameters of `BRC`; ``gates`` is 3h, ``modulated`` 2h: a and c."""

    w_x: Float[Array, "d gates"]
    w_h: Float[Array, " modulated"]
    b: Float[Array, " modulated"]


class NBRCParams(NamedTuple):
    """The parameters of `NBRC`; ``gates`` is 3h, ``modulated`` 2h: a and c."""

    w_x: Float[Array, "d gates"]
    w_h: Float[Array, "h modulated"]
    b: Float[Array, " modulated"]


class BRCState(NamedTuple):
    """The state of `BRC` and `NBRC`."""

    h: Float[Array, "*b h"]


@dataclasses.dataclass(frozen=True)
class BRC(Cell):
    """Bistable recurrent cell: its memory is the cell's own, without recurrent connections.

    Equations and source: the head of this module. ``prepare`` pads b with zeros for the candidate.
    Learning rate: Adam at 1e-3 in the authors' code, for copying first inputs, denoising and pixel MNIST alike.

    >>> cell = BRC(input_size=2, hidden_size=3)
    >>> weights = cell.prepare(cell.init(jax.random.key(0)))
    >>> state, y = cell.step(weights, cell.initial_state(weights, ()), cell.project(weights, jnp.zeros(2)))
    >>> y.tolist()
    [0.0, 0.0, 0.0]
    """

    input_size: Size
    hidden_size: Size
    input_init: Spec = "glorot"

    def __post_init__(self) -> None:
        """ValueError, naming the field, where a size or an option is out of its range."""
        super().__post_init__()
        initializers.check("input_init", self.input_init)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one input, ``(d,)``."""
        return (self.input_size,)

    @property
    def local_fields(self) -> tuple[str, ...]:
        """The fields that recur inside a unit alone: ``h``, for no unit sees another."""
        return ("h",)

    def init(self, key: Key) -> BRCParams:
        """Fresh parameters: each block of W_x drawn apart, w = 1, b = 0."""
        h = self.hidden_size
        w_x = initializers.blocks(self.input_init, key, (self.input_size, h), 3)
        return BRCParams(w_x, jnp.ones(2 * h), jnp.zeros(2 * h))

    def prepare(self, params: BRCParams) -> BRCParams:
        """The weights that each step reads: b gets a block of zeros for the candidate."""
        return params._replace(b=jnp.pad(params.b, (0, self.hidden_size)))

    def initial_state(self, weights: BRCParams, batch_shape: tuple[int, ...]) -> BRCState:
        """The state before the first step: h = 0."""
        return BRCState(jnp.zeros((*batch_shape, self.hidden_size), weights.b.dtype))

    def project(self, weights: BRCParams, x: Float[Array, "*b d"]) -> Float[Array, "*b gates"]:
        """What does not depend on the state: x W_x + b."""
        return x @ weights.w_x + weights.b

    def next_state(self, weights: BRCParams, state: BRCState, u: Float[Array, "*b gates"]) -> BRCState:
        """The state after one step, by the equations at the head of this module."""
        w_a, w_c = jnp.split(weights.w_h, 2)
        return _next_state(state.h, state.h * w_a, state.h * w_c, u)


@dataclasses.dataclass(frozen=True)
class NBRC(Cell):
    """Neuromodulated bistable recurrent cell: the whole state sets the feedback and the gate of every unit.

    Equations and source: the head of this module. ``prepare`` pads b with zeros for the candidate.
    Learning rate: as for `BRC`, Adam at 1e-3.

    >>> cell = NBRC(input_size=2, hidden_size=3)
    >>> weights = cell.prepare(cell.init(jax.random.key(0)))
    >>> state, y = cell.step(weights, cell.initial_state(weights, ()), cell.project(weights, jnp.zeros(2)))
    >>> y.tolist()
    [0.0, 0.0, 0.0]
    """

    input_size: Size
    hidden_size: Size
    input_init: Spec = "glorot"
    recurrent_init: Spec = "glorot"

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
    def local_fields(self) -> tuple[str, ...]:
        """The fields that recur inside a unit alone: none, for h goes round through W_h."""
        return ()

    def init(self, key: Key) -> NBRCParams:
        """Fresh parameters: each block of W_x and W_h drawn apart, b = 0."""
        key_x, key_h = jax.random.split(key)
        h = self.hidden_size
        return NBRCParams(
            w_x=initializers.blocks(self.input_init, key_x, (self.input_size, h), 3),
            w_h=initializers.blocks(self.recurrent_init, key_h, (h, h), 2),
            b=jnp.zeros(2 * h),
        )

    def prepare(self, params: NBRCParams) -> NBRCParams:
        """The weights that each step reads: b gets a block of zeros for the candidate."""
        return params._replace(b=jnp.pad(params.b, (0, self.hidden_size)))

    def initial_state(self, weights: NBRCParams, batch_shape: tuple[int, ...]) -> BRCState:
        """The state before the first step: h = 0."""
        return BRCState(jnp.zeros((*batch_shape, self.hidden_size), weights.b.dtype))

    def project(self, weights: NBRCParams, x: Float[Array, "*b d"]) -> Float[Array, "*b gates"]:
        """What does not depend on the state: x W_x + b."""
        return x @ weights.w_x + weights.b

    def next_state(self, weights: NBRCParams, state: BRCState, u: Float[Array, "*b gates"]) -> BRCState:
        """The state after one step, by the equations at the head of this module."""
        from_a, from_c = jnp.split(state.h @ weights.w_h, 2, axis=-1)
        return _next_state(state.h, from_a, from_c, u)


def _next_state(h: Array, from_a: Array, from_c: Array, u: Array) -> BRCState:
    """The state after one step, given what the state adds to the arguments of a and c."""
    u_a, u_c, u_n = jnp.split(u, 3, axis=-1)
    a = 1.0 + jnp.tanh(u_a + from_a)
    c = jax.nn.sigmoid(u_c + from_c)
    return BRCState(c * h + (1.0 - c) * jnp.tanh(u_n + a * h))
