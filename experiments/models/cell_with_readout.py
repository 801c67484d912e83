"""A cell (or layer) with a readout, as one pure function of parameters and a batch."""

import dataclasses
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, PyTree

import recurrent as rec
from experiments.errors import Fault
from experiments.models import inputs
from experiments.models.base import EveryStep, LastStep
from experiments.models.readout import Readout, ReadoutParams
from experiments.tasks.base import Batch
from recurrent import arrays, losses
from recurrent.arrays import Key


class RecurrentParams(NamedTuple):
    """The parameters of `Recurrent`."""

    cell: PyTree
    readout: ReadoutParams


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
