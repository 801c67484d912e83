"""The linear form with the same matrix at every step."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PyTree

from recurrent import arrays
from recurrent.forms.base import Form
from recurrent.forms.dense import Dense

__all__ = ["Constant"]


class _ConstantFields(NamedTuple):
    a: Float[Array, "n n"]
    b: PyTree


class Constant(_ConstantFields, Form):
    """s' = s A + b over the last axis of every leaf of the state, with one matrix A for all steps.

    The pairs of neighbouring steps are a recurrence of half the length with the matrix A², and so on: 2 T products
    with powers of A where a scan of whole matrices needs T products of matrices. Resets cut a pair in two; masked
    steps are taken out beforehand, so that every step left is one power of A.

    >>> halve = Constant(jnp.array([[0.5]]), jnp.array([[1.0], [1.0], [1.0]]))
    >>> halve.scan(jnp.array([0.0]), None, None, None).tolist()
    [[1.0], [1.5], [1.75]]
    """

    __slots__ = ()

    def apply(self, state: PyTree) -> PyTree:
        """The state that the map makes of s: s A + b."""
        return jax.tree.map(lambda s, b: s @ self.a + b, state, self.b)

    def dense(self) -> Dense:
        """The maps as `Dense` ones, a whole matrix for each step."""
        (leaf,) = jax.tree.leaves(self.b)
        return Dense(jnp.broadcast_to(self.a, (*leaf.shape[:-1], *self.a.shape)), self.b)

    def scan(
        self,
        state: PyTree,
        mask: Bool[Array, "t *b"] | None,
        reset: Bool[Array, "t *b"] | None,
        initial: PyTree,
    ) -> PyTree:
        """The state after every step, by powers of A; the arguments are those of `Form.scan`."""
        b, follows = self.b, None
        if reset is not None:
            started = jax.tree.map(lambda leaf, new: new @ self.a + leaf, self.b, initial)
            b = arrays.where(reset, started, b)
            if mask is not None:  # the segment starts all the same, and what starts it is carried
                b = arrays.where(mask, b, jax.tree.map(jnp.broadcast_to, initial, arrays.tree_shape(b)))
            follows = _prepend(False, ~reset)
        # the state before the first step is one more step, which follows nothing
        b = jax.tree.map(lambda leaf, new: jnp.concatenate([new[None], leaf]), b, state)
        if mask is None:
            states = _all_states(b, follows, self.a)
        else:
            counts = _prepend(True, mask if reset is None else mask | reset)
            order = jnp.argsort(~counts, axis=0, stable=True)
            b, follows = _take((b, follows), order)
            states = _all_states(b, follows, self.a)
            states = _take(states, jnp.cumsum(counts, axis=0) - 1)
        return jax.tree.map(lambda leaf: leaf[1:], states)


def _prepend(value: bool, flag: Bool[Array, "t *b"]) -> Bool[Array, "s *b"]:
    return jnp.concatenate([jnp.full_like(flag[:1], value), flag])


def _take(tree: PyTree, index: Array) -> PyTree:
    def take(leaf: Array) -> Array:
        return jnp.take_along_axis(leaf, jnp.expand_dims(index, tuple(range(index.ndim, leaf.ndim))), axis=0)

    return jax.tree.map(take, tree)


def _all_states(b: PyTree, follows: Bool[Array, "t *b"] | None, a: Float[Array, "n n"]) -> PyTree:
    """s_t = s_{t-1} A + b_t where step t follows step t - 1 (None: everywhere), else b_t; s_0 = b_0."""
    length = arrays.num_steps(b)
    if length < 2:
        return b

    def add(state: PyTree, first: int, stop: int) -> PyTree:
        """b + state A at every second step from ``first``, without ``state`` where a segment starts."""
        every_second = slice(first, stop, 2)
        moved = jax.tree.map(lambda leaf: leaf @ a, state)
        if follows is not None:
            moved = arrays.where(follows[every_second], moved, 0.0)
        return jax.tree.map(lambda leaf, more: leaf[every_second] + more, b, moved)

    pairs = add(jax.tree.map(lambda leaf: leaf[: length - 1 : 2], b), 1, length)
    both = None if follows is None else follows[: length - 1 : 2] & follows[1::2]
    odd = _all_states(pairs, both, a @ a)
    even = add(jax.tree.map(lambda leaf: leaf[: (length - 1) // 2], odd), 2, length)
    return jax.tree.map(lambda leaf, *parts: _interleave(leaf[:1], *parts), b, even, odd)


def _interleave(first: Array, even: Array, odd: Array) -> Array:
    even = jnp.concatenate([first, even])
    paired = jnp.stack([even[: odd.shape[0]], odd], axis=1).reshape(2 * odd.shape[0], *odd.shape[1:])
    return jnp.concatenate([paired, even[odd.shape[0] :]])
