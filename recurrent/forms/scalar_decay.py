"""The linear form of states of any shape that decay by a scalar, with exponential gates."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from recurrent.forms.base import Composable

__all__ = ["ScalarDecay"]


class _ScalarDecayFields(NamedTuple):
    log_a: Float[Array, "*b"]
    b: Any


# exp of it is 0 in every dtype, sums of a million of it are finite in float32: -inf would make NaN of -inf + inf
_FORGETS = -1e30


class ScalarDecay(_ScalarDecayFields, Composable):
    """S' = e^log_a S + B for states of any shape, with the running maximum that keeps it in range.

    The state is a NamedTuple with a field ``m``, the logarithm of the scale, ``[*b]``; every other field holds its
    true value times e^-m. ``b`` is such a state too. With m' = max(log_a + m, b.m):

        S' = e^(log_a + m - m') S + e^(b.m - m') B       for every field S of the state but m

    The maximum of a sum is a sum of maxima over the composed map, so ``m`` composes exactly.
    """

    __slots__ = ()

    def _plus(self, log_scale: Float[Array, "*b"], state: Any) -> Any:
        shifted = log_scale + state.m
        m = jnp.maximum(shifted, self.b.m)
        keep, add = jnp.exp(shifted - m), jnp.exp(self.b.m - m)

        def blend(old: Array, new: Array) -> Array:
            axes = tuple(range(m.ndim, new.ndim))
            return jnp.expand_dims(keep, axes) * old + jnp.expand_dims(add, axes) * new

        return jax.tree.map(blend, state._replace(m=m), self.b._replace(m=m))._replace(m=m)

    def compose(self, earlier: "ScalarDecay") -> "ScalarDecay":
        """The map of ``earlier`` (log_a₁, b₁), then this one: log_a = log_a₂ + log_a₁, b = this map at b₁."""
        return ScalarDecay(self.log_a + earlier.log_a, self._plus(self.log_a, earlier.b))

    def identity(self) -> "ScalarDecay":
        """The map that changes nothing: log_a = 0, B = 0 with a scale of 0."""
        nothing = jax.tree.map(jnp.zeros_like, self.b)._replace(m=jnp.full_like(self.b.m, _FORGETS))
        return ScalarDecay(jnp.zeros_like(self.log_a), nothing)

    def constant(self, state: PyTree) -> "ScalarDecay":
        """The map that returns ``state`` whatever it is given: log_a = "minus infinity", b = state."""
        b = jax.tree.map(lambda leaf, new: jnp.broadcast_to(new, leaf.shape), self.b, state)
        return ScalarDecay(jnp.full_like(self.log_a, _FORGETS), b)

    def apply(self, state: PyTree) -> PyTree:
        """The state that the map makes of ``state``, by the equations of the class."""
        return self._plus(self.log_a, state)

    def value(self) -> PyTree:
        """The state that a constant map returns: its b."""
        return self.b
