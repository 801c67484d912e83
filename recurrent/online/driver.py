"""`gradient`: the loss of a sequence, and its parameter gradient by a rule.

A rule is a value with one method, ``gradient(task) -> (loss, grads, (final_state, ys))``. `gradient` settles what
rules need not know about (noise, checks), so that they all see the same `Task`.
"""

import abc
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, PyTree

from recurrent import arrays, sizes
from recurrent.arrays import Key
from recurrent.cell import Cell
from recurrent.solvers.base import Problem
from recurrent.unroll import pose

__all__ = ["Linearized", "LossFn", "Rule", "Task", "checked_loss", "gradient", "linearized"]

LossFn = Callable[[Any, Any], Any]
"""``(t, y_t) -> scalar``: the loss of step t, an integer scalar, of all its sequences, ``y_t[*b, *output_shape]``."""


class Task(NamedTuple):
    """What a rule is given: the problem that `recurrent.unroll` would solve, and what it was made from.

    ``is_fresh``: the state before the first step is ``cell.initial_state(weights)``, not one of the caller's.
    """

    problem: Problem
    params: PyTree
    loss_fn: LossFn
    is_fresh: bool
    batch: tuple[int, ...]
    rule_key: Any
    limit_bytes: int


class Rule(abc.ABC):
    """A way to the parameter gradient of a sum of losses over time, exact or not; a frozen dataclass."""

    def __post_init__(self) -> None:
        """Settle the fields that are annotated `recurrent.sizes.Size`; a subclass with checks of its own calls this."""
        sizes.settle(self)

    @abc.abstractmethod
    def gradient(self, task: Task) -> tuple[Any, Any, tuple[Any, Any]]:
        """``(loss, grads, (final_state, ys))`` of a task, ``grads`` like its parameters."""

    def __lt__(self, other: Any) -> bool:
        # JAX sorts the keys of a dict: rules are keys of what `compare` returns
        return repr(self) < repr(other)


def gradient(
    cell: Cell,
    params: PyTree,
    xs: PyTree,
    loss_fn: LossFn,
    *,
    rule: Rule,
    state: PyTree = None,
    mask: Bool[Array, "t *b"] | None = None,
    reset: Bool[Array, "t *b"] | None = None,
    key: Key | None = None,
    rule_key: Key | None = None,
    limit_bytes: int = 2**30,
) -> tuple[Any, Any, tuple[Any, Any]]:
    """The loss summed over time, its gradient with respect to the parameters by ``rule``, and the run itself.

    The run is that of `recurrent.unroll` with the same arguments. Rules that travel forward hold no more than
    their influence: memory does not grow with the number of steps, the outputs returned apart.

    Args:
        cell: a `Cell`; a layer has no step of its own.
        params: what ``cell.init`` returned.
        xs: inputs ``[t, *b, *cell.input_shape]``.
        loss_fn: ``(t, y_t) -> scalar``; called at every step, and at masked ones with y = 0.
        rule: `BPTT`, `RTRL`, `UORO`, `SnAp1`, `EProp` or `Truncated`, as a value.
        state: the state before the first step, a constant to the gradient; None: ``cell.initial_state``.
        mask: True where a step exists, as for `recurrent.unroll`.
        reset: True where a new segment starts, as for `recurrent.unroll`.
        key: draws the noise of a stochastic wrapper; None: evaluation.
        rule_key: draws what is random about the rule (the signs of `UORO`).
        limit_bytes: the most that the influence of all sequences together may take.

    Returns:
        ``(loss, grads, (final_state, ys))``, ``grads`` like ``params``, summed over the batch.

    Raises:
        ValueError: an argument is not as described, or the influence needs more than ``limit_bytes``.
        Unsupported: the rule has no method of its own for this cell.

    >>> import recurrent as rec
    >>> cell, xs = rec.Elman(1, 1, recurrent_init="identity", input_init="identity"), jnp.array([[1.0], [0.0]])
    >>> last = lambda t, y: jnp.where(t == 1, y.sum(), 0.0)
    >>> loss, grads, _ = gradient(cell, cell.init(jax.random.key(0)), xs, last, rule=rec.online.BPTT())
    >>> f"{loss:.4f} {grads.w_x[0, 0]:.4f}"
    '0.6420 0.2469'
    """
    if not isinstance(cell, Cell):
        raise ValueError(f"cell: expected a Cell, got {cell!r}")
    if not isinstance(rule, Rule):
        raise ValueError(f"rule: expected a rule such as RTRL(), got {rule!r}")
    problem = pose(cell, params, xs, state=state, mask=mask, reset=reset, key=key)
    batch = arrays.batch_shape(xs, cell.input_shape)[1:]
    return rule.gradient(Task(problem, params, loss_fn, state is None, batch, rule_key, limit_bytes))


class Linearized(NamedTuple):
    """What ``prepare`` made of the parameters, and the way back from its cotangents.

    ``leaves`` are the floating and complex leaves of ``weights``, which gradients pass through; ``merge`` puts new
    ones in their places; ``pull_back`` takes cotangents of them to cotangents of the parameters.
    """

    weights: PyTree
    leaves: tuple[Array, ...]
    merge: Callable[[Any], Any]
    pull_back: Callable[[Any], Any]


def linearized(cell: Cell, params: PyTree) -> Linearized:
    """What ``cell.prepare`` makes of ``params``, called once, with the way back for cotangents."""

    def prepare(params: PyTree) -> tuple[Any, Any]:
        weights = cell.prepare(params)
        return tuple(leaf for leaf in jax.tree.leaves(weights) if _is_inexact(leaf)), weights

    leaves, pull_back, weights = jax.vjp(prepare, params, has_aux=True)

    def merge(new: Any) -> Any:
        rest = iter(new)
        return jax.tree.map(lambda leaf: next(rest) if _is_inexact(leaf) else leaf, weights)

    return Linearized(weights, leaves, merge, lambda cotangents: pull_back(cotangents)[0])


def _is_inexact(leaf: Any) -> bool:
    return jnp.issubdtype(jnp.result_type(leaf), jnp.inexact)


def checked_loss(loss_fn: LossFn, t: Any, y: PyTree) -> Any:
    """The loss of step t, ``loss_fn(t, y)``; ValueError where that is no real floating scalar."""
    loss = jnp.asarray(loss_fn(t, y))
    if loss.shape or not jnp.issubdtype(loss.dtype, jnp.floating):
        raise ValueError(f"loss_fn: expected a real scalar, got {loss.dtype}{list(loss.shape)}")
    return loss
