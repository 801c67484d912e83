"""The real-gated linear recurrent unit of Griffin: a diagonal recurrence whose decay is gated by the input.

    v  = x W_x + b_x
    r, i = σ(v W_r + b_r), σ(v W_i + b_i)        W_r and W_i block-diagonal; recurrence gate and input gate
    log a = -c softplus(-Λ) ⊙ r,  c = 8          a = σ(Λ)^(c r) in (0, 1)
    h' = a ⊙ h + √(1 - a²) ⊙ (i ⊙ v)             the root keeps the variance of h near that of i ⊙ v

Source: De, Smith, Fernando et al. (2024), "Griffin: mixing gated linear recurrences with local attention for efficient
language models". Differs: the projection in front has a bias and is the only part of the recurrent block here; its
convolution and its gated branch are left out. 1 - a² is kept from below at 10⁻¹², so that the root has a gradient
where a gate is closed; the authors' code bounds the gradient alone. In the authors' code the first input of a segment
enters whole: there a is 0 and the root is 1. The paper's equation, which has no such case, is the default here;
``starts=True`` is the authors' form, and reads where segments start beside each input.
"""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from recurrent import arrays, forms, initializers
from recurrent.arrays import Key
from recurrent.cell import Cell
from recurrent.initializers import Spec
from recurrent.sizes import Size

__all__ = ["RGLRU", "RGLRUInputs", "RGLRUParams", "RGLRUState", "RGLRUWeights", "SegmentInput"]

EXPONENT = 8.0
"""c."""
SMALLEST = 1e-12
"""What 1 - a² is kept above."""


class SegmentInput(NamedTuple):
    """An input, and whether a segment starts there: True, or a number above 0."""

    x: Float[Array, "*b d"]
    start: Float[Array, "*b"] | Bool[Array, "*b"]


class RGLRUParams(NamedTuple):
    """The parameters of `RGLRU`; ``p`` is h / blocks."""

    w_x: Float[Array, "d h"]
    b_x: Float[Array, " h"]
    w_r: Float[Array, "blocks p p"]
    b_r: Float[Array, " h"]
    w_i: Float[Array, "blocks p p"]
    b_i: Float[Array, " h"]
    decay: Float[Array, " h"]


class RGLRUWeights(NamedTuple):
    """What `RGLRU.prepare` makes: the gates of each block side by side, r and i, and c softplus(-Λ)."""

    w_x: Float[Array, "d h"]
    b_x: Float[Array, " h"]
    w_gates: Float[Array, "blocks p gates"]
    b_gates: Float[Array, "blocks gates"]
    rate: Float[Array, " h"]


class RGLRUInputs(NamedTuple):
    """What `RGLRU.project` makes: a, and √(1 - a²) ⊙ i ⊙ v."""

    a: Float[Array, "*b h"]
    drive: Float[Array, "*b h"]


class RGLRUState(NamedTuple):
    """The state of `RGLRU`."""

    h: Float[Array, "*b h"]


