"""The matrix memory of xLSTM: keys and values are stored in a matrix under exponential gates, several heads apart.

For each head of p units, with q, k and v the head's parts of x W + b, and C the matrix memory [v, k]:

    log i = x w_i + b_i                          log f = log σ(x w_f + b_f), or x w_f + b_f: forget_gate "exp"
    m' = max(log f + m, log i)                   the logarithm of the scale of C and n
    C' = e^(log f + m - m') C + e^(log i - m') v kᵀ / √p
    n' = e^(log f + m - m') n + e^(log i - m') k / √p
    y  = σ(x W_o + b_o) ⊙ C' q / max(|n'·q|, e^-m')

m cancels in y: it keeps C and n in range, and nothing else.

Source: Beck, Pöppel, Spanring, Auer, Prudnikova, Kopp, Klambauer, Brandstetter & Hochreiter (2024), "xLSTM: extended
long short-term memory"; the initialisation is the one of the authors' code. Differs: the surrounding block (projection
up and down, convolution, norm of each head, skip connection) is left out. The authors' code adds 10⁻⁶ to the
denominator, and its gates i and f read q, k and v side by side where they read x here.
"""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from recurrent import arrays, forms
from recurrent.arrays import Key
from recurrent.cell import Cell
from recurrent.sizes import Size

__all__ = ["MLSTM", "MLSTMInputs", "MLSTMParams", "MLSTMState", "MLSTMWeights"]

FORGET_GATES = {"sigmoid": jax.nn.log_sigmoid, "exp": lambda z: z}
"""The logarithm of the forget gate."""


class MLSTMParams(NamedTuple):
    """The parameters of `MLSTM`."""

    w_q: Float[Array, "d h"]
    w_k: Float[Array, "d h"]
    w_v: Float[Array, "d h"]
    w_o: Float[Array, "d h"]
    b_q: Float[Array, " h"]
    b_k: Float[Array, " h"]
    b_v: Float[Array, " h"]
    b_o: Float[Array, " h"]
    w_i: Float[Array, "d heads"]
    w_f: Float[Array, "d heads"]
    b_i: Float[Array, " heads"]
    b_f: Float[Array, " heads"]


class MLSTMWeights(NamedTuple):
    """What `MLSTM.prepare` makes: all products side by side, in the order q, k, v, o, i, f."""

    w: Float[Array, "d all"]
    b: Float[Array, " all"]


class MLSTMInputs(NamedTuple):
    """What `MLSTM.project` makes; k is divided by √p, o is the opened gate."""

    q: Float[Array, "*b heads p"]
    k: Float[Array, "*b heads p"]
    v: Float[Array, "*b heads p"]
    o: Float[Array, "*b h"]
    log_i: Float[Array, "*b heads"]
    log_f: Float[Array, "*b heads"]


class MLSTMState(NamedTuple):
    """The state of `MLSTM`: memory [v, k], normaliser, and the logarithm of their scale."""

    c: Float[Array, "*b heads p p"]
    n: Float[Array, "*b heads p"]
    m: Float[Array, "*b heads"]


