"""How an update follows a gradient rule."""

import dataclasses
from typing import Any, NamedTuple

import jax
from jaxtyping import PyTree

from experiments.errors import Fault
from experiments.lab.plan.rules import label
from experiments.models.base import HasGradients, Loss, Model
from experiments.tasks.base import Batch
from recurrent import losses, online
from recurrent.arrays import Key


class Step(NamedTuple):
    """The mean loss of a batch, a gradient like ``params``, the outputs, and the carry after the batch."""

    loss: Any
    grads: PyTree
    outputs: PyTree
    carry: PyTree


@dataclasses.dataclass(frozen=True)
class Backpropagation:
    """Back through all steps of the batch, whatever the model is."""

    def __call__(
        self,
        model: Model,
        loss: Loss,
        params: PyTree,
        batch: Batch,
        *,
        carry: PyTree,
        key: Key,
        rule_key: Key,
    ) -> Step:
        """The gradient of the mean of ``loss(outputs, batch) -> (sum, count)``."""
        del rule_key

        def mean_loss(params: PyTree) -> tuple[Any, tuple[PyTree, PyTree]]:
            outputs, kept = model.apply(params, batch, carry=carry, key=key)
            return losses.mean(loss(outputs, batch)), (outputs, kept)

        (value, (outputs, kept)), grads = jax.value_and_grad(mean_loss, has_aux=True)(params)
        return Step(value, grads, outputs, kept)


@dataclasses.dataclass(frozen=True)
class ByRule:
    """By a rule of `recurrent.online` for the cell, exact for the readout; of a model with one cell."""

    rule: online.Rule

    def __call__(
        self,
        model: Model,
        loss: Loss,
        params: PyTree,
        batch: Batch,
        *,
        carry: PyTree,
        key: Key,
        rule_key: Key,
    ) -> Step:
        """What ``model.gradients`` makes of the rule; Fault where the model or its cell has nothing for it."""
        if not isinstance(model, HasGradients):
            raise Fault(
                f"--gradient: {label(self.rule)} needs one cell with a readout, got {type(model).__name__}; "
                "bptt trains every model"
            )
        return Step(
            *model.gradients(params, batch, loss, rule=self.rule, carry=carry, key=key, rule_key=rule_key)
        )


def through(rule: online.Rule) -> Backpropagation | ByRule:
    """The function of an update that follows a rule."""
    return Backpropagation() if rule == online.BPTT() else ByRule(rule)
