"""Long expressive memory: two states with time steps of their own, learned for each unit and input.

    Δ₁, Δ₂ = Δt σ(x W_x + y W_h + b)             blocks 1, 2 of W_x, W_h and b
    z' = (1 - Δ₁) ⊙ z + Δ₁ ⊙ tanh(x W_xz + y W_hz + b_z)       blocks z
    y' = (1 - Δ₂) ⊙ y + Δ₂ ⊙ tanh(x W_xy + z' W_y + b_y)       block y of W_x and b; emitted

Source: Rusch, Mishra, Erichson & Mahoney (2022), "Long expressive memory for sequence modeling"; the initialisation is
the one of the authors' code. Differs: one bias a block, where the code has two that add up.
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

__all__ = ["LEM", "LEMParams", "LEMState"]


class LEMParams(NamedTuple):
    """The parameters of `LEM`: blocks 1, 2, z, y of W_x and b, blocks 1, 2, z of W_h."""

    w_x: Float[Array, "d four_h"]
    w_h: Float[Array, "h three_h"]
    w_y: Float[Array, "h h"]
    b: Float[Array, " four_h"]


class LEMState(NamedTuple):
    """The state of `LEM`: what is emitted, and the memory."""

    y: Float[Array, "*b h"]
    z: Float[Array, "*b h"]


@dataclasses.dataclass(frozen=True)
class LEM(Cell):
    """Long expressive memory with 4dh + 4h² + 4h parameters, as many as an LSTM.

    Equations and source: the head of this module. ``dt`` in (0, 1], so that y and z stay in (-1, 1); the authors tune
    it a task (0.024 for adding, 0.21 for pixel MNIST).
    Learning rate: Adam in the authors' code, from 7e-4 for Penn Treebank to 9e-3 for FitzHugh-Nagumo; 2.6e-3 for
    adding, 1.8e-3 for pixel MNIST, there clipped to norm 1, and a tenth of it after 100 of 120 epochs.

    >>> cell = LEM(input_size=2, hidden_size=3)
    >>> weights = cell.prepare(cell.init(jax.random.key(0))._replace(b=jnp.zeros(12)))
    >>> state, y = cell.step(weights, cell.initial_state(weights, ()), cell.project(weights, jnp.zeros(2)))
    >>> y.tolist()
    [0.0, 0.0, 0.0]
    """

    input_size: Size
    hidden_size: Size
    dt: float | int = 1.0

    def __post_init__(self) -> None:
        """ValueError, naming the field, where a size or an option is out of its range."""
        super().__post_init__()
        if not 0 < self.dt <= 1:
            raise ValueError(f"dt: expected a number in (0, 1], got {self.dt}")

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one input, ``(d,)``."""
        return (self.input_size,)

    def init(self, key: Key) -> LEMParams:
        """Fresh parameters: everything from U(±1 / √h)."""
        d, h = self.input_size, self.hidden_size
        keys, bound = jax.random.split(key, 4), h**-0.5
        shapes = (d, 4 * h), (h, 3 * h), (h, h), (4 * h,)
        drawn = (
            jax.random.uniform(part, shape, minval=-bound, maxval=bound)
            for part, shape in zip(keys, shapes, strict=True)
        )
        return LEMParams(*drawn)

    def initial_state(self, weights: LEMParams, batch_shape: tuple[int, ...]) -> LEMState:
        """The state before the first step: y = z = 0."""
        return LEMState(*arrays.zeros(2, (*batch_shape, self.hidden_size), weights.b.dtype))

    def project(self, weights: LEMParams, x: Float[Array, "*b d"]) -> Float[Array, "*b four_h"]:
        """What does not depend on the state: x W_x + b."""
        return x @ weights.w_x + weights.b

    def next_state(self, weights: LEMParams, state: LEMState, u: Float[Array, "*b four_h"]) -> LEMState:
        """The state after one step, by the equations at the head of this module."""
        split = 3 * self.hidden_size
        step_1, step_2, drive = jnp.split(u[..., :split] + state.y @ weights.w_h, 3, axis=-1)
        step_1, step_2 = self.dt * jax.nn.sigmoid(step_1), self.dt * jax.nn.sigmoid(step_2)
        z = (1.0 - step_1) * state.z + step_1 * jnp.tanh(drive)
        y = (1.0 - step_2) * state.y + step_2 * jnp.tanh(u[..., split:] + z @ weights.w_y)
        return LEMState(y, z)

    def output(
        self, weights: LEMParams, state: LEMState, u: Float[Array, "*b four_h"]
    ) -> Float[Array, "*b h"]:
        """What is emitted: y."""
        return state.y
