"""The axis legend, the named array types, and selection over pytrees.

Axes: ``t`` time, ``*b`` any batch axes, ``d`` input, ``h`` hidden, ``k`` output. Every array of the
library is laid out ``[t, *b, *event]``: time first, event axes last, any batch axes between.
"""

from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Inexact, PRNGKeyArray, PyTree

__all__ = [
    "Array",
    "Bool",
    "Flag",
    "Float",
    "Inexact",
    "Key",
    "PyTree",
    "Shape",
    "Steps",
    "batch_shape",
    "cast",
    "is_known",
    "is_shape",
    "num_steps",
    "outer",
    "real_dtype",
    "shape_leaves",
    "spread",
    "tree_shape",
    "where",
    "widened",
    "zeros",
]

Key = PRNGKeyArray
Shape = PyTree
"""A tuple of ints for one array, or a pytree of such tuples for a pytree of arrays."""
Flag = Bool[Array, "*b"]
"""One truth value for each sequence of a batch."""
Steps = Bool[Array, "t *b"]
"""One truth value for each time step of each sequence: a mask, or the starts of segments."""


def where(flag: Bool[Array, "..."], new: PyTree, old: PyTree) -> PyTree:
    """Select ``new`` where ``flag`` is True, else ``old``, leaf by leaf.

    ``flag`` holds the leading axes of every leaf of ``new``; it is broadcast over whatever event
    axes follow. ``old`` is a pytree like ``new``, or one scalar for all of its leaves. Selection,
    not multiplication: NaN on the side that is not taken reaches neither values nor gradients.

    >>> where(jnp.array([True, False]), {"a": jnp.ones((2, 3))}, 0.0)["a"].tolist()
    [[1.0, 1.0, 1.0], [0.0, 0.0, 0.0]]
    """

    def select(leaf: Array, other: Any) -> Array:
        event_axes = tuple(range(flag.ndim, jnp.ndim(leaf)))
        return jnp.where(jnp.expand_dims(flag, event_axes), leaf, other)

    if isinstance(old, (int, float)):
        return jax.tree.map(lambda leaf: select(leaf, jnp.asarray(old, leaf.dtype)), new)
    return jax.tree.map(select, new, old)


def zeros(count: int, shape: tuple[Any, ...], dtype: Any) -> tuple[Array, ...]:
    """``count`` arrays of zeros, each with a buffer of its own: a state that shares one cannot be donated.

    >>> h, c = zeros(2, (3,), jnp.float32)
    >>> h is c
    False
    """
    return tuple(jnp.zeros(shape, dtype) for _ in range(count))


def spread(leaf: Inexact[Array, "..."], batch_shape: tuple[Any, ...]) -> Inexact[Array, "..."]:
    """``leaf`` for each of ``batch_shape`` sequences, in a buffer of its own even where there is one sequence.

    >>> spread(jnp.array([1.0, 2.0]), (3,)).shape
    (3, 2)
    """
    return jnp.broadcast_to(leaf, (*batch_shape, *leaf.shape)).copy()


def real_dtype(tree: PyTree) -> Any:
    """The real dtype that holds the numbers of all leaves; of a complex one, that of its parts.

    >>> real_dtype([jnp.zeros(2, jnp.complex64), jnp.zeros(2, jnp.bfloat16)])
    dtype('float32')
    """
    return jnp.result_type(*(jnp.finfo(jnp.result_type(leaf)).dtype for leaf in jax.tree.leaves(tree)))


def cast(tree: PyTree, dtype: Any) -> PyTree:
    """The floating leaves in a real ``dtype``, complex ones in the complex type of that width; others as they are.

    >>> leaves = cast([jnp.zeros(2, jnp.bfloat16), jnp.zeros(2, jnp.complex64), jnp.zeros(2, bool)], jnp.float32)
    >>> [str(leaf.dtype) for leaf in leaves]
    ['float32', 'complex64', 'bool']
    """

    def one(leaf: Any) -> Array:
        leaf = jnp.asarray(leaf)
        if jnp.issubdtype(leaf.dtype, jnp.complexfloating):
            return leaf.astype(jnp.result_type(dtype, jnp.complex64))
        return leaf.astype(dtype) if jnp.issubdtype(leaf.dtype, jnp.floating) else leaf

    return jax.tree.map(one, tree)


