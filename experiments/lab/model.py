"""Models: a cell (or layer) with a readout, as one pure function of parameters and a batch."""

import dataclasses
import math
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PyTree

import recurrent as rec
from experiments.errors import Fault
from experiments.lab import cells, inputs
from experiments.lab.experiment import Parts
from experiments.lab.readout import Readout, ReadoutParams
from experiments.tasks.base import Batch
from recurrent import arrays, losses
from recurrent.arrays import Key


class Model(Protocol):
    """What is trained. ``carry`` is the state that truncated backpropagation keeps, ``()`` otherwise."""

    def init(self, key: Key) -> PyTree: ...
    def initial_carry(self, params: PyTree, batch_size: int) -> PyTree: ...
    def apply(
        self, params: PyTree, batch: Batch, *, carry: PyTree, key: Key | None
    ) -> tuple[PyTree, PyTree]: ...


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
    """A cell or layer, then a readout at the steps that ``predicts`` selects.

    ``bias`` and ``skip``: see `Readout`. ``carries``: the state goes on from batch to batch, without its gradient
    (truncated backpropagation through time); else every sequence starts from the initial state.
    """

    cell: Any
    output_size: int
    predicts: EveryStep | LastStep
    solver: Any = rec.AUTO
    carries: bool = False
    bias: bool = True
    skip: bool = False

    @property
    def readout(self) -> Readout:
        """Of the cell's output, all axes of an image as one."""
        input_size = math.prod(arrays.shape_leaves(self.cell.input_shape)[0])
        return Readout(math.prod(self.cell.output_shape), self.output_size, input_size, self.bias, self.skip)

    def init(self, key: Key) -> RecurrentParams:
        """The cell's parameters and the readout's, each from its own key."""
        key_cell, key_readout = jax.random.split(key)
        return RecurrentParams(self.cell.init(key_cell), self.readout.init(key_readout))

    def initial_carry(self, params: RecurrentParams, batch_size: int) -> PyTree:
        """The initial state where it is carried, else nothing."""
        return self.cell.initial_state(self.cell.prepare(params.cell), (batch_size,)) if self.carries else ()

    def apply(
        self, params: RecurrentParams, batch: Batch, *, carry: PyTree, key: Key | None
    ) -> tuple[PyTree, PyTree]:
        """Predictions ``[t, b, k]`` or ``[b, k]``, and the carry after the batch."""
        options = self._options(batch, carry, key)
        xs = inputs.fit(self.cell, batch.inputs)
        state, ys = rec.unroll(self.cell, params.cell, xs, solver=self.solver, **options)
        return self._read(params.readout, ys, batch), state if self.carries else ()

    def _options(self, batch: Batch, carry: PyTree, key: Key | None) -> dict[str, Any]:
        state = jax.lax.stop_gradient(carry) if self.carries else None
        return {"state": state, "mask": batch.mask, "reset": batch.reset, "key": key}

    def _read(self, readout: ReadoutParams, ys: Array, batch: Batch) -> Array:
        flat = ys.reshape(*ys.shape[: batch.inputs.ndim - 1], -1)
        ys, xs = (self.predicts.select(each, batch.mask) for each in (flat, batch.inputs))
        return self.readout.apply(readout, ys, xs)

    def gradients(
        self,
        params: RecurrentParams,
        batch: Batch,
        loss: Any,
        *,
        rule: rec.online.Rule,
        carry: PyTree,
        key: Key | None,
        rule_key: Key | None,
    ) -> tuple[Any, RecurrentParams, PyTree, PyTree]:
        """``(mean loss, gradient, predictions, carry)``: the readout's gradient exact, the cell's by ``rule``.

        A mean over predictions is no sum over steps before all of them are known: the sequence is run once for
        its outputs y and dL/dy_t, and once more by the rule, to which those are constants.

        Raises:
            Fault: the model holds no single cell, or the rule cannot run it.
        """
        if not isinstance(self.cell, rec.Cell):
            raise Fault(f"--gradient: {rule} needs one cell, got {self.cell}; bptt trains layers")
        options = self._options(batch, carry, key)
        xs = inputs.fit(self.cell, batch.inputs)
        state, ys = rec.unroll(self.cell, params.cell, xs, solver=self.solver, **options)

        def mean_loss(readout: ReadoutParams, ys: Array) -> tuple[Any, Array]:
            outputs = self._read(readout, ys, batch)
            return losses.mean(loss(outputs, batch)), outputs

        over_both = jax.value_and_grad(mean_loss, argnums=(0, 1), has_aux=True)
        (value, outputs), (readout, signal) = over_both(params.readout, ys)
        try:
            _, cell, _ = rec.online.gradient(
                self.cell,
                params.cell,
                xs,
                lambda t, y: jnp.sum(signal[t] * y),
                rule=rule,
                rule_key=rule_key,
                **options,
            )
        except ValueError as error:
            raise Fault(f"--gradient: {error}") from error
        return value, RecurrentParams(cell, readout), outputs, state if self.carries else ()

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
            inputs.fit(self.cell, batch.inputs),
            lambda ys, state: loss(self._read(params.readout, ys, watched), watched)[0],
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


def parts(task: Any, config: Any, predicts: EveryStep | LastStep) -> Parts:
    """The task, the configuration's cell with a readout, and its optimizer: what most experiments build."""
    (input_size,), (output_size,) = task.input_shape, task.output_shape
    cell = cells.build(config.cell, input_size, config.hidden_size)
    inputs.check(cell, input_size)
    return Parts(task, Recurrent(cell, output_size, predicts, SOLVERS[config.solver]), make_optimizer(config))
