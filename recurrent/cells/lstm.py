"""Long short-term memory with a forget gate, optionally with peepholes or with coupled gates.

    i, f, g, o = split(x W_x + h W_h + b)        gates = 4h, blocks in this order
    c' = σ(f) ⊙ c + σ(i) ⊙ tanh(g)               c unbounded
    h' = σ(o) ⊙ tanh(c')                         h in (-1, 1)

Peepholes add p_i ⊙ c to i, p_f ⊙ c to f and p_o ⊙ c' to o. Coupled: there is no block f, and
1 - σ(i) stands in for σ(f).

Source: Hochreiter & Schmidhuber (1997), "Long short-term memory"; forget gate: Gers, Schmidhuber & Cummins
(2000), "Learning to forget"; peepholes: Gers, Schraudolph & Schmidhuber (2002); coupled gates: Greff et
al. (2017), "LSTM: a search space odyssey"; the chrono biases: Tallec & Ollivier (2018).
"""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from recurrent import arrays, initializers
from recurrent.arrays import Key
from recurrent.cell import Cell
from recurrent.initializers import ForgetBias, Spec
from recurrent.sizes import Size

__all__ = ["LSTM", "LSTMParams", "LSTMState", "PeepholeLSTMParams"]


class LSTMParams(NamedTuple):
    """The parameters of `LSTM`; ``gates`` is 4h, or 3h where the gates are coupled."""

    w_x: Float[Array, "d gates"]
    w_h: Float[Array, "h gates"]
    b: Float[Array, " gates"]


class PeepholeLSTMParams(NamedTuple):
    """The parameters of `LSTM` with peepholes; the rows of p are p_i, p_f, p_o (coupled: p_i, p_o)."""

    w_x: Float[Array, "d gates"]
    w_h: Float[Array, "h gates"]
    b: Float[Array, " gates"]
    p: Float[Array, "peepholes h"]


class LSTMState(NamedTuple):
    """The state of `LSTM`: what is emitted, and the memory cell."""

    h: Float[Array, "*b h"]
    c: Float[Array, "*b h"]


@dataclasses.dataclass(frozen=True)
class LSTM(Cell):
    """Long short-term memory.

        i, f, g, o = split(u + h W_h)          u = x W_x + b, from `project`
        c' = σ(f) ⊙ c + σ(i) ⊙ tanh(g)         c unbounded
        h' = σ(o) ⊙ tanh(c')                   h in (-1, 1)

    Source and the two variants: the head of this module.
    Differs: the forget bias starts at 1, as Jozefowicz et al. (2015) advise. ``('chrono', t_max)`` draws
    it as log U[1, t_max - 1] and the input bias as its negative, for dependencies of up to t_max steps;
    coupled gates have one bias, the input gate's.
    Initialisation: W_x Glorot and W_h orthogonal, each gate's block apart, which is this library's choice; Hochreiter &
    Schmidhuber (1997) and Gers et al. (2000) draw weights from U(±0.1) or U(±0.2).
    Learning rate: 0.5, one update a step, in Gers et al. (2000); Adam at 1e-3, gradients clipped at norm 5, in the code
    of van der Westhuizen & Lasenby (2018), with chrono biases or without; Adam at 1e-2 solves adding of 20 steps here.

    >>> cell = LSTM(input_size=2, hidden_size=3)
    >>> weights = cell.prepare(cell.init(jax.random.key(0)))
    >>> state, y = cell.step(weights, cell.initial_state(weights, ()), cell.project(weights, jnp.zeros(2)))
    >>> y.tolist()
    [0.0, 0.0, 0.0]
    """

    input_size: Size
    hidden_size: Size
    forget_bias: ForgetBias = 1.0
    peepholes: bool = False
    coupled: bool = False
    input_init: Spec = "glorot"
    recurrent_init: Spec = "orthogonal"

    def __post_init__(self) -> None:
        """ValueError, naming the field, where a size or an option is out of its range."""
        super().__post_init__()
        initializers.check("input_init", self.input_init)
        initializers.check("recurrent_init", self.recurrent_init)
        initializers.check_forget_bias("forget_bias", self.forget_bias)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one input, ``(d,)``."""
        return (self.input_size,)

    @property
    def local_fields(self) -> tuple[str, ...]:
        """The fields that recur inside a unit alone: ``c``, for h goes round through W_h."""
        return ("c",)

    def init(self, key: Key) -> LSTMParams | PeepholeLSTMParams:
        """Fresh parameters: W_x and W_h drawn gate by gate, b = 0 but for the forget bias, peepholes 0."""
        key_x, key_h, key_b = jax.random.split(key, 3)
        h, num_blocks = self.hidden_size, 3 if self.coupled else 4
        w_x = initializers.blocks(self.input_init, key_x, (self.input_size, h), num_blocks)
        w_h = initializers.blocks(self.recurrent_init, key_h, (h, h), num_blocks)
        forget = initializers.forget_bias(self.forget_bias, key_b, (h,))
        i_bias = -forget if self.coupled or isinstance(self.forget_bias, tuple) else jnp.zeros(h)
        parts = [i_bias] if self.coupled else [i_bias, forget]
        b = jnp.concatenate([*parts, jnp.zeros(h), jnp.zeros(h)])
        if self.peepholes:
            return PeepholeLSTMParams(w_x, w_h, b, jnp.zeros((num_blocks - 1, h)))
        return LSTMParams(w_x, w_h, b)

    def initial_state(
        self, weights: LSTMParams | PeepholeLSTMParams, batch_shape: tuple[int, ...]
    ) -> LSTMState:
        """The state before the first step: h = c = 0."""
        return LSTMState(*arrays.zeros(2, (*batch_shape, self.hidden_size), weights.b.dtype))

    def project(
        self, weights: LSTMParams | PeepholeLSTMParams, x: Float[Array, "*b d"]
    ) -> Float[Array, "*b gates"]:
        """What does not depend on the state: x W_x + b."""
        return x @ weights.w_x + weights.b

    def next_state(
        self, weights: LSTMParams | PeepholeLSTMParams, state: LSTMState, u: Float[Array, "*b gates"]
    ) -> LSTMState:
        """The state after one step, by the equations of the class."""
        return self.next_state_with(weights, state, u, lambda candidate: candidate)

    def next_state_with(
        self,
        weights: LSTMParams | PeepholeLSTMParams,
        state: LSTMState,
        u: Float[Array, "*b gates"],
        change: Callable[[Array], Array],
    ) -> LSTMState:
        """`next_state` with ``change(candidate)`` in place of the candidate tanh(g), ``[*b, h]``."""
        z = jnp.split(u + state.h @ weights.w_h, 3 if self.coupled else 4, axis=-1)
        (z_i, *z_f), g, z_o = z[:-2], z[-2], z[-1]
        peepholes = weights.p if isinstance(weights, PeepholeLSTMParams) else None
        if peepholes is not None:
            z_i = z_i + peepholes[0] * state.c
            z_f = [z + peepholes[1] * state.c for z in z_f]
        i = jax.nn.sigmoid(z_i)
        f = 1.0 - i if self.coupled else jax.nn.sigmoid(z_f[0])
        c = f * state.c + i * change(jnp.tanh(g))
        if peepholes is not None:
            z_o = z_o + peepholes[-1] * c
        return LSTMState(h=jax.nn.sigmoid(z_o) * jnp.tanh(c), c=c)
