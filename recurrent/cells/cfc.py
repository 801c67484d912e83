"""The closed-form continuous-time cell: a gate in time between two candidates, in place of a solver.

    s = φ(x W_x + h W_h + b)                     backbone of ``backbone_size`` units
    f, g, p, q = split(s W_o + b_o)              blocks of h each, in this order
    τ = σ(p dt + q)
    h' = (1 - τ) ⊙ tanh(f) + τ ⊙ tanh(g)         'default': h in (-1, 1)
    h' = tanh(f) + τ ⊙ tanh(g)                   'no_gate': h in (-2, 2)
    h' = a - a ⊙ exp(-dt (|w_τ| + |f|)) ⊙ f      'pure', the approximate solution of an LTC neuron: one block f

Source: Hasani et al. (2022), "Closed-form continuous-time neural networks", and the code of its authors, which has the
sign of -p in p. Differs: one layer of backbone, without dropout.
"""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from recurrent import initializers
from recurrent.arrays import Key
from recurrent.cell import Cell
from recurrent.cells.timed import TimedInput, check_dt, elapsed_time, input_shape
from recurrent.initializers import Spec
from recurrent.sizes import Size

__all__ = ["CfC", "CfCParams", "CfCState", "PureCfCParams"]


def _lecun_tanh(x: Array) -> Array:
    return 1.7159 * jnp.tanh(0.666 * x)


def _gelu(x: Array) -> Array:
    return jax.nn.gelu(x, approximate=False)


ACTIVATIONS = {
    "lecun_tanh": _lecun_tanh,
    "tanh": jnp.tanh,
    "silu": jax.nn.silu,
    "relu": jax.nn.relu,
    "gelu": _gelu,
}


class CfCParams(NamedTuple):
    """The parameters of `CfC`; ``s`` is the size of the backbone, ``blocks`` 4h."""

    w_x: Float[Array, "d s"]
    w_h: Float[Array, "h s"]
    b: Float[Array, " s"]
    w_o: Float[Array, "s blocks"]
    b_o: Float[Array, " blocks"]


class PureCfCParams(NamedTuple):
    """The parameters of `CfC` with the mode 'pure'."""

    w_x: Float[Array, "d s"]
    w_h: Float[Array, "h s"]
    b: Float[Array, " s"]
    w_o: Float[Array, "s h"]
    b_o: Float[Array, " h"]
    w_tau: Float[Array, " h"]
    a: Float[Array, " h"]


class CfCState(NamedTuple):
    """The state of `CfC`."""

    h: Float[Array, "*b h"]


Drive = tuple[Float[Array, "*b s"], Float[Array, "*b one"]]


@dataclasses.dataclass(frozen=True)
class CfC(Cell):
    """Closed-form continuous-time cell with (d + h + 1) s + (s + 1) 4h parameters, 'pure' (d + h + 1) s + (s + 3) h.

    Equations and source: the head of this module. ``dt`` is the time between steps; None: it comes with each input, a
    `recurrent.cells.timed.TimedInput`. ``backbone_size`` None: s = h.
    Initialisation: as in the authors' Keras code (biases 0); their PyTorch code scales Glorot's weights by 0.5 to 0.84,
    as tuned.
    Learning rate: tuned a task in the authors' code, falling by the epoch; for 'default' AdamW at 2e-3 for PhysioNet,
    Adam at 2e-2 for Walker2d, RMSProp at 5e-2 for XOR and 5e-4 for IMDB.

    >>> cell = CfC(input_size=2, hidden_size=3)
    >>> weights = cell.prepare(cell.init(jax.random.key(0)))
    >>> state, y = cell.step(weights, cell.initial_state(weights, ()), cell.project(weights, jnp.zeros(2)))
    >>> y.tolist()
    [0.0, 0.0, 0.0]
    """

    input_size: Size
    hidden_size: Size
    mode: str = "default"
    dt: float | int | None = 1.0
    backbone_size: Size | None = None
    activation: str = "lecun_tanh"
    weight_init: Spec = "glorot"

    def __post_init__(self) -> None:
        """ValueError, naming the field, where a size or an option is out of its range."""
        super().__post_init__()
        if self.mode not in ("default", "no_gate", "pure"):
            raise ValueError(f"mode: expected default, no_gate or pure, got {self.mode!r}")
        check_dt(self.dt)
        if self.activation not in ACTIVATIONS:
            raise ValueError(f"activation: expected {' or '.join(ACTIVATIONS)}, got {self.activation!r}")
        initializers.check("weight_init", self.weight_init)

    @property
    def input_shape(self) -> Any:
        """The shape of one input: ``(d,)``; a `TimedInput` of shapes where ``dt`` is None."""
        return input_shape(self.input_size, self.dt)

    def init(self, key: Key) -> CfCParams | PureCfCParams:
        """Fresh parameters: [W_x, W_h] and each block of W_o drawn as ``weight_init`` says, b and w_τ 0, a = 1."""
        key_in, key_out = jax.random.split(key)
        d, h = self.input_size, self.hidden_size
        s = h if self.backbone_size is None else self.backbone_size
        w = initializers.initialize(self.weight_init, key_in, (d + h, s))
        num_blocks = 1 if self.mode == "pure" else 4
        w_o = initializers.blocks(self.weight_init, key_out, (s, h), num_blocks)
        shared = (w[:d], w[d:], jnp.zeros(s), w_o, jnp.zeros(num_blocks * h))
        return (
            PureCfCParams(*shared, jnp.zeros(h), jnp.ones(h)) if self.mode == "pure" else CfCParams(*shared)
        )

    def initial_state(self, weights: CfCParams | PureCfCParams, batch_shape: tuple[int, ...]) -> CfCState:
        """The state before the first step: h = 0."""
        return CfCState(jnp.zeros((*batch_shape, self.hidden_size), weights.b.dtype))

    def project(self, weights: CfCParams | PureCfCParams, x: Float[Array, "*b d"] | TimedInput) -> Drive:
        """What does not depend on the state: x W_x + b, and dt."""
        values, dt = elapsed_time(x, self.dt)
        return values @ weights.w_x + weights.b, dt

    def next_state(self, weights: CfCParams | PureCfCParams, state: CfCState, u: Drive) -> CfCState:
        """The state after one step, by the equations at the head of this module."""
        drive, dt = u
        features = ACTIVATIONS[self.activation](drive + state.h @ weights.w_h) @ weights.w_o + weights.b_o
        if isinstance(weights, PureCfCParams):
            rate = jnp.abs(weights.w_tau) + jnp.abs(features)
            return CfCState(weights.a - weights.a * jnp.exp(-dt * rate) * features)
        f, g, p, q = jnp.split(features, 4, axis=-1)
        gate = jax.nn.sigmoid(p * dt + q)
        kept = 1.0 - gate if self.mode == "default" else 1.0
        return CfCState(kept * jnp.tanh(f) + gate * jnp.tanh(g))
