"""What a cell reads where a task gives vectors at regular steps: cells with time, with missing entries, over images."""

import math
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

import recurrent as rec
from experiments.errors import Fault
from recurrent import arrays


def _ones(xs: Array) -> Array:
    return jnp.ones(xs.shape[:-1], xs.dtype)


REGULAR: dict[type, Callable[[Array], Any]] = {
    tuple: lambda xs: xs,
    rec.GRUDInput: lambda xs: rec.GRUDInput(xs, jnp.ones_like(xs), jnp.ones_like(xs)),
    rec.TimedInput: lambda xs: rec.TimedInput(xs, _ones(xs)),
    rec.SegmentInput: lambda xs: rec.SegmentInput(xs, jnp.zeros_like(_ones(xs)).at[0].set(1)),
    rec.StampedInput: lambda xs: rec.StampedInput(xs, jnp.cumsum(_ones(xs), axis=0)),
}
"""What to make of vectors, by the type of ``input_shape``: a step takes one unit of time, no entry is missing,
and the first step starts a segment."""


def check(cell: Any, input_size: int) -> None:
    """Fault where `fit` cannot make vectors of ``input_size`` entries what the cell reads."""
    shape = cell.input_shape
    if type(shape) not in REGULAR or math.prod(arrays.shape_leaves(shape)[0]) != input_size:
        raise Fault(f"--cell: {cell} reads inputs of shape {shape}, the task gives vectors of {input_size}")


def fit(cell: Any, xs: Float[Array, "t *b d"]) -> Any:
    """The vectors in the shape and with the times that the cell reads."""
    shape = cell.input_shape
    return REGULAR[type(shape)](xs.reshape(*xs.shape[:-1], *arrays.shape_leaves(shape)[0]))
