"""Linear attention as a recurrent network: a matrix memory to which each step adds one association, with decay.

For each head of p units, with S the memory [v, k]:

    q, k, v = φ(x W_q), φ(x W_k), x W_v          φ(z) = elu(z) + 1 > 0, or the identity
    S' = S ⊙ a + v kᵀ                            a in (0, 1], one number a head or one for each column of S
    n' = n ⊙ a + k                               only with ``normalize``
    y  = S' q / √p                               with ``normalize``: S' q / (n'·q + 10⁻⁶)

The decay a:

    "none"      1                                Katharopoulos et al.
    "fixed"     1 - 2^(-5 - j) for head j = 0, 1, ..         the retention of RetNet
    "scalar"    σ(x w_a + b_a)^(1/16)            follows the input, one number a head
    "diagonal"  σ(x W_down W_up + b_a)^(1/16)    follows the input, one number for each entry of k: GLA

Source: Katharopoulos, Vyas, Pappas & Fleuret (2020), "Transformers are RNNs"; fixed: Sun et al. (2023), "Retentive
network: a successor to transformer for large language models"; gated: Yang, Wang, Shen, Panda & Kim (2023), "Gated
linear attention transformers with hardware-efficient training". Differs: the surrounding block (norm of each head,
output gate and projection, and RetNet's rotation of q and k by the position) is left out, so the matrices start larger
than in the authors' code, as in `DeltaNet`.
"""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from recurrent import arrays, forms, initializers
from recurrent.arrays import Key
from recurrent.cell import Cell
from recurrent.initializers import Spec
from recurrent.sizes import Size

__all__ = [
    "DiagonalAttentionParams",
    "LinearAttention",
    "LinearAttentionInputs",
    "LinearAttentionParams",
    "LinearAttentionState",
    "LinearAttentionWeights",
    "NormalizedAttentionState",
    "ScalarAttentionParams",
    "gated_linear_attention",
    "retention",
]

DECAYS = ("none", "fixed", "scalar", "diagonal")
FEATURE_MAPS = {"elu": lambda z: jax.nn.elu(z) + 1.0, "identity": lambda z: z}
# The root of the gates that follow the input, GLA's, and what keeps the normaliser from 0, Katharopoulos et al.'s.
TEMPERATURE, EPSILON = 16.0, 1e-6


class LinearAttentionParams(NamedTuple):
    """The parameters of `LinearAttention` where the decay does not follow the input."""

    w_q: Float[Array, "d h"]
    w_k: Float[Array, "d h"]
    w_v: Float[Array, "d h"]


class ScalarAttentionParams(NamedTuple):
    """The parameters of `LinearAttention` with the decay "scalar"."""

    w_q: Float[Array, "d h"]
    w_k: Float[Array, "d h"]
    w_v: Float[Array, "d h"]
    w_a: Float[Array, "d heads"]
    b_a: Float[Array, " heads"]


class DiagonalAttentionParams(NamedTuple):
    """The parameters of `LinearAttention` with the decay "diagonal"."""

    w_q: Float[Array, "d h"]
    w_k: Float[Array, "d h"]
    w_v: Float[Array, "d h"]
    w_down: Float[Array, "d rank"]
    w_up: Float[Array, "rank h"]
    b_a: Float[Array, " h"]


class LinearAttentionWeights(NamedTuple):
    """What `LinearAttention.prepare` makes: all products side by side (q, k, v, a), and b_a."""

    w: Float[Array, "d all"]
    b_a: Float[Array, " gates"] | None


class LinearAttentionInputs(NamedTuple):
    """What `LinearAttention.project` makes; a is 1 or p numbers wide."""

    q: Float[Array, "*b heads p"]
    k: Float[Array, "*b heads p"]
    v: Float[Array, "*b heads p"]
    a: Float[Array, "*b heads wide"]


class LinearAttentionState(NamedTuple):
    """The state of `LinearAttention`: the memory [v, k] of each head."""

    s: Float[Array, "*b heads p p"]


class NormalizedAttentionState(NamedTuple):
    """The state of `LinearAttention` with ``normalize``: the memory [v, k] and the sum of the keys."""

    s: Float[Array, "*b heads p p"]
    n: Float[Array, "*b heads p"]


