"""The minimal gated recurrent networks: gates and candidate see the input alone, so the state map is linear.

    MinGRU      z, n = split(x W_x + b)                  blocks in the order z, n
                h' = (1 - σ(z)) ⊙ h + σ(z) ⊙ g(n)        h between 0 and the candidates so far

    MinLSTM     i, f, n = split(x W_x + b)               blocks in the order i, f, n
                f' = σ(f) / (σ(f) + σ(i)),  i' = 1 - f'
                h' = f' ⊙ h + i' ⊙ g(n)                  h between 0 and the candidates so far

g is the identity; with ``log_space`` it is the positive candidate g(n) = n + 1/2 where n >= 0, else σ(n), which
the authors need to compute in logarithms. Here it is the same function, computed without them.

Source: Feng, Tung, Ahmed, Bengio & Hajimirsadeghi (2024), "Were RNNs all we needed?". Differs: the biases of the gates
start at ``forget_bias``, where a plain linear layer starts near 0 and forgets half of the state at each step.
"""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from recurrent import forms, initializers
from recurrent.arrays import Key
from recurrent.cell import Cell
from recurrent.initializers import ForgetBias, Spec
from recurrent.sizes import Size

__all__ = ["MinGRU", "MinGRUParams", "MinGRUState", "MinLSTM", "MinLSTMParams", "MinLSTMState"]


class MinGRUParams(NamedTuple):
    """The parameters of `MinGRU`; ``gates`` is 2h."""

    w_x: Float[Array, "d gates"]
    b: Float[Array, " gates"]


class MinGRUState(NamedTuple):
    """The state of `MinGRU`."""

    h: Float[Array, "*b h"]


class MinLSTMParams(NamedTuple):
    """The parameters of `MinLSTM`; ``gates`` is 3h."""

    w_x: Float[Array, "d gates"]
    b: Float[Array, " gates"]


class MinLSTMState(NamedTuple):
    """The state of `MinLSTM`."""

    h: Float[Array, "*b h"]


@dataclasses.dataclass(frozen=True)
class _MinGated(Cell):
    """What `MinGRU` and `MinLSTM` share: their fields, and everything but the gates."""

    input_size: Size
    hidden_size: Size
    log_space: bool = False
    forget_bias: ForgetBias = 1.0
    input_init: Spec = "glorot"

    def __post_init__(self) -> None:
        """ValueError, naming the field, where a size or an option is out of its range."""
        super().__post_init__()
        initializers.check("input_init", self.input_init)
        initializers.check_forget_bias("forget_bias", self.forget_bias)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one input, ``(d,)``."""
        return (self.input_size,)

    @property
    def local_fields(self) -> tuple[str, ...]:
        """The fields that recur inside a unit alone: ``h``, for no unit sees another."""
        return ("h",)

    def _init(self, key: Key, num_gates: int) -> tuple[Float[Array, "d gates"], Float[Array, " h"]]:
        """W_x, each block apart, and the log-odds of keeping the state."""
        key_x, key_b = jax.random.split(key)
        w_x = initializers.blocks(self.input_init, key_x, (self.input_size, self.hidden_size), num_gates)
        return w_x, initializers.forget_bias(self.forget_bias, key_b, (self.hidden_size,))

    def project(
        self, weights: MinGRUParams | MinLSTMParams, x: Float[Array, "*b d"]
    ) -> Float[Array, "*b gates"]:
        """What does not depend on the state: x W_x + b."""
        return x @ weights.w_x + weights.b

    def _candidate(self, n: Float[Array, "*b h"]) -> Float[Array, "*b h"]:
        return jnp.where(n >= 0.0, n + 0.5, jax.nn.sigmoid(n)) if self.log_space else n


@dataclasses.dataclass(frozen=True)
class MinGRU(_MinGated):
    """Minimal gated recurrent unit.

    Equations and source: the head of this module. ``forget_bias`` is the log-odds of keeping the state at x = 0 in
    the beginning: the bias of z starts at its negative. ``('chrono', t_max)`` draws it as log U[1, t_max - 1], for
    dependencies of up to t_max steps (Tallec & Ollivier, 2018). It starts at 1, the value of the library's `LSTM`.
    Initialisation: W_x is Glorot here; the authors' code leaves it, and b, to torch's linear layer.
    Learning rate: AdamW at 3e-4 in a published copy of the authors' settings, for selective copying with gradients
    clipped to norm 1, for parity without; no weight decay for W_x and b. Adam at 1e-2 learns adding of 20 steps here.

    >>> cell = MinGRU(input_size=2, hidden_size=3)
    >>> weights = cell.prepare(cell.init(jax.random.key(0)))
    >>> state, y = cell.step(weights, cell.initial_state(weights, ()), cell.project(weights, jnp.zeros(2)))
    >>> y.tolist()
    [0.0, 0.0, 0.0]
    """

    def init(self, key: Key) -> MinGRUParams:
        """Fresh parameters: W_x as ``input_init`` says, b_z = -``forget_bias``, b_n = 0."""
        w_x, forget = self._init(key, 2)
        return MinGRUParams(w_x, jnp.concatenate([-forget, jnp.zeros_like(forget)]))

    def initial_state(self, weights: MinGRUParams, batch_shape: tuple[int, ...]) -> MinGRUState:
        """The state before the first step: h = 0."""
        return MinGRUState(jnp.zeros((*batch_shape, self.hidden_size), weights.b.dtype))

    def linear(self, weights: MinGRUParams, u: Float[Array, "*b gates"]) -> forms.Diagonal:
        """The state map as a linear form: h' = (1 - σ(z)) ⊙ h + σ(z) ⊙ g(n)."""
        z, n = jnp.split(u, 2, axis=-1)
        # 1 - σ(z) is σ(-z), without the cancellation of a closed gate
        keep, add = jax.nn.sigmoid(-z), jax.nn.sigmoid(z) * self._candidate(n)
        return forms.Diagonal(MinGRUState(keep), MinGRUState(add))


