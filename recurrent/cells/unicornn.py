"""The undamped independent controlled oscillatory RNN: oscillators that do not see one another.

    z' = z - Δt σ(c) ⊙ (tanh(w ⊙ y + x W_x + b) + α y)        velocities
    y' = y + Δt σ(c) ⊙ z'                                     positions, emitted

The step is symplectic and invertible in time. Units meet in the layer above: stack several.

Source: Rusch & Mishra (2021), "UnICORNN: a recurrent model for learning very long time dependencies", one layer,
without the residual connections of deep stacks, and the authors' code, whose initialisation this is.
"""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from recurrent import arrays
from recurrent.arrays import Key
from recurrent.cell import Cell
from recurrent.sizes import Size

__all__ = ["UnICORNN", "UnICORNNParams", "UnICORNNState", "UnICORNNWeights"]


class UnICORNNParams(NamedTuple):
    """The parameters of `UnICORNN`; c controls each oscillator's own step."""

    w_x: Float[Array, "d h"]
    w: Float[Array, " h"]
    b: Float[Array, " h"]
    c: Float[Array, " h"]


class UnICORNNWeights(NamedTuple):
    """What `UnICORNN.prepare` makes: ``step`` is Δt σ(c)."""

    w_x: Float[Array, "d h"]
    w: Float[Array, " h"]
    b: Float[Array, " h"]
    step: Float[Array, " h"]


class UnICORNNState(NamedTuple):
    """The state of `UnICORNN`: positions and velocities."""

    y: Float[Array, "*b h"]
    z: Float[Array, "*b h"]


@dataclasses.dataclass(frozen=True)
class UnICORNN(Cell):
    """One layer of independent oscillators with dh + 3h parameters.

    Equations and source: the head of this module. ``dt`` and ``alpha`` (frequency²) are tuned a task; the defaults are
    the authors' for permuted MNIST with three layers.
    Learning rate: Adam in the authors' code, at 2.5e-3 for permuted MNIST, 3.1e-3 for noise-padded CIFAR-10, 7.6e-3 for
    EigenWorms and 1.6e-4 for IMDB.

    >>> cell = UnICORNN(input_size=2, hidden_size=3)
    >>> weights = cell.prepare(cell.init(jax.random.key(0)))
    >>> state, y = cell.step(weights, cell.initial_state(weights, ()), cell.project(weights, jnp.zeros(2)))
    >>> y.tolist()
    [0.0, 0.0, 0.0]
    """

    input_size: Size
    hidden_size: Size
    dt: float | int = 0.19
    alpha: float | int = 30.65

    def __post_init__(self) -> None:
        """ValueError, naming the field, where a size or an option is out of its range."""
        super().__post_init__()
        if self.dt <= 0:
            raise ValueError(f"dt: expected a number above 0, got {self.dt}")
        if self.alpha < 0:
            raise ValueError(f"alpha: expected at least 0, got {self.alpha}")

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one input, ``(d,)``."""
        return (self.input_size,)

    @property
    def local_fields(self) -> tuple[str, ...]:
        """The fields that recur inside a unit alone: y and z both, for no unit sees another."""
        return ("y", "z")

    def init(self, key: Key) -> UnICORNNParams:
        """Fresh parameters: W_x from U(±√(6 / 65d)), w from U(0, 1), c from U(±0.1), b = 0."""
        key_x, key_w, key_c = jax.random.split(key, 3)
        d, h = self.input_size, self.hidden_size
        # He's bound with a leak of 8: gain² = 2 / (1 + 8²)
        bound = (6.0 / (65.0 * d)) ** 0.5
        return UnICORNNParams(
            w_x=jax.random.uniform(key_x, (d, h), minval=-bound, maxval=bound),
            w=jax.random.uniform(key_w, (h,)),
            b=jnp.zeros(h),
            c=jax.random.uniform(key_c, (h,), minval=-0.1, maxval=0.1),
        )

    def prepare(self, params: UnICORNNParams) -> UnICORNNWeights:
        """The weights that each step reads: Δt σ(c)."""
        return UnICORNNWeights(params.w_x, params.w, params.b, self.dt * jax.nn.sigmoid(params.c))

    def initial_state(self, weights: UnICORNNWeights, batch_shape: tuple[int, ...]) -> UnICORNNState:
        """The state before the first step: y = z = 0."""
        return UnICORNNState(*arrays.zeros(2, (*batch_shape, self.hidden_size), weights.b.dtype))

    def project(self, weights: UnICORNNWeights, x: Float[Array, "*b d"]) -> Float[Array, "*b h"]:
        """What does not depend on the state: x W_x + b."""
        return x @ weights.w_x + weights.b

    def next_state(
        self, weights: UnICORNNWeights, state: UnICORNNState, u: Float[Array, "*b h"]
    ) -> UnICORNNState:
        """The state after one step, by the equations at the head of this module."""
        y, z = state
        z = z - weights.step * (jnp.tanh(weights.w * y + u) + self.alpha * y)
        return UnICORNNState(y + weights.step * z, z)

    def output(
        self, weights: UnICORNNWeights, state: UnICORNNState, u: Float[Array, "*b h"]
    ) -> Float[Array, "*b h"]:
        """What is emitted: y."""
        return state.y
