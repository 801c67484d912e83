"""The scalar memory of xLSTM: an LSTM with exponential gates, a normaliser, and heads that mix within themselves.

    i, f, z, o = split(x W_x + h W_h + b)        gates = 4h, blocks in this order; W_h mixes within heads alone
    log f = log σ(f), or f: forget_gate "exp";   log i = i
    m' = max(log f + m, log i)                   the logarithm of the scale of c and n
    c' = e^(log f + m - m') c + e^(log i - m') tanh(z)
    n' = e^(log f + m - m') n + e^(log i - m')
    h' = σ(o) ⊙ c' / max(n', 10⁻¹²)              c' / n' is a mean of what tanh(z) was: h in (-1, 1)

m cancels in h: it keeps c and n in range, and nothing else. While nothing is stored yet, n = 0, m' is log i, as in the
authors' code: then n is 1 after the first step and never below it. (With m = 0 in the maximum, an input gate below
e^-27.6 would leave n under the lower bound, and h too small.) The state map is not linear in the state.

Source: Beck, Pöppel, Spanring, Auer, Prudnikova, Kopp, Klambauer, Brandstetter & Hochreiter (2024), "xLSTM: extended
long short-term memory"; the initialisation is the one of the authors' code. Differs: the surrounding block
(convolution, norm of each head, projections) is left out, and the gates see x through dense matrices where the
authors' code has one block a head.
"""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from recurrent import arrays, initializers
from recurrent.arrays import Key
from recurrent.cell import Cell
from recurrent.initializers import Spec
from recurrent.sizes import Size

__all__ = ["SLSTM", "SLSTMParams", "SLSTMState", "SLSTMWeights"]

FORGET_GATES = {"sigmoid": jax.nn.log_sigmoid, "exp": lambda z: z}
"""The logarithm of the forget gate."""
SMALLEST = 1e-12
"""What the normaliser is kept above."""


class SLSTMParams(NamedTuple):
    """The parameters of `SLSTM`: ``gates`` is 4h; row r of W_h is unit r, from 0 to p - 1, of the column's head."""

    w_x: Float[Array, "d gates"]
    w_h: Float[Array, "p gates"]
    b: Float[Array, " gates"]


class SLSTMWeights(NamedTuple):
    """What `SLSTM.prepare` makes: columns by heads, within them by gates."""

    w_x: Float[Array, "d gates"]
    w_h: Float[Array, "heads p head_gates"]
    b: Float[Array, " gates"]


class SLSTMState(NamedTuple):
    """The state of `SLSTM`: what is emitted, memory, normaliser, and the logarithm of their scale."""

    h: Float[Array, "*b h"]
    c: Float[Array, "*b h"]
    n: Float[Array, "*b h"]
    m: Float[Array, "*b h"]


