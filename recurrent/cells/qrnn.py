"""The quasi-recurrent network: gates from a convolution over the last inputs, and a recurrence without weights.

    i, f, n, o = split(x W_x + x⁻ W_x⁻ + b)        x⁻ the input of the step before, where ``window`` is 2

    f       c' = σ(f) ⊙ c + (1 - σ(f)) ⊙ tanh(n)   y = c', in (-1, 1)               blocks f, n
    fo      c' = σ(f) ⊙ c + (1 - σ(f)) ⊙ tanh(n)   y = σ(o) ⊙ c', in (-1, 1)        blocks f, n, o
    ifo     c' = σ(f) ⊙ c + σ(i) ⊙ tanh(n)         y = σ(o) ⊙ c', unbounded         blocks i, f, n, o

Source: Bradbury, Merity, Xiong & Socher (2017), "Quasi-recurrent neural networks", with filters of width 1 and 2.
"""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from recurrent import arrays, forms, initializers
from recurrent.arrays import Key
from recurrent.cell import Cell
from recurrent.initializers import Spec
from recurrent.sizes import Size

__all__ = ["QRNN", "QRNNParams", "QRNNState", "QRNNWeights", "QRNNWindowState"]

BLOCKS = {"f": "fn", "fo": "fno", "ifo": "ifno"}


class QRNNParams(NamedTuple):
    """The parameters of `QRNN`; ``taps`` is window · d, the rows of x before those of x⁻; ``gates`` is 2h to 4h."""

    w_x: Float[Array, "taps gates"]
    b: Float[Array, " gates"]


class QRNNWeights(NamedTuple):
    """What `QRNN.prepare` makes: the rows of x apart from those of x⁻ (none where ``window`` is 1)."""

    w_x: Float[Array, "d gates"]
    w_previous: Float[Array, "previous gates"]
    b: Float[Array, " gates"]


class QRNNState(NamedTuple):
    """The state of `QRNN` where ``window`` is 1."""

    c: Float[Array, "*b h"]


class QRNNWindowState(NamedTuple):
    """The state of `QRNN` where ``window`` is 2: what is emitted, the memory cell, and the input of this step."""

    h: Float[Array, "*b h"]
    c: Float[Array, "*b h"]
    x: Float[Array, "*b d"]


