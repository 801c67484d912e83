"""What is timed: a library, a cell of it with given weights, and a sequence."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

__all__ = ["Contender", "Point", "in_jax"]


class Point(NamedTuple):
    """The sizes of one measurement: batch, steps, inputs, units."""

    batch: int
    steps: int
    inputs: int
    units: int

    def __str__(self) -> str:
        """The four numbers, separated by commas."""
        return ", ".join(map(str, self))


class Contender(NamedTuple):
    """One library's training step and forward pass over one sequence, both waiting for their results.

    ``gradients()`` returns the outputs and the gradients under the names of our parameters, for comparison.
    """

    step: Callable[[], Any]
    forward: Callable[[], Any]
    gradients: Callable[[], dict[str, np.ndarray]]


def in_jax(
    unroll: Callable[[Any, Any], Any], params: Any, xs: Any, read: Callable[[Any], dict[str, Any]]
) -> Contender:
    """The contender of a library in JAX: ``unroll(params, xs)`` gives the outputs, batch and time in either order.

    The loss is the mean of the squares of all outputs; ``read(gradients)`` names them as ours.
    """

    def loss(params: Any, xs: Any) -> tuple[Any, Any]:
        ys = unroll(params, xs)
        return jnp.mean(ys**2), ys

    forward = jax.jit(unroll)
    step = jax.jit(lambda params, xs: jax.value_and_grad(lambda p: loss(p, xs)[0])(params))
    return Contender(
        step=lambda: jax.block_until_ready(step(params, xs)),
        forward=lambda: jax.block_until_ready(forward(params, xs)),
        gradients=lambda: {
            name: np.asarray(value)
            for name, value in {"ys": forward(params, xs), **read(step(params, xs)[1])}.items()
        },
    )
