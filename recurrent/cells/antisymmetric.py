"""The AntisymmetricRNN: an Euler step of a system whose Jacobian has eigenvalues near the imaginary axis.

    M  = A - γ 1,  A = -Aᵀ
    h' = h + ε tanh(x W_x + h M + b)                                       plain
    h' = h + ε σ(x W_xz + h M + b_z) ⊙ tanh(x W_xn + h M + b_n)            gated: blocks z, n share the product h M

Source: Chang, Chen, Haber & Chi (2019), "AntisymmetricRNN: a dynamical system view on recurrent neural networks".
Differs: A is stored as its upper triangle, where the paper writes W - Wᵀ; M multiplies from the right.
"""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from recurrent.arrays import Key
from recurrent.cell import Cell
from recurrent.cells.orthogonal import skew
from recurrent.sizes import Size

__all__ = ["AntisymmetricRNN", "AntisymmetricRNNParams", "AntisymmetricRNNState", "AntisymmetricRNNWeights"]


class AntisymmetricRNNParams(NamedTuple):
    """The parameters of `AntisymmetricRNN`; ``skew`` is A above its diagonal, row by row; gated: blocks z, n."""

    w_x: Float[Array, "d blocks"]
    skew: Float[Array, " entries"]
    b: Float[Array, " blocks"]


class AntisymmetricRNNWeights(NamedTuple):
    """What `AntisymmetricRNN.prepare` makes: M as ``w_h``."""

    w_x: Float[Array, "d blocks"]
    w_h: Float[Array, "h h"]
    b: Float[Array, " blocks"]


class AntisymmetricRNNState(NamedTuple):
    """The state of `AntisymmetricRNN`."""

    h: Float[Array, "*b h"]


@dataclasses.dataclass(frozen=True)
class AntisymmetricRNN(Cell):
    """AntisymmetricRNN with dh + h(h - 1) / 2 + h parameters, gated 2dh + h(h - 1) / 2 + 2h.

    Equations and source: the head of this module. ``epsilon`` is the step and ``gamma`` the diffusion that makes the
    step stable; the paper tries steps of 0.01, 0.1 and 1, and ``init_std`` among 0, 1, 2, 4, 8 and 16.
    Initialisation: the paper's.
    Learning rate: none was found in print; the paper trains by SGD with momentum and by Adagrad. Adam at 1e-2 hardly
    learns adding of 20 steps here, with the default ``epsilon``.

    >>> cell = AntisymmetricRNN(input_size=2, hidden_size=3)
    >>> weights = cell.prepare(cell.init(jax.random.key(0)))
    >>> (weights.w_h + weights.w_h.T).diagonal().tolist()
    [-0.019999..., -0.019999..., -0.019999...]
    """

    input_size: Size
    hidden_size: Size
    gated: bool = False
    epsilon: float | int = 0.01
    gamma: float | int = 0.01
    init_std: float | int = 1.0

    def __post_init__(self) -> None:
        """ValueError, naming the field, where a size or an option is out of its range."""
        super().__post_init__()
        if self.hidden_size < 2:
            raise ValueError(f"hidden_size: expected at least 2, got {self.hidden_size}")
        if self.epsilon <= 0:
            raise ValueError(f"epsilon: expected a number above 0, got {self.epsilon}")
        for name in ("gamma", "init_std"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name}: expected at least 0, got {getattr(self, name)}")

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one input, ``(d,)``."""
        return (self.input_size,)

    def init(self, key: Key) -> AntisymmetricRNNParams:
        """Fresh parameters: W_x from N(0, 1 / d), A from N(0, init_std² / h), b = 0."""
        key_x, key_skew = jax.random.split(key)
        d, h = self.input_size, self.hidden_size
        blocks = 2 * h if self.gated else h
        return AntisymmetricRNNParams(
            w_x=jax.random.normal(key_x, (d, blocks)) / d**0.5,
            skew=jax.random.normal(key_skew, (h * (h - 1) // 2,)) * (self.init_std / h**0.5),
            b=jnp.zeros(blocks),
        )

    def prepare(self, params: AntisymmetricRNNParams) -> AntisymmetricRNNWeights:
        """The weights that each step reads: the matrix M as ``w_h``."""
        h = self.hidden_size
        w_h = skew(params.skew, h) - self.gamma * jnp.eye(h, dtype=params.skew.dtype)
        return AntisymmetricRNNWeights(params.w_x, w_h, params.b)

    def initial_state(
        self, weights: AntisymmetricRNNWeights, batch_shape: tuple[int, ...]
    ) -> AntisymmetricRNNState:
        """The state before the first step: h = 0."""
        return AntisymmetricRNNState(jnp.zeros((*batch_shape, self.hidden_size), weights.b.dtype))

    def project(self, weights: AntisymmetricRNNWeights, x: Float[Array, "*b d"]) -> Float[Array, "*b blocks"]:
        """What does not depend on the state: x W_x + b."""
        return x @ weights.w_x + weights.b

    def next_state(
        self, weights: AntisymmetricRNNWeights, state: AntisymmetricRNNState, u: Float[Array, "*b blocks"]
    ) -> AntisymmetricRNNState:
        """The state after one step, by the equations at the head of this module."""
        recurrent = state.h @ weights.w_h
        if not self.gated:
            return AntisymmetricRNNState(state.h + self.epsilon * jnp.tanh(u + recurrent))
        u_z, u_n = jnp.split(u, 2, axis=-1)
        change = jax.nn.sigmoid(u_z + recurrent) * jnp.tanh(u_n + recurrent)
        return AntisymmetricRNNState(state.h + self.epsilon * change)