@dataclasses.dataclass(frozen=True)
class QRNN(Cell):
    """Quasi-recurrent network.

    Equations and source: the head of this module. With ``window`` 2 the state keeps the input, and x⁻ is 0 at the
    first step; it is the input of the last step that exists where masked steps lie between. Its gates depend on that
    part of the state, so only ``window`` 1 has a linear form; a stream whose inputs hold x and x⁻ side by side makes
    of it the same function as ``window`` 2, in parallel. ``forget_bias`` is where the bias of f starts; at 0 a step
    forgets half of the state.
    Initialisation: Glorot, biases 0; the authors' code keeps the default of torch's linear layers.
    Learning rate: Adam at 1e-3 in the authors' later code for WikiText-103; 30 by plain gradient descent, averaged in
    the end, for Penn Treebank and WikiText-2, with gradients clipped to norm 0.2 and 0.25.

    >>> cell = QRNN(input_size=2, hidden_size=3)
    >>> weights = cell.prepare(cell.init(jax.random.key(0)))
    >>> state, y = cell.step(weights, cell.initial_state(weights, ()), cell.project(weights, jnp.ones(2)))
    >>> state.x.tolist()
    [1.0, 1.0]
    """

    input_size: Size
    hidden_size: Size
    pooling: str = "fo"
    window: Size = 2
    forget_bias: float | int = 0.0
    input_init: Spec = "glorot"

    def __post_init__(self) -> None:
        """ValueError, naming the field, where a size or an option is out of its range."""
        super().__post_init__()
        if self.pooling not in BLOCKS:
            raise ValueError(f"pooling: expected {' or '.join(BLOCKS)}, got {self.pooling!r}")
        if self.window not in (1, 2):
            raise ValueError(f"window: expected 1 or 2, got {self.window}")
        initializers.check("input_init", self.input_init)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one input, ``(d,)``."""
        return (self.input_size,)

    @property
    def has_linear_form(self) -> bool:
        """Whether the state map is linear in the state: it is where no gate depends on the state."""
        return self.window == 1

    @property
    def local_fields(self) -> tuple[str, ...] | None:
        """The fields that recur inside a unit alone: ``c``; with ``window`` 2 no units are declared, for the input in
        the state is no unit's.
        """
        return ("c",) if self.window == 1 else None

    def init(self, key: Key) -> QRNNParams:
        """Fresh parameters: each block of W_x drawn apart, over all its taps; biases 0 but for the forget bias."""
        h, blocks = self.hidden_size, BLOCKS[self.pooling]
        bias = [jnp.full(h, float(self.forget_bias) if block == "f" else 0.0) for block in blocks]
        shape = (self.window * self.input_size, h)
        return QRNNParams(
            initializers.blocks(self.input_init, key, shape, len(blocks)), jnp.concatenate(bias)
        )

    def prepare(self, params: QRNNParams) -> QRNNWeights:
        """The weights that each step reads: the rows of W_x, sorted by step."""
        d = self.input_size
        return QRNNWeights(params.w_x[:d], params.w_x[d:], params.b)

    def initial_state(
        self, weights: QRNNWeights, batch_shape: tuple[int, ...]
    ) -> QRNNState | QRNNWindowState:
        """The state before the first step: zeros."""
        h, c = arrays.zeros(2, (*batch_shape, self.hidden_size), weights.b.dtype)
        if self.window == 1:
            return QRNNState(c)
        return QRNNWindowState(h, c, jnp.zeros((*batch_shape, self.input_size), weights.b.dtype))

    def project(
        self, weights: QRNNWeights, x: Float[Array, "*b d"]
    ) -> Float[Array, "*b gates"] | tuple[Float[Array, "*b gates"], Float[Array, "*b d"]]:
        """What does not depend on the state: x W_x + b; with ``window`` 2 also x itself, which the state keeps."""
        u = x @ weights.w_x + weights.b
        return u if self.window == 1 else (u, x)

    def next_state(
        self,
        weights: QRNNWeights,
        state: QRNNState | QRNNWindowState,
        u: Float[Array, "*b gates"] | tuple[Float[Array, "*b gates"], Float[Array, "*b d"]],
    ) -> QRNNState | QRNNWindowState:
        """The state after one step, by the equations at the head of this module."""
        if not isinstance(state, QRNNWindowState):
            return super().next_state(weights, state, u)
        z = u[0] + state.x @ weights.w_previous
        keep, add = self._pool(z)
        c = keep * state.c + add
        return QRNNWindowState(h=self._emit(z, c), c=c, x=u[1])

    def linear(self, weights: QRNNWeights, u: Float[Array, "*b gates"]) -> forms.Diagonal:
        """The state map as a linear form: c' = σ(f) ⊙ c + what comes in; for ``window`` 1."""
        if self.window != 1:
            return super().linear(weights, u)
        keep, add = self._pool(u)
        return forms.Diagonal(QRNNState(keep), QRNNState(add))

    def output(
        self,
        weights: QRNNWeights,
        state: QRNNState | QRNNWindowState,
        u: Float[Array, "*b gates"] | tuple[Float[Array, "*b gates"], Float[Array, "*b d"]],
    ) -> Float[Array, "*b h"]:
        """What is emitted: y. With ``window`` 2 it stands in the state, because o depends on the input that the new
        state lacks.
        """
        return state.h if isinstance(state, QRNNWindowState) else self._emit(u, state.c)

    def _pool(self, z: Array) -> tuple[Array, Array]:
        gates = self._split(z)
        n = jnp.tanh(gates["n"])
        # 1 - σ(f) is σ(-f), without the cancellation of an open gate
        i = jax.nn.sigmoid(gates["i"] if "i" in gates else -gates["f"])
        return jax.nn.sigmoid(gates["f"]), i * n

    def _emit(self, z: Any, c: Array) -> Array:
        gates = self._split(z)
        return jax.nn.sigmoid(gates["o"]) * c if "o" in gates else c

    def _split(self, z: Array) -> dict[str, Array]:
        blocks = BLOCKS[self.pooling]
        return dict(zip(blocks, jnp.split(z, len(blocks), axis=-1), strict=True))
