"""The liquid time-constant network: neurons whose rates depend on state and input, and a fused solver.

    dv/dt = -(ρ + f) ⊙ v + f ⊙ A                                  ρ = 1 / τ
    v ← (v + δ f ⊙ A) / (1 + δ (ρ + f))                           ``unfolds`` times a step, δ = dt / unfolds

'layer': f = σ(x W_x + v W_h + b), one conductance for each neuron, ρ = softplus(rho).

'pairs': a synapse for each pair of neurons, with a conductance w, a midpoint μ, a slope s and a reversal potential e,

    g[i, j] = w[i, j] σ(s[i, j] (vᵢ - μ[i, j])),                  and the same for inputs, with parameters of their own
    v ← (c v + δ (l r + Σᵢ g[i, j] e[i, j])) / (c + δ (l + Σᵢ g[i, j])),     sums over neurons and inputs i

with capacitances c, leaks l to the potentials r, and w, c, l the softplus of their parameters.

Source: Hasani, Lechner, Amini, Rus & Grosu (2021), "Liquid time-constant networks": 'layer' is its fused step with a
sigmoid for f; 'pairs' is the form of the authors' code, with the initialisation and the time unit (dt = 1, 6 unfolds)
of their later library, without the affine maps of inputs and outputs. Differs: rates are positive by softplus, where
the code clips them after each update; numerator and denominator are multiplied by δ, so that dt = 0 changes nothing.
"""

import dataclasses
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from recurrent import initializers
from recurrent.arrays import Key
from recurrent.cell import Cell
from recurrent.cells.timed import TimedInput, check_dt, elapsed_time, input_shape
from recurrent.sizes import Size

__all__ = ["LTC", "LTCParams", "LTCState", "PairsLTCParams"]


class LTCParams(NamedTuple):
    """The parameters of `LTC` with the synapses 'layer'; ``prepare`` puts ρ in the place of rho."""

    w_x: Float[Array, "d h"]
    w_h: Float[Array, "h h"]
    b: Float[Array, " h"]
    a: Float[Array, " h"]
    rho: Float[Array, " h"]


class PairsLTCParams(NamedTuple):
    """The parameters of `LTC` with the synapses 'pairs'; ``prepare`` takes the softplus of w, w_in, c and leak.

    Slopes, midpoints and reversal potentials are s, mu and e, of inputs s_in, mu_in and e_in; rest is r.
    """

    w: Float[Array, "h h"]
    s: Float[Array, "h h"]
    mu: Float[Array, "h h"]
    e: Float[Array, "h h"]
    w_in: Float[Array, "d h"]
    s_in: Float[Array, "d h"]
    mu_in: Float[Array, "d h"]
    e_in: Float[Array, "d h"]
    c: Float[Array, " h"]
    leak: Float[Array, " h"]
    rest: Float[Array, " h"]


class LTCState(NamedTuple):
    """The state of `LTC`: membrane potentials."""

    v: Float[Array, "*b h"]


Drive = tuple[tuple[Array, ...], Float[Array, "*b one"]]


