"""The memory cell of 1997: no forget gate, and gates that feed one another.

    [i, g, o] = x W_x + [h, i, o] W_h + b        i, o: one gate a block of S cells; g: one entry a cell
    c' = c + σ(i) ⊙ (4 σ(g) - 2)                 c unbounded
    h' = σ(o) ⊙ (2 σ(c') - 1)                    h in (-1, 1)

The cells of a block share its two gates. What recurs is all that the hidden layer emitted at the step before: the
outputs of cells *and* of gates, so the state holds the opened gates too. The first cells belong to the first block.

Source: Hochreiter & Schmidhuber (1997), "Long short-term memory". The gradient of that paper is the gradient of
``rec.cut(cell, ("h", "i", "o"))``: errors flow back through c alone.
"""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from recurrent import arrays
from recurrent.arrays import Key
from recurrent.cell import Cell
from recurrent.sizes import Size

__all__ = ["HS97", "HS97BiasParams", "HS97Params", "HS97State", "HS97Weights"]

BIASES = ("none", "gates", "hidden")


class HS97Params(NamedTuple):
    """The parameters of `HS97` without biases; columns and rows as in `HS97`, ``all`` = cells + 2 blocks."""

    w_x: Float[Array, "d all"]
    w_h: Float[Array, "all all"]


class HS97BiasParams(NamedTuple):
    """The parameters of `HS97` with biases: of the gates (i, o), or of all hidden units (i, g, o)."""

    w_x: Float[Array, "d all"]
    w_h: Float[Array, "all all"]
    b: Float[Array, " biased"]


class HS97Weights(NamedTuple):
    """What `HS97.prepare` makes: a bias for every hidden unit, 0 where there is none to learn."""

    w_x: Float[Array, "d all"]
    w_h: Float[Array, "all all"]
    b: Float[Array, " all"]


class HS97State(NamedTuple):
    """The state of `HS97`: the memory cells, what they emit, and the opened gates of the blocks."""

    c: Float[Array, "*b cells"]
    h: Float[Array, "*b cells"]
    i: Float[Array, "*b blocks"]
    o: Float[Array, "*b blocks"]


