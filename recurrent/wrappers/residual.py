"""A wrapper that adds a cell's input to its output."""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from recurrent.cell import Cell, Noisy
from recurrent.wrappers.base import Wrapper

__all__ = ["Residual", "residual"]


class ResidualInput(NamedTuple):
    """The projected input of a `Residual` cell: the input as it came, and the cell's own."""

    x: Any
    u: Any


@dataclasses.dataclass(frozen=True)
class Residual(Wrapper):
    """A cell that emits the sum of its input and its output; see `residual`."""

    keeps_map = True

    def __post_init__(self) -> None:
        """ValueError unless inputs and outputs of the cell have one shape."""
        super().__post_init__()
        given, emitted = self.cell.input_shape, self.cell.output_shape
        if given != emitted:
            raise ValueError(f"cell: expected outputs of shape {given}, like its inputs, got {emitted}")

    def project(self, weights: Any, x: Any) -> ResidualInput:
        """The input, without its noise, beside what the wrapped cell projects from it."""
        return ResidualInput(Noisy.of(x).x, self.cell.project(weights, x))

    def next_state(self, weights: Any, state: Any, u: ResidualInput) -> Any:
        """The state of the wrapped cell after one step."""
        return self.cell.next_state(weights, state, u.u)

    def linear(self, weights: Any, u: ResidualInput) -> Any:
        """The linear form of the wrapped cell's state map."""
        return self.cell.linear(weights, u.u)

    def output(self, weights: Any, state: Any, u: ResidualInput) -> Any:
        """What is emitted: x + y, the input and the output of the wrapped cell."""
        return jax.tree.map(jnp.add, u.x, self.cell.output(weights, state, u.u))


def residual(cell: Cell) -> Residual:
    """The cell that emits x + y; ValueError where its inputs and outputs differ in shape.

    Source: He et al. (2016), "Deep residual learning for image recognition"; between recurrent layers Wu et al.
    (2016), "Google's neural machine translation system".

    >>> import recurrent as rec
    >>> cell = residual(rec.Elman(2, 2))  # with parameters of 0 it emits its input
    >>> rec.unroll(cell, jax.tree.map(jnp.zeros_like, cell.init(jax.random.key(0))), jnp.ones((1, 2)))[1].tolist()
    [[1.0, 1.0]]
    """
    return Residual(cell)