@dataclasses.dataclass(frozen=True)
class SLSTM(Cell):
    """The sLSTM cell of xLSTM, with heads of hidden_size / num_heads units.

    Equations and source: the head of this module. ``forget_gate``: "sigmoid" or "exp"; the exponential one may exceed
    1, and starts at the same values as the sigmoid.
    Learning rate: AdamW at 1e-3 for parity in the authors' code, falling along a cosine to 1e-6 after 2,000 updates of
    warm-up, with weight decay 0.1; for formal languages the paper searches 1e-2, 1e-3 and 1e-4. Adam at 1e-2 solves
    adding of 20 steps here.

    >>> cell = SLSTM(input_size=2, hidden_size=4, num_heads=2)
    >>> weights = cell.prepare(cell.init(jax.random.key(0)))
    >>> state, y = cell.step(weights, cell.initial_state(weights, ()), cell.project(weights, jnp.zeros(2)))
    >>> y.tolist()
    [0.0, 0.0, 0.0, 0.0]
    """

    input_size: Size
    hidden_size: Size
    num_heads: Size = 1
    forget_gate: str = "sigmoid"
    recurrent_init: Spec = "zeros"

    def __post_init__(self) -> None:
        """ValueError, naming the field, where a size or an option is out of its range."""
        super().__post_init__()
        if self.num_heads < 1 or self.hidden_size % self.num_heads:
            raise ValueError(
                f"num_heads: expected a divisor of hidden_size {self.hidden_size}, got {self.num_heads}"
            )
        if self.forget_gate not in FORGET_GATES:
            raise ValueError(f"forget_gate: expected {' or '.join(FORGET_GATES)}, got {self.forget_gate!r}")
        initializers.check("recurrent_init", self.recurrent_init)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one input, ``(d,)``."""
        return (self.input_size,)

    @property
    def local_fields(self) -> tuple[str, ...]:
        """The fields that recur inside a unit alone: memory, normaliser and scale, for h goes round through W_h."""
        return ("c", "n", "m")

    def init(self, key: Key) -> SLSTMParams:
        """Fresh parameters: W_x from N(0, 2/5d), each head's block of W_h as ``recurrent_init`` says; b_f falls within
        a head, else 0.

        Unit r of a head of p starts with b_f = 5 - 12 (r / (p - 1))^0.3: at x = 0 the first unit of a head remembers
        about 150 steps, the last one none.
        """
        key_x, key_h = jax.random.split(key)
        d, h, heads = self.input_size, self.hidden_size, self.num_heads
        p = h // heads
        forget = jnp.tile(5.0 - 12.0 * (jnp.arange(p) / max(p - 1, 1)) ** 0.3, heads)
        if self.forget_gate == "exp":
            forget = jax.nn.log_sigmoid(forget)
        return SLSTMParams(
            w_x=(2.0 / (5.0 * d)) ** 0.5 * jax.random.normal(key_x, (d, 4 * h)),
            w_h=initializers.blocks(self.recurrent_init, key_h, (p, p), 4 * heads),
            b=jnp.concatenate([jnp.zeros(h), forget, jnp.zeros(2 * h)]),
        )

    def prepare(self, params: SLSTMParams) -> SLSTMWeights:
        """The weights that each step reads: all gates of a head side by side, for one product a head."""
        heads = self.num_heads

        def by_heads(leaf: Float[Array, "*rows gates"]) -> Float[Array, "*rows heads head_gates"]:
            parts = leaf.reshape(*leaf.shape[:-1], 4, heads, -1)
            return jnp.moveaxis(parts, -3, -2).reshape(*leaf.shape[:-1], heads, -1)

        return SLSTMWeights(
            w_x=by_heads(params.w_x).reshape(params.w_x.shape),
            w_h=jnp.moveaxis(by_heads(params.w_h), -2, 0),
            b=by_heads(params.b).reshape(-1),
        )

    def initial_state(self, weights: SLSTMWeights, batch_shape: tuple[int, ...]) -> SLSTMState:
        """The state before the first step: h = c = n = m = 0."""
        return SLSTMState(*arrays.zeros(4, (*batch_shape, self.hidden_size), weights.b.dtype))

    def project(self, weights: SLSTMWeights, x: Float[Array, "*b d"]) -> Float[Array, "*b heads head_gates"]:
        """What does not depend on the state: x W_x + b, head by head."""
        u = x @ weights.w_x + weights.b
        return u.reshape(*u.shape[:-1], self.num_heads, u.shape[-1] // self.num_heads)

    def next_state(
        self, weights: SLSTMWeights, state: SLSTMState, u: Float[Array, "*b heads head_gates"]
    ) -> SLSTMState:
        """The state after one step, by the equations at the head of this module."""
        shape = state.h.shape
        by_heads = state.h.reshape(*shape[:-1], self.num_heads, shape[-1] // self.num_heads)
        gates = u + jnp.einsum("...kp,kpq->...kq", by_heads, weights.w_h)
        log_i, f, z, o = (part.reshape(shape) for part in jnp.split(gates, 4, axis=-1))
        kept = jnp.where(state.n == 0, log_i, FORGET_GATES[self.forget_gate](f) + state.m)
        m = jnp.maximum(kept, log_i)
        keep, add = jnp.exp(kept - m), jnp.exp(log_i - m)
        c = keep * state.c + add * jnp.tanh(z)
        n = keep * state.n + add
        return SLSTMState(jax.nn.sigmoid(o) * c / jnp.maximum(n, SMALLEST), c, n, m)
