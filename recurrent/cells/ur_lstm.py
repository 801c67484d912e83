"""Long short-term memory with a refined forget gate that starts with a time scale of its own for each unit.

    f, r, g, o = split(x W_x + h W_h + b)        blocks in this order
    a  = σ(r) (1 - (1 - σ(f))²) + (1 - σ(r)) σ(f)²         the effective gate, between σ(f)² and 1 - (1 - σ(f))²
    c' = a ⊙ c + (1 - a) ⊙ tanh(g)               c in (-1, 1)
    h' = σ(o) ⊙ tanh(c')                         h in (-1, 1)

Source: Gu, Gulcehre, Paine, Hoffman & Pascanu (2020), "Improving the gating mechanism of recurrent neural networks":
refine gate r, and uniform gate initialisation of the biases. The first author's code is `src/models/nn/gate.py` of the
repository state-spaces/s4. Differs: b_f and b_r = -b_f are two parameters, where the authors add and subtract one.
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

__all__ = ["URLSTM", "URLSTMParams"]


class URLSTMParams(NamedTuple):
    """The parameters of `URLSTM`; ``gates`` is 4h."""

    w_x: Float[Array, "d gates"]
    w_h: Float[Array, "h gates"]
    b: Float[Array, " gates"]


@dataclasses.dataclass(frozen=True)
class URLSTM(Cell):
    """Long short-term memory with uniform gate initialisation and a refine gate.

    Equations and source: the head of this module. The forget gates of the h units start uniform in (1/h, 1 - 1/h) at
    x = h = 0, so that the longest memory is of about h steps; no number has to be chosen.
    Initialisation: gate biases as in the paper; W_x Glorot and W_h orthogonal, which is this library's choice.
    Learning rate: none was found in print, nor any code of the authors; Adam at 1e-2 solves adding of 20 steps here.

    >>> cell = URLSTM(input_size=2, hidden_size=3)
    >>> weights = cell.prepare(cell.init(jax.random.key(0)))
    >>> state, y = cell.step(weights, cell.initial_state(weights, ()), cell.project(weights, jnp.zeros(2)))
    >>> y.tolist()
    [0.0, 0.0, 0.0]
    """

    input_size: Size
    hidden_size: Size
    input_init: Spec = "glorot"
    recurrent_init: Spec = "orthogonal"

    def __post_init__(self) -> None:
        """ValueError, naming the field, where a size or an option is out of its range."""
        super().__post_init__()
        initializers.check("input_init", self.input_init)
        initializers.check("recurrent_init", self.recurrent_init)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one input, ``(d,)``."""
        return (self.input_size,)

    @property
    def local_fields(self) -> tuple[str, ...]:
        """The fields that recur inside a unit alone: ``c``, for h goes round through W_h."""
        return ("c",)

    def init(self, key: Key) -> URLSTMParams:
        """Fresh parameters: each gate's block of W_x and W_h drawn apart; b_f = σ⁻¹(uniform), b_r = -b_f, others 0."""
        key_x, key_h, key_b = jax.random.split(key, 3)
        h = self.hidden_size
        lowest = min(1.0 / h, 0.5)
        opened = jax.random.uniform(key_b, (h,), minval=lowest, maxval=1.0 - lowest)
        forget = jnp.log(opened) - jnp.log1p(-opened)
        return URLSTMParams(
            w_x=initializers.blocks(self.input_init, key_x, (self.input_size, h), 4),
            w_h=initializers.blocks(self.recurrent_init, key_h, (h, h), 4),
            b=jnp.concatenate([forget, -forget, jnp.zeros(2 * h)]),
        )

    def initial_state(self, weights: URLSTMParams, batch_shape: tuple[int, ...]) -> LSTMState:
        """The state before the first step: h = c = 0."""
        return LSTMState(*arrays.zeros(2, (*batch_shape, self.hidden_size), weights.b.dtype))

    def project(self, weights: URLSTMParams, x: Float[Array, "*b d"]) -> Float[Array, "*b gates"]:
        """What does not depend on the state: x W_x + b."""
        return x @ weights.w_x + weights.b

    def next_state(self, weights: URLSTMParams, state: LSTMState, u: Float[Array, "*b gates"]) -> LSTMState:
        """The state after one step, by the equations at the head of this module."""
        z_f, z_r, g, z_o = jnp.split(u + state.h @ weights.w_h, 4, axis=-1)
        # both shares as sums of positive terms: 1 - a itself would cancel where a is near 1, the range the cell is for
        f, not_f = jax.nn.sigmoid(z_f), jax.nn.sigmoid(-z_f)
        keep = f * (f + 2.0 * jax.nn.sigmoid(z_r) * not_f)
        add = not_f * (not_f + 2.0 * jax.nn.sigmoid(-z_r) * f)
        c = keep * state.c + add * jnp.tanh(g)
        return LSTMState(h=jax.nn.sigmoid(z_o) * jnp.tanh(c), c=c)
