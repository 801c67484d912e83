"""Elementwise maps."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import PyTree

from recurrent.forms.base import Composable

__all__ = ["Diagonal"]


class _DiagonalFields(NamedTuple):
    a: PyTree
    b: PyTree


class Diagonal(_DiagonalFields, Composable):
    """s' = a ⊙ s + b, elementwise, real or complex; ``a`` and ``b`` are pytrees like the state.

    >>> double_plus_one = Diagonal(jnp.array(2.0), jnp.array(1.0))
    >>> float(double_plus_one.compose(double_plus_one).apply(jnp.array(10.0)))
    43.0
    """

    __slots__ = ()

    def compose(self, earlier: "Diagonal") -> "Diagonal":
        """a = a₂ a₁, b = a₂ b₁ + b₂."""
        return Diagonal(jax.tree.map(jnp.multiply, self.a, earlier.a), self.apply(earlier.b))

    def identity(self) -> "Diagonal":
        """a = 1, b = 0."""
        return Diagonal(jax.tree.map(jnp.ones_like, self.a), jax.tree.map(jnp.zeros_like, self.b))

    def constant(self, state: PyTree) -> "Diagonal":
        """a = 0, b = state."""
        b = jax.tree.map(lambda leaf, new: jnp.broadcast_to(new, leaf.shape), self.b, state)
        return Diagonal(jax.tree.map(jnp.zeros_like, self.a), b)

    def apply(self, state: PyTree) -> PyTree:
        """a ⊙ state + b."""
        return jax.tree.map(lambda a, s, b: a * s + b, self.a, state, self.b)

    def value(self) -> PyTree:
        """b."""
        return self.b
