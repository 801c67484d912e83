"""FastRNN, a leaky recurrent network with a learned leak, and FastGRNN, which makes of the leak a gate for free.

    FastRNN      n = φ(x W_x + h W_h + b)
                 h' = σ(α) n + σ(β) ⊙ h                              α, β scalars; h bounded where σ(β) < 1 and φ = tanh

    FastGRNN     p = x W_x + h W_h                                    one product for gate and candidate
                 z = σ(p + b_z),  n = tanh(p + b_n)
                 h' = (σ(ζ) (1 - z) + σ(ν)) ⊙ n + z ⊙ h              ζ, ν scalars; h bounded where z < 1

Source: Kusupati, Singh, Bhatia, Kumar, Jain & Varma (2018), "FastGRNN: a fast, accurate, stable and tiny kilobyte sized
gated recurrent neural network"; the initialisation is that of the authors' code. Its low rank, sparse and quantised
weights are not here.
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

__all__ = ["FastGRNN", "FastGRNNParams", "FastGRNNState", "FastRNN", "FastRNNParams", "FastRNNState"]

ACTIVATIONS = {"tanh": jnp.tanh, "relu": jax.nn.relu}


class FastRNNParams(NamedTuple):
    """The parameters of `FastRNN`; α and β are log-odds."""

    w_x: Float[Array, "d h"]
    w_h: Float[Array, "h h"]
    b: Float[Array, " h"]
    alpha: Float[Array, ""]
    beta: Float[Array, ""]


class FastRNNState(NamedTuple):
    """The state of `FastRNN`."""

    h: Float[Array, "*b h"]


class FastGRNNParams(NamedTuple):
    """The parameters of `FastGRNN`; ζ and ν are log-odds."""

    w_x: Float[Array, "d h"]
    w_h: Float[Array, "h h"]
    b_z: Float[Array, " h"]
    b_n: Float[Array, " h"]
    zeta: Float[Array, ""]
    nu: Float[Array, ""]


class FastGRNNState(NamedTuple):
    """The state of `FastGRNN`."""

    h: Float[Array, "*b h"]


@dataclasses.dataclass(frozen=True)
class _Fast(Cell):
    """What `FastRNN` and `FastGRNN` share: their fields, shapes and products."""

    input_size: Size
    hidden_size: Size

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one input, ``(d,)``."""
        return (self.input_size,)


@dataclasses.dataclass(frozen=True)
class FastRNN(_Fast):
    """Fast recurrent network.

    Equations and source: the head of this module. ``alpha`` and ``beta`` are where the log-odds α and β start; the
    paper advises σ(α) of the order of 1 / num_steps and σ(β) near 1 - σ(α), the defaults are 0.047 and 0.953. No
    ``local_fields``: the scalars act on every unit.
    Initialisation: W_x and W_h from N(0, 0.1²) and b = 1, the authors' code's.
    Learning rate: Adam at 1e-2 in the authors' example, a tenth of it from epoch 200 of 300 on.

    >>> cell = FastRNN(input_size=2, hidden_size=3)
    >>> weights = cell.prepare(cell.init(jax.random.key(0)))
    >>> state, y = cell.step(weights, cell.initial_state(weights, ()), cell.project(weights, jnp.zeros(2)))
    >>> bool(jnp.allclose(y, jax.nn.sigmoid(-3.0) * jnp.tanh(1.0)))
    True
    """

    activation: str = "tanh"
    alpha: float | int = -3.0
    beta: float | int = 3.0
    input_init: Spec = ("normal", 0.1)
    recurrent_init: Spec = ("normal", 0.1)

    def __post_init__(self) -> None:
        """ValueError, naming the field, where a size or an option is out of its range."""
        super().__post_init__()
        if self.activation not in ACTIVATIONS:
            raise ValueError(f"activation: expected {' or '.join(ACTIVATIONS)}, got {self.activation!r}")
        initializers.check("input_init", self.input_init)
        initializers.check("recurrent_init", self.recurrent_init)

    def init(self, key: Key) -> FastRNNParams:
        """Fresh parameters: W_x and W_h as the fields say, b = 1."""
        key_x, key_h = jax.random.split(key)
        h = self.hidden_size
        return FastRNNParams(
            w_x=initializers.initialize(self.input_init, key_x, (self.input_size, h)),
            w_h=initializers.initialize(self.recurrent_init, key_h, (h, h)),
            b=jnp.ones(h),
            alpha=jnp.array(float(self.alpha)),
            beta=jnp.array(float(self.beta)),
        )

    def prepare(self, params: FastRNNParams) -> FastRNNParams:
        """The weights that each step reads: σ(α) and σ(β) in their places."""
        return params._replace(alpha=jax.nn.sigmoid(params.alpha), beta=jax.nn.sigmoid(params.beta))

    def initial_state(self, weights: FastRNNParams, batch_shape: tuple[int, ...]) -> FastRNNState:
        """The state before the first step: h = 0."""
        return FastRNNState(jnp.zeros((*batch_shape, self.hidden_size), weights.b.dtype))

    def project(self, weights: FastRNNParams, x: Float[Array, "*b d"]) -> Float[Array, "*b h"]:
        """What does not depend on the state: x W_x + b."""
        return x @ weights.w_x + weights.b

    def next_state(
        self, weights: FastRNNParams, state: FastRNNState, u: Float[Array, "*b h"]
    ) -> FastRNNState:
        """The state after one step, by the equations at the head of this module."""
        n = ACTIVATIONS[self.activation](u + state.h @ weights.w_h)
        return FastRNNState(weights.alpha * n + weights.beta * state.h)


