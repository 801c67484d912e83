"""The gated orthogonal recurrent unit: a GRU whose candidate is reached by a rotation.

    r, z = σ(x W_x + h W_h + b)                  blocks r, z, n of W_x; r, z of W_h and b
    n  = modReLU(x W_xn + r ⊙ (h W))             W orthogonal, real rotations as in `recurrent.cells.eunn`
    h' = z ⊙ h + (1 - z) ⊙ n                     h unbounded; modReLU has the bias b_n

Source: Jing, Gulcehre, Peurifoy, Shen, Tegmark, Soljačić & Bengio (2019), "Gated orthogonal recurrent units: on
learning to forget", and the authors' code. Differs: the code adds 0.001 to the modulus in modReLU.
"""

import dataclasses
import math
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from recurrent import initializers
from recurrent.arrays import Key
from recurrent.cells.eunn import Rotation, check_style, num_angles, rotate
from recurrent.cells.orthogonal import ConstrainedCell, modrelu
from recurrent.initializers import Spec
from recurrent.sizes import Size

__all__ = ["GORU", "GORUParams", "GORUState", "GORUWeights"]


class GORUParams(NamedTuple):
    """The parameters of `GORU`; ``gates`` is 2h, the angles stand layer by layer."""

    w_x: Float[Array, "d blocks"]
    w_h: Float[Array, "h gates"]
    theta: Float[Array, " angles"]
    b: Float[Array, " gates"]
    b_n: Float[Array, " h"]


class GORUWeights(NamedTuple):
    """What `GORU.prepare` makes: the rotation as ``w_h``, and ``w_all`` with the gates' columns before it."""

    w_x: Float[Array, "d blocks"]
    w_h: Float[Array, "h h"]
    w_all: Float[Array, "h blocks"]
    b: Float[Array, " blocks"]
    b_n: Float[Array, " h"]


class GORUState(NamedTuple):
    """The state of `GORU`."""

    h: Float[Array, "*b h"]


@dataclasses.dataclass(frozen=True)
class GORU(ConstrainedCell):
    """Gated orthogonal recurrent unit with 3dh + 2h² + 3h parameters and one an angle.

    Equations and source: the head of this module. ``style`` 'tunable' (default, for every h) with ``capacity`` layers,
    or 'fft', as in the authors' code.
    Initialisation: as in the authors' code, with b_r = 2; that code names no start for b_z, which is 0 here.
    Learning rate: RMSProp (decay 0.9) at 1e-3 in the authors' code, for copying and for denoising.

    >>> cell = GORU(input_size=2, hidden_size=4)
    >>> weights = cell.prepare(cell.init(jax.random.key(0)))
    >>> state, y = cell.step(weights, cell.initial_state(weights, ()), cell.project(weights, jnp.zeros(2)))
    >>> y.tolist(), bool(jnp.abs(weights.w_h @ weights.w_h.T - jnp.eye(4)).max() < 1e-6)
    ([0.0, 0.0, 0.0, 0.0], True)
    """

    input_size: Size
    hidden_size: Size
    style: str = "tunable"
    capacity: Size = 2
    input_init: Spec = ("uniform", 0.01)
    recurrent_init: Spec = ("uniform", 0.01)

    recurrent_fields: ClassVar[tuple[str, ...]] = ("theta",)

    def __post_init__(self) -> None:
        """ValueError, naming the field, where a size or an option is out of its range."""
        super().__post_init__()
        self.check_size()
        check_style(self.style, self.capacity, self.hidden_size)
        initializers.check("input_init", self.input_init)
        initializers.check("recurrent_init", self.recurrent_init)

    def init(self, key: Key) -> GORUParams:
        """Fresh parameters: each block of W_x and W_h drawn apart, angles from U(±π), b_r = 2, b_z = 0, b_n = 0.01."""
        key_x, key_h, key_theta = jax.random.split(key, 3)
        d, h = self.input_size, self.hidden_size
        n = num_angles(self.style, self.capacity, h)
        return GORUParams(
            w_x=initializers.blocks(self.input_init, key_x, (d, h), 3),
            w_h=initializers.blocks(self.recurrent_init, key_h, (h, h), 2),
            theta=jax.random.uniform(key_theta, (n,), minval=-math.pi, maxval=math.pi),
            b=jnp.concatenate([jnp.full(h, 2.0), jnp.zeros(h)]),
            b_n=jnp.full(h, 0.01),
        )

    def prepare(self, params: GORUParams) -> GORUWeights:
        """The weights that each step reads: the rotation of every unit vector, and one matrix for all that h meets."""
        turn = Rotation(jnp.cos(params.theta), jnp.sin(params.theta), jnp.ones_like(params.theta))
        w_h = rotate(jnp.eye(self.hidden_size, dtype=params.b.dtype), turn, self.style)
        return GORUWeights(
            w_x=params.w_x,
            w_h=w_h,
            w_all=jnp.concatenate([params.w_h, w_h], axis=-1),
            b=jnp.concatenate([params.b, jnp.zeros_like(params.b_n)]),
            b_n=params.b_n,
        )

    def initial_state(self, weights: GORUWeights, batch_shape: tuple[int, ...]) -> GORUState:
        """The state before the first step: h = 0."""
        return GORUState(jnp.zeros((*batch_shape, self.hidden_size), weights.b.dtype))

    def project(self, weights: GORUWeights, x: Float[Array, "*b d"]) -> Float[Array, "*b blocks"]:
        """What does not depend on the state: x W_x + b, without b_n, which stands inside modReLU."""
        return x @ weights.w_x + weights.b

    def next_state(self, weights: GORUWeights, state: GORUState, u: Float[Array, "*b blocks"]) -> GORUState:
        """The state after one step, by the equations at the head of this module."""
        split = 2 * self.hidden_size
        recurrent = state.h @ weights.w_all
        r, z = jnp.split(jax.nn.sigmoid(u[..., :split] + recurrent[..., :split]), 2, axis=-1)
        n = modrelu(u[..., split:] + r * recurrent[..., split:], weights.b_n)
        return GORUState(z * state.h + (1.0 - z) * n)