AnyParams = LinearAttentionParams | ScalarAttentionParams | DiagonalAttentionParams
AnyState = LinearAttentionState | NormalizedAttentionState


@dataclasses.dataclass(frozen=True)
class LinearAttention(Cell):
    """Linear attention, a memory of p x p numbers for each head of p = hidden_size / num_heads units.

    Equations and source: the head of this module. The defaults are those of Katharopoulos et al. (2020); `retention`
    and `gated_linear_attention` are the two others. ``gate_rank`` is the rank of the decay "diagonal". A step moves
    all h² / num_heads numbers of the memory: with one head it is slower than an `LSTM` of as many units.
    Learning rate: RAdam at 1e-3 for copying, 1e-4 from update 3000 on and for MNIST, in the paper.

    >>> cell = LinearAttention(input_size=2, hidden_size=4, num_heads=2)
    >>> weights = cell.prepare(cell.init(jax.random.key(0)))
    >>> state, y = cell.step(weights, cell.initial_state(weights, ()), cell.project(weights, jnp.zeros(2)))
    >>> state.s.shape, y.tolist()
    ((2, 2, 2), [0.0, 0.0, 0.0, 0.0])
    """

    input_size: Size
    hidden_size: Size
    num_heads: Size = 1
    decay: str = "none"
    feature_map: str = "elu"
    normalize: bool = True
    gate_rank: Size = 16
    input_init: Spec = "glorot"

    def __post_init__(self) -> None:
        """ValueError, naming the field, where a size or an option is out of its range."""
        super().__post_init__()
        if self.num_heads < 1 or self.hidden_size % self.num_heads:
            raise ValueError(
                f"num_heads: expected a divisor of hidden_size {self.hidden_size}, got {self.num_heads}"
            )
        if self.decay not in DECAYS:
            raise ValueError(f"decay: expected one of {', '.join(DECAYS)}, got {self.decay!r}")
        if self.feature_map not in FEATURE_MAPS:
            raise ValueError(f"feature_map: expected {' or '.join(FEATURE_MAPS)}, got {self.feature_map!r}")
        if self.normalize and self.feature_map != "elu":
            raise ValueError(
                f"feature_map: expected elu, since normalize needs n·q > 0, got {self.feature_map!r}"
            )
        initializers.check("input_init", self.input_init)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one input, ``(d,)``."""
        return (self.input_size,)

    def init(self, key: Key) -> AnyParams:
        """Fresh parameters: matrices as ``input_init`` says, b_a = 0: the gated decays start near 2^(-1/16), 0.96."""
        keys = jax.random.split(key, 5)
        d, h, heads, rank = self.input_size, self.hidden_size, self.num_heads, self.gate_rank
        w_q, w_k, w_v = (initializers.initialize(self.input_init, part, (d, h)) for part in keys[:3])
        if self.decay == "scalar":
            w_a = initializers.initialize(self.input_init, keys[3], (d, heads))
            return ScalarAttentionParams(w_q, w_k, w_v, w_a, jnp.zeros(heads))
        if self.decay == "diagonal":
            w_down = initializers.initialize(self.input_init, keys[3], (d, rank))
            w_up = initializers.initialize(self.input_init, keys[4], (rank, h))
            return DiagonalAttentionParams(w_q, w_k, w_v, w_down, w_up, jnp.zeros(h))
        return LinearAttentionParams(w_q, w_k, w_v)

    def prepare(self, params: AnyParams) -> LinearAttentionWeights:
        """The weights that each step reads: all that x is multiplied with side by side, for one product."""
        parts, b_a = [params.w_q, params.w_k, params.w_v], None
        if isinstance(params, ScalarAttentionParams):
            parts, b_a = [*parts, params.w_a], params.b_a
        if isinstance(params, DiagonalAttentionParams):
            parts, b_a = [*parts, params.w_down @ params.w_up], params.b_a
        return LinearAttentionWeights(jnp.concatenate(parts, axis=-1), b_a)

    def initial_state(self, weights: LinearAttentionWeights, batch_shape: tuple[int, ...]) -> AnyState:
        """The state before the first step: S = n = 0."""
        heads, p = self.num_heads, self.hidden_size // self.num_heads
        s = jnp.zeros((*batch_shape, heads, p, p), weights.w.dtype)
        if not self.normalize:
            return LinearAttentionState(s)
        return NormalizedAttentionState(s, jnp.zeros((*batch_shape, heads, p), weights.w.dtype))

    def project(self, weights: LinearAttentionWeights, x: Float[Array, "*b d"]) -> LinearAttentionInputs:
        """What does not depend on the state: queries, keys, values and the decay; without ``normalize`` q is divided by
        √p.
        """
        h, heads = self.hidden_size, self.num_heads
        z = x @ weights.w
        q, k, v = jnp.moveaxis(z[..., : 3 * h].reshape(*z.shape[:-1], 3, heads, h // heads), -3, 0)
        phi = FEATURE_MAPS[self.feature_map]
        q = phi(q) if self.normalize else phi(q) / (h // heads) ** 0.5
        return LinearAttentionInputs(q, phi(k), v, self._decay(weights, z[..., 3 * h :]))

    def _decay(self, weights: LinearAttentionWeights, z: Float[Array, "*b gates"]) -> Array:
        if weights.b_a is not None:
            a = jnp.exp(jax.nn.log_sigmoid(z + weights.b_a) / TEMPERATURE)
            return a.reshape(*a.shape[:-1], self.num_heads, a.shape[-1] // self.num_heads)
        exponents = 5.0 + jnp.arange(self.num_heads, dtype=z.dtype)
        fixed = 1.0 - 2.0**-exponents if self.decay == "fixed" else jnp.ones_like(exponents)
        return jnp.broadcast_to(fixed[:, None], (*z.shape[:-1], self.num_heads, 1))

    def linear(self, weights: LinearAttentionWeights, u: LinearAttentionInputs) -> forms.Diagonal:
        """The state map as a linear form: S' = S ⊙ a + v kᵀ, n' = n ⊙ a + k."""
        # a is as wide as it differs: the maps compose all the same
        keep, add = u.a[..., None, :], arrays.outer(u.v, u.k)
        if not self.normalize:
            return forms.Diagonal(LinearAttentionState(keep), LinearAttentionState(add))
        return forms.Diagonal(NormalizedAttentionState(keep, u.a), NormalizedAttentionState(add, u.k))

    def next_state(
        self, weights: LinearAttentionWeights, state: AnyState, u: LinearAttentionInputs
    ) -> AnyState:
        """The state after one step: `linear` at ``state``, its decay spread over the rows of S by a product.

        The derivative of that is a product too; of broadcasting it is a sum over rows, several times as slow on a CPU.
        """
        keep, add = self.linear(weights, u)
        if keep.s.shape[-1] > 1:
            keep = keep._replace(s=arrays.outer(jnp.ones_like(u.v), u.a))
        return forms.Diagonal(keep, add).apply(state)

    def output(
        self, weights: LinearAttentionWeights, state: AnyState, u: LinearAttentionInputs
    ) -> Float[Array, "*b h"]:
        """What is emitted: what q reads from the memory, heads side by side."""
        y = jnp.einsum("...vk,...k->...v", state.s, u.q)
        if isinstance(state, NormalizedAttentionState):
            y = y / (jnp.sum(state.n * u.q, axis=-1, keepdims=True) + EPSILON)
        return y.reshape(*y.shape[:-2], self.hidden_size)


def retention(input_size: Size, hidden_size: Size, num_heads: Size = 1) -> LinearAttention:
    """The retention of RetNet, Sun et al. (2023), without its rotation: fixed decay, no feature map or normaliser.

    Learning rate: Adam at 6e-4 (1.3 billion parameters) or 3e-4 (2.7 and 6.7 billion), gradients clipped at 2, in the
    paper's language models.
    """
    return LinearAttention(input_size, hidden_size, num_heads, "fixed", "identity", normalize=False)


def gated_linear_attention(
    input_size: Size, hidden_size: Size, num_heads: Size = 1, decay: str = "diagonal"
) -> LinearAttention:
    """GLA, Yang et al. (2023): a decay that follows the input; ``decay`` may also be "scalar".

    Learning rate: AdamW at 3e-4, gradients clipped at 1, in the paper's language models.
    """
    return LinearAttention(input_size, hidden_size, num_heads, decay, "identity", normalize=False)
