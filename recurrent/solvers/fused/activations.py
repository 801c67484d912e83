"""The gates and the candidate of a cell by one activation: σ(z) = tanh(z / 2) / 2 + 1/2, so all are one scaled tanh.

A compiler for CPUs makes a loop of its own of every activation of a piece of a sum. One activation of the whole sum is
one loop, and its derivative is taken piece by piece, where the cotangents arrive.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.ad_checkpoint import checkpoint_name

from recurrent.solvers.fused import programs

__all__ = ["KEPT", "joined"]

SCALES = {"logistic": 0.5, "tanh": 1.0}
KEPT = "kept"
"""The name of what is worth keeping for a backward pass: a piece behind its activation."""


class _Found(NamedTuple):
    """A value that is activated and split, in either order: both at once, ``pieces`` in place of ``instead``."""

    whole: Any
    split: Any
    scales: tuple[float, ...]
    pieces: list[Any]
    instead: list[Any]


def joined(closed: Any) -> Any:
    """The program ``closed``, where a value that is split into pieces, each read by one activation alone, is activated
    whole and then split; so is a value that is split behind its activation, and not read otherwise.
    """
    jaxpr = closed.jaxpr
    readers = programs.readers(jaxpr)
    found = [_behind(split, readers) or _before(split, readers, jaxpr) for split in jaxpr.eqns]
    at = {id(one.split): one for one in found if one}
    done = {id(equation) for one in at.values() for equation in one.instead}
    if not at:
        return closed

    def run(*values: Any) -> list[Any]:
        env = dict(zip([*jaxpr.constvars, *jaxpr.invars], [*closed.consts, *values], strict=True))
        for equation in jaxpr.eqns:
            if id(equation) in at:
                one = at[id(equation)]
                sizes = tuple(map(int, equation.params["sizes"]))
                pieces = _activated(one.scales, sizes, equation.params["axis"], env[one.whole])
                env |= dict(zip(one.pieces, pieces, strict=True))
            elif id(equation) not in done:
                programs.evaluate([equation], env)
        return programs.outputs(jaxpr, env)

    return jax.make_jaxpr(run)(*(var.aval for var in jaxpr.invars))


def _behind(split: Any, readers: dict[Any, list[Any]]) -> _Found | None:
    """Each piece of ``split`` is read by one activation, and by nothing else."""
    if split.primitive.name != "split":
        return None
    reading = [readers.get(piece, []) for piece in split.outvars]
    if any(len(one) != 1 or not _is_activation(one[0]) for one in reading):
        return None
    activations = [one[0] for one in reading]
    scales = tuple(SCALES[activation.primitive.name] for activation in activations)
    return _Found(split.invars[0], split, scales, [one.outvars[0] for one in activations], activations)


def _before(split: Any, readers: dict[Any, list[Any]], jaxpr: Any) -> _Found | None:
    """``split`` reads an activation, which nothing else reads."""
    if split.primitive.name != "split" or len(readers[split.invars[0]]) != 1:
        return None
    makers = [equation for equation in jaxpr.eqns if split.invars[0] in equation.outvars]
    if not makers or not _is_activation(makers[0]):
        return None
    scales = (SCALES[makers[0].primitive.name],) * len(split.outvars)
    return _Found(makers[0].invars[0], split, scales, list(split.outvars), makers)


def _is_activation(equation: Any) -> bool:
    if equation is None or equation.primitive.name not in SCALES:
        return False
    return jnp.issubdtype(equation.outvars[0].aval.dtype, jnp.floating)


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
