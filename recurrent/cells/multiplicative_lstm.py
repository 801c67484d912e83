"""Long short-term memory whose recurrent matrix depends on the input.

    m = (x W_mx) ⊙ (h W_mh)                      stands where h stands in an LSTM
    i, f, g, o = split(x W_x + m W_h + b)
    c' = σ(f) ⊙ c + σ(i) ⊙ g                     c unbounded
    h' = tanh(σ(o) ⊙ c')                         h in (-1, 1)

With ``squashing="usual"`` the last two lines are those of the usual LSTM, c' = σ(f) ⊙ c + σ(i) ⊙ tanh(g) and
h' = σ(o) ⊙ tanh(c').

Source: Krause, Lu, Murray & Renals (2016), "Multiplicative LSTM for sequence modelling"; the squashing as in the
authors' first code, the usual one as in their later code. Differs: the authors' first code adds the bias of g under
the last tanh.
"""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from recurrent import arrays, initializers
from recurrent.arrays import Key
from recurrent.cell import Cell
from recurrent.cells.lstm import LSTMState
from recurrent.initializers import Spec
from recurrent.sizes import Size

__all__ = ["MultiplicativeLSTM", "MultiplicativeLSTMParams", "MultiplicativeLSTMWeights"]

SQUASHINGS = ("paper", "usual")


class MultiplicativeLSTMParams(NamedTuple):
    """The parameters of `MultiplicativeLSTM`; ``gates`` is 4h."""

    w_x: Float[Array, "d gates"]
    w_h: Float[Array, "h gates"]
    b: Float[Array, " gates"]
    w_mx: Float[Array, "d h"]
    w_mh: Float[Array, "h h"]


class MultiplicativeLSTMWeights(NamedTuple):
    """What `MultiplicativeLSTM.prepare` makes: W_x and W_mx side by side, ``all`` is 5h."""

    w_in: Float[Array, "d all"]
    w_h: Float[Array, "h gates"]
    b: Float[Array, " gates"]
    w_mh: Float[Array, "h h"]


@dataclasses.dataclass(frozen=True)
class MultiplicativeLSTM(Cell):
    """Multiplicative long short-term memory.

    Equations and source: the head of this module. ``squashing``: "paper" or "usual". m is 0 at h = 0 and at x = 0, so
    the first step has no recurrent part, and none follows from an input of zeros.
    Initialisation: W_x and W_mx Glorot, W_h and W_mh orthogonal, the forget bias 1 of the authors' later cell. Both
    their trainings set it to 3, the first with W_h and W_mh from N(0, 0.02²), the later one with all four orthogonal.
    Learning rate: Adam at 1e-3, falling linearly to 7e-5 in 100,000 updates, in the authors' later code; RMSprop in the
    first, each step scaled to a norm of 10, times 0.9999 an update, down to 0.01. Adam at 1e-2 solves adding of 20
    steps here.

    >>> cell = MultiplicativeLSTM(input_size=2, hidden_size=3)
    >>> weights = cell.prepare(cell.init(jax.random.key(0)))
    >>> state, y = cell.step(weights, cell.initial_state(weights, ()), cell.project(weights, jnp.zeros(2)))
    >>> y.tolist()
    [0.0, 0.0, 0.0]
    """

    input_size: Size
    hidden_size: Size
    squashing: str = "paper"
    forget_bias: float | int = 1.0
    input_init: Spec = "glorot"
    recurrent_init: Spec = "orthogonal"

    def __post_init__(self) -> None:
        """ValueError, naming the field, where a size or an option is out of its range."""
        super().__post_init__()
        if self.squashing not in SQUASHINGS:
            raise ValueError(f"squashing: expected {' or '.join(SQUASHINGS)}, got {self.squashing!r}")
        initializers.check("input_init", self.input_init)
        initializers.check("recurrent_init", self.recurrent_init)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one input, ``(d,)``."""
        return (self.input_size,)

    def init(self, key: Key) -> MultiplicativeLSTMParams:
        """Fresh parameters: each block of each matrix drawn apart, biases 0 but for the forget bias."""
        key_x, key_h, key_mx, key_mh = jax.random.split(key, 4)
        d, h = self.input_size, self.hidden_size
        return MultiplicativeLSTMParams(
            w_x=initializers.blocks(self.input_init, key_x, (d, h), 4),
            w_h=initializers.blocks(self.recurrent_init, key_h, (h, h), 4),
            b=jnp.zeros((4, h)).at[1].set(self.forget_bias).reshape(-1),
            w_mx=initializers.initialize(self.input_init, key_mx, (d, h)),
            w_mh=initializers.initialize(self.recurrent_init, key_mh, (h, h)),
        )

    def prepare(self, params: MultiplicativeLSTMParams) -> MultiplicativeLSTMWeights:
        """The weights that each step reads: all that x is multiplied with side by side, for one product."""
        w_in = jnp.concatenate([params.w_x, params.w_mx], axis=-1)
        return MultiplicativeLSTMWeights(w_in, params.w_h, params.b, params.w_mh)

    def initial_state(self, weights: MultiplicativeLSTMWeights, batch_shape: tuple[int, ...]) -> LSTMState:
        """The state before the first step: h = c = 0."""
        return LSTMState(*arrays.zeros(2, (*batch_shape, self.hidden_size), weights.b.dtype))

    def project(
        self, weights: MultiplicativeLSTMWeights, x: Float[Array, "*b d"]
    ) -> tuple[Float[Array, "*b gates"], Float[Array, "*b h"]]:
        """What does not depend on the state: x W_x + b and x W_mx."""
        gates, factor = jnp.split(x @ weights.w_in, [4 * self.hidden_size], axis=-1)
        return gates + weights.b, factor

    def next_state(
        self,
        weights: MultiplicativeLSTMWeights,
        state: LSTMState,
        u: tuple[Float[Array, "*b gates"], Float[Array, "*b h"]],
    ) -> LSTMState:
        """The state after one step, by the equations at the head of this module."""
        gates, factor = u
        z_i, z_f, g, z_o = jnp.split(gates + (factor * (state.h @ weights.w_mh)) @ weights.w_h, 4, axis=-1)
        i, f, o = (jax.nn.sigmoid(z) for z in (z_i, z_f, z_o))
        if self.squashing == "paper":
            c = f * state.c + i * g
            return LSTMState(h=jnp.tanh(o * c), c=c)
        c = f * state.c + i * jnp.tanh(g)
        return LSTMState(h=o * jnp.tanh(c), c=c)
