"""The network of 1997 for long lags without noise: one gate, and nothing goes round but the memory.

    i  = σ(x W_i),  g = σ(x W_g)                 both in (0, 1)
    c' = c + i ⊙ g                               c unbounded
    y  = a c'                                    a = 1; 0: what reads y does not see the memory

The map is linear in the state, with the identity as its matrix.

Source: Hochreiter & Schmidhuber (1997), "Long short-term memory", experiments 2a and 2b: no output gate, h the
identity, g within [0, 1], no biases, and connections from every layer to all above it, so that a readout sees x too.
There the memory cell and its gate join the network once its error has stopped to fall: train with ``gain=0``, then
start from those parameters with ``gain=1``.
"""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from recurrent import forms
from recurrent.arrays import Key
from recurrent.cell import Cell
from recurrent.cells.hs97 import symmetric
from recurrent.sizes import Size

__all__ = ["HS97LongLag", "HS97LongLagParams", "HS97LongLagState"]


class HS97LongLagParams(NamedTuple):
    """The parameters of `HS97LongLag`, blocks i, g."""

    w_x: Float[Array, "d two_h"]


class HS97LongLagState(NamedTuple):
    """The state of `HS97LongLag`."""

    c: Float[Array, "*b h"]


@dataclasses.dataclass(frozen=True)
class HS97LongLag(Cell):
    """Memory cells that add what their input gate lets in, and forget nothing.

    Equations and source: the head of this module. With 101 inputs, one unit, and a readout of 101 outputs that sees x
    and y and has no bias, there are 10,504 weights, as printed.
    Initialisation: U(±``init_range``), with the paper's 0.2.
    ``gain`` is no parameter: the memory is multiplied with it before it is read; 0 for a network that the memory has
    not joined yet.
    Learning rate: 1 by gradient descent, one update a sequence (the paper's); Adam at 0.1 solves adding of 20 steps
    here.

    >>> cell = HS97LongLag(input_size=2, hidden_size=1)
    >>> weights = cell.prepare(cell.init(jax.random.key(0)))
    >>> state, y = cell.step(weights, cell.initial_state(weights, ()), cell.project(weights, jnp.zeros(2)))
    >>> y.tolist()
    [0.25]
    """

    input_size: Size
    hidden_size: Size
    init_range: float | int = 0.2
    gain: float | int = 1

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one input, ``(d,)``."""
        return (self.input_size,)

    @property
    def local_fields(self) -> tuple[str, ...]:
        """The fields that recur inside a unit alone: ``c``."""
        return ("c",)

    def init(self, key: Key) -> HS97LongLagParams:
        """Fresh parameters: everything uniform in ±``init_range``."""
        return HS97LongLagParams(symmetric(key, (self.input_size, 2 * self.hidden_size), self.init_range))

    def initial_state(self, weights: HS97LongLagParams, batch_shape: tuple[int, ...]) -> HS97LongLagState:
        """The state before the first step: c = 0."""
        return HS97LongLagState(jnp.zeros((*batch_shape, self.hidden_size), weights.w_x.dtype))

    def project(self, weights: HS97LongLagParams, x: Float[Array, "*b d"]) -> Float[Array, "*b h"]:
        """What does not depend on the state, and is added to it: i ⊙ g."""
        i, g = jnp.split(jax.nn.sigmoid(x @ weights.w_x), 2, axis=-1)
        return i * g

    def linear(self, weights: HS97LongLagParams, u: Float[Array, "*b h"]) -> forms.Diagonal:
        """The state map as a linear form: c' = 1 ⊙ c + u."""
        return forms.Diagonal(HS97LongLagState(jnp.ones_like(u)), HS97LongLagState(u))

    def output(
        self, weights: HS97LongLagParams, state: HS97LongLagState, u: Float[Array, "*b h"]
    ) -> Float[Array, "*b h"]:
        """What is emitted: the new memory c', times ``gain``."""
        return self.gain * state.c
