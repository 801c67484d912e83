"""Linear forms: maps of the state, one for each step, that compose (DESIGN: the monoid behind a parallel scan).

A form is a pytree with leading axes ``[t, *b]`` and four operations. ``later.compose(earlier)`` is the
map that applies ``earlier`` first; ``identity`` is a masked step; ``constant`` is a reset; ``apply``
is the state map itself. Composition is associative, so all prefixes can be formed in O(log T) depth.
"""

import abc
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PyTree

from recurrent import arrays

__all__ = ["Diagonal", "Form", "ScalarDecay"]


class Form(abc.ABC):
    """One linear map of the state for each leading index."""

    @abc.abstractmethod
    def compose(self, earlier: "Form") -> "Form":
        """This map after ``earlier``."""

    @abc.abstractmethod
    def identity(self) -> "Form":
        """The map that changes nothing, shaped like this one."""

    @abc.abstractmethod
    def constant(self, state: PyTree) -> "Form":
        """The map that forgets its argument and returns ``state``, shaped like this one."""

    @abc.abstractmethod
    def apply(self, state: PyTree) -> PyTree:
        """The map at ``state``."""

    @abc.abstractmethod
    def value(self) -> PyTree:
        """The state that a constant map returns."""

    def scan(
        self,
        state: PyTree,
        mask: Bool[Array, "t *b"] | None,
        reset: Bool[Array, "t *b"] | None,
        initial: PyTree,
        chunk: int | None,
    ) -> PyTree:
        """The state after every step, ``[t, *b, ...]``.

        Args:
            state: the state before the first step.
            mask: steps at which the map is the identity are False.
            reset: steps before which the state becomes ``initial`` are True.
            initial: the state at the start of a segment.
            chunk: how many steps are scanned in parallel; None: all of them.
        """
        forms = self if mask is None else arrays.where(mask, self, self.identity())
        if reset is not None:
            forms = arrays.where(reset, forms.compose(forms.constant(initial)), forms)
        length = arrays.num_steps(forms)
        if chunk is None or chunk >= length:
            return _prefix_states(forms, state)
        whole = length - length % chunk
        blocks = jax.tree.map(
            lambda leaf: leaf[:whole].reshape(whole // chunk, chunk, *leaf.shape[1:]), forms
        )

        def one_block(carry: PyTree, block: "Form") -> tuple[PyTree, PyTree]:
            states = _prefix_states(block, carry)
            return jax.tree.map(lambda leaf: leaf[-1], states), states

        last, states = jax.lax.scan(one_block, state, blocks)
        states = jax.tree.map(lambda leaf: leaf.reshape(whole, *leaf.shape[2:]), states)
        if whole == length:
            return states
        rest = _prefix_states(jax.tree.map(lambda leaf: leaf[whole:], forms), last)
        return jax.tree.map(lambda a, b: jnp.concatenate([a, b]), states, rest)


def _prefix_states(forms: Any, state: PyTree) -> PyTree:
    if arrays.num_steps(forms) == 0:
        return forms.value()
    first = jax.tree.map(lambda leaf: leaf[0], forms)
    start = first.constant(first.apply(state))
    forms = jax.tree.map(lambda leaf, new: jnp.concatenate([new[None], leaf[1:]]), forms, start)
    prefixes = jax.lax.associative_scan(lambda earlier, later: later.compose(earlier), forms)
    return prefixes.value()


class _DiagonalFields(NamedTuple):
    a: PyTree
    b: PyTree


class Diagonal(_DiagonalFields, Form):
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


class _ScalarDecayFields(NamedTuple):
    log_a: Float[Array, "*b"]
    b: Any


# exp of it is 0 in every dtype, sums of a million of it are finite in float32: -inf would make NaN of -inf + inf
_FORGETS = -1e30


class ScalarDecay(_ScalarDecayFields, Form):
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
        """log_a = log_a₂ + log_a₁, b = this map at b₁."""
        return ScalarDecay(self.log_a + earlier.log_a, self._plus(self.log_a, earlier.b))

    def identity(self) -> "ScalarDecay":
        """log_a = 0, B = 0 with a scale of 0."""
        nothing = jax.tree.map(jnp.zeros_like, self.b)._replace(m=jnp.full_like(self.b.m, _FORGETS))
        return ScalarDecay(jnp.zeros_like(self.log_a), nothing)

    def constant(self, state: PyTree) -> "ScalarDecay":
        """log_a = "minus infinity", b = state."""
        b = jax.tree.map(lambda leaf, new: jnp.broadcast_to(new, leaf.shape), self.b, state)
        return ScalarDecay(jnp.full_like(self.log_a, _FORGETS), b)

    def apply(self, state: PyTree) -> PyTree:
        """The state map; see the class."""
        return self._plus(self.log_a, state)

    def value(self) -> PyTree:
        """b."""
        return self.b
