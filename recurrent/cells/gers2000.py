"""The memory cell blocks that first had a forget gate.

    [i, f, g, o] = x W_x + h W_h + [b_i, b_f, 0, b_o]      i, f, o: one gate a block of S cells; g: one entry a cell
    c' = σ(f) ⊙ c + σ(i) ⊙ (4 σ(g) - 2)                    c unbounded
    h' = σ(o) ⊙ (2 σ(c') - 1)                              h in (-1, 1)

The cells of a block share its three gates. Unlike the network of 1997 (`HS97`), gates feed nothing but their cells:
what recurs is h.

Source: Gers, Schmidhuber & Cummins (2000), "Learning to forget: continual prediction with LSTM"; connections and
biases are those of its network for the continual embedded Reber grammar.
"""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from recurrent import arrays
from recurrent.arrays import Key
from recurrent.cell import Cell
from recurrent.cells.hs97 import check_blocks, in_turn, spread, squash_input, squash_output, symmetric
from recurrent.sizes import Size

__all__ = ["GersBlock", "GersBlockParams", "GersBlockState"]


class GersBlockParams(NamedTuple):
    """The parameters of `GersBlock`; ``all`` = cells + 3 blocks, ``gates`` = 3 blocks: b_i, b_f, b_o."""

    w_x: Float[Array, "d all"]
    w_h: Float[Array, "cells all"]
    b: Float[Array, " gates"]


class GersBlockState(NamedTuple):
    """The state of `GersBlock`: what is emitted, and the memory cells."""

    h: Float[Array, "*b cells"]
    c: Float[Array, "*b cells"]


@dataclasses.dataclass(frozen=True)
class GersBlock(Cell):
    """The memory cell blocks of Gers, Schmidhuber & Cummins (2000).

    Equations and source: the head of this module. ``hidden_size`` counts cells, ``block_size`` of them share their
    gates. The columns of W_x and W_h are in the order i, f, g, o.

    Initialisation: weights start at U(±``init_range``), block k with the biases at entry k mod n of the n numbers
    given; all defaults are the paper's, for its four blocks of two cells. Where nothing is given, ``()``, biases are
    drawn too.
    Learning rate: 0.5, one update a step (the paper's), fixed or times 0.99 a step from the start of each training
    stream. Adam at 1e-2 hardly learns adding of 20 steps here in 400 updates; Adam at 5e-3 solves adding of 100
    steps here in 1,600.

    >>> cell = GersBlock(input_size=7, hidden_size=8, block_size=2)
    >>> weights = cell.prepare(cell.init(jax.random.key(0)))
    >>> weights.b.tolist()
    [-0.5, -1.0, -1.5, -2.0, 0.5, 1.0, 1.5, 2.0, -0.5, -1.0, -1.5, -2.0]
    >>> state, y = cell.step(weights, cell.initial_state(weights, ()), cell.project(weights, jnp.zeros(7)))
    >>> y.tolist()
    [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]
    """

    input_size: Size
    hidden_size: Size
    block_size: Size = 1
    input_gate_bias: tuple[float | int, ...] = (-0.5, -1.0, -1.5, -2.0)
    forget_gate_bias: tuple[float | int, ...] = (0.5, 1.0, 1.5, 2.0)
    output_gate_bias: tuple[float | int, ...] = (-0.5, -1.0, -1.5, -2.0)
    init_range: float | int = 0.2

    def __post_init__(self) -> None:
        """ValueError, naming the field, where a size or an option is out of its range."""
        super().__post_init__()
        check_blocks(self.hidden_size, self.block_size)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one input, ``(d,)``."""
        return (self.input_size,)

    @property
    def local_fields(self) -> tuple[str, ...] | None:
        """The fields that recur inside a unit alone: ``c``; cells that share their gates are no units."""
        return ("c",) if self.block_size == 1 else None

    def init(self, key: Key) -> GersBlockParams:
        """Fresh parameters: weights uniform, biases of gates as given."""
        key_x, key_h, key_b = jax.random.split(key, 3)
        cells, blocks = self.hidden_size, self.hidden_size // self.block_size
        drawn = symmetric(key_b, (3, blocks), self.init_range)
        given = (self.input_gate_bias, self.forget_gate_bias, self.output_gate_bias)
        return GersBlockParams(
            w_x=symmetric(key_x, (self.input_size, cells + 3 * blocks), self.init_range),
            w_h=symmetric(key_h, (cells, cells + 3 * blocks), self.init_range),
            b=jnp.concatenate([in_turn(values, row) for values, row in zip(given, drawn, strict=True)]),
        )

    def initial_state(self, weights: GersBlockParams, batch_shape: tuple[int, ...]) -> GersBlockState:
        """The state before the first step: h = c = 0."""
        return GersBlockState(*arrays.zeros(2, (*batch_shape, self.hidden_size), weights.b.dtype))

    def project(self, weights: GersBlockParams, x: Float[Array, "*b d"]) -> Float[Array, "*b all"]:
        """What does not depend on the state: x W_x, with the biases of the gates."""
        b_if, b_o = jnp.split(weights.b, [2 * (self.hidden_size // self.block_size)])
        return x @ weights.w_x + jnp.concatenate([b_if, jnp.zeros(self.hidden_size, b_o.dtype), b_o])

    def next_state(
        self, weights: GersBlockParams, state: GersBlockState, u: Float[Array, "*b all"]
    ) -> GersBlockState:
        """The state after one step, by the equations at the head of this module."""
        blocks = self.hidden_size // self.block_size
        ends = [blocks, 2 * blocks, 2 * blocks + self.hidden_size]
        z_i, z_f, g, z_o = jnp.split(u + state.h @ weights.w_h, ends, axis=-1)
        i, f, o = (spread(jax.nn.sigmoid(z), self.block_size) for z in (z_i, z_f, z_o))
        c = f * state.c + i * squash_input(g)
        return GersBlockState(h=o * squash_output(c), c=c)
