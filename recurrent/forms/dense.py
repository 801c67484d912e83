"""The linear form with a whole matrix for each step: any form is one, so it is the oracle of those that are faster."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from recurrent.forms.base import Composable

__all__ = ["Dense", "times"]


def times(leaf: Array, matrix: Array) -> Array:
    """``leaf @ matrix`` over the last axis, where ``leaf`` may lack the axis of rows that ``matrix`` has."""
    if leaf.ndim == matrix.ndim - 1:
        return jnp.einsum("...j,...jk->...k", leaf, matrix)
    return leaf @ matrix


class _DenseFields(NamedTuple):
    a: Float[Array, "*b n n"]
    b: PyTree


class Dense(_DenseFields, Composable):
    """s' = s A + b over the last axis of every leaf of the state, ``[*b, n]`` or ``[*b, m, n]``; A is ``[*b, n, n]``.

    >>> swap_and_add = Dense(jnp.array([[0.0, 1.0], [1.0, 0.0]]), jnp.array([1.0, 0.0]))
    >>> swap_and_add.apply(jnp.array([5.0, 7.0])).tolist()
    [8.0, 5.0]
    """

    __slots__ = ()

    def compose(self, earlier: "Dense") -> "Dense":
        """The map of ``earlier`` (A₁, b₁), then this one (A₂, b₂): A = A₁ A₂, b = b₁ A₂ + b₂."""
        return Dense(earlier.a @ self.a, self.apply(earlier.b))

    def identity(self) -> "Dense":
        """The map that changes nothing: A = 1, b = 0."""
        a = jnp.broadcast_to(jnp.eye(self.a.shape[-1], dtype=self.a.dtype), self.a.shape)
        return Dense(a, jax.tree.map(jnp.zeros_like, self.b))

    def constant(self, state: PyTree) -> "Dense":
        """The map that returns ``state`` whatever it is given: A = 0, b = state."""
        b = jax.tree.map(lambda leaf, new: jnp.broadcast_to(new, leaf.shape), self.b, state)
        return Dense(jnp.zeros_like(self.a), b)

    def apply(self, state: PyTree) -> PyTree:
        """The state that the map makes of s: s A + b."""
        return jax.tree.map(lambda s, b: times(s, self.a) + b, state, self.b)

    def value(self) -> PyTree:
        """The state that a constant map returns: its b."""
        return self.b
