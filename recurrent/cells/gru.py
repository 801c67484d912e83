"""The gated recurrent unit, in both forms.

    r, z = σ(split(x W_x + h W_h + b))           blocks in the order r, z, n
    n = tanh(x W_xn + b_n + (r ⊙ h) W_hn)        reset before the product: Cho et al. (2014)
    n = tanh(x W_xn + b_n + r ⊙ (h W_hn + b_h))  reset after the product: the form of cuDNN, torch and flax
    h' = (1 - z) ⊙ n + z ⊙ h                     h in (-1, 1)

Source: Cho et al. (2014), "Learning phrase representations using RNN encoder-decoder". The two forms are
different functions; weights of one do not fit the other.
"""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from recurrent import initializers
from recurrent.arrays import Key
from recurrent.cell import Cell
from recurrent.initializers import Spec
from recurrent.sizes import Size

__all__ = ["GRU", "GRUAfterParams", "GRUParams", "GRUState"]


class GRUParams(NamedTuple):
    """The parameters of `GRU` with the reset before the product."""

    w_x: Float[Array, "d gates"]
    w_h: Float[Array, "h gates"]
    b: Float[Array, " gates"]


class GRUAfterParams(NamedTuple):
    """The parameters of `GRU` with the reset after the product; b_h is the bias inside the reset."""

    w_x: Float[Array, "d gates"]
    w_h: Float[Array, "h gates"]
    b: Float[Array, " gates"]
    b_h: Float[Array, " h"]


class GRUState(NamedTuple):
    """The state of `GRU`."""

    h: Float[Array, "*b h"]


@dataclasses.dataclass(frozen=True)
class GRU(Cell):
    """Gated recurrent unit.

    Equations and source: the head of this module. ``reset='after'`` (default) needs one product a step, and is the
    function that torch, flax and cuDNN compute; ``'before'`` is the paper's.
    Initialisation: orthogonal W_h is the paper's; its W_x is drawn from N(0, 0.01²), here Glorot.
    Learning rate: Adadelta (ρ 0.95, ε 1e-6) in the paper, with gradients clipped to norm 1 in its code; Adam at 1e-2
    solves adding of 20 steps here.

    >>> cell = GRU(input_size=2, hidden_size=3)
    >>> weights = cell.prepare(cell.init(jax.random.key(0)))
    >>> state, y = cell.step(weights, cell.initial_state(weights, ()), cell.project(weights, jnp.zeros(2)))
    >>> y.tolist()
    [0.0, 0.0, 0.0]
    """

    input_size: Size
    hidden_size: Size
    reset: str = "after"
    input_init: Spec = "glorot"
    recurrent_init: Spec = "orthogonal"

    def __post_init__(self) -> None:
        """ValueError, naming the field, where a size or an option is out of its range."""
        super().__post_init__()
        if self.reset not in _CANDIDATES:
            raise ValueError(f"reset: expected {' or '.join(_CANDIDATES)}, got {self.reset!r}")
        initializers.check("input_init", self.input_init)
        initializers.check("recurrent_init", self.recurrent_init)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one input, ``(d,)``."""
        return (self.input_size,)

    @property
    def local_fields(self) -> tuple[str, ...] | None:
        """The fields that recur inside a unit alone: none; units are declared with the reset after the product only,
        because before it W_hr acts on every unit within one step.
        """
        return () if self.reset == "after" else None

    def init(self, key: Key) -> GRUParams | GRUAfterParams:
        """Fresh parameters: each gate's block of W_x and W_h drawn apart, biases 0."""
        key_x, key_h = jax.random.split(key)
        h = self.hidden_size
        params = GRUParams(
            w_x=initializers.blocks(self.input_init, key_x, (self.input_size, h), 3),
            w_h=initializers.blocks(self.recurrent_init, key_h, (h, h), 3),
            b=jnp.zeros(3 * h),
        )
        return params if self.reset == "before" else GRUAfterParams(*params, b_h=jnp.zeros(h))

    def initial_state(self, weights: GRUParams | GRUAfterParams, batch_shape: tuple[int, ...]) -> GRUState:
        """The state before the first step: h = 0."""
        return GRUState(jnp.zeros((*batch_shape, self.hidden_size), weights.b.dtype))

    def project(
        self, weights: GRUParams | GRUAfterParams, x: Float[Array, "*b d"]
    ) -> Float[Array, "*b gates"]:
        """What does not depend on the state: x W_x + b."""
        return x @ weights.w_x + weights.b

    def next_state(
        self, weights: GRUParams | GRUAfterParams, state: GRUState, u: Float[Array, "*b gates"]
    ) -> GRUState:
        """The state after one step, by the equations at the head of this module."""
        return self.next_state_with(weights, state, u, lambda candidate: candidate)

    def next_state_with(
        self,
        weights: GRUParams | GRUAfterParams,
        state: GRUState,
        u: Float[Array, "*b gates"],
        change: Callable[[Array], Array],
    ) -> GRUState:
        """`next_state` with ``change(candidate)`` in place of the candidate n, ``[*b, h]``."""
        z, n = _CANDIDATES[self.reset](weights, state.h, u, 2 * self.hidden_size)
        return GRUState((1.0 - z) * change(n) + z * state.h)


def _reset_before(weights: GRUParams, h: Array, u: Array, split: int) -> tuple[Array, Array]:
    r, z = jnp.split(jax.nn.sigmoid(u[..., :split] + h @ weights.w_h[:, :split]), 2, axis=-1)
    return z, jnp.tanh(u[..., split:] + (r * h) @ weights.w_h[:, split:])


def _reset_after(weights: GRUAfterParams, h: Array, u: Array, split: int) -> tuple[Array, Array]:
    recurrent = h @ weights.w_h
    r, z = jnp.split(jax.nn.sigmoid(u[..., :split] + recurrent[..., :split]), 2, axis=-1)
    return z, jnp.tanh(u[..., split:] + r * (recurrent[..., split:] + weights.b_h))


_CANDIDATES = {"before": _reset_before, "after": _reset_after}