@dataclasses.dataclass(frozen=True)
class RGLRU(Cell):
    """Real-gated linear recurrent unit.

    Equations and source: the head of this module. The matrices of the gates have ``blocks`` blocks on the diagonal
    (the paper: 16). At the start σ(Λ)^c is uniform in [``min_radius``, ``max_radius``]. ``starts``: the cell reads a
    `SegmentInput`, and the first input of a segment enters whole, as in the authors' code.
    Initialisation: σ(Λ)^c and the gates' N(0, 1/p) are the paper's; the authors' code draws σ(Λ), not its power, from
    [0.9, 0.999], so that the decay is eight times as fast.
    Learning rate: AdamW in the paper, the rate tuned but not printed; the authors' fine-tuning notebook takes gradient
    descent at 1e-3, or AdamW at 1e-4 without weight decay for these parameters. Adam at 1e-2 solves adding of 20 steps
    here.

    >>> cell = RGLRU(input_size=2, hidden_size=4, blocks=2)
    >>> weights = cell.prepare(cell.init(jax.random.key(0)))
    >>> state, y = cell.step(weights, cell.initial_state(weights, ()), cell.project(weights, jnp.zeros(2)))
    >>> y.tolist()
    [0.0, 0.0, 0.0, 0.0]
    """

    input_size: Size
    hidden_size: Size
    blocks: Size = 1
    min_radius: float | int = 0.9
    max_radius: float | int = 0.999
    input_init: Spec = "glorot"
    starts: bool = False

    def __post_init__(self) -> None:
        """ValueError, naming the field, where a size or an option is out of its range."""
        super().__post_init__()
        if self.blocks < 1 or self.hidden_size % self.blocks:
            raise ValueError(
                f"blocks: expected a divisor of hidden_size {self.hidden_size}, got {self.blocks}"
            )
        if not 0.0 < self.min_radius <= self.max_radius < 1.0:
            raise ValueError(
                f"min_radius: expected a number in (0, max_radius], max_radius below 1, got {self.min_radius} "
                f"and {self.max_radius}"
            )
        initializers.check("input_init", self.input_init)

    @property
    def input_shape(self) -> Any:
        """The shape of one input, ``(d,)``, or those of a `SegmentInput`."""
        shapes: tuple[Any, Any] = ((self.input_size,), ())
        return SegmentInput(*shapes) if self.starts else shapes[0]

    def init(self, key: Key) -> RGLRUParams:
        """Fresh parameters: W_x as ``input_init`` says, gates N(0, 1/p), biases 0, Λ as the class says."""
        key_x, key_r, key_i, key_decay = jax.random.split(key, 4)
        h, p = self.hidden_size, self.hidden_size // self.blocks
        power = jax.random.uniform(key_decay, (h,), minval=self.min_radius, maxval=self.max_radius)
        log_a = jnp.log(power) / EXPONENT
        return RGLRUParams(
            w_x=initializers.initialize(self.input_init, key_x, (self.input_size, h)),
            b_x=jnp.zeros(h),
            w_r=jax.random.normal(key_r, (self.blocks, p, p)) / p**0.5,
            b_r=jnp.zeros(h),
            w_i=jax.random.normal(key_i, (self.blocks, p, p)) / p**0.5,
            b_i=jnp.zeros(h),
            # the log-odds of a, without the cancellation of 1 - a
            decay=log_a - jnp.log(-jnp.expm1(log_a)),
        )

    def prepare(self, params: RGLRUParams) -> RGLRUWeights:
        """The weights that each step reads: the matrices of both gates side by side, for one product a block."""
        b_r, b_i = (bias.reshape(self.blocks, -1) for bias in (params.b_r, params.b_i))
        return RGLRUWeights(
            w_x=params.w_x,
            b_x=params.b_x,
            w_gates=jnp.concatenate([params.w_r, params.w_i], axis=-1),
            b_gates=jnp.concatenate([b_r, b_i], axis=-1),
            rate=EXPONENT * jax.nn.softplus(-params.decay),
        )

    def initial_state(self, weights: RGLRUWeights, batch_shape: tuple[int, ...]) -> RGLRUState:
        """The state before the first step: h = 0."""
        return RGLRUState(jnp.zeros((*batch_shape, self.hidden_size), weights.rate.dtype))

    def project(self, weights: RGLRUWeights, x: Float[Array, "*b d"] | SegmentInput) -> RGLRUInputs:
        """What does not depend on the state: the decay, and what is added."""
        values = x.x if isinstance(x, SegmentInput) else x
        v = values @ weights.w_x + weights.b_x
        parts = v.reshape(*v.shape[:-1], self.blocks, self.hidden_size // self.blocks)
        z = jnp.einsum("...kp,kpq->...kq", parts, weights.w_gates) + weights.b_gates
        r, i = (gate.reshape(v.shape) for gate in jnp.split(jax.nn.sigmoid(z), 2, axis=-1))
        log_a = -weights.rate * r
        # 1 - a², which would cancel for a near 1
        rest = jnp.maximum(-jnp.expm1(2.0 * log_a), SMALLEST)
        inside = RGLRUInputs(a=jnp.exp(log_a), drive=jnp.sqrt(rest) * i * v)
        if not isinstance(x, SegmentInput):
            return inside
        first = RGLRUInputs(a=jnp.zeros_like(v), drive=i * v)
        return arrays.where(x.start > 0, first, inside)

    def linear(self, weights: RGLRUWeights, u: RGLRUInputs) -> forms.Diagonal:
        """The state map as a linear form: h' = a ⊙ h + √(1 - a²) ⊙ (i ⊙ v)."""
        return forms.Diagonal(RGLRUState(u.a), RGLRUState(u.drive))
