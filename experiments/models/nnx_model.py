"""A flax nnx module as a `Model`: what embeds, normalises, drops out or attends around its recurrent layers."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, PyTree

import recurrent as rec
from experiments.models.base import EveryStep, LastStep, Loss
from experiments.tasks.base import Batch
from recurrent import arrays
from recurrent.arrays import Key
from recurrent.nnx import Recurrent


@dataclasses.dataclass(frozen=True)
class NNXModel:
    """A module that ``build(rngs)`` makes, split once into its graph and its parameters: then all is a pure function.

    The module is called with a whole `Batch`, time first as everywhere, and returns the outputs that the task reads.
    Where ``batch.mask`` is False its inputs are 0 already, so that nothing in the padding can reach outputs or
    gradients; the module hands the mask on to whatever looks beyond one step (recurrent layers, attention, means).

    Args:
        build: a function at the top of a module (equal models have the same one), which draws the parameters from
            ``rngs``, a ``nnx.Rngs`` with one stream for everything. Sizes are bound by a frozen dataclass with a
            ``__call__``, or by ``functools.partial`` (which is equal to itself alone).
        carries: the module goes on from batch to batch: ``module.initial_carry(batch_size)`` is the first carry,
            ``module(batch, carry)`` returns ``(outputs, carry)``. No gradient goes back through a carry.

    Parameters are a nested dictionary by attribute: ``{"dense": {"bias": ..., "kernel": ...}}``. What is random
    (``nnx.Dropout(rate, rngs=rngs)``, or a stream that the module keeps, ``self.rngs = rngs.fork()``) is drawn from
    the key of `apply` alone. A key puts the module in training mode, none in evaluation, as ``module.train()`` and
    ``module.eval()`` do; a `recurrent.nnx.Recurrent` follows both.

    Raises:
        ValueError: the module keeps something besides parameters and random streams, such as running averages.

    >>> from recurrent.nnx import Recurrent
    >>> class Tagger(nnx.Module):
    ...     def __init__(self, rngs):
    ...         self.embed = nnx.Embed(10, 4, rngs=rngs)
    ...         self.recurrent = Recurrent(rec.GRU(4, 8), rngs=rngs)
    ...         self.dropout = nnx.Dropout(0.5, rngs=rngs)
    ...         self.dense = nnx.Linear(8, 3, rngs=rngs)
    ...     def __call__(self, batch):
    ...         _, ys = self.recurrent(self.embed(batch.inputs), mask=batch.mask)
    ...         return self.dense(self.dropout(ys))
    >>> model = NNXModel(Tagger)
    >>> params = model.init(jax.random.key(0))
    >>> batch = Batch(jnp.zeros((5, 2), int), targets=None, weights=None)
    >>> outputs, _ = model.apply(params, batch, carry=(), key=None)
    >>> outputs.shape, sorted(params)
    ((5, 2, 3), ['dense', 'embed', 'recurrent'])
    """

    build: Callable[[nnx.Rngs], nnx.Module]
    carries: bool = False

    def init(self, key: Key) -> PyTree:
        """The parameters of a module that is built from ``key``, by attribute."""
        return nnx.to_pure_dict(nnx.split(self.build(nnx.Rngs(key)), nnx.Param, ...)[1])

    def initial_carry(self, params: PyTree, batch_size: int) -> PyTree:
        """The module's own where it carries, else nothing."""
        return self.module(params, None).initial_carry(batch_size) if self.carries else ()

    def apply(self, params: PyTree, batch: Batch, *, carry: PyTree, key: Key | None) -> tuple[PyTree, PyTree]:
        """What the module returns, and the carry after the batch."""
        return self.run(self.module(params, key), batch, carry)

    def run(self, module: Any, batch: Batch, carry: PyTree) -> tuple[PyTree, PyTree]:
        """Call a module on a batch without what is in its padding."""
        if batch.mask is not None:
            batch = batch._replace(inputs=arrays.where(batch.mask, batch.inputs, 0))
        if self.carries:
            return module(batch, jax.lax.stop_gradient(carry))
        return module(batch), ()

    def module(self, params: PyTree, key: Key | None) -> Any:
        """The module with these parameters: in training with a key, in evaluation without one."""
        graph, shapes, streams = self._split
        values = jax.tree.map(lambda leaf: leaf, shapes)  # a copy, because the next line writes into it
        nnx.replace_by_pure_dict(values, params)
        module = nnx.merge(graph, values, _seeded(streams, jax.random.key(0) if key is None else key))
        if key is None:
            module.eval()
        else:
            module.train()
        return module

    @functools.cached_property
    def _split(self) -> tuple[Any, Any, Any]:
        """The graph, and the shapes of the parameters and of the random streams; no array is made."""
        module = nnx.eval_shape(lambda: self.build(nnx.Rngs(0)))
        graph, params, streams, rest = nnx.split(module, nnx.Param, nnx.RngState, ...)
        if found := [".".join(map(str, path)) for path, _ in nnx.to_flat_state(rest)]:
            raise ValueError(
                f"build: expected parameters and random streams alone, the module keeps {', '.join(found)} too"
            )
        return graph, params, streams


