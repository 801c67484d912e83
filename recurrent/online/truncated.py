"""Backpropagation through time, whole and truncated: what the forward rules are measured against."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, PyTree

from recurrent import arrays
from recurrent.online.driver import Rule, Task, checked_loss, linearized
from recurrent.sizes import Size
from recurrent.solvers.auto import AUTO

__all__ = ["BPTT", "Truncated"]


@dataclasses.dataclass(frozen=True)
class Truncated(Rule):
    """Truncated backpropagation: every k1 steps, the losses of the last k1 steps go back through the last k2.

    States are carried from window to window as constants, so the loss of a step sees between k2 - k1 + 1 and k2
    steps, or all there are before it. Memory: k2 steps. k1 = k2 = T is `BPTT`.

    Source: Williams & Peng (1990), "An efficient gradient-based algorithm for on-line training of recurrent
    network trajectories".
    """

    k1: Size
    k2: Size

    def __post_init__(self) -> None:
        """ValueError unless 1 <= k1 <= k2."""
        super().__post_init__()
        if self.k2 < self.k1:
            raise ValueError(f"k2: expected at least k1 = {self.k1}, got {self.k2}")

    def gradient(self, task: Task) -> tuple[Any, Any, tuple[Any, Any]]:
        """``(loss, grads, (final_state, ys))`` by a scan over windows of k1 steps; the last may be shorter."""
        problem, overlap = task.problem, self.k2 - self.k1
        whole, rest = divmod(problem.num_steps, self.k1)

        _, leaves, merge, pull_back = linearized(problem.cell, task.params)

        def window(leaves: Any, state: Any, index: Any, size: int) -> tuple[Any, Any]:
            weights, start = merge(leaves), index * self.k1 - overlap
            initial = problem.cell.initial_state(weights, task.batch)
            given = initial if task.is_fresh else problem.state
            # a window that reaches to the start of the sequence or beyond begins with the state given there
            state = arrays.where(start <= 0, given, jax.lax.stop_gradient(state))
            here = problem._replace(weights=weights, initial=initial)

            def step(state: Any, now: Any) -> tuple[Any, Any]:
                state, y = here.step(state, now)
                return state, (state, y)

            times = start + jnp.arange(overlap + size)
            final, (states, ys) = jax.lax.scan(step, state, _steps_at(times, task))
            ys = jax.tree.map(lambda leaf: leaf[overlap:], ys)
            following = jax.tree.map(lambda leaf: leaf[min(self.k1, overlap + size) - 1], states)
            return _total_loss(task, times[overlap:], ys), (following, final, ys)

        def add_window(carry: Any, index: Any, size: int = self.k1) -> tuple[Any, Any]:
            state, _, grads = carry
            value_and_grad = jax.value_and_grad(window, has_aux=True)
            (loss, (state, final, ys)), found = value_and_grad(leaves, state, index, size)
            return (state, final, jax.tree.map(jnp.add, grads, found)), (loss, ys)

        carry, parts = (problem.state, problem.state, jax.tree.map(jnp.zeros_like, leaves)), []
        if whole:
            carry, (losses, ys) = jax.lax.scan(add_window, carry, jnp.arange(whole))
            ys = jax.tree.map(lambda leaf: leaf.reshape(whole * self.k1, *leaf.shape[2:]), ys)
            parts.append((jnp.sum(losses), ys))
        if rest:
            carry, part = add_window(carry, jnp.array(whole), rest)
            parts.append(part)
        if not parts:
            return BPTT().gradient(task)
        losses, ys = zip(*parts, strict=True)
        _, final, grads = carry
        return sum(losses), pull_back(grads), (final, jax.tree.map(lambda *y: jnp.concatenate(y), *ys))


def _steps_at(times: Array, task: Task) -> PyTree:
    """`Problem.over_time` at some steps; those before the sequence count as masked."""
    xs, noise, mask, reset = jax.tree.map(lambda leaf: leaf[jnp.maximum(times, 0)], task.problem.over_time())
    exists = jnp.broadcast_to(times.reshape(-1, *(1 for _ in task.batch)) >= 0, (len(times), *task.batch))
    return xs, noise, exists if mask is None else mask & exists, None if reset is None else reset & exists


@dataclasses.dataclass(frozen=True)
class BPTT(Rule):
    """The gradient of `recurrent.unroll`: one backward pass through all steps, in the memory of all steps."""

    def gradient(self, task: Task) -> tuple[Any, Any, tuple[Any, Any]]:
        """``(loss, grads, (final_state, ys))`` by `jax.value_and_grad` of the summed loss."""

        def total(params: PyTree) -> tuple[Any, Any]:
            problem = task.problem
            weights = problem.cell.prepare(params)
            initial = problem.cell.initial_state(weights, task.batch)
            state = initial if task.is_fresh else problem.state
            final, ys = AUTO.solve(problem._replace(weights=weights, initial=initial, state=state))
            return _total_loss(task, jnp.arange(problem.num_steps), ys), (final, ys)

        (loss, run), grads = jax.value_and_grad(total, has_aux=True)(task.params)
        return loss, grads, run


def _total_loss(task: Task, times: Array, ys: PyTree) -> Any:
    return jnp.sum(jax.vmap(lambda t, y: checked_loss(task.loss_fn, t, y))(times, ys))
