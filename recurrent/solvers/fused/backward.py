"""The backward pass of `Fused`: one loop over steps, cut into chunks with the products for weights behind each."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.extend import core

from recurrent.solvers.fused import programs
from recurrent.solvers.fused.products import Step

__all__ = ["Moved", "pulled"]


class Moved(NamedTuple):
    """What moved in a product: ``values`` ``[t, ...]``, or ``first`` and then those of the steps before."""

    values: Any
    first: Any = None

    def all(self) -> Any:
        """At every step."""
        if self.first is None or self.values.shape[0] == 0:
            return self.values
        return jnp.concatenate([self.first[None], self.values[:-1]])

    def some(self, start: Any, count: int) -> Any:
        """At ``count`` steps from ``start`` on."""
        found = jax.lax.dynamic_slice_in_dim(self.values, start, count)
        if self.first is None or not count:
            return found
        before = jax.lax.dynamic_index_in_dim(self.values, jnp.maximum(start, 1) - 1)
        return jnp.concatenate([jnp.where(start == 0, self.first, before), found[:-1]])


def pulled(
    step: Step, length: int | None, pull: Any, multiplied: Any, moved: Any, cotangents: Any
) -> tuple[Any, Any]:
    """The cotangents of what is multiplied, and of all else that ``pull`` has cotangents of.

    ``pull`` gives the cotangents of all else and those of the sums of ``step``, both by one loop over time. It runs
    ``length`` steps at a time (None: all).
    """
    leaves, tree = jax.tree.flatten(pull)

    def at_once(leaves: Any, multiplied: Any, moved: Any, cotangents: Any) -> tuple[Any, Any]:
        free, at_sums = tree.unflatten(leaves)(cotangents)
        return step.pull(multiplied, [one.all() for one in moved], at_sums), free

    if length is None:
        return at_once(leaves, multiplied, moved, cotangents)

    closed = programs.flat(lambda leaves, at: tree.unflatten(leaves)(at), leaves, cotangents)
    if not _gives_all_sums(closed, step):
        return at_once(leaves, multiplied, moved, cotangents)

    @jax.custom_jvp
    def by_chunks(*values: Any) -> tuple[Any, Any]:
        return _by_chunks(step, length, closed.jaxpr, closed.consts, *values)

    # Chunks read what was kept in place, by its index. The derivative of that would write all of it at every step.
    by_chunks.defjvp(lambda values, tangents: jax.jvp(at_once, values, tangents))
    return by_chunks(leaves, multiplied, moved, cotangents)


def _loops(jaxpr: Any) -> list[int]:
    return [place for place, equation in enumerate(jaxpr.eqns) if equation.primitive.name == "scan"]


def _gives_all_sums(closed: Any, step: Step) -> bool:
    """Whether one loop emits the cotangent of every sum; not where nothing depends on a product, or all is empty."""
    jaxpr, at = closed.jaxpr, _loops(closed.jaxpr)
    sums = jaxpr.outvars[-len(step.sums) :]
    return len(at) == 1 and all(var in jaxpr.eqns[at[0]].outvars for var in sums)


def _by_chunks(
    step: Step,
    length: int,
    jaxpr: Any,
    constants: Any,
    leaves: Any,
    multiplied: Any,
    moved: Any,
    cotangents: Any,
) -> tuple[Any, Any]:
    """`pulled`, by the program ``jaxpr`` of ``pull``."""
    values = jax.tree.leaves((leaves, cotangents))
    env = dict(zip([*jaxpr.constvars, *jaxpr.invars], [*constants, *values], strict=True))
    (at,) = _loops(jaxpr)
    loop = jaxpr.eqns[at]
    programs.evaluate(jaxpr.eqns[:at], env)
    num_consts, num_carry = programs.loop_counts(loop)
    operands = programs.operands(loop, env)
    consts, xs = operands[:num_consts], operands[num_consts + num_carry :]
    sums = jaxpr.outvars[-len(step.sums) :]
    emitted = loop.outvars[num_carry:]

    def piece(start: Any, count: int, carry: Any) -> tuple[Any, Any, Any]:
        """``(carry, ys that are no sums, cotangents of what is multiplied)`` of ``count`` steps."""

        def body(carry: Any, index: Any) -> tuple[Any, Any]:
            now = [jax.lax.dynamic_index_in_dim(leaf, index, keepdims=False) for leaf in xs]
            found = programs.run(loop.params["jaxpr"], [*consts, *carry, *now])
            return found[:num_carry], found[num_carry:]

        carry, ys = jax.lax.scan(body, carry, start + jnp.arange(count), reverse=True)
        by_var = dict(zip(emitted, ys, strict=True))
        seen = [one.some(start, count) for one in moved]
        found = step.pull(multiplied, seen, [by_var[var] for var in sums])
        return carry, [by_var[var] for var in emitted if var not in sums], found

    def following(carried: Any, start: Any) -> tuple[Any, Any]:
        carry, total = carried
        carry, ys, found = piece(start, length, carry)
        return (carry, jax.tree.map(jnp.add, total, found)), ys

    num_steps = loop.params["length"]
    whole = num_steps - num_steps % length
    carry, total = (
        operands[num_consts : num_consts + num_carry],
        [jnp.zeros_like(leaf) for leaf in multiplied],
    )
    last: list[Any] = [None] * (len(emitted) - len(sums))
    if whole < num_steps:
        carry, last, total = piece(whole, num_steps - whole, carry)
    starts = jnp.arange(0, whole, length)
    (carry, total), ys = jax.lax.scan(following, (carry, total), starts, reverse=True)
    ys = [_behind(one.reshape(whole, *one.shape[2:]), rest) for one, rest in zip(ys, last, strict=True)]
    env |= dict(zip(loop.outvars[:num_carry], carry, strict=True))
    env |= dict(zip([var for var in emitted if var not in sums], ys, strict=True))
    programs.evaluate(jaxpr.eqns[at + 1 :], env)
    free = jaxpr.outvars[: -len(step.sums)]
    return total, [atom.val if isinstance(atom, core.Literal) else env[atom] for atom in free]


def _behind(first: Any, rest: Any) -> Any:
    return first if rest is None else jnp.concatenate([first, rest])
