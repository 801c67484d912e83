"""The gates and the candidate of a cell by one activation: σ(z) = tanh(z / 2) / 2 + 1/2, so all are one scaled tanh.

A compiler for CPUs makes a loop of its own of every activation of a piece of a sum. One activation of the whole sum is
one loop, and its derivative is taken piece by piece, where the cotangents arrive.
"""

import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.ad_checkpoint import checkpoint_name

from recurrent.solvers.fused import programs

__all__ = ["KEPT", "joined"]

SCALES = {"logistic": 0.5, "tanh": 1.0}
KEPT = "kept"
"""The name of what is worth keeping for a backward pass: a piece behind its activation."""


def joined(closed: Any) -> Any:
    """The program ``closed``, where a value that is split into pieces, each read by one activation alone, is activated
    whole and then split.
    """
    jaxpr = closed.jaxpr
    readers = programs.readers(jaxpr)
    found = {id(split): activations for split in jaxpr.eqns if (activations := _activations(split, readers))}
    if not found:
        return closed
    done = {id(activation) for activations in found.values() for activation in activations}

    def run(*values: Any) -> list[Any]:
        env = dict(zip([*jaxpr.constvars, *jaxpr.invars], [*closed.consts, *values], strict=True))
        for equation in jaxpr.eqns:
            if id(equation) in found:
                activations = found[id(equation)]
                scales = tuple(SCALES[activation.primitive.name] for activation in activations)
                sizes = tuple(map(int, equation.params["sizes"]))
                (whole,) = programs.operands(equation, env)
                pieces = _activated(scales, sizes, equation.params["axis"], whole)
                env |= {one.outvars[0]: piece for one, piece in zip(activations, pieces, strict=True)}
            elif id(equation) not in done:
                programs.evaluate([equation], env)
        return programs.outputs(jaxpr, env)

    return jax.make_jaxpr(run)(*(var.aval for var in jaxpr.invars))


def _activations(equation: Any, readers: dict[Any, list[Any]]) -> Sequence[Any]:
    """The activation of each piece that ``equation`` splits off; none where it splits nothing, or a piece is read
    otherwise too.
    """
    if equation.primitive.name != "split":
        return ()
    found = [readers.get(piece, []) for piece in equation.outvars]
    if any(len(reading) != 1 or reading[0] is None for reading in found):
        return ()
    activations = [reading[0] for reading in found]
    is_real = jnp.issubdtype(equation.invars[0].aval.dtype, jnp.floating)
    return activations if is_real and {one.primitive.name for one in activations} <= set(SCALES) else ()


@functools.partial(jax.custom_jvp, nondiff_argnums=(0, 1, 2))
def _activated(scales: tuple[float, ...], sizes: tuple[int, ...], axis: int, whole: Any) -> list[Any]:
    """The pieces of ``whole`` of such ``sizes`` along ``axis``, behind their activations."""
    return _by_one_tanh(scales, sizes, axis, whole)[1]


def _by_one_tanh(scales: Any, sizes: Any, axis: int, whole: Any) -> tuple[list[Any], list[Any]]:
    """The pieces of the scaled tanh, and of what is made of them."""
    shape = [1] * whole.ndim
    shape[axis] = -1
    scale = jnp.asarray(np.repeat(scales, sizes).reshape(shape), whole.dtype)
    cut = [checkpoint_name(piece, KEPT) for piece in jax.lax.split(jnp.tanh(whole * scale), sizes, axis)]
    found = [
        piece if scale == SCALES["tanh"] else piece * scale + (1.0 - scale)
        for piece, scale in zip(cut, scales, strict=True)
    ]
    return cut, found


@_activated.defjvp
def _(scales: Any, sizes: Any, axis: int, primals: Any, tangents: Any) -> tuple[list[Any], list[Any]]:
    cut, found = _by_one_tanh(scales, sizes, axis, primals[0])
    slopes = [scale**2 * (1.0 - piece * piece) for piece, scale in zip(cut, scales, strict=True)]
    moved = jax.lax.split(tangents[0], sizes, axis)
    return found, [tangent * slope for tangent, slope in zip(moved, slopes, strict=True)]