@dataclasses.dataclass(frozen=True)
class LTC(Cell):
    """Liquid time-constant network with dh + h² + 3h parameters, 'pairs' 4dh + 4h² + 3h.

    Equations and source: the head of this module. ``dt`` is the time between steps; None: it comes with each input, a
    `recurrent.cells.timed.TimedInput`. Each unfold of 'pairs' takes h² sigmoids a sequence, which makes a step some
    seventy times slower than an LSTM's and its gradient two hundred times (h = 128, CPU); 'layer' (default) takes
    one product of matrices an unfold.
    Initialisation: 'pairs' as in the authors' later library, 'layer' a choice of this one.
    Learning rate: Adam at 1e-2 in the authors' code, 5e-3 for sequential MNIST and occupancy; LSTMs there have 1e-3.

    >>> cell = LTC(input_size=2, hidden_size=3)
    >>> weights = cell.prepare(cell.init(jax.random.key(0))._replace(a=jnp.zeros(3)))
    >>> state, y = cell.step(weights, cell.initial_state(weights, ()), cell.project(weights, jnp.zeros(2)))
    >>> y.tolist()
    [0.0, 0.0, 0.0]
    """

    input_size: Size
    hidden_size: Size
    synapses: str = "layer"
    dt: float | int | None = 1.0
    unfolds: Size = 6

    def __post_init__(self) -> None:
        """ValueError, naming the field, where a size or an option is out of its range."""
        super().__post_init__()
        if self.synapses not in ("layer", "pairs"):
            raise ValueError(f"synapses: expected layer or pairs, got {self.synapses!r}")
        check_dt(self.dt)

    @property
    def input_shape(self) -> Any:
        """The shape of one input: ``(d,)``; a `TimedInput` of shapes where ``dt`` is None."""
        return input_shape(self.input_size, self.dt)

    def init(self, key: Key) -> LTCParams | PairsLTCParams:
        """Fresh parameters; 'layer': W_x Glorot, W_h orthogonal, b = 0, A ±1, ρ = 1; 'pairs': see `_init_pairs`."""
        if self.synapses == "pairs":
            return _init_pairs(key, self.input_size, self.hidden_size)
        key_x, key_h, key_a = jax.random.split(key, 3)
        d, h = self.input_size, self.hidden_size
        return LTCParams(
            w_x=initializers.initialize("glorot", key_x, (d, h)),
            w_h=initializers.initialize("orthogonal", key_h, (h, h)),
            b=jnp.zeros(h),
            a=jax.random.rademacher(key_a, (h,), dtype=float),
            rho=jnp.full(h, math.log(math.e - 1.0)),
        )

    def prepare(self, params: LTCParams | PairsLTCParams) -> LTCParams | PairsLTCParams:
        """The weights that each step reads: the rates and conductances, positive, in the places of their parameters."""
        if isinstance(params, LTCParams):
            return params._replace(rho=jax.nn.softplus(params.rho))
        positive = {name: jax.nn.softplus(getattr(params, name)) for name in ("w", "w_in", "c", "leak")}
        return params._replace(**positive)

    def initial_state(self, weights: LTCParams | PairsLTCParams, batch_shape: tuple[int, ...]) -> LTCState:
        """The state before the first step: v = 0."""
        dtype = weights.b.dtype if isinstance(weights, LTCParams) else weights.c.dtype
        return LTCState(jnp.zeros((*batch_shape, self.hidden_size), dtype))

    def project(self, weights: LTCParams | PairsLTCParams, x: Float[Array, "*b d"] | TimedInput) -> Drive:
        """What does not depend on the state; 'layer': x W_x + b, 'pairs': the sums over inputs of g e and of g;
        besides, dt.
        """
        values, dt = elapsed_time(x, self.dt)
        if isinstance(weights, LTCParams):
            return (values @ weights.w_x + weights.b,), dt
        return _sums(values, weights.w_in, weights.s_in, weights.mu_in, weights.e_in), dt

    def next_state(
        self,
        weights: LTCParams | PairsLTCParams,
        state: LTCState,
        u: Drive,
    ) -> LTCState:
        """The state after one step: the fused steps at the head of this module."""
        drive, dt = u
        step = dt / self.unfolds
        v = state.v
        for _ in range(self.unfolds):
            if isinstance(weights, LTCParams):
                f = jax.nn.sigmoid(drive[0] + v @ weights.w_h)
                v = (v + step * f * weights.a) / (1.0 + step * (weights.rho + f))
            else:
                current, conductance = _sums(v, weights.w, weights.s, weights.mu, weights.e)
                gain = weights.leak * weights.rest + current + drive[0]
                loss = weights.leak + conductance + drive[1]
                v = (weights.c * v + step * gain) / (weights.c + step * loss)
        return LTCState(v)

    def output(
        self,
        weights: LTCParams | PairsLTCParams,
        state: LTCState,
        u: Drive,
    ) -> Float[Array, "*b h"]:
        """What is emitted: the potentials v."""
        return state.v


def _sums(
    v: Float[Array, "*b n"],
    w: Float[Array, "n h"],
    s: Float[Array, "n h"],
    mu: Float[Array, "n h"],
    e: Float[Array, "n h"],
) -> tuple[Float[Array, "*b h"], Float[Array, "*b h"]]:
    """The sums over presynaptic units i of g[i, j] e[i, j] and of the conductance g[i, j]."""
    conductance = w * jax.nn.sigmoid(s * (v[..., None] - mu))
    return jnp.sum(conductance * e, axis=-2), jnp.sum(conductance, axis=-2)


def _init_pairs(key: Key, d: int, h: int) -> PairsLTCParams:
    """w and the leak from U(0.001, 1), c from U(0.4, 0.6), s from U(3, 8), μ from U(0.3, 0.8), e ±1, r from U(±0.2)."""
    keys = jax.random.split(key, 5)
    w, s, mu, e = _init_synapses(keys[0], (h, h))
    w_in, s_in, mu_in, e_in = _init_synapses(keys[1], (d, h))
    return PairsLTCParams(
        *(w, s, mu, e, w_in, s_in, mu_in, e_in),
        c=_before_softplus(jax.random.uniform(keys[2], (h,), minval=0.4, maxval=0.6)),
        leak=_before_softplus(jax.random.uniform(keys[3], (h,), minval=0.001)),
        rest=jax.random.uniform(keys[4], (h,), minval=-0.2, maxval=0.2),
    )


def _init_synapses(key: Key, shape: tuple[int, int]) -> tuple[Array, Array, Array, Array]:
    keys = jax.random.split(key, 4)
    return (
        _before_softplus(jax.random.uniform(keys[0], shape, minval=0.001)),
        jax.random.uniform(keys[1], shape, minval=3.0, maxval=8.0),
        jax.random.uniform(keys[2], shape, minval=0.3, maxval=0.8),
        jax.random.rademacher(keys[3], shape, dtype=float),
    )


def _before_softplus(positive: Array) -> Array:
    return jnp.log(jnp.expm1(positive))
