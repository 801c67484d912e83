"""Long short-term memory that each unit opens for a short while of its own rhythm; time stamps are inputs.

With x and the time t of a step, and for each unit a period τ, a shift s and an open share ρ of the period:

    φ  = ((t - s) mod τ) / τ                     in [0, 1)
    k  = 2φ/ρ where φ < ρ/2;  2 - 2φ/ρ where ρ/2 <= φ < ρ;  α φ elsewhere           in [0, 1]
    i, f, g, o = split(x W_x + h W_h + b)
    ĉ  = σ(f) ⊙ c + σ(i) ⊙ tanh(g)               c' = k ⊙ ĉ + (1 - k) ⊙ c                  c unbounded
    ĥ  = σ(o) ⊙ tanh(ĉ)                          h' = k ⊙ ĥ + (1 - k) ⊙ h                  h in (-1, 1)

Peepholes add p_i ⊙ c to i, p_f ⊙ c to f and p_o ⊙ ĉ to o. τ and ρ are the absolute values of their parameters.

Source: Neil, Pfeiffer & Liu (2016), "Phased LSTM: accelerating recurrent network training for long or event-based
sequences"; absolute values and initialisation as in the authors' code, which has t + s for t - s and draws s from
U(0, 100).
"""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from recurrent import arrays, initializers
from recurrent.arrays import Key, Shape
from recurrent.cell import Cell
from recurrent.cells.lstm import LSTMState
from recurrent.initializers import Spec
from recurrent.sizes import Size

__all__ = [
    "PeepholePhasedLSTMParams",
    "PhasedLSTM",
    "PhasedLSTMInputs",
    "PhasedLSTMParams",
    "StampedInput",
]


class StampedInput(NamedTuple):
    """An input and its time stamp, in the unit of the periods; as an input shape, the event axes of both."""

    x: Float[Array, "*b d"] | tuple[int, ...]
    t: Float[Array, "*b"] | tuple[int, ...]


class PhasedLSTMInputs(NamedTuple):
    """What `PhasedLSTM.project` makes: what x adds to the gates, and k."""

    gates: Float[Array, "*b gates"]
    k: Float[Array, "*b h"]


class PhasedLSTMParams(NamedTuple):
    """The parameters of `PhasedLSTM` without peepholes; ``gates`` is 4h."""

    w_x: Float[Array, "d gates"]
    w_h: Float[Array, "h gates"]
    b: Float[Array, " gates"]
    period: Float[Array, " h"]
    shift: Float[Array, " h"]
    ratio_on: Float[Array, " h"]


class PeepholePhasedLSTMParams(NamedTuple):
    """The parameters of `PhasedLSTM` with peepholes; the rows of p are p_i, p_f, p_o."""

    w_x: Float[Array, "d gates"]
    w_h: Float[Array, "h gates"]
    b: Float[Array, " gates"]
    period: Float[Array, " h"]
    shift: Float[Array, " h"]
    ratio_on: Float[Array, " h"]
    p: Float[Array, "3 h"]


