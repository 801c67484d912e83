"""The Legendre memory unit: a linear memory of the last θ steps beside a nonlinear hidden state, coupled both ways.

    u  = x e_x + h e_h + m e_m                   one number
    m' = Ā m + B̄ u                               ``order`` Legendre coefficients of the last θ steps of u
    h' = tanh(x W_x + h W_h + m' W_m + b)        h in (-1, 1); b = 0 and not a parameter unless ``bias``

Ā and B̄ are fixed, not trained; they are those of `LinearLMU`, the form without e_h, e_m and W_h whose memory is
linear in the state. This one is not: u sees h.

Source: Voelker, Kajić & Eliasmith (2019), "Legendre memory units: continuous-time representation in recurrent neural
networks"; the initialisation is the one of the authors' code.
"""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from recurrent import initializers
from recurrent.arrays import Key
from recurrent.cell import Cell
from recurrent.cells.linear_lmu import legendre_delay
from recurrent.sizes import Size

__all__ = ["LMU", "LMUBiasParams", "LMUParams", "LMUState", "LMUWeights"]


class LMUParams(NamedTuple):
    """The parameters of `LMU` without a bias: the encoders e and the kernels W."""

    e_x: Float[Array, " d"]
    e_h: Float[Array, " h"]
    e_m: Float[Array, " order"]
    w_x: Float[Array, "d h"]
    w_h: Float[Array, "h h"]
    w_m: Float[Array, "order h"]


class LMUBiasParams(NamedTuple):
    """The parameters of `LMU` with a bias of h."""

    e_x: Float[Array, " d"]
    e_h: Float[Array, " h"]
    e_m: Float[Array, " order"]
    w_x: Float[Array, "d h"]
    w_h: Float[Array, "h h"]
    w_m: Float[Array, "order h"]
    b: Float[Array, " h"]


class LMUWeights(NamedTuple):
    """What `LMU.prepare` makes: one matrix from x, one from h and m, to h before tanh and m; ``both`` is h + order.

    ``b`` is 0 where there is none to learn.
    """

    w_x: Float[Array, "d both"]
    w_s: Float[Array, "both both"]
    b: Float[Array, " both"]


class LMUState(NamedTuple):
    """The state of `LMU`: what is emitted, and the memory."""

    h: Float[Array, "*b h"]
    m: Float[Array, "*b order"]


@dataclasses.dataclass(frozen=True)
class LMU(Cell):
    """Legendre memory unit.

    Equations and source: the head of this module. ``theta`` is the window in steps. ``order`` None: as many
    coefficients as hidden units. ``bias``: as in the authors' corrected Mackey-Glass experiment.
    Initialisation: the default of the authors' code; for permuted MNIST they set e_x = 1, e_h = 0 and W_x = 0 instead.
    Learning rate: Adam at 1e-3, the default of Keras, in the authors' code for Mackey-Glass and permuted MNIST.

    >>> cell = LMU(input_size=2, hidden_size=3, order=4)
    >>> weights = cell.prepare(cell.init(jax.random.key(0)))
    >>> state, y = cell.step(weights, cell.initial_state(weights, ()), cell.project(weights, jnp.zeros(2)))
    >>> state.m.shape, y.tolist()
    ((4,), [0.0, 0.0, 0.0])
    """

    input_size: Size
    hidden_size: Size
    order: Size | None = None
    theta: float | int = 100.0
    bias: bool = False

    def __post_init__(self) -> None:
        """ValueError, naming the field, where a size or an option is out of its range."""
        super().__post_init__()
        if self.theta <= 0:
            raise ValueError(f"theta: expected a number of steps above 0, got {self.theta}")

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one input, ``(d,)``."""
        return (self.input_size,)

    @property
    def memory_size(self) -> int:
        """How many numbers the memory holds: the order, or what None stands for."""
        return self.hidden_size if self.order is None else self.order

    def init(self, key: Key) -> LMUParams | LMUBiasParams:
        """Fresh parameters: e_x and e_h uniform with variance 1/inputs, e_m = 0, kernels N(0, 2 / (inputs + outputs)),
        b = 0.
        """
        key_ex, key_eh, *keys = jax.random.split(key, 5)
        d, h, order = self.input_size, self.hidden_size, self.memory_size

        def encoder(part_key: Key, size: int) -> Array:
            return initializers.initialize(("uniform", (3.0 / size) ** 0.5), part_key, (size,))

        w_x, w_h, w_m = (
            initializers.initialize(("normal", (2.0 / (size + h)) ** 0.5), part_key, (size, h))
            for part_key, size in zip(keys, (d, h, order), strict=True)
        )
        parts = encoder(key_ex, d), encoder(key_eh, h), jnp.zeros(order), w_x, w_h, w_m
        return LMUBiasParams(*parts, jnp.zeros(h)) if self.bias else LMUParams(*parts)

    def prepare(self, params: LMUParams | LMUBiasParams) -> LMUWeights:
        """The weights that each step reads: m' and u put into the equation of h, for one product a step."""
        p, dtype = params, params.w_h.dtype
        a, b = legendre_delay(self.memory_size, self.theta)
        move, write = jnp.asarray(a.T, dtype), jnp.asarray(b, dtype)
        of_u = jnp.concatenate([write @ p.w_m, write])
        of_x = jnp.concatenate([p.w_x, jnp.zeros((self.input_size, self.memory_size), dtype)], axis=-1)
        of_h = jnp.concatenate([p.w_h, jnp.zeros((self.hidden_size, self.memory_size), dtype)], axis=-1)
        of_m = jnp.concatenate([move @ p.w_m, move], axis=-1)
        encoders = jnp.concatenate([p.e_h, p.e_m])
        b_h = p.b if isinstance(p, LMUBiasParams) else jnp.zeros(self.hidden_size, dtype)
        return LMUWeights(
            w_x=of_x + p.e_x[:, None] * of_u,
            w_s=jnp.concatenate([of_h, of_m]) + encoders[:, None] * of_u,
            b=jnp.concatenate([b_h, jnp.zeros(self.memory_size, dtype)]),
        )

    def initial_state(self, weights: LMUWeights, batch_shape: tuple[int, ...]) -> LMUState:
        """The state before the first step: h = m = 0."""
        zeros = jnp.zeros((*batch_shape, self.hidden_size + self.memory_size), weights.w_s.dtype)
        return LMUState(zeros[..., : self.hidden_size], zeros[..., self.hidden_size :])

    def project(self, weights: LMUWeights, x: Float[Array, "*b d"]) -> Float[Array, "*b both"]:
        """What does not depend on the state: what x adds to h before tanh, and to m."""
        return x @ weights.w_x + weights.b

    def next_state(self, weights: LMUWeights, state: LMUState, u: Float[Array, "*b both"]) -> LMUState:
        """The state after one step: the equations at the head of this module in one product."""
        z = u + jnp.concatenate([state.h, state.m], axis=-1) @ weights.w_s
        return LMUState(jnp.tanh(z[..., : self.hidden_size]), z[..., self.hidden_size :])
