"""Convolutional recurrent networks: gates over images, each of which sees its neighbourhood.

ConvLSTM, with * a convolution of stride 1 padded with zeros to the same size:

    i, f, g, o = split(x * W_x + h * W_h + b)    gates = 4h channels, blocks in this order
    c' = σ(f) ⊙ c + σ(i) ⊙ tanh(g)               c unbounded
    h' = σ(o) ⊙ tanh(c')                         h in (-1, 1)

Peepholes add p_i ⊙ c to i, p_f ⊙ c to f and p_o ⊙ c' to o, with a weight for every pixel of every channel.

ConvGRU:

    r, z = σ(split(x * W_x + h * W_h + b))       gates = 3h channels, blocks in the order r, z, n
    n  = tanh(x * W_xn + b_n + (r ⊙ h) * W_hn)
    h' = (1 - z) ⊙ h + z ⊙ n                     h in (-1, 1)

A convolution is a cross-correlation: the kernel is not turned around. The state maps are not linear in the state.

Source: Shi, Chen, Wang, Yeung, Wong & Woo (2015), "Convolutional LSTM network: a machine learning approach for
precipitation nowcasting", whose equations have the peepholes; Ballas, Yao, Pal & Courville (2016), "Delving deeper into
convolutional networks for learning video representations". Differs: z opens the other way round than in `GRU`, as
printed by Ballas et al.; the forget bias starts at 1, as in `LSTM`; the biases of the ConvGRU.
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

__all__ = [
    "ConvGRU",
    "ConvGRUParams",
    "ConvGRUState",
    "ConvGRUWeights",
    "ConvLSTM",
    "ConvLSTMParams",
    "ConvLSTMState",
    "PeepholeConvLSTMParams",
]


class ConvLSTMParams(NamedTuple):
    """The parameters of `ConvLSTM`; ``gates`` is 4h."""

    w_x: Float[Array, "kernel kernel d gates"]
    w_h: Float[Array, "kernel kernel h gates"]
    b: Float[Array, " gates"]


class PeepholeConvLSTMParams(NamedTuple):
    """The parameters of `ConvLSTM` with peepholes; p holds p_i, p_f, p_o."""

    w_x: Float[Array, "kernel kernel d gates"]
    w_h: Float[Array, "kernel kernel h gates"]
    b: Float[Array, " gates"]
    p: Float[Array, "peepholes height width h"]


class ConvLSTMState(NamedTuple):
    """The state of `ConvLSTM`: what is emitted, and the memory cells."""

    h: Float[Array, "*b height width h"]
    c: Float[Array, "*b height width h"]


class ConvGRUParams(NamedTuple):
    """The parameters of `ConvGRU`; ``gates`` is 3h."""

    w_x: Float[Array, "kernel kernel d gates"]
    w_h: Float[Array, "kernel kernel h gates"]
    b: Float[Array, " gates"]


class ConvGRUWeights(NamedTuple):
    """What `ConvGRU.prepare` makes: W_h apart for the two gates and for n."""

    w_x: Float[Array, "kernel kernel d gates"]
    w_rz: Float[Array, "kernel kernel h two"]
    w_n: Float[Array, "kernel kernel h h"]
    b: Float[Array, " gates"]


class ConvGRUState(NamedTuple):
    """The state of `ConvGRU`."""

    h: Float[Array, "*b height width h"]


@dataclasses.dataclass(frozen=True)
class _Conv(Cell):
    """What `ConvLSTM` and `ConvGRU` share: their fields, and everything but the gates."""

    input_size: Size
    hidden_size: Size
    height: Size = 8
    width: Size = 8
    kernel: Size = 3
    input_init: Spec = "glorot"
    recurrent_init: Spec = "orthogonal"

    def __post_init__(self) -> None:
        """ValueError, naming the field, where a size or an option is out of its range."""
        super().__post_init__()
        if self.kernel % 2 == 0:
            raise ValueError(f"kernel: expected an odd number of pixels, got {self.kernel}")
        initializers.check("input_init", self.input_init)
        initializers.check("recurrent_init", self.recurrent_init)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one input: ``(height, width, d)``."""
        return (self.height, self.width, self.input_size)

    def _kernels(self, spec: Spec, key: Key, channels: int, num_blocks: int) -> Array:
        shape = (self.kernel, self.kernel, channels, self.hidden_size)
        keys = jax.random.split(key, num_blocks)
        return jnp.concatenate([initializers.initialize(spec, part, shape) for part in keys], axis=-1)

    def _zeros(self, batch_shape: tuple[int, ...], like: Array) -> Float[Array, "*b height width h"]:
        return jnp.zeros((*batch_shape, self.height, self.width, self.hidden_size), like.dtype)


