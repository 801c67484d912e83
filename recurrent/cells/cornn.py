"""The coupled oscillatory RNN: a network of driven, damped oscillators.

    z' = z + Δt (tanh(y W_y + z W_z + x W_x + b) - γ y - ε z)        velocities
    y' = y + Δt z'                                                   positions, emitted

Source: Rusch & Mishra (2021), "Coupled oscillatory recurrent neural network (coRNN): an accurate and (gradient) stable
architecture for learning long time dependencies", the form with the damping taken at the old z, as in the authors'
code, whose initialisation this is.
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

__all__ = ["CoRNN", "CoRNNParams", "CoRNNState", "CoRNNWeights"]


class CoRNNParams(NamedTuple):
    """The parameters of `CoRNN`."""

    w_x: Float[Array, "d h"]
    w_y: Float[Array, "h h"]
    w_z: Float[Array, "h h"]
    b: Float[Array, " h"]


class CoRNNWeights(NamedTuple):
    """What `CoRNN.prepare` makes: W_y above W_z, for one product a step."""

    w_x: Float[Array, "d h"]
    w_yz: Float[Array, "rows h"]
    b: Float[Array, " h"]


class CoRNNState(NamedTuple):
    """The state of `CoRNN`: positions and velocities."""

    y: Float[Array, "*b h"]
    z: Float[Array, "*b h"]


@dataclasses.dataclass(frozen=True)
class CoRNN(Cell):
    """Coupled oscillatory RNN with dh + 2h² + h parameters.

    Equations and source: the head of this module. ``dt``, ``gamma`` (frequency²) and ``epsilon`` (damping) are tuned
    together a task; the defaults are the authors' for sequential MNIST. They have 0.076, 0.4, 8.0 for permuted MNIST
    and 0.06, 66, 15 for adding.
    Learning rate: Adam in the authors' code, from 6e-4 for IMDB to 2e-2 for adding; 2.1e-3 for sequential MNIST and
    5.4e-3 for permuted, a tenth of it after 100 of 120 epochs.

    >>> cell = CoRNN(input_size=2, hidden_size=3)
    >>> weights = cell.prepare(cell.init(jax.random.key(0))._replace(b=jnp.zeros(3)))
    >>> state, y = cell.step(weights, cell.initial_state(weights, ()), cell.project(weights, jnp.zeros(2)))
    >>> y.tolist()
    [0.0, 0.0, 0.0]
    """

    input_size: Size
    hidden_size: Size
    dt: float | int = 0.042
    gamma: float | int = 2.7
    epsilon: float | int = 4.7

    def __post_init__(self) -> None:
        """ValueError, naming the field, where a size or an option is out of its range."""
        super().__post_init__()
        if self.dt <= 0:
            raise ValueError(f"dt: expected a number above 0, got {self.dt}")
        for name in ("gamma", "epsilon"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name}: expected at least 0, got {getattr(self, name)}")

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one input, ``(d,)``."""
        return (self.input_size,)

    @property
    def local_fields(self) -> tuple[str, ...]:
        """The fields that recur inside a unit alone: none, for y and z go round through W_y and W_z."""
        return ()

    def init(self, key: Key) -> CoRNNParams:
        """Fresh parameters: everything from U(±1 / √(d + 2h))."""
        d, h = self.input_size, self.hidden_size
        keys, bound = jax.random.split(key, 4), (d + 2 * h) ** -0.5
        shapes = (d, h), (h, h), (h, h), (h,)
        drawn = (
            jax.random.uniform(part, shape, minval=-bound, maxval=bound)
            for part, shape in zip(keys, shapes, strict=True)
        )
        return CoRNNParams(*drawn)

    def prepare(self, params: CoRNNParams) -> CoRNNWeights:
        """The weights that each step reads: W_y above W_z, for one product a step."""
        return CoRNNWeights(params.w_x, jnp.concatenate([params.w_y, params.w_z]), params.b)

    def initial_state(self, weights: CoRNNWeights, batch_shape: tuple[int, ...]) -> CoRNNState:
        """The state before the first step: y = z = 0."""
        return CoRNNState(*arrays.zeros(2, (*batch_shape, self.hidden_size), weights.b.dtype))

    def project(self, weights: CoRNNWeights, x: Float[Array, "*b d"]) -> Float[Array, "*b h"]:
        """What does not depend on the state: x W_x + b."""
        return x @ weights.w_x + weights.b

    def next_state(self, weights: CoRNNWeights, state: CoRNNState, u: Float[Array, "*b h"]) -> CoRNNState:
        """The state after one step, by the equations at the head of this module."""
        y, z = state
        force = jnp.tanh(u + jnp.concatenate([y, z], axis=-1) @ weights.w_yz)
        z = z + self.dt * (force - self.gamma * y - self.epsilon * z)
        return CoRNNState(y + self.dt * z, z)

    def output(
        self, weights: CoRNNWeights, state: CoRNNState, u: Float[Array, "*b h"]
    ) -> Float[Array, "*b h"]:
        """What is emitted: y."""
        return state.y
