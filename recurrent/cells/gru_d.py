"""The GRU-D: a gated recurrent unit for inputs with missing entries, which decays towards what it knows.

    γ_x = exp(-relu(dt ⊙ w_γ + b_γ)),  γ_h = exp(-relu(dt W_γh + b_γh))        in (0, 1]
    x̂   = x where the mask is on, else γ_x ⊙ x_last + (1 - γ_x) ⊙ mean
    ĥ   = γ_h ⊙ h
    r, z = σ(x̂ W_x + ĥ W_h + m W_m + b)                                        blocks r, z, n
    n   = tanh(x̂ W_xn + (r ⊙ ĥ) W_hn + m W_mn + b_n)
    h'  = (1 - z) ⊙ ĥ + z ⊙ n                                                  h in (-1, 1)
    x_last' = x where the mask is on, else x_last

dt counts, for each entry of x, the time since it was last observed (`time_since_observed`); the mask m is 1 where x was
observed, 0 where it is missing. Entries under a mask of 0 may be NaN.

Source: Che, Purushotham, Cho, Sontag & Liu (2018), "Recurrent neural networks for multivariate time series with missing
values"; the authors' code starts the decay at 0, as here. Differs: x_last starts at the mean, and the derivative of
relu at 0 is 1/2, because a decay that starts there would never move. The first author's Keras code
reads 1 - m in place of m, and its last line h in place of ĥ, with z and 1 - z swapped.
"""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from recurrent import arrays, initializers
from recurrent.arrays import Key
from recurrent.cell import Cell
from recurrent.initializers import Spec
from recurrent.sizes import Size

__all__ = ["GRUD", "GRUDInput", "GRUDParams", "GRUDState", "GRUDWeights", "time_since_observed"]


class GRUDInput(NamedTuple):
    """One input of `GRUD`: values, which of them were observed (1 or True), and the time since they last were."""

    x: Float[Array, "*b d"]
    mask: Float[Array, "*b d"] | Bool[Array, "*b d"]
    dt: Float[Array, "*b d"]


class GRUDParams(NamedTuple):
    """The parameters of `GRUD`; ``gates`` is 3h."""

    w_x: Float[Array, "d gates"]
    w_m: Float[Array, "d gates"]
    w_h: Float[Array, "h gates"]
    b: Float[Array, " gates"]
    w_decay_x: Float[Array, " d"]
    b_decay_x: Float[Array, " d"]
    w_decay_h: Float[Array, "d h"]
    b_decay_h: Float[Array, " h"]


class GRUDWeights(NamedTuple):
    """What `GRUD.prepare` makes: the parameters and the means."""

    params: GRUDParams
    mean: Float[Array, " d"]


class GRUDState(NamedTuple):
    """The state of `GRUD`: what is emitted, and the last observed values."""

    h: Float[Array, "*b h"]
    x_last: Float[Array, "*b d"]


class _Drive(NamedTuple):
    """What `GRUD.project` makes: x, 1 where it was observed, (1 - γ_x) mean, γ_x, γ_h, and m W_m + b."""

    x: Float[Array, "*b d"]
    observed: Float[Array, "*b d"]
    towards: Float[Array, "*b d"]
    decay_x: Float[Array, "*b d"]
    decay_h: Float[Array, "*b h"]
    gates: Float[Array, "*b gates"]


def time_since_observed(
    times: Float[Array, "t *b"], mask: Float[Array, "t *b d"] | Bool[Array, "t *b d"]
) -> Float[Array, "t *b d"]:
    """For each entry the time since it was last observed before this step, at most since the first step.

    >>> time_since_observed(jnp.array([0.0, 1.0, 3.0]), jnp.array([[1.0], [0.0], [1.0]])).tolist()
    [[0.0], [1.0], [3.0]]
    """
    seen = jnp.broadcast_to(times[:1, ..., None], mask[:1].shape)
    # the latest of the times observed so far: times grow
    latest = jax.lax.cummax(jnp.where(mask > 0.5, times[..., None], seen), axis=0)
    return times[..., None] - jnp.concatenate([seen, latest[:-1]])


