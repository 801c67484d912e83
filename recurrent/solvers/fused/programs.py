"""Programs as flat lists of equations (jaxprs): traced, read, and run equation by equation."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
from jax.extend import core
from jaxtyping import PyTree

__all__ = ["PRODUCTS", "evaluate", "flat", "loop_counts", "operands", "outputs", "readers", "results", "run"]

PRODUCTS = ("dot_general", "conv_general_dilated")
CALLS = ("pjit", "jit", "closed_call")
"""Programs within a program that are nothing but their equations."""


def flat(function: Callable[..., Any], *arguments: PyTree) -> Any:
    """The program of ``function`` for such arguments, as a closed jaxpr; calls are replaced by their equations."""
    closed = jax.make_jaxpr(function)(*arguments)
    values = [var.aval for var in closed.jaxpr.invars]
    return jax.make_jaxpr(lambda *values: run(closed, values))(*values)


def evaluate(
    equations: Sequence[Any],
    env: dict[Any, Any],
    read: Callable[[Any, int, Any], Any] = lambda _, __, value: value,
    written: Callable[[Any, Any], Any] = lambda _, value: value,
) -> None:
    """Compute the equations one after another and put what they compute into ``env``.

    ``read(equation, place, value)`` stands for each operand, ``written(variable, value)`` for each result.
    """
    for equation in equations:
        values = [read(equation, place, value) for place, value in enumerate(operands(equation, env))]
        for var, value in zip(equation.outvars, results(equation, values), strict=True):
            env[var] = written(var, value)


def operands(equation: Any, env: dict[Any, Any]) -> list[Any]:
    """The values that an equation reads."""
    return [atom.val if isinstance(atom, core.Literal) else env[atom] for atom in equation.invars]


def results(equation: Any, values: Sequence[Any]) -> Sequence[Any]:
    """What an equation computes of ``values``."""
    if equation.primitive.name in CALLS:
        return run(equation.params["jaxpr" if "jaxpr" in equation.params else "call_jaxpr"], values)
    found = equation.primitive.bind(*values, **equation.primitive.get_bind_params(equation.params))
    return found if equation.primitive.multiple_results else [found]


def run(closed: Any, values: Sequence[Any]) -> list[Any]:
    """What a closed program returns for such values."""
    jaxpr = closed.jaxpr
    env = dict(zip([*jaxpr.constvars, *jaxpr.invars], [*closed.consts, *values], strict=True))
    evaluate(jaxpr.eqns, env)
    return outputs(jaxpr, env)


def outputs(jaxpr: Any, env: dict[Any, Any]) -> list[Any]:
    """The values that a program returns."""
    return [atom.val if isinstance(atom, core.Literal) else env[atom] for atom in jaxpr.outvars]


def loop_counts(loop: Any) -> tuple[int, int]:
    """How many operands of a scan stay constant, and how many follow them as the carry.

    They are told by ranks, which every version of JAX has, not by parameters: what a scan reads or writes step by step
    has one axis less within it.
    """
    within = loop.params["jaxpr"].jaxpr

    def same_rank(outer: Sequence[Any], inner: Sequence[Any]) -> int:
        return sum(a.aval.ndim == b.aval.ndim for a, b in zip(outer, inner, strict=True))

    num_carry = same_rank(loop.outvars, within.outvars)
    return same_rank(loop.invars, within.invars) - num_carry, num_carry


def readers(jaxpr: Any) -> dict[Any, list[Any]]:
    """For each variable the equations that read it, once for each place; None for each place among the outputs."""
    found: dict[Any, list[Any]] = {}
    for equation in [*jaxpr.eqns, None]:
        for atom in jaxpr.outvars if equation is None else equation.invars:
            if not isinstance(atom, core.Literal):
                found.setdefault(atom, []).append(equation)
    return found
