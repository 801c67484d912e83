"""How far each rule's gradient is from the exact one, parameter by parameter."""

from collections.abc import Iterable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from recurrent.cell import Cell
from recurrent.online.driver import LossFn, Rule, gradient
from recurrent.online.truncated import BPTT

__all__ = ["compare"]


def compare(
    cell: Cell, params: PyTree, xs: PyTree, loss_fn: LossFn, *, rules: Iterable[Rule], **options: Any
) -> dict[Rule, dict[str, tuple[Float[Array, ""], Float[Array, ""]]]]:
    """Direction and size of each rule's gradient against `BPTT`: ``{rule: {path: (cosine, norm ratio)}}``.

    A path is the parameter's place in ``params``, such as ``w_h``. NaN where BPTT's gradient is zero, and as the
    cosine of a gradient that is zero itself.

    Args:
        cell: the cell.
        params: its parameters.
        xs: inputs ``[t, *b, *cell.input_shape]``.
        loss_fn: ``(t, y_t) -> scalar``.
        rules: the rules to compare.
        **options: as for `gradient`, the same for every rule.

    >>> import recurrent as rec
    >>> cell = rec.Elman(1, 1)
    >>> params, xs = cell.init(jax.random.key(0)), jnp.ones((3, 1))
    >>> table = compare(cell, params, xs, lambda t, y: y.sum(), rules=[BPTT()])
    >>> [round(float(number), 3) for number in table[BPTT()]["w_x"]]
    [1.0, 1.0]
    """
    _, exact, _ = gradient(cell, params, xs, loss_fn, rule=BPTT(), **options)
    table = {}
    for rule in rules:
        _, found, _ = gradient(cell, params, xs, loss_fn, rule=rule, **options)
        pairs = zip(jax.tree_util.tree_leaves_with_path(found), jax.tree.leaves(exact), strict=True)
        table[rule] = {
            jax.tree_util.keystr(path, simple=True, separator="."): _closeness(one, other)
            for (path, one), other in pairs
        }
    return table


def _closeness(one: Array, other: Array) -> tuple[Float[Array, ""], Float[Array, ""]]:
    norm, exact = jnp.linalg.norm(one.ravel()), jnp.linalg.norm(other.ravel())
    return jnp.vdot(one, other) / (norm * exact), norm / exact
