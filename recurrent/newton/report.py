"""`unroll` with `Newton`, and how it fared."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, PyTree

from recurrent import arrays
from recurrent.arrays import Key
from recurrent.cell import Cell
from recurrent.newton.solver import Newton, Report
from recurrent.unroll import pose

__all__ = ["solve_report"]


def solve_report(
    cell: Cell,
    params: PyTree,
    xs: PyTree,
    *,
    solver: Newton,
    guess: PyTree = None,
    state: PyTree = None,
    mask: Bool[Array, "t *b"] | None = None,
    reset: Bool[Array, "t *b"] | None = None,
    reverse: bool = False,
    key: Key | None = None,
) -> tuple[PyTree, PyTree, Report]:
    """`recurrent.unroll` with a `Newton` solver, and its iterations, its residual and its trajectory.

    Args:
        cell: as for `recurrent.unroll`, like ``params``, ``xs``, ``state``, ``mask``, ``reset``, ``reverse``, ``key``.
        params: its parameters.
        xs: inputs ``[t, *b, *input_shape]``.
        solver: how to iterate.
        guess: the states after each step, ``[t, *b, ...]``, to start from, such as ``report.states`` of the update
            before; None: zeros.
        state: the state before the first step travelled.
        mask: True where a step exists.
        reset: True where a new segment starts.
        reverse: travel from the last step to the first.
        key: draws the noise of a stochastic wrapper.

    Returns:
        ``(final_state, ys, report)``, time as in ``xs``.

    >>> import recurrent as rec
    >>> cell = rec.GRU(2, 3)
    >>> params, xs = cell.init(jax.random.key(0)), jnp.ones((100, 2))
    >>> state, ys, report = solve_report(cell, params, xs, solver=rec.Newton())
    >>> bool((report.iterations < 12).all())
    True
    """
    problem = pose(cell, params, xs, state=state, mask=mask, reset=reset, reverse=reverse, key=key)
    if guess is not None:
        steps = arrays.num_steps(xs)
        expected = jax.tree.map(lambda leaf: (steps, *leaf.shape), problem.initial)
        if arrays.tree_shape(guess) != expected:
            raise ValueError(f"guess: expected states of shapes {expected}, got {arrays.tree_shape(guess)}")

    def turned(tree: Any) -> Any:
        return jax.tree.map(lambda leaf: jnp.flip(leaf, axis=0), tree) if reverse else tree

    final_state, ys, report = solver.report(problem, turned(guess))
    return final_state, turned(ys), turned(report)
