"""Running a cell one step at a time, as the inputs arrive; the numbers are those of `recurrent.unroll`."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
from jaxtyping import PyTree

from recurrent import arrays
from recurrent.cell import Cell, Layer, Noisy

__all__ = ["Stream", "stream"]


class Stream(NamedTuple):
    """A network ready to run step by step: its first ``state``, and ``state, y = step(state, x)``."""

    state: PyTree
    step: Callable[[PyTree, PyTree], tuple[PyTree, PyTree]]


def stream(cell: Cell | Layer, params: PyTree, batch_shape: tuple[int, ...] = ()) -> Stream:
    """A cell, or a `stack` of cells, made ready for use in real time.

    The weights are prepared once; ``step(state, x[*b, *input_shape]) -> (state, y)`` is compiled at its first call and
    takes over the memory of the state that it is given, which must not be used again. Stochastic wrappers run in
    evaluation mode.

    Raises:
        TypeError: the layer needs whole sequences.

    >>> import jax.numpy as jnp, recurrent as rec
    >>> cell = rec.LSTM(2, 3)
    >>> params, xs = cell.init(jax.random.key(0)), jnp.ones((5, 2))
    >>> state, step = stream(cell, params)
    >>> for x in xs:
    ...     state, y = step(state, x)
    >>> bool(jnp.allclose(y, rec.unroll(cell, params, xs)[1][-1]))
    True
    """
    if not cell.has_step:
        raise TypeError(f"{type(cell).__name__} needs whole sequences: it has no step; use recurrent.unroll")
    weights = _prepared(cell, params)
    # a copy: an initial state may be a parameter, which a step must not take over
    state = jax.tree.map(lambda leaf: leaf.copy(), cell.initial_state(weights, batch_shape))
    return Stream(state, lambda state, x: _advanced(cell, state, weights, x))


# here, not inside `stream`: a second stream of an equal cell finds what the first one compiled
@functools.partial(jax.jit, static_argnames="cell")
def _prepared(cell: Any, params: PyTree) -> Any:
    return cell.prepare(params)


@functools.partial(jax.jit, static_argnames="cell", donate_argnames="state")
def _advanced(cell: Any, state: Any, weights: Any, x: Any) -> tuple[Any, Any]:
    x = cell.cast(x, arrays.real_dtype(state))
    return cell.step(weights, state, cell.project(weights, Noisy(x, None) if cell.is_stochastic else x))
