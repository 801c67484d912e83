"""The Lipschitz RNN: a linear and a nonlinear part, both nearly antisymmetric, and an Euler step.

    A  = S(M_A, β_A, γ_A),  W = S(M_W, β_W, γ_W),   S(M, β, γ) = (1 - β)(M + Mᵀ) + β (M - Mᵀ) - γ 1
    h' = h + ε (h A + tanh(h W + x W_x + b))

Source: Erichson, Azencot, Queiruga, Hodgkinson & Mahoney (2021), "Lipschitz recurrent neural networks", solved by
explicit Euler, and the authors' code, whose order of factors and initialisation these are.
"""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from recurrent.arrays import Key
from recurrent.cell import Cell
from recurrent.sizes import Size

__all__ = ["LipschitzRNN", "LipschitzRNNParams", "LipschitzRNNState", "LipschitzRNNWeights"]


class LipschitzRNNParams(NamedTuple):
    """The parameters of `LipschitzRNN`."""

    w_x: Float[Array, "d h"]
    m_a: Float[Array, "h h"]
    m_w: Float[Array, "h h"]
    b: Float[Array, " h"]


class LipschitzRNNWeights(NamedTuple):
    """What `LipschitzRNN.prepare` makes: A and W side by side, for one product a step."""

    w_x: Float[Array, "d h"]
    w_aw: Float[Array, "h two_h"]
    b: Float[Array, " h"]


class LipschitzRNNState(NamedTuple):
    """The state of `LipschitzRNN`."""

    h: Float[Array, "*b h"]


@dataclasses.dataclass(frozen=True)
class LipschitzRNN(Cell):
    """Lipschitz RNN with dh + 2h² + h parameters.

    Equations and source: the head of this module. β in [0.5, 1]: 1 is antisymmetric; γ at least 0 is the damping. The
    defaults are the authors' for pixel MNIST.
    Learning rate: Adam in the authors' code, at 3e-3 for pixel MNIST and 3.5e-3 for permuted, a tenth of it in the last
    ten of 100 epochs.

    >>> cell = LipschitzRNN(input_size=2, hidden_size=3, beta_a=1.0, gamma_a=0.5)
    >>> weights = cell.prepare(cell.init(jax.random.key(0)))
    >>> (weights.w_aw[:, :3] + weights.w_aw[:, :3].T).tolist()
    [[-1.0, 0.0, 0.0], [0.0, -1.0, 0.0], [0.0, 0.0, -1.0]]
    """

    input_size: Size
    hidden_size: Size
    epsilon: float | int = 0.03
    beta_a: float | int = 0.75
    beta_w: float | int = 0.75
    gamma_a: float | int = 0.001
    gamma_w: float | int = 0.001
    init_std: float | int = 0.1

    def __post_init__(self) -> None:
        """ValueError, naming the field, where a size or an option is out of its range."""
        super().__post_init__()
        if self.epsilon <= 0:
            raise ValueError(f"epsilon: expected a number above 0, got {self.epsilon}")
        for name in ("beta_a", "beta_w"):
            if not 0.5 <= getattr(self, name) <= 1:
                raise ValueError(f"{name}: expected a number in [0.5, 1], got {getattr(self, name)}")
        for name in ("gamma_a", "gamma_w", "init_std"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name}: expected at least 0, got {getattr(self, name)}")

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one input, ``(d,)``."""
        return (self.input_size,)

    def init(self, key: Key) -> LipschitzRNNParams:
        """Fresh parameters: M_A and M_W from N(0, (init_std / h)²), W_x and b from U(±1 / √d)."""
        keys = jax.random.split(key, 4)
        d, h = self.input_size, self.hidden_size
        bound, std = d**-0.5, self.init_std / h
        return LipschitzRNNParams(
            w_x=jax.random.uniform(keys[0], (d, h), minval=-bound, maxval=bound),
            m_a=std * jax.random.normal(keys[1], (h, h)),
            m_w=std * jax.random.normal(keys[2], (h, h)),
            b=jax.random.uniform(keys[3], (h,), minval=-bound, maxval=bound),
        )

    def prepare(self, params: LipschitzRNNParams) -> LipschitzRNNWeights:
        """The weights that each step reads: A and W side by side."""
        a = _nearly_antisymmetric(params.m_a, self.beta_a, self.gamma_a)
        w = _nearly_antisymmetric(params.m_w, self.beta_w, self.gamma_w)
        return LipschitzRNNWeights(params.w_x, jnp.concatenate([a, w], axis=-1), params.b)

    def initial_state(self, weights: LipschitzRNNWeights, batch_shape: tuple[int, ...]) -> LipschitzRNNState:
        """The state before the first step: h = 0."""
        return LipschitzRNNState(jnp.zeros((*batch_shape, self.hidden_size), weights.b.dtype))

    def project(self, weights: LipschitzRNNWeights, x: Float[Array, "*b d"]) -> Float[Array, "*b h"]:
        """What does not depend on the state: x W_x + b."""
        return x @ weights.w_x + weights.b

    def next_state(
        self, weights: LipschitzRNNWeights, state: LipschitzRNNState, u: Float[Array, "*b h"]
    ) -> LipschitzRNNState:
        """The state after one step, by the equations at the head of this module."""
        linear, inner = jnp.split(state.h @ weights.w_aw, 2, axis=-1)
        return LipschitzRNNState(state.h + self.epsilon * (linear + jnp.tanh(inner + u)))


def _nearly_antisymmetric(
    m: Float[Array, "h h"], beta: float | int, gamma: float | int
) -> Float[Array, "h h"]:
    return (1.0 - beta) * (m + m.T) + beta * (m - m.T) - gamma * jnp.eye(m.shape[0], dtype=m.dtype)