@dataclasses.dataclass(frozen=True)
class MLSTM(Cell):
    """The mLSTM cell of xLSTM, a memory of p x p numbers for each head of p = hidden_size / num_heads units.

    Equations and source: the head of this module. ``forget_gate``: "sigmoid" or "exp"; the exponential one may exceed
    1, and starts at the same values as the sigmoid.
    Learning rate: 1e-3 with warmup and cosine decay, in the paper for WikiText-103 and in the authors' code, by AdamW,
    for parity; for formal languages and associative recall the paper sweeps 1e-4 to 1e-2 (its appendix B).

    >>> cell = MLSTM(input_size=2, hidden_size=4, num_heads=2)
    >>> weights = cell.prepare(cell.init(jax.random.key(0)))
    >>> state, y = cell.step(weights, cell.initial_state(weights, ()), cell.project(weights, jnp.zeros(2)))
    >>> state.c.shape, y.tolist()
    ((2, 2, 2), [0.0, 0.0, 0.0, 0.0])
    """

    input_size: Size
    hidden_size: Size
    num_heads: Size = 1
    forget_gate: str = "sigmoid"

    def __post_init__(self) -> None:
        """ValueError, naming the field, where a size or an option is out of its range."""
        super().__post_init__()
        if self.num_heads < 1 or self.hidden_size % self.num_heads:
            raise ValueError(
                f"num_heads: expected a divisor of hidden_size {self.hidden_size}, got {self.num_heads}"
            )
        if self.forget_gate not in FORGET_GATES:
            raise ValueError(f"forget_gate: expected {' or '.join(FORGET_GATES)}, got {self.forget_gate!r}")

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one input, ``(d,)``."""
        return (self.input_size,)

    def init(self, key: Key) -> MLSTMParams:
        """Fresh parameters: N(0, 2/5d) for q, k, v and o; gates that do not see x yet: log i from N(0, 0.1²), f spread
        over heads.
        """
        *keys, key_i = jax.random.split(key, 5)
        d, h, heads = self.input_size, self.hidden_size, self.num_heads
        w_q, w_k, w_v, w_o = ((2.0 / (5.0 * d)) ** 0.5 * jax.random.normal(part, (d, h)) for part in keys)
        spread = jnp.linspace(3.0, 6.0, heads)
        return MLSTMParams(
            w_q=w_q,
            w_k=w_k,
            w_v=w_v,
            w_o=w_o,
            b_q=jnp.zeros(h),
            b_k=jnp.zeros(h),
            b_v=jnp.zeros(h),
            b_o=jnp.zeros(h),
            w_i=jnp.zeros((d, heads)),
            w_f=jnp.zeros((d, heads)),
            b_i=0.1 * jax.random.normal(key_i, (heads,)),
            b_f=spread if self.forget_gate == "sigmoid" else jax.nn.log_sigmoid(spread),
        )

    def prepare(self, params: MLSTMParams) -> MLSTMWeights:
        """The weights that each step reads: all that x is multiplied with side by side, for one product."""
        p = params
        return MLSTMWeights(
            w=jnp.concatenate([p.w_q, p.w_k, p.w_v, p.w_o, p.w_i, p.w_f], axis=-1),
            b=jnp.concatenate([p.b_q, p.b_k, p.b_v, p.b_o, p.b_i, p.b_f]),
        )

    def initial_state(self, weights: MLSTMWeights, batch_shape: tuple[int, ...]) -> MLSTMState:
        """The state before the first step: C = n = m = 0."""
        heads, p = self.num_heads, self.hidden_size // self.num_heads

        def zeros(*shape: int) -> Array:
            return jnp.zeros((*batch_shape, *shape), weights.b.dtype)

        return MLSTMState(c=zeros(heads, p, p), n=zeros(heads, p), m=zeros(heads))

    def project(self, weights: MLSTMWeights, x: Float[Array, "*b d"]) -> MLSTMInputs:
        """What does not depend on the state: queries, keys, values and the gates."""
        h, heads = self.hidden_size, self.num_heads
        z = x @ weights.w + weights.b
        *qkv, o, log_i, f = jnp.split(z, [h, 2 * h, 3 * h, 4 * h, 4 * h + heads], axis=-1)
        q, k, v = (part.reshape(*part.shape[:-1], heads, h // heads) for part in qkv)
        return MLSTMInputs(
            q=q,
            k=k / (h // heads) ** 0.5,
            v=v,
            o=jax.nn.sigmoid(o),
            log_i=log_i,
            log_f=FORGET_GATES[self.forget_gate](f),
        )

    def linear(self, weights: MLSTMWeights, u: MLSTMInputs) -> forms.ScalarDecay:
        """The state map as a linear form: (C, n) decays by f and gains i (v kᵀ, k)."""
        return forms.ScalarDecay(u.log_f, MLSTMState(arrays.outer(u.v, u.k), u.k, u.log_i))

    def output(self, weights: MLSTMWeights, state: MLSTMState, u: MLSTMInputs) -> Float[Array, "*b h"]:
        """What is emitted: what q reads from the memory, normalised, behind the output gate."""
        # both sides of the quotient times e^min(m, 0): e^-m alone overflows where m is far below 0
        scale = jnp.exp(jnp.minimum(state.m, 0.0))
        read = scale[..., None] * jnp.einsum("...vk,...k->...v", state.c, u.q)
        overlap = scale * jnp.abs(jnp.sum(state.n * u.q, axis=-1))
        h = read / jnp.maximum(overlap, jnp.exp(-jnp.maximum(state.m, 0.0)))[..., None]
        return u.o * h.reshape(*h.shape[:-2], self.hidden_size)
