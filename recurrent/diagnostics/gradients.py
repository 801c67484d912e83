"""How much of a loss's gradient reaches each earlier state: the vanishing gradient, measured."""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PyTree

from recurrent import arrays
from recurrent.arrays import Key, Shape
from recurrent.cell import Cell, Noisy
from recurrent.solvers.sequential import Sequential
from recurrent.unroll import unroll

__all__ = ["gradient_by_lag", "gradient_norms", "state_gradients"]


class _Step(NamedTuple):
    """An input of a `_Perturbed` cell: the cell's own, whether the step exists, and what is added to the state."""

    x: PyTree
    exists: PyTree
    added: PyTree


@dataclasses.dataclass(frozen=True)
class _Perturbed(Cell):
    """A cell that adds an input to the state it reads.

    Masked steps are its own business: the state that passes through one is perturbed like any other.
    """

    cell: Cell

    @property
    def input_shape(self) -> Shape:
        state = jax.eval_shape(lambda: self.initial_state(self.prepare(self.init(jax.random.key(0))), ()))
        return _Step(self.cell.input_shape, (), arrays.tree_shape(state))

    def init(self, key: Key) -> Any:
        return self.cell.init(key)

    def prepare(self, params: Any) -> Any:
        return self.cell.prepare(params)

    def initial_state(self, weights: Any, batch_shape: tuple[int, ...]) -> Any:
        return self.cell.initial_state(weights, batch_shape)

    def cast(self, x: _Step, dtype: Any) -> _Step:
        return x._replace(x=self.cell.cast(x.x, dtype), added=arrays.cast(x.added, dtype))

    def project(self, weights: Any, x: _Step) -> _Step:
        own = arrays.where(x.exists, x.x, 0.0)
        return x._replace(x=self.cell.project(weights, Noisy(own, None) if self.cell.is_stochastic else own))

    def next_state(self, weights: Any, state: Any, u: _Step) -> Any:
        read = jax.tree.map(jnp.add, state, u.added)
        return arrays.where(u.exists, self.cell.next_state(weights, read, u.x), read)

    def output(self, weights: Any, state: Any, u: _Step) -> Any:
        return self.cell.mask_output(u.exists, self.cell.output(weights, state, u.x))


def state_gradients(
    cell: Cell,
    params: PyTree,
    xs: PyTree,
    loss_fn: Callable[[PyTree, PyTree], Float[Array, ""]],
    *,
    state: PyTree = None,
    mask: Bool[Array, "t *b"] | None = None,
    reset: Bool[Array, "t *b"] | None = None,
) -> PyTree:
    """The derivative of a loss with respect to the state that each step reads.

    Entry t is taken after a reset and before the step, so entry 0 belongs to the initial state; at a masked step
    it belongs to the state that passes through. The fields of the state count as independent
    coordinates, and only outputs at steps >= t contribute: the lag of entry t to a target at step s is
    s - t, and lag 0 is never empty. One backward pass; about the price of a parameter gradient.

    Args:
        cell: the cell; stochastic wrappers run in evaluation mode.
        params: its parameters.
        xs: inputs ``[t, *b, *input_shape]``.
        loss_fn: ``(ys, final_state) -> scalar``.
        state: the state before the first step; None: ``cell.initial_state``.
        mask: as for `recurrent.unroll`.
        reset: as for `recurrent.unroll`.

    Returns:
        A state whose leaves are ``[t, *b, ...]``. A complex leaf holds ∂L/∂re + i ∂L/∂im.

    >>> import recurrent as rec
    >>> cell = rec.Elman(1, 1)
    >>> params = cell.init(jax.random.key(0))._replace(w_h=jnp.array([[0.5]]))
    >>> g = state_gradients(cell, params, jnp.zeros((3, 1)), lambda ys, state: ys[-1, 0])
    >>> g.h[:, 0].tolist()
    [0.125, 0.25, 0.5]
    """
    batch = arrays.batch_shape(xs, cell.input_shape)
    # shapes alone: computed here, outside a program, a `prepare` with a loop in it would be compiled at every call
    first = jax.eval_shape(lambda params: cell.initial_state(cell.prepare(params), batch[1:]), params)
    exists = jnp.ones(batch, bool) if mask is None else mask
    zeros = jax.tree.map(lambda leaf: jnp.zeros((batch[0], *leaf.shape), leaf.dtype), first)

    def loss(added: PyTree) -> Float[Array, ""]:
        perturbed = _Step(xs, exists, added)
        # no weight gradient is asked for, so there is none to gather
        final_state, ys = unroll(
            _Perturbed(cell), params, perturbed, state=state, reset=reset, solver=Sequential()
        )
        return loss_fn(ys, final_state)

    # for a real loss JAX returns ∂L/∂re - i ∂L/∂im
    return jax.tree.map(jnp.conj, jax.grad(loss)(zeros))


def gradient_norms(
    gradients: PyTree, field: str | None = None, *, batch_axes: int = 1
) -> Float[Array, "t *b"]:
    """The 2-norm over the real coordinates of every field of the state, or of one, for each step.

    Args:
        gradients: what `state_gradients` returned, a NamedTuple of ``[t, *b, ...]``.
        field: the name of one field; None: all of them.
        batch_axes: how many axes ``*b`` stands for; what follows them belongs to the state.

    >>> gradient_norms((jnp.array([[3.0]]), jnp.array([[4.0]])), batch_axes=0).tolist()
    [5.0]
    """
    chosen = gradients if field is None else getattr(gradients, field)

    leaves = [jnp.abs(leaf) for leaf in jax.tree.leaves(chosen)]
    event_axes = [tuple(range(1 + batch_axes, leaf.ndim)) for leaf in leaves]
    peaks = [jnp.max(leaf, axis=axes) for leaf, axes in zip(leaves, event_axes, strict=True)]
    peak = jnp.max(jnp.stack(peaks), axis=0)
    # what has vanished is the subject: squares of it would leave the range of float32 at 1e-19
    scale = jnp.where(peak > 0, peak, 1.0)

    def squares(leaf: Array, axes: tuple[int, ...]) -> Float[Array, "t *b"]:
        return jnp.sum((leaf / jnp.expand_dims(scale, axes)) ** 2, axis=axes)

    return scale * jnp.sqrt(sum(map(squares, leaves, event_axes)))


def gradient_by_lag(norms: Float[Array, "t *b"], target: int | Int[Array, ""]) -> Float[Array, "lag *b"]:
    """Norms in the order of their lag to one target step: entry k is the one of step ``target - k``.

    >>> gradient_by_lag(jnp.array([0.125, 0.25, 0.5]), 2).tolist()
    [0.5, 0.25, 0.125]
    """
    return jnp.flip(norms[: target + 1], axis=0)
