"""The selective state space, S6, of Mamba: step size, input and output of a diagonal system follow the input.

    v     = x W_x                                one number for each of h channels
    Δ     = softplus(v W_down W_up + b_dt)       above 0, one a channel
    B, C  = v W_b, v W_c                         n numbers each, shared by the channels
    a     = exp(-Δ ⊗ exp(a_log))                 in (0, 1), [h, n]; negative_eigenvalues: 2 a - 1, in (-1, 1)
    s'    = a ⊙ s + (Δ ⊙ v) ⊗ B                  s [h, n]
    y     = s' C + d ⊙ v

Source: Gu & Dao (2023), "Mamba: linear-time sequence modeling with selective state spaces"; eigenvalues: Grazzi et al.
(2024), "Unlocking state-tracking in linear RNNs through negative eigenvalues". The initialisation is the one of the
authors' code, which applies no weight decay to a_log and d. Differs: this is the recurrence with a projection W_x in
front; the rest of the Mamba block (convolution, SiLU, the gate and the output projection) is left out.
"""

import dataclasses
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from recurrent import forms, initializers
from recurrent.arrays import Key
from recurrent.cell import Cell
from recurrent.initializers import Spec
from recurrent.sizes import Size

__all__ = ["S6", "S6Inputs", "S6Params", "S6State", "S6Weights"]

# Where the authors let Δ start, log-uniformly.
DT_MIN, DT_MAX = 1e-3, 1e-1


class S6Params(NamedTuple):
    """The parameters of `S6`."""

    w_x: Float[Array, "d h"]
    w_down: Float[Array, "h rank"]
    w_up: Float[Array, "rank h"]
    b_dt: Float[Array, " h"]
    w_b: Float[Array, "h n"]
    w_c: Float[Array, "h n"]
    a_log: Float[Array, "h n"]
    d: Float[Array, " h"]


class S6Weights(NamedTuple):
    """What `S6.prepare` makes: all products of x side by side (v, Δ, B, C), b_dt, exp(a_log) and d."""

    w: Float[Array, "d all"]
    b_dt: Float[Array, " h"]
    rate: Float[Array, "h n"]
    d: Float[Array, " h"]


class S6Inputs(NamedTuple):
    """What `S6.project` makes."""

    v: Float[Array, "*b h"]
    dt: Float[Array, "*b h"]
    b: Float[Array, "*b n"]
    c: Float[Array, "*b n"]


class S6State(NamedTuple):
    """The state of `S6`: n numbers a channel; it is not what is emitted."""

    s: Float[Array, "*b h n"]


@dataclasses.dataclass(frozen=True)
class S6(Cell):
    """Selective state space, ``hidden_size`` channels of ``state_size`` numbers.

    Equations and source: the head of this module. ``dt_rank`` None: ⌈hidden_size / 16⌉. State tracking (parity) needs
    ``negative_eigenvalues``.
    Learning rate: constant in the paper's synthetic tasks, 1e-4 for selective copying and Adam at 1e-3 for induction
    heads; for language AdamW at 6e-4 (125M parameters) to 2e-4 (1.3B), or five times that, clipped at 1 (appendix E).

    >>> cell = S6(input_size=2, hidden_size=3, state_size=4)
    >>> weights = cell.prepare(cell.init(jax.random.key(0)))
    >>> state, y = cell.step(weights, cell.initial_state(weights, ()), cell.project(weights, jnp.zeros(2)))
    >>> state.s.shape, y.tolist()
    ((3, 4), [0.0, 0.0, 0.0])
    """

    input_size: Size
    hidden_size: Size
    state_size: Size = 16
    dt_rank: Size | None = None
    negative_eigenvalues: bool = False
    input_init: Spec = "glorot"

    def __post_init__(self) -> None:
        """ValueError, naming the field, where a size or an option is out of its range."""
        super().__post_init__()
        initializers.check("input_init", self.input_init)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one input, ``(d,)``."""
        return (self.input_size,)

    def init(self, key: Key) -> S6Params:
        """Fresh parameters: W_x as ``input_init`` says, U(±1/√inputs) for the rest; softplus(b_dt) see `DT_MIN`, A = -1
        .. -n, d = 1.
        """
        key_x, key_down, key_up, key_dt, key_b, key_c = jax.random.split(key, 6)
        h, n = self.hidden_size, self.state_size
        rank = math.ceil(h / 16) if self.dt_rank is None else self.dt_rank

        def uniform(part_key: Key, inputs: int, outputs: int) -> Array:
            return initializers.initialize(("uniform", inputs**-0.5), part_key, (inputs, outputs))

        dt = jnp.exp(jax.random.uniform(key_dt, (h,), minval=math.log(DT_MIN), maxval=math.log(DT_MAX)))
        return S6Params(
            w_x=initializers.initialize(self.input_init, key_x, (self.input_size, h)),
            w_down=uniform(key_down, h, rank),
            w_up=uniform(key_up, rank, h),
            b_dt=jnp.log(jnp.expm1(dt)),
            w_b=uniform(key_b, h, n),
            w_c=uniform(key_c, h, n),
            a_log=jnp.tile(jnp.log(jnp.arange(1.0, n + 1.0)), (h, 1)),
            d=jnp.ones(h),
        )

    def prepare(self, params: S6Params) -> S6Weights:
        """The weights that each step reads: all that x is multiplied with side by side, for one product: v is linear in
        x, and so are Δ before softplus, B and C.
        """
        p = params
        after = jnp.concatenate([p.w_down @ p.w_up, p.w_b, p.w_c], axis=-1)
        return S6Weights(
            w=jnp.concatenate([p.w_x, p.w_x @ after], axis=-1), b_dt=p.b_dt, rate=jnp.exp(p.a_log), d=p.d
        )

    def initial_state(self, weights: S6Weights, batch_shape: tuple[int, ...]) -> S6State:
        """The state before the first step: s = 0."""
        return S6State(jnp.zeros((*batch_shape, self.hidden_size, self.state_size), weights.w.dtype))

    def project(self, weights: S6Weights, x: Float[Array, "*b d"]) -> S6Inputs:
        """What does not depend on the state: v, Δ, B and C."""
        h, n = self.hidden_size, self.state_size
        v, dt, b, c = jnp.split(x @ weights.w, [h, 2 * h, 2 * h + n], axis=-1)
        return S6Inputs(v=v, dt=jax.nn.softplus(dt + weights.b_dt), b=b, c=c)

    def linear(self, weights: S6Weights, u: S6Inputs) -> forms.Diagonal:
        """The state map as a linear form: s' = a ⊙ s + (Δ ⊙ v) ⊗ B."""
        a = jnp.exp(-u.dt[..., None] * weights.rate)
        if self.negative_eigenvalues:
            a = 2.0 * a - 1.0
        return forms.Diagonal(S6State(a), S6State((u.dt * u.v)[..., None] * u.b[..., None, :]))

    def output(self, weights: S6Weights, state: S6State, u: S6Inputs) -> Float[Array, "*b h"]:
        """What is emitted: s C + d ⊙ v."""
        return jnp.sum(state.s * u.c[..., None, :], axis=-1) + weights.d * u.v
