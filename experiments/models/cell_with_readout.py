"""A cell or a layer with a readout, as one pure function of parameters and a batch.

`with_readout` makes the one that fits. Both share parameters, outputs and solvers; online gradients and state
gradients need one state at each step, so that a `CellWithReadout` has them and a `LayerWithReadout` has not.
"""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, NamedTuple, Self

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

import recurrent as rec
from experiments.errors import Fault
from experiments.models import counts, inputs, solver_choice
from experiments.models.base import EveryStep, LastStep, Loss
from experiments.models.embedding import Embedding
from experiments.models.readout import Readout, ReadoutParams
from experiments.tasks.base import Batch
from recurrent import arrays, losses
from recurrent.arrays import Key


class CellWithReadoutParams(NamedTuple):
    """The parameters of a `CellWithReadout`, and of a `LayerWithReadout`."""

    cell: PyTree
    readout: ReadoutParams
    embedding: Float[Array, "v d"] | None = None


@dataclasses.dataclass(frozen=True)
class LayerWithReadout:
    """A layer (or a cell), then a readout at the steps that ``predicts`` selects.

    ``bias``, ``skip`` and ``init_range``: see `Readout`. ``carries``: the state goes on from batch to batch, without
    its gradient (truncated backpropagation through time); else every sequence starts from the initial state.
    ``num_tokens``: inputs are integers below it, and the cell reads a trained vector for each (see `Embedding`); None:
    inputs are vectors already.
    """

    cell: Any
    output_size: int
    predicts: EveryStep | LastStep
    solver: Any = rec.AUTO
    carries: bool = False
    bias: bool = True
    skip: bool = False
    init_range: float | None = None
    num_tokens: int | None = None

    def with_solver(self, solver: Any) -> Self:
        """This model with another solver."""
        return dataclasses.replace(self, solver=solver)

    def chosen_solver(self, batch: Batch) -> Any:
        """What ``AUTO`` comes to for these shapes, one choice for each part of a layer; else `solver` itself."""
        if self.solver != rec.AUTO:
            return self.solver
        xs = jax.eval_shape(self._first_inputs, batch)
        return solver_choice.choice(self.cell, xs)

    def _first_inputs(self, batch: Batch) -> PyTree:
        """What the cell reads of a batch at the first parameters."""
        return inputs.fit(self.cell, self._embedded(self._init_embedding(jax.random.key(0)), batch).inputs)

    @property
    def embedding(self) -> Embedding | None:
        """The embedding in front of the cell; None where inputs are vectors."""
        return None if self.num_tokens is None else Embedding(self.num_tokens, self._input_size)

    @property
    def _input_size(self) -> int:
        """All entries that the cell reads in a step."""
        return math.prod(arrays.shape_leaves(self.cell.input_shape)[0])

    @property
    def readout(self) -> Readout:
        """The readout of the cell's output, all axes of an image as one."""
        return Readout(
            math.prod(self.cell.output_shape),
            self.output_size,
            self._input_size,
            self.bias,
            self.skip,
            self.init_range,
        )

    def init(self, key: Key) -> CellWithReadoutParams:
        """The parameters of cell, readout and embedding, each from its own key."""
        key_cell, key_readout = jax.random.split(key)
        embedding = self._init_embedding(jax.random.fold_in(key, 2))
        return CellWithReadoutParams(self.cell.init(key_cell), self.readout.init(key_readout), embedding)

    def _init_embedding(self, key: Key) -> Float[Array, "v d"] | None:
        return None if self.embedding is None else self.embedding.init(key)

    def _embedded(self, vectors: Float[Array, "v d"] | None, batch: Batch) -> Batch:
        """The batch with the vectors of its tokens; itself where there are none."""
        if self.embedding is None:
            return batch
        # there are vectors wherever there is an embedding
        return batch._replace(inputs=self.embedding.apply(vectors, batch.inputs))  # pyright: ignore[reportArgumentType]

    def num_state(self) -> int:
        """Real numbers in the state of one sequence, of all parts of a layer together."""
        return counts.num_state(self.cell)

    def initial_carry(self, params: CellWithReadoutParams, batch_size: int) -> PyTree:
        """The initial state where it is carried, else nothing."""
        return self.cell.initial_state(self.cell.prepare(params.cell), (batch_size,)) if self.carries else ()

    def apply(
        self, params: CellWithReadoutParams, batch: Batch, *, carry: PyTree, key: Key | None
    ) -> tuple[PyTree, PyTree]:
        """Predictions ``[t, b, k]`` or ``[b, k]``, and the carry after the batch."""
        batch = self._embedded(params.embedding, batch)
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


@dataclasses.dataclass(frozen=True)
class CellWithReadout(LayerWithReadout):
    """One cell, then a readout: a `LayerWithReadout` with gradients by other rules, and those of its states."""

    def __post_init__(self) -> None:
        """Check the cell."""
        if not isinstance(self.cell, rec.Cell):
            raise ValueError(f"cell: expected a cell, got {self.cell}; with_readout takes layers too")

    @property
    def param_groups(self) -> Mapping[str, tuple[str, ...]]:
        """``cell.recurrent`` where the cell's matrix is a function of parameters that want a rate of their own."""
        paths = tuple(f"cell.{name}" for name in self.cell.constrained_fields)
        return {"cell.recurrent": paths} if paths else {}

    def gradients(
        self,
        params: CellWithReadoutParams,
        batch: Batch,
        loss: Loss,
        *,
        rule: rec.online.Rule,
        carry: PyTree,
        key: Key | None,
        rule_key: Key | None,
    ) -> tuple[Any, CellWithReadoutParams, PyTree, PyTree]:
        """``(mean loss, gradient, predictions, carry)``: the readout's gradient exact, the cell's by ``rule``.

        A mean over predictions is no sum over steps before all of them are known: the sequence is run once for
        its outputs y and dL/dy_t, and once more by the rule, to which those are constants.

        Raises:
            Fault: the rule cannot run the cell, or there is an embedding in front of it.
        """
        if self.embedding is not None:  # rules give gradients of the cell's parameters, not of its inputs
            raise Fault(f"--gradient: {rule} gives no gradient of an embedding; bptt does")
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
        return value, CellWithReadoutParams(cell, readout), outputs, state if self.carries else ()

    def state_gradients(self, params: CellWithReadoutParams, batch: Batch, loss: Loss) -> PyTree:
        """The derivative of each sequence's last loss with respect to each state, ``[t, b, ...]``."""
        watched = self.predicts.watched(self._embedded(params.embedding, batch))
        return rec.diagnostics.state_gradients(
            self.cell,
            params.cell,
            inputs.fit(self.cell, watched.inputs),
            lambda ys, state: loss(self._read(params.readout, ys, watched), watched)[0],
            mask=batch.mask,
            reset=batch.reset,
        )


def with_readout(
    cell: rec.Cell | rec.Layer,
    output_size: int,
    predicts: EveryStep | LastStep,
    solver: Any = rec.AUTO,
    **options: Any,
) -> LayerWithReadout:
    """A cell or a layer with a readout; ``options`` are ``carries``, ``bias``, ``skip``, ``init_range`` and
    ``num_tokens`` of `LayerWithReadout`.

    >>> type(with_readout(rec.GRU(2, 3), 1, LastStep())).__name__
    'CellWithReadout'
    >>> type(with_readout(rec.stack(rec.GRU(2, 3), rec.GRU(3, 3)), 1, LastStep())).__name__
    'LayerWithReadout'
    """
    kind = CellWithReadout if isinstance(cell, rec.Cell) else LayerWithReadout
    return kind(cell, output_size, predicts, solver, **options)
