"""What the rules that travel forward in time share: one sequence's step as a function, and the scan.

    J_t = ∂s_t/∂w               the influence of the weights on the state: what a rule keeps, or approximates
    dL/dw = Σ_t (∂L_t/∂s_t J_t + ∂L_t/∂w)

The state s is the flat real vector of `recurrent.state_vector`. The weights w are what ``cell.prepare`` made of
the parameters, real or complex: cotangents of weights are pulled back through ``prepare`` once, at the end. A
complex cotangent is JAX's, linear in real coefficients, and that is all that a rule does with it.
"""

import abc
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from recurrent.cell import Cell, state_vector
from recurrent.online.driver import Rule, Task, checked_loss, linearized
from recurrent.solvers.base import Problem

__all__ = ["Forward", "Steps"]

Vector = Float[Array, " n"]


class Steps(NamedTuple):
    """One sequence's recurrence as functions of the leaves of its weights and of its flat state.

    ``now`` is one step of `Problem.over_time` without batch axes.
    """

    cell: Cell
    params: PyTree
    leaves: tuple[Array, ...]
    merge: Callable[[Any], Any]
    pull_back: Callable[[Any], Any]
    start: Vector
    restore: Callable[[Any], Any]

    @classmethod
    def of(cls, cell: Cell, params: PyTree) -> "Steps":
        """The `Steps` of a task, with ``cell.prepare`` called once."""
        weights, leaves, merge, pull_back = linearized(cell, params)
        start, restore = state_vector(cell.initial_state(weights, ()))
        return cls(cell, params, leaves, merge, pull_back, start, restore)

    def advance(self, leaves: Any, state: Vector, now: PyTree) -> Vector:
        """The flat state after one step, in the order reset, step, mask."""
        return state_vector(self._problem(leaves).step(self.restore(state), now)[0])[0]

    def emit(self, leaves: Any, state: Vector, now: PyTree) -> PyTree:
        """The output of one step, read from the flat state after it."""
        x, noise, mask, _ = now
        problem = self._problem(leaves)
        return problem.emit(self.restore(state), problem.project(x, noise, mask), mask)

    def _problem(self, leaves: Any) -> Problem:
        weights = self.merge(leaves)
        initial = self.cell.initial_state(weights, ())
        return Problem(self.cell, weights, None, None, None, initial, None, None)


class Forward(Rule):
    """A rule that carries an influence along with the state; a subclass says how that starts, moves and is read.

    All three methods are about one sequence. The start of a sequence is a reset to the rule, so that an influence
    starts from zero even where the initial state is learned.
    """

    is_random = False

    @abc.abstractmethod
    def zero(self, steps: Steps) -> Any:
        """The influence before the first step, that of weights that never acted."""

    @abc.abstractmethod
    def advance(self, steps: Steps, influence: Any, state: Vector, now: Any, key: Any) -> tuple[Any, Any]:
        """``(state, influence)`` after one step, from those before it."""

    @abc.abstractmethod
    def apply(self, steps: Steps, influence: Any, signal: Vector) -> Any:
        """The ``signal`` ∂L_t/∂s_t times the influence: like ``steps.leaves``, where `total` is not overridden."""

    def total(self, steps: Steps, direct: Any, through: Any) -> Any:
        """The parameter gradient, from sums over time of ∂L_t/∂w and of what `apply` returned."""
        return steps.pull_back(jax.tree.map(jnp.add, direct, through))

    def gradient(self, task: Task) -> tuple[Any, Any, tuple[Any, Any]]:
        """``(loss, grads, (final_state, ys))`` by one scan; state, influence and gradient go along, only outputs are
        kept.
        """
        problem, batch = task.problem, task.batch
        if self.is_random and task.rule_key is None:
            raise ValueError(f"rule_key: {self} draws at random and needs a key, got None")
        steps = Steps.of(problem.cell, task.params)
        influence = jax.eval_shape(lambda: self.zero(steps))
        self._check_size(task, influence)

        def sequence_step(state: Any, influence: Any, now: Any, key: Any) -> tuple[Any, Any, Any]:
            state, influence = self.advance(steps, influence, state, now, key)
            return state, influence, steps.emit(steps.leaves, state, now)

        def sequence_gradient(state: Any, influence: Any, now: Any, y_bar: Any) -> tuple[Any, Any]:
            _, pull = jax.vjp(lambda leaves, state: steps.emit(leaves, state, now), steps.leaves, state)
            direct, signal = pull(y_bar)
            return direct, self.apply(steps, influence, signal)

        def step(carry: Any, now: Any) -> tuple[Any, Any]:
            t, state, influence, loss, sums = carry
            x, noise, mask, reset = now
            if task.is_fresh:
                first = jnp.broadcast_to(t == 0, batch)
                reset = first if reset is None else reset | first
            now = x, noise, mask, reset
            state, influence, y = _over(batch, sequence_step)(state, influence, now, self._keys(task, t))
            step_loss, pull = jax.vjp(lambda y: checked_loss(task.loss_fn, t, y), y)
            (y_bar,) = pull(jnp.ones_like(step_loss))
            parts = _over(batch, sequence_gradient)(state, influence, now, y_bar)
            sums = jax.tree.map(lambda total, part: total + jnp.sum(part, axis=axes), sums, parts)
            return (t + 1, state, influence, loss + step_loss, sums), y

        def first_loss(state: Any, now: Any) -> Any:
            emit = _over(batch, lambda state, now: steps.emit(steps.leaves, state, now))
            return checked_loss(task.loss_fn, jnp.array(0), emit(state, now))

        axes = tuple(range(len(batch)))
        state = _over(batch, lambda state: state_vector(state)[0])(problem.state)
        now = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype), problem.over_time())
        loss = jax.eval_shape(first_loss, state, now)
        through = jax.eval_shape(lambda influence: self.apply(steps, influence, steps.start), influence)
        carry = (jnp.array(0), state, _zeros(influence, batch), _zeros(loss), _zeros((steps.leaves, through)))
        (_, state, _, loss, (direct, through)), ys = jax.lax.scan(step, carry, problem.over_time())
        return loss, self.total(steps, direct, through), (_over(batch, steps.restore)(state), ys)

    def _keys(self, task: Task, t: Any) -> Any:
        if not self.is_random:
            return None
        key = jax.random.fold_in(task.rule_key, t)
        return jax.random.split(key, task.batch) if task.batch else key

    def _check_size(self, task: Task, influence: Any) -> None:
        one = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(influence))
        needed = one * math.prod(task.batch)
        if needed > task.limit_bytes:
            raise ValueError(
                f"limit_bytes: expected at least {needed}, which is what {self} keeps for {task.problem.cell} "
                f"({one} bytes a sequence), got {task.limit_bytes}"
            )


def _over(batch: tuple[int, ...], function: Callable[..., Any]) -> Callable[..., Any]:
    for _ in batch:
        function = jax.vmap(function)
    return function


def _zeros(shapes: PyTree, batch: tuple[int, ...] = ()) -> PyTree:
    return jax.tree.map(lambda leaf: jnp.zeros((*batch, *leaf.shape), leaf.dtype), shapes)