@dataclasses.dataclass(frozen=True)
class HS97(Cell):
    """The memory cell blocks of Hochreiter & Schmidhuber (1997).

    Equations and source: the head of this module. ``hidden_size`` counts cells, ``block_size`` of them share their
    gates. The columns of W_x and W_h are in the order i, g, o; the rows of W_h are in the order h, i, o.

    ``bias``: "none", of the "gates", or of all "hidden" units. Everything starts at U(±``init_range``), which the paper
    sets to 0.1 or 0.2, but for the biases of gates that are given: block k starts at entry k mod n of the n numbers in
    ``input_gate_bias`` or ``output_gate_bias``. The paper gives its blocks different negative ones, -1, -2, ...,
    so that they are brought into use one after another.
    Learning rate: by gradient descent, one update a sequence, the paper's are 0.5 for adding, 0.1 for multiplication,
    0.5 and 0.1 for temporal order of two and three symbols, 0.1 to 0.5 for the Reber grammar, 1 for two sequences. With
    ``init_range`` 0.5 and hidden biases, Adam at 3e-2 hardly learns adding of 20 steps here.

    >>> cell = HS97(input_size=2, hidden_size=4, block_size=2, bias="gates", output_gate_bias=(-1, -2))
    >>> cell.init(jax.random.key(0)).b[2:].tolist()
    [-1.0, -2.0]
    >>> weights = cell.prepare(cell.init(jax.random.key(0)))
    >>> state, y = cell.step(weights, cell.initial_state(weights, ()), cell.project(weights, jnp.zeros(2)))
    >>> y.tolist()
    [0.0, 0.0, 0.0, 0.0]
    """

    input_size: Size
    hidden_size: Size
    block_size: Size = 1
    bias: str = "none"
    input_gate_bias: tuple[float | int, ...] = ()
    output_gate_bias: tuple[float | int, ...] = ()
    init_range: float | int = 0.1

    def __post_init__(self) -> None:
        """ValueError, naming the field, where a size or an option is out of its range."""
        super().__post_init__()
        check_blocks(self.hidden_size, self.block_size)
        if self.bias not in BIASES:
            raise ValueError(f"bias: expected {', '.join(BIASES)}, got {self.bias!r}")
        for field in ("input_gate_bias", "output_gate_bias"):
            if self.bias == "none" and getattr(self, field):
                raise ValueError(f"{field}: expected () where bias is 'none', got {getattr(self, field)}")

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one input, ``(d,)``."""
        return (self.input_size,)

    @property
    def local_fields(self) -> tuple[str, ...] | None:
        """The fields that recur inside a unit alone: ``c``; cells that share their gates are no units."""
        return ("c",) if self.block_size == 1 else None

    def init(self, key: Key) -> HS97Params | HS97BiasParams:
        """Fresh parameters: everything uniform in ±``init_range``, but for the biases that are given."""
        key_x, key_h, key_b = jax.random.split(key, 3)
        cells, blocks = self.hidden_size, self.hidden_size // self.block_size
        size = cells + 2 * blocks
        w_x = symmetric(key_x, (self.input_size, size), self.init_range)
        w_h = symmetric(key_h, (size, size), self.init_range)
        if self.bias == "none":
            return HS97Params(w_x, w_h)
        b_i, b_g, b_o = jnp.split(symmetric(key_b, (size,), self.init_range), [blocks, blocks + cells])
        b_i, b_o = in_turn(self.input_gate_bias, b_i), in_turn(self.output_gate_bias, b_o)
        return HS97BiasParams(
            w_x, w_h, jnp.concatenate([b_i, b_o] if self.bias == "gates" else [b_i, b_g, b_o])
        )

    def prepare(self, params: HS97Params | HS97BiasParams) -> HS97Weights:
        """The weights that each step reads: biases for all hidden units, 0 where there are none to learn."""
        if not isinstance(params, HS97BiasParams):
            return HS97Weights(*params, b=jnp.zeros(params.w_h.shape[-1], params.w_h.dtype))
        if self.bias == "gates":
            b_i, b_o = jnp.split(params.b, 2)
            b = jnp.concatenate([b_i, jnp.zeros(self.hidden_size, params.b.dtype), b_o])
            return HS97Weights(params.w_x, params.w_h, b)
        return HS97Weights(*params)

    def initial_state(self, weights: HS97Weights, batch_shape: tuple[int, ...]) -> HS97State:
        """The state before the first step: all 0, the gates too, for nothing was emitted yet."""
        sizes = self.hidden_size, self.hidden_size // self.block_size
        (c, h), (i, o) = (arrays.zeros(2, (*batch_shape, size), weights.b.dtype) for size in sizes)
        return HS97State(c=c, h=h, i=i, o=o)

    def project(self, weights: HS97Weights, x: Float[Array, "*b d"]) -> Float[Array, "*b all"]:
        """What does not depend on the state: x W_x + b."""
        return x @ weights.w_x + weights.b

    def next_state(self, weights: HS97Weights, state: HS97State, u: Float[Array, "*b all"]) -> HS97State:
        """The state after one step, by the equations at the head of this module."""
        z = u + jnp.concatenate([state.h, state.i, state.o], axis=-1) @ weights.w_h
        blocks = self.hidden_size // self.block_size
        z_i, g, z_o = jnp.split(z, [blocks, blocks + self.hidden_size], axis=-1)
        i, o = jax.nn.sigmoid(z_i), jax.nn.sigmoid(z_o)
        c = state.c + spread(i, self.block_size) * squash_input(g)
        return HS97State(c=c, h=spread(o, self.block_size) * squash_output(c), i=i, o=o)


def check_blocks(hidden_size: int, block_size: int) -> None:
    """ValueError where the cells are not whole blocks."""
    if hidden_size % block_size:
        raise ValueError(f"block_size: expected a divisor of hidden_size {hidden_size}, got {block_size}")


def symmetric(key: Key, shape: tuple[int, ...], bound: float | int) -> Array:
    """An array of numbers drawn from U(±``bound``)."""
    return jax.random.uniform(key, shape, minval=-bound, maxval=bound)


def in_turn(values: tuple[float | int, ...], drawn: Float[Array, " blocks"]) -> Float[Array, " blocks"]:
    """The biases of the blocks: ``values`` in turn, or ``drawn`` where there are no values."""
    if not values:
        return drawn
    return jnp.array([float(values[k % len(values)]) for k in range(len(drawn))], drawn.dtype)


def spread(gate: Float[Array, "*b blocks"], block_size: int) -> Float[Array, "*b cells"]:
    """The gates of the blocks, repeated for each of their cells."""
    return gate if block_size == 1 else jnp.repeat(gate, block_size, axis=-1)


def squash_input(z: Array) -> Array:
    """4 σ(z) - 2, the logistic function scaled to (-2, 2)."""
    return 2.0 * jnp.tanh(0.5 * z)


def squash_output(z: Array) -> Array:
    """2 σ(z) - 1, the logistic function scaled to (-1, 1)."""
    return jnp.tanh(0.5 * z)