@dataclasses.dataclass(frozen=True)
class GRUD(Cell):
    """GRU-D with 6dh + 3h² + 3h + dh + h + 2d parameters and inputs `GRUDInput`.

    Equations and source: the head of this module. ``mean`` is the mean of each entry of x over the training set, or one
    number for all; 0 for standardised inputs.
    Initialisation: as in the authors' code (Glorot, orthogonal, the rest 0), which draws three blocks as one matrix.
    Learning rate: Adam at Keras's default of 1e-3 in the authors' code, stopped early.

    >>> cell = GRUD(input_size=2, hidden_size=3)
    >>> weights = cell.prepare(cell.init(jax.random.key(0)))
    >>> x = GRUDInput(x=jnp.array([jnp.nan, 0.0]), mask=jnp.array([0.0, 1.0]), dt=jnp.ones(2))
    >>> state, y = cell.step(weights, cell.initial_state(weights, ()), cell.project(weights, x))
    >>> state.x_last.tolist(), bool(jnp.isfinite(y).all())
    ([0.0, 0.0], True)
    """

    input_size: Size
    hidden_size: Size
    mean: float | int | tuple[float | int, ...] = 0.0
    input_init: Spec = "glorot"
    recurrent_init: Spec = "orthogonal"

    def __post_init__(self) -> None:
        """ValueError, naming the field, where a size or an option is out of its range."""
        super().__post_init__()
        if isinstance(self.mean, tuple) and len(self.mean) != self.input_size:
            raise ValueError(f"mean: expected {self.input_size} numbers or one, got {len(self.mean)}")
        initializers.check("input_init", self.input_init)
        initializers.check("recurrent_init", self.recurrent_init)

    @property
    def input_shape(self) -> GRUDInput:
        """The shapes of a `GRUDInput`, ``(d,)`` each."""
        shape = (self.input_size,)
        return GRUDInput(shape, shape, shape)  # pyright: ignore[reportArgumentType]

    def init(self, key: Key) -> GRUDParams:
        """Fresh parameters: each gate's block of W_x, W_m and W_h apart, biases and decays 0."""
        key_x, key_m, key_h = jax.random.split(key, 3)
        d, h = self.input_size, self.hidden_size
        return GRUDParams(
            w_x=initializers.blocks(self.input_init, key_x, (d, h), 3),
            w_m=initializers.blocks(self.input_init, key_m, (d, h), 3),
            w_h=initializers.blocks(self.recurrent_init, key_h, (h, h), 3),
            b=jnp.zeros(3 * h),
            w_decay_x=jnp.zeros(d),
            b_decay_x=jnp.zeros(d),
            w_decay_h=jnp.zeros((d, h)),
            b_decay_h=jnp.zeros(h),
        )

    def prepare(self, params: GRUDParams) -> GRUDWeights:
        """The weights that each step reads: the means beside the parameters, in their dtype."""
        mean = jnp.broadcast_to(jnp.asarray(self.mean, params.b.dtype), (self.input_size,))
        return GRUDWeights(params, mean)

    def initial_state(self, weights: GRUDWeights, batch_shape: tuple[int, ...]) -> GRUDState:
        """The state before the first step: h = 0, x_last the mean."""
        return GRUDState(
            h=jnp.zeros((*batch_shape, self.hidden_size), weights.mean.dtype),
            x_last=arrays.spread(weights.mean, batch_shape),
        )

    def project(self, weights: GRUDWeights, x: GRUDInput) -> _Drive:
        """What does not depend on the state: the decays, the gates' share of the mask, and the observed values, 0 where
        missing.
        """
        params, mask = weights.params, x.mask.astype(x.x.dtype)
        decay_x = jnp.exp(-jnp.maximum(x.dt * params.w_decay_x + params.b_decay_x, 0.0))
        return _Drive(
            x=jnp.where(mask > 0.5, x.x, 0.0),
            observed=(mask > 0.5).astype(x.x.dtype),
            towards=(1.0 - decay_x) * weights.mean,
            decay_x=decay_x,
            decay_h=jnp.exp(-jnp.maximum(x.dt @ params.w_decay_h + params.b_decay_h, 0.0)),
            gates=mask @ params.w_m + params.b,
        )

    def next_state(self, weights: GRUDWeights, state: GRUDState, u: _Drive) -> GRUDState:
        """The state after one step, by the equations at the head of this module."""
        w_x, w_h, split = weights.params.w_x, weights.params.w_h, 2 * self.hidden_size
        observed = u.observed > 0.5
        x = jnp.where(observed, u.x, u.decay_x * state.x_last + u.towards)
        h = u.decay_h * state.h
        drive = x @ w_x + u.gates
        r, z = jnp.split(jax.nn.sigmoid(drive[..., :split] + h @ w_h[:, :split]), 2, axis=-1)
        n = jnp.tanh(drive[..., split:] + (r * h) @ w_h[:, split:])
        return GRUDState(h=(1.0 - z) * h + z * n, x_last=jnp.where(observed, u.x, state.x_last))