@dataclasses.dataclass(frozen=True)
class ConvLSTM(_Conv):
    """Convolutional LSTM, ``hidden_size`` channels on an image of ``height`` x ``width`` pixels.

    Equations and source: the head of this module. Initialisation: as in `LSTM`, a kernel's inputs being all pixels of
    its window. A step costs height · width · kernel² times the products of an `LSTM` of as many units.
    Learning rate: RMSprop at 1e-3 with decay 0.9 for moving MNIST, as Seo, Defferrard, Vandergheynst & Bresson (2016)
    report of Shi et al. (2015).

    >>> cell = ConvLSTM(input_size=1, hidden_size=2, height=3, width=4)
    >>> weights = cell.prepare(cell.init(jax.random.key(0)))
    >>> x = jnp.zeros((3, 4, 1))
    >>> state, y = cell.step(weights, cell.initial_state(weights, ()), cell.project(weights, x))
    >>> y.shape, float(jnp.abs(y).max())
    ((3, 4, 2), 0.0)
    """

    peepholes: bool = False
    forget_bias: float | int = 1.0

    def init(self, key: Key) -> ConvLSTMParams | PeepholeConvLSTMParams:
        """Fresh parameters: W_x and W_h drawn gate by gate, b = 0 but for the forget bias, peepholes 0."""
        key_x, key_h = jax.random.split(key)
        h = self.hidden_size
        w_x = self._kernels(self.input_init, key_x, self.input_size, 4)
        w_h = self._kernels(self.recurrent_init, key_h, h, 4)
        b = jnp.zeros(4 * h).at[h : 2 * h].set(float(self.forget_bias))
        if self.peepholes:
            return PeepholeConvLSTMParams(w_x, w_h, b, jnp.zeros((3, self.height, self.width, h)))
        return ConvLSTMParams(w_x, w_h, b)

    def initial_state(
        self, weights: ConvLSTMParams | PeepholeConvLSTMParams, batch_shape: tuple[int, ...]
    ) -> ConvLSTMState:
        """The state before the first step: h = c = 0."""
        return ConvLSTMState(self._zeros(batch_shape, weights.b), self._zeros(batch_shape, weights.b))

    def project(
        self, weights: ConvLSTMParams | PeepholeConvLSTMParams, x: Float[Array, "*b height width d"]
    ) -> Float[Array, "*b height width gates"]:
        """What does not depend on the state: the convolution x * W_x + b."""
        return _convolve(x, weights.w_x) + weights.b

    def next_state(
        self,
        weights: ConvLSTMParams | PeepholeConvLSTMParams,
        state: ConvLSTMState,
        u: Float[Array, "*b height width gates"],
    ) -> ConvLSTMState:
        """The state after one step, by the equations at the head of this module."""
        i, f, g, o = jnp.split(u + _convolve(state.h, weights.w_h), 4, axis=-1)
        peepholes = weights.p if isinstance(weights, PeepholeConvLSTMParams) else None
        if peepholes is not None:
            i, f = i + peepholes[0] * state.c, f + peepholes[1] * state.c
        c = jax.nn.sigmoid(f) * state.c + jax.nn.sigmoid(i) * jnp.tanh(g)
        if peepholes is not None:
            o = o + peepholes[2] * c
        return ConvLSTMState(h=jax.nn.sigmoid(o) * jnp.tanh(c), c=c)


