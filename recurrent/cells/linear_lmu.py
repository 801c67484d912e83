"""The linear Legendre memory unit: a fixed linear memory of the last θ steps, and a nonlinear readout.

    u  = x W_u + b_u                             one number for each of ``memory_size`` channels
    m' = Ā m + B̄ u                               each channel's m: ``order`` coefficients of its history
    y  = tanh(m' W_m + x W_x + b)                m' flattened, channel by channel; y in (-1, 1)

m holds the coefficients of the first ``order`` shifted Legendre polynomials of u over a sliding window of θ steps.
Ā and B̄ are fixed, not trained. They discretise dm/dt = A m + B u by zero-order hold over steps of length 1, with

    A[i, j] = (2i + 1) / θ · (-1 if i < j else (-1)^(i - j + 1)),    B[i] = (2i + 1) (-1)^i / θ

Source: Chilkuri & Eliasmith (2021), "Parallelizing Legendre memory unit training"; the matrices: Voelker, Kajić &
Eliasmith (2019), "Legendre memory units: continuous-time representation in recurrent neural networks". Differs: u has
no nonlinearity, the readout is always tanh.
"""

import dataclasses
import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from scipy.linalg import expm

from recurrent import forms, initializers
from recurrent.arrays import Key
from recurrent.cell import Cell
from recurrent.initializers import Spec
from recurrent.sizes import Size

__all__ = ["LinearLMU", "LinearLMUParams", "LinearLMUState", "LinearLMUWeights", "legendre_delay"]


class LinearLMUParams(NamedTuple):
    """The parameters of `LinearLMU`; ``features`` is memory_size * order."""

    w_u: Float[Array, "d memory"]
    b_u: Float[Array, " memory"]
    w_m: Float[Array, "features h"]
    w_x: Float[Array, "d h"]
    b: Float[Array, " h"]


class LinearLMUWeights(NamedTuple):
    """What `LinearLMU.prepare` makes: the parameters, and the fixed matrices Āᵀ and B̄."""

    params: LinearLMUParams
    move: Float[Array, "order order"]
    write: Float[Array, " order"]


class LinearLMUState(NamedTuple):
    """The state of `LinearLMU`: the coefficients of each channel."""

    m: Float[Array, "*b memory order"]


@functools.lru_cache(maxsize=64)
def legendre_delay(order: int, theta: float | int) -> tuple[np.ndarray, np.ndarray]:
    """The matrices Ā [order, order] and B̄ [order] in float64, read-only; ``theta`` is the window in steps.

    >>> a, b = legendre_delay(1, 2.0)
    >>> np.allclose(a, [[np.exp(-0.5)]]), np.allclose(b, [1 - np.exp(-0.5)])
    (True, True)
    """
    i, j = np.mgrid[:order, :order].astype(np.float64)
    rate = (2.0 * np.arange(order) + 1.0) / theta
    sign = (-1.0) ** np.arange(order)
    # input held over the step: one exponential of [[A, B], [0, 0]] has Ā and B̄ side by side
    system = np.zeros((order + 1, order + 1))
    system[:order, :order] = rate[:, None] * np.where(i < j, -1.0, (-1.0) ** (i - j + 1.0))
    system[:order, order] = rate * sign
    discrete = expm(system)
    discrete.setflags(write=False)
    return discrete[:order, :order], discrete[:order, order]


@dataclasses.dataclass(frozen=True)
class LinearLMU(Cell):
    """Linear Legendre memory unit.

    Equations and source: the head of this module. ``theta`` is the window in steps. ``order`` None: as many
    coefficients as make memory and readout of equal size, max(1, hidden_size // memory_size).
    Initialisation: Glorot, KerasLMU's default for kernels of the input; its example of permuted MNIST takes W_u = 1.
    Learning rate: the paper's was not found; that example takes Adam at 1e-3, the default of Keras.

    >>> cell = LinearLMU(input_size=2, hidden_size=3, order=4)
    >>> weights = cell.prepare(cell.init(jax.random.key(0)))
    >>> state, y = cell.step(weights, cell.initial_state(weights, ()), cell.project(weights, jnp.zeros(2)))
    >>> state.m.shape, y.tolist()
    ((1, 4), [0.0, 0.0, 0.0])
    """

    input_size: Size
    hidden_size: Size
    order: Size | None = None
    theta: float | int = 100.0
    memory_size: Size = 1
    input_init: Spec = "glorot"

    def __post_init__(self) -> None:
        """ValueError, naming the field, where a size or an option is out of its range."""
        super().__post_init__()
        if self.theta <= 0:
            raise ValueError(f"theta: expected a number of steps above 0, got {self.theta}")
        initializers.check("input_init", self.input_init)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one input, ``(d,)``."""
        return (self.input_size,)

    @property
    def memory_shape(self) -> tuple[int, int]:
        """The axes of the memory: ``(memory_size, order)``, with the order that None stands for."""
        order = max(1, self.hidden_size // self.memory_size) if self.order is None else self.order
        return self.memory_size, order

    def init(self, key: Key) -> LinearLMUParams:
        """Fresh parameters: W_u, W_m and W_x as ``input_init`` says, biases 0."""
        key_u, key_m, key_x = jax.random.split(key, 3)
        d, h, (memory, order) = self.input_size, self.hidden_size, self.memory_shape
        return LinearLMUParams(
            w_u=initializers.initialize(self.input_init, key_u, (d, memory)),
            b_u=jnp.zeros(memory),
            w_m=initializers.initialize(self.input_init, key_m, (memory * order, h)),
            w_x=initializers.initialize(self.input_init, key_x, (d, h)),
            b=jnp.zeros(h),
        )

    def prepare(self, params: LinearLMUParams) -> LinearLMUWeights:
        """The weights that each step reads: Ā and B̄ beside the parameters, in their dtype."""
        a, b = legendre_delay(self.memory_shape[1], self.theta)
        dtype = params.b.dtype
        return LinearLMUWeights(params, move=jnp.asarray(a.T, dtype), write=jnp.asarray(b, dtype))

    def initial_state(self, weights: LinearLMUWeights, batch_shape: tuple[int, ...]) -> LinearLMUState:
        """The state before the first step: m = 0."""
        return LinearLMUState(jnp.zeros((*batch_shape, *self.memory_shape), weights.write.dtype))

    def project(
        self, weights: LinearLMUWeights, x: Float[Array, "*b d"]
    ) -> tuple[Float[Array, "*b memory"], Float[Array, "*b h"]]:
        """What does not depend on the state: x W_u + b_u, which enters the memory, and x W_x + b, which skips it."""
        params = weights.params
        return x @ params.w_u + params.b_u, x @ params.w_x + params.b

    def linear(
        self, weights: LinearLMUWeights, u: tuple[Float[Array, "*b memory"], Float[Array, "*b h"]]
    ) -> forms.Constant:
        """The state map as a linear form: m' = m Āᵀ + u B̄."""
        return forms.Constant(weights.move, LinearLMUState(u[0][..., None] * weights.write))

    def output(
        self,
        weights: LinearLMUWeights,
        state: LinearLMUState,
        u: tuple[Float[Array, "*b memory"], Float[Array, "*b h"]],
    ) -> Float[Array, "*b h"]:
        """What is emitted: tanh(m W_m + x W_x + b)."""
        *batch, channels, order = state.m.shape
        flat = state.m.reshape(*batch, channels * order)
        return jnp.tanh(flat @ weights.params.w_m + u[1])