@dataclasses.dataclass(frozen=True)
class FastGRNN(_Fast):
    """Fast gated recurrent network: the parameters of a simple recurrent network, one bias and two scalars.

    Equations and source: the head of this module. ``zeta`` and ``nu`` are where the log-odds ζ and ν start. No
    ``local_fields``: the scalars act on every unit.
    Initialisation: W_x and W_h from N(0, 0.1²) and biases 1, the authors' code's, which names ``zeta`` 6 and ``nu`` -6
    as what to try next.
    Learning rate: as for `FastRNN`, Adam at 1e-2, a tenth of it from epoch 200 of 300 on.

    >>> cell = FastGRNN(input_size=2, hidden_size=3)
    >>> weights = cell.prepare(cell.init(jax.random.key(0)))
    >>> state, y = cell.step(weights, cell.initial_state(weights, ()), cell.project(weights, jnp.zeros(2)))
    >>> bool((y > 0.0).all() & (y < 1.0).all())
    True
    """

    zeta: float | int = 1.0
    nu: float | int = -4.0
    input_init: Spec = ("normal", 0.1)
    recurrent_init: Spec = ("normal", 0.1)

    def __post_init__(self) -> None:
        """ValueError, naming the field, where a size or an option is out of its range."""
        super().__post_init__()
        initializers.check("input_init", self.input_init)
        initializers.check("recurrent_init", self.recurrent_init)

    def init(self, key: Key) -> FastGRNNParams:
        """Fresh parameters: W_x and W_h as the fields say, biases 1."""
        key_x, key_h = jax.random.split(key)
        h = self.hidden_size
        return FastGRNNParams(
            w_x=initializers.initialize(self.input_init, key_x, (self.input_size, h)),
            w_h=initializers.initialize(self.recurrent_init, key_h, (h, h)),
            b_z=jnp.ones(h),
            b_n=jnp.ones(h),
            zeta=jnp.array(float(self.zeta)),
            nu=jnp.array(float(self.nu)),
        )

    def prepare(self, params: FastGRNNParams) -> FastGRNNParams:
        """The weights that each step reads: σ(ζ) and σ(ν) in their places."""
        return params._replace(zeta=jax.nn.sigmoid(params.zeta), nu=jax.nn.sigmoid(params.nu))

    def initial_state(self, weights: FastGRNNParams, batch_shape: tuple[int, ...]) -> FastGRNNState:
        """The state before the first step: h = 0."""
        return FastGRNNState(jnp.zeros((*batch_shape, self.hidden_size), weights.b_z.dtype))

    def project(self, weights: FastGRNNParams, x: Float[Array, "*b d"]) -> Float[Array, "*b h"]:
        """What does not depend on the state: x W_x, to which gate and candidate add biases of their own."""
        return x @ weights.w_x

    def next_state(
        self, weights: FastGRNNParams, state: FastGRNNState, u: Float[Array, "*b h"]
    ) -> FastGRNNState:
        """The state after one step, by the equations at the head of this module."""
        p = u + state.h @ weights.w_h
        z, n = jax.nn.sigmoid(p + weights.b_z), jnp.tanh(p + weights.b_n)
        return FastGRNNState((weights.zeta * (1.0 - z) + weights.nu) * n + z * state.h)
