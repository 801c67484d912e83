"""The linear form of elementwise maps."""

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
        """The map of ``earlier`` (a₁, b₁), then this one (a₂, b₂): a = a₂ a₁, b = a₂ b₁ + b₂."""
        return Diagonal(jax.tree.map(jnp.multiply, self.a, earlier.a), self.apply(earlier.b))

    def identity(self) -> "Diagonal":
        """The map that changes nothing: a = 1, b = 0."""
        return Diagonal(jax.tree.map(jnp.ones_like, self.a), jax.tree.map(jnp.zeros_like, self.b))

    def constant(self, state: PyTree) -> "Diagonal":
        """The map that returns ``state`` whatever it is given: a = 0, b = state."""
        b = jax.tree.map(lambda leaf, new: jnp.broadcast_to(new, leaf.shape), self.b, state)
        return Diagonal(jax.tree.map(jnp.zeros_like, self.a), b)

    def apply(self, state: PyTree) -> PyTree:
        """The state that the map makes of s: a ⊙ s + b."""
        return jax.tree.map(lambda a, s, b: a * s + b, self.a, state, self.b)

    def value(self) -> PyTree:
        """The state that a constant map returns: its b."""
        return self.b
