"""Dropout of recurrent matrices: one draw for all steps of an unroll, as a function of parameters and as a layer."""

import dataclasses
from typing import Any

import jax
from jaxtyping import PyTree

from recurrent.arrays import Key
from recurrent.cell import Cell, Layer, LayerAround, Noisy
from recurrent.unroll import unroll
from recurrent.wrappers.dropout import check_rate, drop, keep_masks

__all__ = ["WeightDrop", "weight_drop"]


def weight_drop(
    params: PyTree, key: Key | None, rate: float | int, names: tuple[str, ...] = ("w_h",)
) -> PyTree:
    """The parameters with entries of the named matrices dropped: one draw for all steps and sequences of an unroll.

    ``unroll(cell, weight_drop(params, key, 0.5), xs)`` trains with it; ``key=None`` changes nothing. A name counts
    wherever it stands in ``params``, in every part of a stack; ValueError where one stands nowhere.
    Source: Merity, Keskar & Socher (2018), "Regularizing and optimizing LSTM language models"; DropConnect: Wan et al.
    (2013), "Regularization of neural networks using DropConnect".

    >>> import jax.numpy as jnp
    >>> params = {"w_h": jnp.ones((2, 2)), "w_x": jnp.ones(2)}
    >>> dropped = weight_drop(params, jax.random.key(0), 0.5)
    >>> sorted(set(dropped["w_h"].ravel().tolist())), dropped["w_x"].tolist()
    ([0.0, 2.0], [1.0, 1.0])
    """
    check_rate("rate", rate)
    paths, structure = jax.tree.flatten_with_path(params)
    leaves = [leaf for _, leaf in paths]
    owners = [jax.tree_util.keystr(path[-1:], simple=True) for path, _ in paths]
    for name in names:
        if name not in owners:
            raise ValueError(f"names: expected names of parameters ({', '.join(owners)}), got {name!r}")
    if key is None:
        return params
    for number, index in enumerate(index for index, name in enumerate(owners) if name in names):
        (keep,) = keep_masks(jax.random.fold_in(key, number), rate, (), leaves[index].shape)
        leaves[index] = drop(leaves[index], (keep,), rate)
    return jax.tree.unflatten(structure, leaves)


@dataclasses.dataclass(frozen=True)
class WeightDrop(LayerAround):
    """A cell or layer whose parameters go through `weight_drop` wherever `recurrent.unroll` is given a key.

    All steps and sequences of one call read the same matrices, which no cell may draw for itself: hence a layer. The
    key is split in two, for the matrices and for what is inside.

    >>> import jax.numpy as jnp, recurrent as rec
    >>> layer = WeightDrop(rec.LSTM(2, 3), 0.5)
    >>> params, xs = layer.init(jax.random.key(0)), jnp.ones((5, 2))
    >>> state, ys = rec.unroll(layer, params, xs, key=jax.random.key(1))
    >>> ys.shape, bool(jnp.any(ys != rec.unroll(layer, params, xs)[1]))
    ((5, 3), True)
    """

    cell: Cell | Layer
    rate: float | int = 0.5
    names: tuple[str, ...] = ("w_h",)

    def __post_init__(self) -> None:
        """ValueError unless ``rate`` is in [0, 1) and the names are those of parameters."""
        super().__post_init__()
        # the key is made inside: building a layer must not start a device
        params = jax.eval_shape(lambda: self.cell.init(jax.random.key(0)))
        weight_drop(params, None, self.rate, self.names)

    @property
    def uses_key(self) -> bool:
        """Where weights are dropped, or the wrapped cell uses one."""
        return self.rate > 0 or self.cell.uses_key

    @property
    def has_step(self) -> bool:
        """Whether the wrapped cell has one."""
        return self.cell.has_step

    def step(self, weights: Any, state: Any, u: Any) -> tuple[Any, Any]:
        """``(state, y)`` of one step of the cell, in evaluation; TypeError where the cell needs whole sequences."""
        x = Noisy.of(u) if self.cell.is_stochastic else u
        return self.cell.step(weights, state, self.cell.project(weights, x))

    def unroll(
        self, params: Any, xs: Any, *, state: Any, mask: Any, reset: Any, reverse: bool, key: Any, solver: Any
    ) -> tuple[Any, Any]:
        """``(final_state, ys)`` of the cell with what is kept of its parameters; ``solver`` is one that runs it."""
        if key is not None:
            key_own, key = jax.random.split(key)
            params = weight_drop(params, key_own, self.rate, self.names)
        return unroll(
            self.cell,
            params,
            xs,
            state=state,
            mask=mask,
            reset=reset,
            reverse=reverse,
            key=key,
            solver=solver,
        )