def widened(fn: Callable[..., Array], *given: Array) -> Array:
    """``fn(*given)`` computed in float32 where ``given`` have fewer bits, for what linear algebra has no 16 bits.

    >>> widened(jnp.linalg.inv, jnp.full((1, 1), 4.0, jnp.bfloat16))
    Array([[0.25]], dtype=bfloat16)
    """
    dtype = given[0].dtype
    return fn(*(one.astype(jnp.promote_types(dtype, jnp.float32)) for one in given)).astype(dtype)


def outer(a: Inexact[Array, "*b n"], b: Inexact[Array, "*b m"]) -> Inexact[Array, "*b n m"]:
    """The products of all pairs of entries of two vectors, ``[*b, m]`` and ``[*b, n]`` -> ``[*b, m, n]``.

    As an einsum, whose derivative is two products of a matrix and a vector. By broadcasting it is two sums over all
    entries, which took the gradient of a matrix memory several times as long on a CPU.

    >>> outer(jnp.array([1.0, 2.0]), jnp.array([3.0, 4.0])).tolist()
    [[3.0, 4.0], [6.0, 8.0]]
    """
    # nothing is summed: on a GPU a product of lower precision would round the entries themselves
    return jnp.einsum("...n,...m->...nm", a, b, precision=jax.lax.Precision.HIGHEST)


def is_known(size: Any) -> bool:
    """Whether a size is a number while a program is traced, and no symbol of `jax.export`, which cannot be compared."""
    return isinstance(size, int | np.integer)


def is_shape(node: Any) -> bool:
    """Whether a node of a `Shape` is the shape of one array: a plain tuple of ints, NumPy's too."""
    return type(node) is tuple and all(isinstance(size, int | np.integer) for size in node)


def shape_leaves(shape: Shape) -> list[tuple[int, ...]]:
    """The tuples of a `Shape`, in the order of the pytree."""
    return [tuple(map(int, sizes)) for sizes in jax.tree.leaves(shape, is_leaf=is_shape)]


def tree_shape(tree: PyTree) -> Shape:
    """The shape of every leaf, as a pytree of tuples."""
    return jax.tree.map(lambda leaf: tuple(jnp.shape(leaf)), tree)


def _leading(xs: PyTree, event_shape: Shape) -> Iterator[tuple[int, ...]]:
    leaves, shapes = jax.tree.leaves(xs), shape_leaves(event_shape)
    if len(leaves) != len(shapes):
        raise ValueError(f"xs: expected {len(shapes)} arrays of event shapes {shapes}, got {len(leaves)}")
    for leaf, shape in zip(leaves, shapes, strict=True):
        if jnp.ndim(leaf) < len(shape) or tuple(jnp.shape(leaf)[jnp.ndim(leaf) - len(shape) :]) != shape:
            raise ValueError(f"xs: expected shape (..., {', '.join(map(str, shape))}), got {jnp.shape(leaf)}")
        yield tuple(jnp.shape(leaf)[: jnp.ndim(leaf) - len(shape)])


def batch_shape(x: PyTree, event_shape: Shape) -> tuple[int, ...]:
    """The axes in front of ``event_shape`` that all leaves of ``x`` share; ValueError where they differ."""
    leading = set(_leading(x, event_shape))
    if len(leading) != 1:
        raise ValueError(f"xs: the leaves disagree about their leading axes: {sorted(leading)}")
    return leading.pop()


def num_steps(xs: PyTree) -> int:
    """The length of the time axis that all leaves of ``xs`` share."""
    return jax.tree.leaves(xs)[0].shape[0]
