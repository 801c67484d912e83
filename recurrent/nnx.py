"""Flax NNX modules around any cell or layer: for models that also embed, normalise, drop out or attend.

A module holds every array of the cell's parameters as an `nnx.Param` of its own, so that whatever flax does with
parameters works: optimizers, `nnx.jit`, `nnx.grad`, `nnx.vmap`, `nnx.tabulate`, checkpoints.
"""

from typing import Any, NamedTuple

import jax
from flax import nnx
from jaxtyping import Array, Bool, PyTree

from recurrent.arrays import Key
from recurrent.cell import Cell, Layer
from recurrent.unroll import AUTO, unroll

__all__ = ["Recurrent", "Unrolled"]


class Unrolled(NamedTuple):
    """What a call returns: ``state, ys = module(xs)``, or ``module(xs).ys``.

    As a pytree it is flat, and an array of it is named like ``state.h``: in nested named tuples `nnx.tabulate` (flax
    0.12) loses its way.
    """

    state: PyTree
    ys: PyTree


def _flatten_with_names(unrolled: Unrolled) -> tuple[list[tuple[Any, Any]], Any]:
    outer = jax.tree_util.tree_leaves_with_path({"state": unrolled.state, "ys": unrolled.ys})
    names = [jax.tree_util.keystr(path, simple=True, separator=".") for path, _ in outer]
    leaves, structure = jax.tree.flatten(tuple(unrolled))
    return [
        (jax.tree_util.GetAttrKey(name), leaf) for name, leaf in zip(names, leaves, strict=True)
    ], structure


jax.tree_util.register_pytree_with_keys(
    Unrolled,
    _flatten_with_names,
    lambda structure, leaves: Unrolled(*jax.tree.unflatten(structure, leaves)),
    lambda unrolled: jax.tree.flatten(tuple(unrolled)),
)


class Recurrent(nnx.Module):
    """A module that holds the parameters of a cell or layer and calls `recurrent.unroll` with them.

    Noise (zoneout, dropout, weight drop) follows flax's rules: ``module.train()`` switches it on, as at the start, and
    draws from the stream ``dropout`` of ``rngs``; ``module.eval()`` switches it off. A ``key`` wins over both.

    >>> import jax, recurrent as rec
    >>> module = Recurrent(rec.LSTM(input_size=2, hidden_size=3), rngs=nnx.Rngs(0))
    >>> state, ys = module(jax.numpy.ones((5, 4, 2)))
    >>> ys.shape, module.params["w_x"].shape
    ((5, 4, 3), (2, 12))

    Attributes:
        cell: the cell or layer.
        params: an `nnx.Param` for each array, by the cell's field names; part 1 of a `stack` is ``params["1"]``.
        deterministic: whether there is no noise; `train` and `eval` set it.
    """

    def __init__(self, cell: Cell | Layer, *, rngs: nnx.Rngs, deterministic: bool = False) -> None:
        """Draw the parameters from the stream ``params`` of ``rngs``; keep a copy of ``dropout`` for the noise."""
        self.cell = nnx.static(cell)
        self.params = nnx.Dict({})
        self.set_cell_params(cell.init(rngs.params()))
        self.deterministic = deterministic
        has_stream = cell.uses_key and ("dropout" in rngs or "default" in rngs)
        self.rngs = nnx.data(rngs["dropout"].fork() if has_stream else None)

    @property
    def cell_params(self) -> PyTree:
        """The parameters as ``cell.init`` returns them."""
        like = jax.eval_shape(self.cell.init, jax.eval_shape(lambda: jax.random.key(0)))
        paths, structure = jax.tree_util.tree_flatten_with_path(like)
        return jax.tree.unflatten(structure, [self._param(path).get_value() for path, _ in paths])

    def set_cell_params(self, params: PyTree) -> None:
        """Take parameters such as ``cell.init`` returns, from `recurrent.interop` for one."""
        for path, leaf in jax.tree_util.tree_leaves_with_path(params):
            *outer, last = _names(path)
            node: Any = self.params
            for name in outer:
                if name not in node:
                    node[name] = nnx.Dict({})
                node = node[name]
            if last in node:
                node[last].set_value(leaf)
            else:
                node[last] = nnx.Param(leaf)

    def _param(self, path: Any) -> Any:
        node: Any = self.params
        for name in _names(path):
            node = node[name]
        return node

    def initial_state(self, batch_shape: tuple[int, ...]) -> PyTree:
        """The state before the first step of each of ``batch_shape`` sequences."""
        return self.cell.initial_state(self.cell.prepare(self.cell_params), batch_shape)

    def __call__(
        self,
        xs: PyTree,
        *,
        state: PyTree = None,
        mask: Bool[Array, "t *b"] | None = None,
        reset: Bool[Array, "t *b"] | None = None,
        reverse: bool = False,
        key: Key | None = None,
        solver: Any = AUTO,
    ) -> Unrolled:
        """``(final_state, ys)`` of the inputs ``xs``; the arguments are those of `recurrent.unroll`.

        Args:
            key: draws the noise; None: the stream ``dropout`` does, in training.

        Raises:
            ValueError: noise is on, and neither a key nor a stream is there to draw it from.
        """
        if key is None and self.cell.uses_key and not self.deterministic:
            if self.rngs is None:
                raise ValueError(
                    "key: expected a key, a module built with nnx.Rngs(..., dropout=seed), or module.eval(), got none"
                )
            key = self.rngs()
        final_state, ys = unroll(
            self.cell,
            self.cell_params,
            xs,
            state=state,
            mask=mask,
            reset=reset,
            reverse=reverse,
            key=key,
            solver=solver,
        )
        return Unrolled(final_state, ys)


def _names(path: Any) -> list[str]:
    """The keys of a path into a pytree as words; an array that is no part of anything is called ``value``."""
    return [jax.tree_util.keystr((key,), simple=True) for key in path] or ["value"]