def _seeded(streams: Any, key: Key) -> Any:
    """Random streams, each from a key of its own, with nothing drawn."""
    leaves, structure = jax.tree.flatten(streams)

    def fresh(number: int, leaf: Any) -> Array:
        if not jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            return jnp.zeros(leaf.shape, leaf.dtype)
        own = jax.random.fold_in(key, number)
        return jax.random.split(own, leaf.shape) if leaf.shape else own

    return jax.tree.unflatten(structure, [fresh(number, leaf) for number, leaf in enumerate(leaves)])


@dataclasses.dataclass(frozen=True)
class WatchedNNXModel(NNXModel):
    """An `NNXModel` with state gradients: those of one of its recurrent layers.

    ``watched`` is the path of a `recurrent.nnx.Recurrent` with a single cell in it, such as ``layers.0``, which a call
    of the module runs forwards and once; ``predicts`` says which losses count, as it does for a `CellWithReadout`.
    """

    watched: str = dataclasses.field(kw_only=True)
    predicts: EveryStep | LastStep = dataclasses.field(default=LastStep(), kw_only=True)

    def state_gradients(self, params: PyTree, batch: Batch, loss: Loss) -> PyTree:
        """The derivative of each sequence's last loss with respect to each state that the watched layer reads."""
        batch = self.predicts.watched(batch)
        carry = self.initial_carry(params, jax.tree.leaves(batch.inputs)[0].shape[1])

        def run(result: tuple[PyTree, PyTree] | None) -> tuple[PyTree, _StandIn]:
            module = self.module(params, None)
            stand_in = _take_place(module, self.watched, result)
            return self.run(module, batch, carry)[0], stand_in

        _, seen = run(None)
        xs, options = seen.the_call()
        return rec.diagnostics.state_gradients(
            seen.cell,
            seen.layer.cell_params,
            xs,
            lambda ys, state: loss(run((state, ys))[0], batch)[0],
            **options,
        )


class _StandIn:
    """In the place of a recurrent layer: it remembers how it is called, and returns a result that it may be given."""

    def __init__(
        self, layer: Recurrent, cell: rec.Cell, path: str, result: tuple[PyTree, PyTree] | None
    ) -> None:
        self.layer, self.cell, self.path, self.result = layer, cell, path, result
        self.calls: list[tuple[PyTree, dict[str, Any]]] = []

    def __call__(self, xs: PyTree, **options: Any) -> tuple[PyTree, PyTree]:
        self.calls.append((xs, options))
        return self.layer(xs, **options) if self.result is None else self.result

    def the_call(self) -> tuple[PyTree, dict[str, Any]]:
        """The inputs of the one call, and its state and flags."""
        if len(self.calls) != 1 or self.calls[0][1].get("reverse"):
            raise ValueError(f"watched: expected {self.path} to be called once, and forwards")
        xs, options = self.calls[0]
        return xs, {name: options.get(name) for name in ("state", "mask", "reset")}


def _take_place(module: Any, path: str, result: tuple[PyTree, PyTree] | None) -> _StandIn:
    """Put a stand-in at a path such as ``layers.0``; ValueError where no layer around one cell is there."""
    *parents, last = path.split(".")
    try:
        parent = functools.reduce(_child, parents, module)
        layer = _child(parent, last)
    except (AttributeError, LookupError, TypeError) as error:
        raise ValueError(f"watched: {type(module).__name__} has no {path}") from error
    if not isinstance(layer, Recurrent) or not isinstance(layer.cell, rec.Cell):
        raise ValueError(
            f"watched: expected a recurrent.nnx.Recurrent around one cell at {path}, got {type(layer).__name__}"
        )
    stand_in = _StandIn(layer, layer.cell, path, result)
    if last.isdigit():
        parent[int(last)] = stand_in
    else:
        setattr(parent, last, stand_in)
    return stand_in


def _child(parent: Any, name: str) -> Any:
    return parent[int(name)] if name.isdigit() else getattr(parent, name)
