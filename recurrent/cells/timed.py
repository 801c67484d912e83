"""Inputs with the time that passed before each of them, for cells whose state moves in continuous time."""

from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

__all__ = ["TimedInput", "check_dt", "elapsed_time", "input_shape"]


class TimedInput(NamedTuple):
    """An input and the time since the one before, in the cell's unit of time; below 0 counts as 0."""

    x: Float[Array, "*b d"]
    dt: Float[Array, "*b"]


def check_dt(dt: float | int | None) -> None:
    """ValueError where a fixed time between steps is not above 0."""
    if dt is not None and dt <= 0:
        raise ValueError(f"dt: expected a time above 0, or None, got {dt}")


def input_shape(input_size: int, dt: float | int | None) -> Any:
    """``(d,)`` where ``dt`` is fixed, else the shapes of a `TimedInput`."""
    shapes: tuple[Any, Any] = ((input_size,), ())
    return shapes[0] if dt is not None else TimedInput(*shapes)


def elapsed_time(x: Any, dt: float | int | None) -> tuple[Float[Array, "*b d"], Float[Array, "*b one"]]:
    """The input, and the time ``[*b, 1]`` before it: ``dt``, or where that is None the input's own."""
    if dt is not None:
        return x, jnp.full_like(x[..., :1], dt)
    return x.x, jnp.maximum(x.dt, 0.0)[..., None]
