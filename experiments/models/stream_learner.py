"""A cell with a readout that learns while it reads: one step of gradient descent after every symbol of a stream."""

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol, Self

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PyTree

from experiments.errors import Fault
from experiments.models.base import Loss
from experiments.models.cell_with_readout import CellWithReadout, CellWithReadoutParams
from experiments.tasks.base import Batch
from recurrent import losses, online
from recurrent.arrays import Key
from recurrent.online.forward import Forward, Steps


class Judge(Protocol):
    """What tells right predictions from wrong ones, such as `experiments.tasks.error_criteria.AllWithin`."""

    def right(self, outputs: Float[Array, "b k"], batch: Batch) -> Bool[Array, "b"]:
        """Which predictions are right."""
        ...


class Learning(NamedTuple):
    """Where a stream stands: the symbols read, whether all were predicted, and all that the next one needs.

    ``state`` is the flat state of the cell, ``influence`` that of the weights on it, as `Forward` rules keep it.
    """

    num_read: Int[Array, ""]
    goes_on: Bool[Array, ""]
    params: CellWithReadoutParams
    state: Float[Array, " n"]
    influence: PyTree
    loss: Float[Array, ""]


@dataclasses.dataclass(frozen=True)
class StreamLearner:
    """A `CellWithReadout` whose update is a whole stream, read to its first wrong prediction.

    For symbol t of the stream, with the rule's influence J_t of the weights on the state and the loss L_t:

        w <- w - rate · decay^t · (∂L_t/∂s_t J_t + ∂L_t/∂w)

    The weights change after every symbol, the wrong one too; state and influence go on as they are. `gradients`
    returns the weights before the stream minus those after it, which plain gradient descent at rate 1 subtracts. Its
    batch is one stream, its rule one that travels forward in time. Predictions are those of ``model``.

    Source: Gers, Schmidhuber & Cummins (2000), with `recurrent.online.RTRL` for a cell that is cut: that is their
    truncated gradient, whose influence on the memory cells alone goes on.
    """

    model: CellWithReadout
    judge: Judge
    learning_rate: float
    rate_decay: float = 1.0

    def init(self, key: Key) -> CellWithReadoutParams:
        """The parameters of the model."""
        return self.model.init(key)

    def initial_carry(self, params: CellWithReadoutParams, batch_size: int) -> PyTree:
        """That of the model."""
        return self.model.initial_carry(params, batch_size)

    def apply(
        self, params: CellWithReadoutParams, batch: Batch, *, carry: PyTree, key: Key | None
    ) -> tuple[PyTree, PyTree]:
        """The predictions of the model, which does not learn from them."""
        return self.model.apply(params, batch, carry=carry, key=key)

    @property
    def solver(self) -> Any:
        """The solver of the model, by which it predicts."""
        return self.model.solver

    def with_solver(self, solver: Any) -> Self:
        """This learner with another solver."""
        return dataclasses.replace(self, model=self.model.with_solver(solver))

    def chosen_solver(self, batch: Batch) -> Any:
        """What the solver of the model comes to for a batch."""
        return self.model.chosen_solver(batch)

    @property
    def param_groups(self) -> Mapping[str, tuple[str, ...]]:
        """Those of the model."""
        return self.model.param_groups

    def num_state(self) -> int:
        """Real numbers in the state of the model."""
        return self.model.num_state()

    def gradients(
        self,
        params: CellWithReadoutParams,
        batch: Batch,
        loss: Loss,
        *,
        rule: online.Rule,
        carry: PyTree,
        key: Key | None,
        rule_key: Key | None,
    ) -> tuple[Any, CellWithReadoutParams, PyTree, PyTree]:
        """``(mean loss of the symbols read, params before minus params after, (), carry)``.

        Raises:
            Fault: the rule does not travel forward in time, there is more than one stream, or the model is noisy.
        """
        del key
        if batch.weights.shape[1] != 1:
            raise Fault(
                f"--batch-size: a stream changes the weights of its own, expected 1, got {batch.weights.shape[1]}"
            )
        last = self.read(params, batch, loss, rule=rule, rule_key=rule_key)
        moved = jax.tree.map(jnp.subtract, params, last.params)
        return last.loss / last.num_read, moved, (), carry

    def read(
        self,
        params: CellWithReadoutParams,
        batch: Batch,
        loss: Loss,
        *,
        rule: online.Rule,
        rule_key: Key | None = None,
    ) -> Learning:
        """Read and learn a stream, the only sequence of ``batch``, to its first wrong prediction or its end."""
        if not isinstance(rule, Forward):
            raise Fault(f"--gradient: expected a rule that travels forward in time, such as rtrl, got {rule}")
        if self.model.cell.is_stochastic:
            raise Fault("--cell: expected one without noise, for it learns and predicts in one step")
        steps = Steps.of(self.model.cell, params.cell)
        start = Learning(
            num_read=jnp.array(0, jnp.int32),
            goes_on=jnp.array(True),
            params=params,
            state=steps.start,
            influence=rule.zero(steps),
            loss=jnp.zeros(()),
        )
        num_steps = batch.weights.shape[0]

        def goes_on(at: Learning) -> Bool[Array, ""]:
            return at.goes_on & (at.num_read < num_steps)

        def next_symbol(at: Learning) -> Learning:
            symbol = jax.tree.map(lambda leaf: leaf[at.num_read], batch._replace(reset=None, mask=None))
            return self.learn(at, symbol, loss, rule, rule_key)

        return jax.lax.while_loop(goes_on, next_symbol, start)

    def learn(self, at: Learning, symbol: Batch, loss: Loss, rule: Forward, rule_key: Key | None) -> Learning:
        """Read one symbol, a `Batch` without the axis of time, and change the weights by its loss."""
        steps = Steps.of(self.model.cell, at.params.cell)
        # the first symbol is a reset to the rule, so that an influence starts from zero even where a start is learned
        now = symbol.inputs[0], None, None, at.num_read == 0
        key = None if rule_key is None else jax.random.fold_in(rule_key, at.num_read)
        state, influence = rule.advance(steps, at.influence, at.state, now, key)
        y, pull = jax.vjp(lambda leaves, state: steps.emit(leaves, state, now), steps.leaves, state)

        def mean_loss(readout: Any, y: Array) -> tuple[Any, Array]:
            outputs = self.model.readout.apply(readout, y.reshape(1, -1), symbol.inputs)
            return losses.mean(loss(outputs, symbol)), outputs

        over_both = jax.value_and_grad(mean_loss, argnums=(0, 1), has_aux=True)
        (value, outputs), (readout, y_bar) = over_both(at.params.readout, y)
        direct, signal = pull(y_bar)
        cell = rule.total(steps, direct, rule.apply(steps, influence, signal))
        rate = self.learning_rate * self.rate_decay ** at.num_read.astype(value.dtype)
        return Learning(
            num_read=at.num_read + 1,
            goes_on=self.judge.right(outputs, symbol)[0],
            params=jax.tree.map(
                lambda w, slope: w - rate.astype(w.dtype) * slope,
                at.params,
                CellWithReadoutParams(cell, readout),
            ),
            state=state,
            influence=influence,
            loss=at.loss + value,
        )