@dataclasses.dataclass(frozen=True)
class ConvGRU(_Conv):
    """Convolutional GRU, ``hidden_size`` channels on an image of ``height`` x ``width`` pixels.

    Equations and source: the head of this module. Initialisation and cost as in `ConvLSTM`.
    Learning rate: that of Ballas et al. was not found; in the code of Shi et al. (2017), "Deep learning for
    precipitation nowcasting: a benchmark and a new model", Adam at 1e-4 (β₁ 0.5), gradients clipped at 1.

    >>> cell = ConvGRU(input_size=1, hidden_size=2, height=3, width=4)
    >>> weights = cell.prepare(cell.init(jax.random.key(0)))
    >>> x = jnp.zeros((3, 4, 1))
    >>> state, y = cell.step(weights, cell.initial_state(weights, ()), cell.project(weights, x))
    >>> y.shape, float(jnp.abs(y).max())
    ((3, 4, 2), 0.0)
    """

    def init(self, key: Key) -> ConvGRUParams:
        """Fresh parameters: each gate's block of W_x and W_h drawn apart, biases 0."""
        key_x, key_h = jax.random.split(key)
        return ConvGRUParams(
            w_x=self._kernels(self.input_init, key_x, self.input_size, 3),
            w_h=self._kernels(self.recurrent_init, key_h, self.hidden_size, 3),
            b=jnp.zeros(3 * self.hidden_size),
        )

    def prepare(self, params: ConvGRUParams) -> ConvGRUWeights:
        """The weights that each step reads: W_h cut in two, for the gates and for the candidate."""
        w_rz, w_n = jnp.split(params.w_h, [2 * self.hidden_size], axis=-1)
        return ConvGRUWeights(params.w_x, w_rz, w_n, params.b)

    def initial_state(self, weights: ConvGRUWeights, batch_shape: tuple[int, ...]) -> ConvGRUState:
        """The state before the first step: h = 0."""
        return ConvGRUState(self._zeros(batch_shape, weights.b))

    def project(
        self, weights: ConvGRUWeights, x: Float[Array, "*b height width d"]
    ) -> Float[Array, "*b height width gates"]:
        """What does not depend on the state: the convolution x * W_x + b."""
        return _convolve(x, weights.w_x) + weights.b

    def next_state(
        self, weights: ConvGRUWeights, state: ConvGRUState, u: Float[Array, "*b height width gates"]
    ) -> ConvGRUState:
        """The state after one step, by the equations at the head of this module."""
        u_rz, u_n = jnp.split(u, [2 * self.hidden_size], axis=-1)
        r, z = jnp.split(jax.nn.sigmoid(u_rz + _convolve(state.h, weights.w_rz)), 2, axis=-1)
        n = jnp.tanh(u_n + _convolve(r * state.h, weights.w_n))
        return ConvGRUState((1.0 - z) * state.h + z * n)


@jax.checkpoint
def _convolve(
    x: Float[Array, "*b height width inputs"], kernel: Float[Array, "kernel kernel inputs outputs"]
) -> Float[Array, "*b height width outputs"]:
    # One product with all windows side by side: XLA's gradient of a convolution takes ten times as long on CPUs.
    # The windows are kernel² copies of x; the checkpoint makes them again for the gradient.
    size, (height, width) = kernel.shape[0], x.shape[-3:-1]
    border = (size // 2, size // 2)
    padded = jnp.pad(x, [(0, 0)] * (x.ndim - 3) + [border, border, (0, 0)])
    windows = [padded[..., i : i + height, j : j + width, :] for i in range(size) for j in range(size)]
    return jnp.concatenate(windows, axis=-1) @ kernel.reshape(-1, kernel.shape[-1])