@dataclasses.dataclass(frozen=True)
class PhasedLSTM(Cell):
    """Phased long short-term memory.

    Equations and source: the head of this module. ``leak`` is α: a trickle while a unit is closed, so that there is a
    gradient. The authors train with 0.001 and evaluate with 0: ``dataclasses.replace(cell, leak=0.0)``, with
    the same parameters. Periods start at e^U(``log_periods``), shifts at U(0, τ), open shares at ``open_share``;
    periods should cover the times between inputs, and what is to be remembered. k jumps where a period ends.

    An input is a `StampedInput`: x[*b, d] and t[*b]. Time stamps in float32 have seven digits: count them from near the
    start of the sequence; whatever the dtype of the parameters, they keep their own. A task that gives plain arrays
    cannot drive this cell.

    Initialisation: as in the authors' code for their tasks, but for s and for the input gate's biases, -0.1 there.
    Learning rate: Adam at 1e-3 in the authors' code, the gradient at the gates clipped at ±10 in each step.

    >>> cell = PhasedLSTM(input_size=2, hidden_size=3, bias_init="zeros")
    >>> weights = cell.prepare(cell.init(jax.random.key(0)))
    >>> u = cell.project(weights, StampedInput(jnp.zeros(2), jnp.array(1.5)))
    >>> state, y = cell.step(weights, cell.initial_state(weights, ()), u)
    >>> y.tolist()
    [0.0, 0.0, 0.0]
    """

    input_size: Size
    hidden_size: Size
    peepholes: bool = True
    leak: float | int = 0.001
    log_periods: tuple[float | int, float | int] = (1.0, 3.0)
    open_share: float | int = 0.05
    forget_bias: float | int = 0.0
    input_init: Spec = ("normal", 0.1)
    recurrent_init: Spec = ("normal", 0.1)
    bias_init: Spec = "zeros"

    def __post_init__(self) -> None:
        """ValueError, naming the field, where a size or an option is out of its range."""
        super().__post_init__()
        if not 0.0 <= self.leak <= 1.0:
            raise ValueError(f"leak: expected a number in [0, 1], got {self.leak}")
        if self.log_periods[0] > self.log_periods[1]:
            raise ValueError(f"log_periods: expected (lowest, highest), got {self.log_periods}")
        if not 0.0 < self.open_share <= 1.0:
            raise ValueError(f"open_share: expected a number in (0, 1], got {self.open_share}")
        for field in ("input_init", "recurrent_init", "bias_init"):
            initializers.check(field, getattr(self, field))

    @property
    def input_shape(self) -> Shape:
        """The shape of one input: ``((d,), ())`` as a `StampedInput`."""
        return StampedInput((self.input_size,), ())

    @property
    def local_fields(self) -> tuple[str, ...]:
        """The fields that recur inside a unit alone: ``c``, for h goes round through W_h."""
        return ("c",)

    def init(self, key: Key) -> PhasedLSTMParams | PeepholePhasedLSTMParams:
        """Fresh parameters: each block of W_x and W_h drawn apart; ``forget_bias`` is added to b_f."""
        key_x, key_h, key_b, key_p, key_period, key_shift = jax.random.split(key, 6)
        h = self.hidden_size
        lowest, highest = map(float, self.log_periods)
        period = jnp.exp(jax.random.uniform(key_period, (h,), minval=lowest, maxval=highest))
        b = initializers.initialize(self.bias_init, key_b, (4, h)).at[1].add(self.forget_bias)
        params = PhasedLSTMParams(
            w_x=initializers.blocks(self.input_init, key_x, (self.input_size, h), 4),
            w_h=initializers.blocks(self.recurrent_init, key_h, (h, h), 4),
            b=b.reshape(-1),
            period=period,
            shift=period * jax.random.uniform(key_shift, (h,)),
            ratio_on=jnp.full((h,), float(self.open_share)),
        )
        if not self.peepholes:
            return params
        return PeepholePhasedLSTMParams(
            *params, p=initializers.initialize(self.recurrent_init, key_p, (3, h))
        )

    def initial_state(
        self, weights: PhasedLSTMParams | PeepholePhasedLSTMParams, batch_shape: tuple[int, ...]
    ) -> LSTMState:
        """The state before the first step: h = c = 0."""
        return LSTMState(*arrays.zeros(2, (*batch_shape, self.hidden_size), weights.b.dtype))

    def cast(self, x: StampedInput, dtype: Any) -> StampedInput:
        """The values in the dtype of the parameters, the time stamps in their own: in 16 bits a stamp would soon be
        rounded by more than a period.
        """
        return StampedInput(arrays.cast(x.x, dtype), x.t)

    def project(
        self, weights: PhasedLSTMParams | PeepholePhasedLSTMParams, x: StampedInput
    ) -> PhasedLSTMInputs:
        """What does not depend on the state: x W_x + b, and how far each unit is open: nothing of it depends on the
        state.
        """
        cycles = (jnp.asarray(x.t)[..., None] - weights.shift) / jnp.abs(weights.period)
        phase = cycles - jnp.floor(cycles)
        risen = 2.0 * phase / jnp.abs(weights.ratio_on)
        k = jnp.where(risen < 1.0, risen, jnp.where(risen < 2.0, 2.0 - risen, self.leak * phase))
        return PhasedLSTMInputs(jnp.asarray(x.x) @ weights.w_x + weights.b, k.astype(weights.b.dtype))

    def next_state(
        self, weights: PhasedLSTMParams | PeepholePhasedLSTMParams, state: LSTMState, u: PhasedLSTMInputs
    ) -> LSTMState:
        """The state after one step, by the equations at the head of this module."""
        z_i, z_f, g, z_o = jnp.split(u.gates + state.h @ weights.w_h, 4, axis=-1)
        peepholes = weights.p if isinstance(weights, PeepholePhasedLSTMParams) else None
        if peepholes is not None:
            z_i, z_f = z_i + peepholes[0] * state.c, z_f + peepholes[1] * state.c
        c = jax.nn.sigmoid(z_f) * state.c + jax.nn.sigmoid(z_i) * jnp.tanh(g)
        if peepholes is not None:
            z_o = z_o + peepholes[2] * c
        h = jax.nn.sigmoid(z_o) * jnp.tanh(c)
        return LSTMState(h=state.h + u.k * (h - state.h), c=state.c + u.k * (c - state.c))
