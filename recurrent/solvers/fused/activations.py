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
from jax.extend import core

from recurrent.solvers.fused import programs

__all__ = ["CHEAP", "KEPT", "joined"]

SCALES = {"logistic": 0.5, "tanh": 1.0}
CHEAP = frozenset(
    """abs add add_any and broadcast_in_dim ceil clamp complex concatenate conj convert_element_type copy copy_p div
    dynamic_slice eq expand_dims floor ge gt imag integer_pow iota is_finite le logistic lt max min mul ne neg not or
    pad real reduce_precision reshape rev round select_n sign square squeeze stop_gradient sub tanh transpose""".split()
)
"""What is computed again for the backward pass. All else is kept: products, what is not known here, and pieces, for a
loop that reads a piece of what is kept whole runs several times as long as one that reads the piece."""
KEPT = "kept"
"""The name of what is worth keeping for a backward pass: a piece behind its activation."""


class _Activation(NamedTuple):
    """A value ``whole`` that is activated, and split into ``pieces`` before or after; one piece where it is not split.

    All of it is computed in place of equation ``split``; the equations ``instead`` are left out.
    """

    whole: Any
    split: Any
    scales: tuple[float, ...]
    sizes: tuple[int, ...]
    axis: int
    pieces: list[Any]
    instead: list[Any]


def joined(closed: Any) -> Any:
    """The program ``closed``, with its activations as a backward pass wants them.

    A value that is split into pieces, each read by one activation alone, is activated whole and then split; so is a
    value that is split behind its activation, and not read otherwise. An activation of a product keeps its result.
    """
    jaxpr = closed.jaxpr
    readers = programs.readers(jaxpr)
    found = [_behind(split, readers) or _before(split, readers, jaxpr) for split in jaxpr.eqns]
    at = {id(one.split): one for one in found if one}
    done = {id(equation) for one in at.values() for equation in one.instead}
    of_products = _of_products(jaxpr)
    hot = [one for one in jaxpr.eqns if _reads(one, of_products)]
    at |= {id(one): _alone(one) for one in hot if _is_activation(one) and id(one) not in done}
    rectified = {id(one) for one in hot if _is_relu(one)}
    if not at and not rectified:
        return closed

    def run(*values: Any) -> list[Any]:
        env = dict(zip([*jaxpr.constvars, *jaxpr.invars], [*closed.consts, *values], strict=True))
        for equation in jaxpr.eqns:
            if id(equation) in at:
                one = at[id(equation)]
                pieces = _activated(one.scales, one.sizes, one.axis, env[one.whole])
                env |= dict(zip(one.pieces, pieces, strict=True))
            elif id(equation) in rectified:
                env[equation.outvars[0]] = _rectified(env[equation.invars[0]])
            elif id(equation) not in done:
                programs.evaluate([equation], env)
        return programs.outputs(jaxpr, env)

    return jax.make_jaxpr(run)(*(var.aval for var in jaxpr.invars))


def _of_products(jaxpr: Any) -> set[Any]:
    """The variables that cannot be computed again without a product, or without keeping what one gave."""
    found: set[Any] = set()
    for equation in jaxpr.eqns:
        name = equation.primitive.name
        is_cheap = name in CHEAP and name not in SCALES
        if name in programs.PRODUCTS or (is_cheap and _reads(equation, found)):
            found |= set(equation.outvars)
    return found


def _reads(equation: Any, variables: set[Any]) -> bool:
    return any(not isinstance(atom, core.Literal) and atom in variables for atom in equation.invars)


def _alone(equation: Any) -> _Activation:
    """An activation that is not split: one piece."""
    shape = equation.outvars[0].aval.shape or (1,)
    scales, axis = (SCALES[equation.primitive.name],), len(shape) - 1
    return _Activation(
        equation.invars[0], equation, scales, shape[-1:], axis, list(equation.outvars), [equation]
    )


def _behind(split: Any, readers: dict[Any, list[Any]]) -> _Activation | None:
    """Each piece of ``split`` is read by one activation, and by nothing else."""
    if split.primitive.name != "split":
        return None
    reading = [readers.get(piece, []) for piece in split.outvars]
    if any(len(one) != 1 or not _is_activation(one[0]) for one in reading):
        return None
    activations = [one[0] for one in reading]
    scales = tuple(SCALES[activation.primitive.name] for activation in activations)
    pieces = [one.outvars[0] for one in activations]
    return _Activation(split.invars[0], split, scales, *_cut(split), pieces, activations)


