"""What the complex diagonal state spaces share: the recurrence between two dense maps, once both are prepared.

    h' = a ⊙ h + x B          h complex
    y  = Re(h' C) + x D

`LRU` and `S5` differ in their parameters, in how a, B and C come from them, and in where they start.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float

from recurrent import forms
from recurrent.cell import Cell
from recurrent.sizes import Size

__all__ = ["ComplexDiagonal", "ComplexDiagonalState", "ComplexDiagonalWeights"]


class ComplexDiagonalWeights(NamedTuple):
    """What ``prepare`` makes: a, B, C and D."""

    decay: Complex[Array, " n"]
    b_re: Float[Array, "d n"]
    b_im: Float[Array, "d n"]
    c_re: Float[Array, "n k"]
    c_im: Float[Array, "n k"]
    d: Float[Array, "d k"]


class ComplexDiagonalState(NamedTuple):
    """A complex state; it is not what is emitted."""

    h: Complex[Array, "*b n"]


class ComplexDiagonal(Cell):
    """The cell whose ``prepare`` returns `ComplexDiagonalWeights`; a subclass brings parameters and sizes."""

    input_size: Size
    hidden_size: Size

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one input, ``(d,)``."""
        return (self.input_size,)

    @property
    def local_fields(self) -> tuple[str, ...]:
        """The fields that recur inside a unit alone: ``h``, for no unit sees another."""
        return ("h",)

    def initial_state(
        self, weights: ComplexDiagonalWeights, batch_shape: tuple[int, ...]
    ) -> ComplexDiagonalState:
        """The state before the first step: h = 0."""
        return ComplexDiagonalState(jnp.zeros((*batch_shape, self.hidden_size), weights.decay.dtype))

    def project(
        self, weights: ComplexDiagonalWeights, x: Float[Array, "*b d"]
    ) -> tuple[Complex[Array, "*b n"], Float[Array, "*b k"]]:
        """What does not depend on the state: x B, which drives the state, and x D, which skips it."""
        # x is real: two real products are half the work of a complex one
        return jax.lax.complex(x @ weights.b_re, x @ weights.b_im), x @ weights.d

    def linear(
        self, weights: ComplexDiagonalWeights, u: tuple[Complex[Array, "*b n"], Float[Array, "*b k"]]
    ) -> forms.Diagonal:
        """The state map as a linear form: h' = a ⊙ h + x B."""
        drive, _ = u
        decay = jnp.broadcast_to(weights.decay, drive.shape)
        return forms.Diagonal(ComplexDiagonalState(decay), ComplexDiagonalState(drive))

    def output(
        self,
        weights: ComplexDiagonalWeights,
        state: ComplexDiagonalState,
        u: tuple[Complex[Array, "*b n"], Float[Array, "*b k"]],
    ) -> Float[Array, "*b k"]:
        """What is emitted: Re(h C) + x D."""
        return state.h.real @ weights.c_re - state.h.imag @ weights.c_im + u[1]
