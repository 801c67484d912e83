"""Models: a cell (or layer) with a readout, as one pure function of parameters and a batch."""

import dataclasses
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PyTree

import recurrent as rec
from experiments.tasks.base import Batch
from recurrent import arrays, initializers
from recurrent.arrays import Key


class Model(Protocol):
    """What is trained. ``carry`` is the state that truncated backpropagation keeps, ``()`` otherwise."""

    def init(self, key: Key) -> PyTree: ...
    def initial_carry(self, params: PyTree, batch_size: int) -> PyTree: ...
    def apply(
        self, params: PyTree, batch: Batch, *, carry: PyTree, key: Key | None
    ) -> tuple[PyTree, PyTree]: ...


class ReadoutParams(NamedTuple):
    """An affine map of the cell's output."""

    w: Float[Array, "h k"]
    b: Float[Array, " k"]


class RecurrentParams(NamedTuple):
    """The parameters of `Recurrent`."""

    cell: PyTree
    readout: ReadoutParams


@dataclasses.dataclass(frozen=True)
class EveryStep:
    """One prediction at each step."""

    def select(self, ys: Float[Array, "t b h"], mask: Bool[Array, "t b"] | None) -> Float[Array, "t b h"]:
        """All of them."""
        return ys

    def watched(self, batch: Batch) -> Batch:
        """The batch whose loss counts the last prediction of each sequence alone."""
        last = jnp.arange(batch.weights.shape[0])[:, None] == last_step(batch.weights != 0)
        return batch._replace(weights=jnp.where(last, batch.weights, 0.0))


@dataclasses.dataclass(frozen=True)
class LastStep:
    """One prediction for each sequence, at its last step that exists."""

    def select(self, ys: Float[Array, "t b h"], mask: Bool[Array, "t b"] | None) -> Float[Array, "b h"]:
        """The output of that step."""
        if mask is None:
            return ys[-1]
        return jnp.take_along_axis(ys, last_step(mask)[None, :, None], axis=0)[0]

    def watched(self, batch: Batch) -> Batch:
        """The batch itself: there is one prediction a sequence."""
        return batch


def last_step(exists: Bool[Array, "t b"]) -> Array:
    """The index of the last True of each sequence, ``[b]``; the last index where there is none."""
    return exists.shape[0] - 1 - jnp.argmax(jnp.flip(exists, axis=0), axis=0)


@dataclasses.dataclass(frozen=True)
class Recurrent:
    """A cell or layer, then an affine readout at the steps that ``predicts`` selects.

    ``carries``: the state goes on from batch to batch, without its gradient (truncated backpropagation
    through time); else every sequence starts from the initial state.
    """

    cell: Any
    output_size: int
    predicts: EveryStep | LastStep
    solver: Any = rec.AUTO
    carries: bool = False

    def init(self, key: Key) -> RecurrentParams:
        """The cell's parameters; a readout from U(±1/√h) with bias 0."""
        key_cell, key_readout = jax.random.split(key)
        (size,) = self.cell.output_shape
        w = initializers.uniform(key_readout, (size, self.output_size), bound=size**-0.5)
        return RecurrentParams(self.cell.init(key_cell), ReadoutParams(w, jnp.zeros(self.output_size)))

    def initial_carry(self, params: RecurrentParams, batch_size: int) -> PyTree:
        """The initial state where it is carried, else nothing."""
        return self.cell.initial_state(self.cell.prepare(params.cell), (batch_size,)) if self.carries else ()

    def apply(
        self, params: RecurrentParams, batch: Batch, *, carry: PyTree, key: Key | None
    ) -> tuple[PyTree, PyTree]:
        """Predictions ``[t, b, k]`` or ``[b, k]``, and the carry after the batch."""
        state, ys = rec.unroll(
            self.cell,
            params.cell,
            batch.inputs,
            state=jax.lax.stop_gradient(carry) if self.carries else None,
            mask=batch.mask,
            reset=batch.reset,
            key=key,
            solver=self.solver,
        )
        return self._read(params, ys, batch), state if self.carries else ()

    def _read(self, params: RecurrentParams, ys: Array, batch: Batch) -> Array:
        return self.predicts.select(ys, batch.mask) @ params.readout.w + params.readout.b

    def state_gradients(self, params: RecurrentParams, batch: Batch, loss: Any) -> PyTree | None:
        """The derivative of each sequence's last loss with respect to each state, ``[t, b, ...]``.

        ``loss(outputs, batch) -> (sum, count)``. None for layers, whose states have no common step.
        """
        if not isinstance(self.cell, rec.Cell):
            return None
        watched = self.predicts.watched(batch)
        return rec.diagnostics.state_gradients(
            self.cell,
            params.cell,
            batch.inputs,
            lambda ys, state: loss(self._read(params, ys, watched), watched)[0],
            mask=batch.mask,
            reset=batch.reset,
        )


def target_step(batch: Batch) -> Array:
    """The step of each sequence's last prediction, ``[b]``, from which lags are counted."""
    num_steps = arrays.num_steps(batch.inputs)
    if batch.weights.ndim > 1:
        return last_step(batch.weights != 0)
    if batch.mask is not None:
        return last_step(batch.mask)
    return jnp.full(batch.weights.shape, num_steps - 1)


def make_optimizer(config: Any) -> Any:
    """Clipping by the global norm, then the update rule with its schedule.

    The schedule counts optimizer steps; RMSprop's decay is 0.9, as in the published protocols.
    """
    import optax

    rate = config.learning_rate
    if config.schedule == "cosine":
        rate = optax.cosine_decay_schedule(rate, config.num_updates)
    rules = {"adam": optax.adam, "rmsprop": lambda step: optax.rmsprop(step, decay=0.9), "sgd": optax.sgd}
    rule = rules[config.optimizer](rate)
    if config.clip_norm is None:
        return rule
    return optax.chain(optax.clip_by_global_norm(config.clip_norm), rule)


SOLVERS = {
    "auto": rec.AUTO,
    "sequential": rec.Sequential(),
    "checkpointed": rec.Checkpointed(),
    "associative": rec.Associative(),
}
"""The solvers that a configuration names."""