def _before(split: Any, readers: dict[Any, list[Any]], jaxpr: Any) -> _Activation | None:
    """``split`` reads an activation, which nothing else reads."""
    if split.primitive.name != "split" or len(readers[split.invars[0]]) != 1:
        return None
    makers = [equation for equation in jaxpr.eqns if split.invars[0] in equation.outvars]
    if not makers or not _is_activation(makers[0]):
        return None
    scales = (SCALES[makers[0].primitive.name],) * len(split.outvars)
    return _Activation(makers[0].invars[0], split, scales, *_cut(split), list(split.outvars), makers)


def _cut(split: Any) -> tuple[tuple[int, ...], int]:
    return tuple(map(int, split.params["sizes"])), split.params["axis"]


def _is_activation(equation: Any) -> bool:
    if equation is None or equation.primitive.name not in SCALES:
        return False
    return jnp.issubdtype(equation.outvars[0].aval.dtype, jnp.floating)


def _is_relu(equation: Any) -> bool:
    """Whether an equation is `jax.nn.relu`: max(x, 0) with a derivative of its own."""
    if equation.primitive.name != "custom_jvp_call":
        return False
    inside = programs.flat(
        lambda *values: programs.run(equation.params["call_jaxpr"], values), *_avals(equation)
    )
    if [one.primitive.name for one in inside.jaxpr.eqns] != ["max"]:
        return False
    first, second = inside.jaxpr.eqns[0].invars
    return first is inside.jaxpr.invars[0] and isinstance(second, core.Literal) and bool(second.val == 0)


def _avals(equation: Any) -> list[Any]:
    return [atom.aval for atom in equation.invars]


@jax.custom_jvp
def _rectified(x: Any) -> Any:
    """max(x, 0), whose derivative keeps a bit for each number."""
    return jnp.maximum(x, 0)


@_rectified.defjvp
def _(primals: Any, tangents: Any) -> tuple[Any, Any]:
    is_positive = checkpoint_name(primals[0] > 0, KEPT)
    return jnp.maximum(primals[0], 0), jnp.where(is_positive, tangents[0], 0)


@functools.partial(jax.custom_jvp, nondiff_argnums=(0, 1, 2))
def _activated(scales: tuple[float, ...], sizes: tuple[int, ...], axis: int, whole: Any) -> list[Any]:
    """The pieces of ``whole`` of such ``sizes`` along ``axis``, behind their activations."""
    return _by_one_tanh(scales, sizes, axis, whole)[1]


def _by_one_tanh(scales: Any, sizes: Any, axis: int, whole: Any) -> tuple[list[Any], list[Any]]:
    """The pieces of the scaled tanh, and of what is made of them."""
    cut = [
        checkpoint_name(piece, KEPT)
        for piece in _split(jnp.tanh(_scaled(scales, sizes, axis, whole)), sizes, axis)
    ]
    found = [
        piece if scale == SCALES["tanh"] else piece * scale + (1.0 - scale)
        for piece, scale in zip(cut, scales, strict=True)
    ]
    return cut, found


def _scaled(scales: Any, sizes: Any, axis: int, whole: Any) -> Any:
    if len(set(scales)) == 1:
        return whole if scales[0] == SCALES["tanh"] else whole * scales[0]
    shape = [1] * whole.ndim
    shape[axis] = -1
    return whole * jnp.asarray(np.repeat(scales, sizes).reshape(shape), whole.dtype)


def _split(whole: Any, sizes: Any, axis: int) -> list[Any]:
    return [whole] if len(sizes) == 1 else list(jax.lax.split(whole, sizes, axis))


@_activated.defjvp
def _(scales: Any, sizes: Any, axis: int, primals: Any, tangents: Any) -> tuple[list[Any], list[Any]]:
    cut, found = _by_one_tanh(scales, sizes, axis, primals[0])
    slopes = [scale**2 * (1.0 - piece * piece) for piece, scale in zip(cut, scales, strict=True)]
    moved = _split(tangents[0], sizes, axis)
    return found, [tangent * slope for tangent, slope in zip(moved, slopes, strict=True)]