@dataclasses.dataclass(frozen=True)
class MinLSTM(_MinGated):
    """Minimal long short-term memory, without an output gate.

    Equations and source: the head of this module. ``forget_bias`` as in `MinGRU`: the biases start at
    b_f = ``forget_bias`` and b_i = -``forget_bias``, whose normalised gate f' is σ(``forget_bias``).
    Initialisation: as for `MinGRU`; the authors' code can raise b_f alone, by 3 in that copy of its settings.
    Learning rate: as for `MinGRU`, AdamW at 3e-4.

    >>> cell = MinLSTM(input_size=2, hidden_size=3)
    >>> weights = cell.prepare(cell.init(jax.random.key(0)))
    >>> state, y = cell.step(weights, cell.initial_state(weights, ()), cell.project(weights, jnp.zeros(2)))
    >>> y.tolist()
    [0.0, 0.0, 0.0]
    """

    def init(self, key: Key) -> MinLSTMParams:
        """Fresh parameters: W_x as ``input_init`` says, b_f = ``forget_bias`` = -b_i, b_n = 0."""
        w_x, forget = self._init(key, 3)
        return MinLSTMParams(w_x, jnp.concatenate([-forget, forget, jnp.zeros_like(forget)]))

    def initial_state(self, weights: MinLSTMParams, batch_shape: tuple[int, ...]) -> MinLSTMState:
        """The state before the first step: h = 0."""
        return MinLSTMState(jnp.zeros((*batch_shape, self.hidden_size), weights.b.dtype))

    def linear(self, weights: MinLSTMParams, u: Float[Array, "*b gates"]) -> forms.Diagonal:
        """The state map as a linear form: h' = f' ⊙ h + i' ⊙ g(n)."""
        i, f, n = jnp.split(u, 3, axis=-1)
        # the quotient itself would be 0 / 0 where both gates are closed
        log_odds = jax.nn.log_sigmoid(f) - jax.nn.log_sigmoid(i)
        keep, add = jax.nn.sigmoid(log_odds), jax.nn.sigmoid(-log_odds) * self._candidate(n)
        return forms.Diagonal(MinLSTMState(keep), MinLSTMState(add))
