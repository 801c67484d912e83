"""The solver whose backward loop carries no weight gradients: they are products over many steps, behind it."""

import dataclasses
import functools
import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import PyTree

from recurrent import arrays
from recurrent.cell import Cell, Noisy, Unsupported
from recurrent.sizes import Size
from recurrent.solvers.base import Problem, Solver, check_known, check_length, divisor_near
from recurrent.solvers.fused import activations, products, programs
from recurrent.solvers.fused.backward import Moved, pulled
from recurrent.solvers.fused.products import Step

__all__ = ["Fused", "has_products"]

ROWS = 512
"""So many rows, steps times sequences, make a product for a weight gradient that keeps a CPU busy; more do not fit into
its cache."""
FEWEST = 16
"""Fewer steps would not be worth a loop of their own."""


@dataclasses.dataclass(frozen=True)
class Fused(Solver):
    """One step after another, as `Sequential`, with a derivative of its own for any cell that multiplies by weights.

    The backward loop of a plain scan adds to the gradient of every weight at every step. This one emits the derivative
    with respect to each sum of products, and forms the gradients of the weights ``chunk`` steps at a time, in one
    product each. For it the forward loop keeps the results of activations and products, and computes the rest again.
    ``chunk`` None: as many steps as make 512 rows of a product, at least 16.

    Reverse mode to any order; `jax.jvp` of the outputs themselves needs `Sequential`.
    """

    chunk: Size | None = None

    def solve(self, problem: Problem) -> tuple[PyTree, PyTree]:
        """``(final_state, ys)`` by a scan with a derivative of its own.

        Raises:
            Unsupported: no product with a weight is found in a step, or only within a part that is differentiated in
                its own way, such as one under `jax.checkpoint`.
        """
        check_length("chunk", self.chunk, problem.num_steps)
        if self.chunk is not None:
            check_known(self, problem)
        fixed, tree = jax.tree.flatten((problem.weights, problem.initial))
        state, state_tree = jax.tree.flatten(problem.state)
        steps, steps_tree = jax.tree.flatten(problem.over_time())
        structure: list[Any] = []

        def one_step(fixed: Sequence[Any], state: Sequence[Any], now: Sequence[Any]) -> list[Any]:
            weights, initial = tree.unflatten(fixed)
            posed = problem._replace(weights=weights, initial=initial)
            new, y = posed.step(state_tree.unflatten(state), steps_tree.unflatten(now))
            leaves, found = jax.tree.flatten(y)
            structure[:] = [found]
            return [*jax.tree.leaves(new), *leaves]

        now = [jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype) for leaf in steps]
        closed = activations.joined(programs.flat(one_step, fixed, state, now))
        step = products.cut(closed.jaxpr, len(fixed), len(state))
        if not step.products:
            raise Unsupported(self, problem.cell, "no product with a weight is found in its step")
        env = dict(zip(step.jaxpr.constvars, closed.consts, strict=True))
        env |= dict(zip(step.jaxpr.invars, fixed, strict=False))
        programs.evaluate(step.fixed, env)
        multiplied, used = ([env[var] for var in names] for names in (step.multiplied, step.used))

        final, ys = _solved(step, self.length(problem), multiplied, used, state, steps)
        return state_tree.unflatten(final), structure[0].unflatten(ys)

    def length(self, problem: Problem) -> int | None:
        """How many steps are taken together; None: all of them."""
        num_steps = problem.num_steps
        batch = math.prod(arrays.batch_shape(problem.xs, problem.cell.input_shape)[1:])
        if self.chunk is not None:
            return self.chunk if self.chunk < num_steps else None
        if not arrays.is_known(num_steps) or not arrays.is_known(batch):
            return None
        wanted = max(FEWEST, ROWS // max(batch, 1))
        return None if num_steps < 2 * wanted else divisor_near(num_steps, wanted)


@functools.lru_cache(maxsize=256)
def has_products(cell: Cell) -> bool:
    """Whether `Fused` runs a cell: one step of it, traced without computing anything, multiplies by a weight."""

    def one_step(weights: PyTree, x: PyTree, state: PyTree) -> PyTree:
        u = cell.project(weights, Noisy(x, None) if cell.is_stochastic else x)
        return cell.step(weights, state, u)

    weights = jax.eval_shape(lambda: cell.prepare(cell.init(jax.random.key(0))))
    state = jax.eval_shape(lambda weights: cell.initial_state(weights, ()), weights)
    x = jax.tree.map(
        lambda shape: jax.ShapeDtypeStruct(shape, jnp.float32), cell.input_shape, is_leaf=arrays.is_shape
    )
    try:
        program = programs.flat(one_step, weights, x, state)
    except TypeError:  # its inputs are no floating numbers: nothing is known
        return False
    weights, state = jax.tree.leaves(weights), jax.tree.leaves(state)
    return bool(products.cut(program.jaxpr, len(weights), len(state)).products)


def _solved(
    step: Step, length: int | None, multiplied: Any, used: Any, state: Any, steps: Any
) -> tuple[Any, Any]:
    """``(final_state, ys)`` over ``steps``, with the derivative that `Fused` describes."""
    given, tree = jax.tree.flatten((used, state, steps))
    varies = [var not in step.constants for var in step.used] + [True] * (len(given) - len(step.used))
    is_free = [
        flag and jnp.issubdtype(jnp.result_type(leaf), jnp.inexact)
        for flag, leaf in zip(varies, given, strict=True)
    ]

    def joined(free: Any, rest: Any) -> Any:
        parts = iter(free), iter(rest)
        return tree.unflatten([next(parts[0 if flag else 1]) for flag in is_free])

    @jax.custom_vjp
    def run(multiplied: Any, free: Any, rest: Any) -> Any:
        return _plain(step, multiplied, *joined(free, rest))

    def forward(multiplied: Any, free: Any, rest: Any) -> Any:
        def tapped(free: Any, taps: Any) -> Any:
            used, state, steps = joined(free, rest)
            return _tapped(step, multiplied, used, state, steps, taps)

        _, state, steps = joined(free, rest)
        num_steps = arrays.num_steps(steps)
        taps = [jnp.zeros((num_steps, *var.aval.shape), var.aval.dtype) for var in step.sums]
        found, pull, emitted = jax.vjp(tapped, free, taps, has_aux=True)
        return found, (pull, multiplied, _moved(step, state, steps, found[1], emitted))

    def backward(kept: Any, cotangents: Any) -> Any:
        pull, multiplied, moved = kept
        found, free = pulled(step, length, pull, multiplied, moved, cotangents)
        return found, free, None

    run.defvjp(forward, backward)
    free, rest = (
        [leaf for leaf, flag in zip(given, is_free, strict=True) if flag is kind] for kind in (True, False)
    )
    return run(multiplied, free, rest)


def _plain(step: Step, multiplied: Any, used: Any, state: Any, steps: Any) -> tuple[Any, Any]:
    def body(state: Any, now: Any) -> tuple[Any, Any]:
        env = _environment(step, multiplied, used, [*state, *now])
        programs.evaluate(step.moving, env)
        found = programs.outputs(step.jaxpr, env)
        return found[: len(state)], found[len(state) :]

    return jax.lax.scan(body, state, steps)


def _tapped(step: Step, multiplied: Any, used: Any, state: Any, steps: Any, taps: Any) -> tuple[Any, Any]:
    """``((final_state, ys), what moved in a product and is no input, state or output)``.

    The derivative with respect to ``taps`` ``[t, ...]``, zeros, is that of the sums; products and what is added to them
    count as constants where they read ``multiplied``.
    """
    weights = dict(zip(step.multiplied, multiplied, strict=True))

    def read(equation: Any, place: int, value: Any) -> Any:
        return weights[equation.invars[place]] if (id(equation), place) in step.taken else value

    def body(state: Any, now: Any) -> tuple[Any, Any]:
        now, taps = now
        tap = dict(zip(step.sums, taps, strict=True))

        def written(var: Any, value: Any) -> Any:
            return _with_tap(value, tap[var]) if var in tap else value

        env = _environment(step, multiplied, used, [*state, *now])
        programs.evaluate(step.moving, env, read, written)
        found = programs.outputs(step.jaxpr, env)
        return found[: len(state)], (found[len(state) :], [env[var] for var in step.emitted])

    if not step.is_complex:  # `jax.checkpoint` cannot keep complex numbers by a policy
        # a scanned body cannot be merged with its own recomputation, so the barrier against that is not needed
        body = jax.checkpoint(
            body,
            prevent_cse=False,
            policy=lambda primitive, *_, **__: primitive.name not in activations.CHEAP,
        )
    final, (ys, emitted) = jax.lax.scan(body, state, (steps, taps))
    return (final, ys), emitted


def _moved(step: Step, state: Any, steps: Any, ys: Any, emitted: Any) -> list[Moved]:
    """What moved in each product: an input, the output of the step before where that is the state, or what was
    emitted for it.
    """
    found = dict(zip(step.emitted, map(Moved, emitted), strict=True))
    found |= dict(zip(step.jaxpr.invars[-len(steps) :], map(Moved, steps), strict=True))
    before = dict(zip(step.states, state, strict=True))
    found |= {var: Moved(ys[place], before[var]) for var, place in step.put_out.items()}
    return [found[product.moving] for product in step.products]


def _environment(step: Step, multiplied: Any, used: Any, moving: Any) -> dict[Any, Any]:
    env = dict(zip(step.multiplied, multiplied, strict=True)) | dict(zip(step.used, used, strict=True))
    return env | dict(zip(step.jaxpr.invars[-len(moving) :], moving, strict=True))


@jax.custom_jvp
def _with_tap(value: Any, tap: Any) -> Any:
    """``value``, with the derivative of ``value + tap``."""
    return value


@_with_tap.defjvp
def _(primals: Any, tangents: Any) -> tuple[Any, Any]:
    return primals[0], tangents[0] + tangents[1]
