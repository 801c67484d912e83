"""The delta rule as a recurrent network: a matrix memory in which each step replaces what is stored under one key.

For each head of p units, with S the memory [v, k] and norm(z) = z / √(z·z + 10⁻⁶):

    q, k = norm(SiLU(x W_q)), norm(SiLU(x W_k)), v = SiLU(x W_v)
    β  = σ(x w_β + b_β)                          in (0, 1); negative_eigenvalues: twice that
    a  = 1; gated: exp(-exp(a_log) softplus(x w_a + dt_bias))       in (0, 1]
    S' = a S (1 - β k kᵀ) + β v kᵀ
    y  = S' q / √p

1 - β k kᵀ has the eigenvalues 1 and 1 - β k·k: in (0, 1), or in (-1, 1) with
``negative_eigenvalues``, which state tracking needs.

Source: Schlag, Irie & Schmidhuber (2021), "Linear transformers are secretly fast weight programmers"; in this form
Yang, Wang, Zhang, Shen & Kim (2024), "Parallelizing linear transformers with the delta rule over sequence length";
gated: Yang, Kautz & Hatamizadeh (2024), "Gated delta networks: improving Mamba2 with delta rule"; eigenvalues: Grazzi
et al. (2024), "Unlocking state-tracking in linear RNNs through negative eigenvalues". The decay starts as in the
authors' code. Differs: β has a bias, which the authors' has not. The surrounding block (short convolutions in front of
SiLU, norm and gate of the output, output projection) is left out, so the matrices start larger, see `DeltaNet`.
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

__all__ = [
    "DeltaNet",
    "DeltaNetInputs",
    "DeltaNetParams",
    "DeltaNetState",
    "DeltaNetWeights",
    "GatedDeltaNetParams",
]

# What the authors draw the decay's step from, log-uniformly, and the largest rate: the decay starts at exp(-rate step).
DT_MIN, DT_MAX, MAX_RATE = 1e-3, 1e-1, 16.0


class DeltaNetParams(NamedTuple):
    """The parameters of `DeltaNet`."""

    w_q: Float[Array, "d h"]
    w_k: Float[Array, "d h"]
    w_v: Float[Array, "d h"]
    w_beta: Float[Array, "d heads"]
    b_beta: Float[Array, " heads"]


class GatedDeltaNetParams(NamedTuple):
    """The parameters of `DeltaNet` with ``gated``."""

    w_q: Float[Array, "d h"]
    w_k: Float[Array, "d h"]
    w_v: Float[Array, "d h"]
    w_beta: Float[Array, "d heads"]
    b_beta: Float[Array, " heads"]
    w_a: Float[Array, "d heads"]
    a_log: Float[Array, " heads"]
    dt_bias: Float[Array, " heads"]


class DeltaNetWeights(NamedTuple):
    """What `DeltaNet.prepare` makes: all products side by side (q, k, v, β, a); ``decay`` is exp(a_log) and dt_bias."""

    w: Float[Array, "d all"]
    b_beta: Float[Array, " heads"]
    decay: tuple[Float[Array, " heads"], Float[Array, " heads"]] | None


class DeltaNetInputs(NamedTuple):
    """What `DeltaNet.project` makes; q is divided by √p."""

    q: Float[Array, "*b heads p"]
    k: Float[Array, "*b heads p"]
    v: Float[Array, "*b heads p"]
    beta: Float[Array, "*b heads"]
    log_a: Float[Array, "*b heads"]


class DeltaNetState(NamedTuple):
    """The state of `DeltaNet`: the memory [v, k] of each head."""

    s: Float[Array, "*b heads p p"]


@dataclasses.dataclass(frozen=True)
class DeltaNet(Cell):
    """DeltaNet, or Gated DeltaNet, a memory of p x p numbers for each head of p = hidden_size / num_heads units.

    Equations and source: the head of this module. ``input_init`` is for all matrices. The authors' code takes
    ``("glorot", 2**-2.5)``, and a norm behind the cell that undoes the small outputs; with few units in a head it
    brings keys near 0, where the direction of norm(z), and with it the gradient, turns fast.
    Learning rate: Adam at 2.5e-4 for WikiText-103 in the code of Schlag et al.; AdamW at 4e-4 with cosine decay,
    clipped at 1, in the gated paper; 1e-3 for parity and most of modular arithmetic in the code of Grazzi et al.

    >>> cell = DeltaNet(input_size=2, hidden_size=4, num_heads=2)
    >>> weights = cell.prepare(cell.init(jax.random.key(0)))
    >>> state, y = cell.step(weights, cell.initial_state(weights, ()), cell.project(weights, jnp.zeros(2)))
    >>> state.s.shape, y.tolist()
    ((2, 2, 2), [0.0, 0.0, 0.0, 0.0])
    """

    input_size: Size
    hidden_size: Size
    num_heads: Size = 1
    gated: bool = False
    negative_eigenvalues: bool = False
    input_init: Spec = "glorot"

    def __post_init__(self) -> None:
        """ValueError, naming the field, where a size or an option is out of its range."""
        super().__post_init__()
        if self.num_heads < 1 or self.hidden_size % self.num_heads:
            raise ValueError(
                f"num_heads: expected a divisor of hidden_size {self.hidden_size}, got {self.num_heads}"
            )
        initializers.check("input_init", self.input_init)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one input, ``(d,)``."""
        return (self.input_size,)

    def init(self, key: Key) -> DeltaNetParams | GatedDeltaNetParams:
        """Fresh parameters: matrices as ``input_init`` says, b_β = 0; exp(a_log) uniform, softplus(dt_bias)
        log-uniform, see `DT_MIN`.
        """
        keys = jax.random.split(key, 7)
        d, h, heads = self.input_size, self.hidden_size, self.num_heads
        sizes = [h, h, h, heads, heads]
        w_q, w_k, w_v, w_beta, w_a = (
            initializers.initialize(self.input_init, part, (d, size))
            for part, size in zip(keys[:5], sizes, strict=True)
        )
        params = DeltaNetParams(w_q, w_k, w_v, w_beta, jnp.zeros(heads))
        if not self.gated:
            return params
        # not from 0 on: its logarithm has to be finite
        rate = MAX_RATE * jax.random.uniform(keys[5], (heads,), minval=jnp.finfo(jnp.float32).eps)
        dt = jnp.exp(jax.random.uniform(keys[6], (heads,), minval=math.log(DT_MIN), maxval=math.log(DT_MAX)))
        return GatedDeltaNetParams(*params, w_a, a_log=jnp.log(rate), dt_bias=jnp.log(jnp.expm1(dt)))

    def prepare(self, params: DeltaNetParams | GatedDeltaNetParams) -> DeltaNetWeights:
        """The weights that each step reads: all that x is multiplied with side by side, for one product."""
        parts = [params.w_q, params.w_k, params.w_v, params.w_beta]
        decay = None
        if isinstance(params, GatedDeltaNetParams):
            parts.append(params.w_a)
            decay = jnp.exp(params.a_log), params.dt_bias
        return DeltaNetWeights(jnp.concatenate(parts, axis=-1), params.b_beta, decay)

    def initial_state(self, weights: DeltaNetWeights, batch_shape: tuple[int, ...]) -> DeltaNetState:
        """The state before the first step: S = 0."""
        p = self.hidden_size // self.num_heads
        return DeltaNetState(jnp.zeros((*batch_shape, self.num_heads, p, p), weights.w.dtype))

    def project(self, weights: DeltaNetWeights, x: Float[Array, "*b d"]) -> DeltaNetInputs:
        """What does not depend on the state: queries, keys, values, strengths of writes, logarithms of decays."""
        h, heads = self.hidden_size, self.num_heads
        z = x @ weights.w
        qkv = jax.nn.silu(z[..., : 3 * h]).reshape(*z.shape[:-1], 3, heads, h // heads)
        q, k, v = jnp.moveaxis(qkv, -3, 0)
        beta = jax.nn.sigmoid(z[..., 3 * h : 3 * h + heads] + weights.b_beta)
        log_a = jnp.zeros_like(beta)
        if weights.decay is not None:
            rate, dt_bias = weights.decay
            log_a = -rate * jax.nn.softplus(z[..., 3 * h + heads :] + dt_bias)
        return DeltaNetInputs(
            q=_normalized(q) / (h // heads) ** 0.5,
            k=_normalized(k),
            v=v,
            beta=2.0 * beta if self.negative_eigenvalues else beta,
            log_a=log_a,
        )

    def linear(self, weights: DeltaNetWeights, u: DeltaNetInputs) -> forms.Delta:
        """The state map as a linear form: S' = a S (1 - β k kᵀ) + β v kᵀ."""
        return forms.Delta(u.log_a, u.k, u.beta, u.v)

    def output(
        self, weights: DeltaNetWeights, state: DeltaNetState, u: DeltaNetInputs
    ) -> Float[Array, "*b h"]:
        """What is emitted: S q / √p, heads side by side."""
        y = jnp.einsum("...vk,...k->...v", state.s, u.q)
        return y.reshape(*y.shape[:-2], self.hidden_size)


def _normalized(z: Float[Array, "*b p"]) -> Float[Array, "*b p"]:
    # inside the root, so that value and gradient are finite at 0
    return z / jnp.sqrt(jnp.sum(z * z, axis=-1, keepdims=True) + 1e-6)
