"""What the experiments of 1997 share: their networks, their error, and one update after every sequence."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Self

import jax.numpy as jnp
from jaxtyping import PyTree

from experiments.lab.parts import parts
from experiments.lab.plan.configs import Config
from experiments.lab.plan.experiment import Parts
from experiments.models.base import EveryStep, LastStep
from experiments.tasks.base import Batch, Criterion, Total
from experiments.tasks.criteria import Streak
from experiments.tasks.error_criteria import RecentErrors
from experiments.tasks.milestones import Milestones

ONE_BY_ONE: Mapping[str, Any] = {
    "batch_size": 1,
    "optimizer": "sgd",
    "clip_norm": None,
    "num_seeds": 10,
    "stop": "solved",
    "select": "solved",
    "log_every": 1000,
    "eval_every": 2000,
    "checkpoint_every": 20_000,
}
"""One update a sequence, ten trials side by side, until all of them are solved; each is tested as it was then."""

SMOKE: Mapping[str, Any] = {
    "batch_size": 1,
    "num_seeds": 2,
    "num_evaluation": 64,
    "evaluation_batch_size": 64,
}
"""What their presets ``smoke`` have in common."""


@dataclasses.dataclass(frozen=True)
class HalfSquares:
    """A task whose loss is that of 1997: half the squared error, summed over the steps of a sequence.

    ``task`` has the squared error and its mean over steps. With this one a learning rate is the paper's.
    ``predictions`` is how many there are in a sequence, None where that varies; then there is no baseline.
    """

    task: Any
    predictions: int | None = 1

    def __getattr__(self, name: str) -> Any:
        """Everything else is the task's own."""
        if name.startswith("__") or name == "task":  # not there yet, while a copy is made
            raise AttributeError(name)
        return getattr(self.task, name)

    def at_length(self, length: int) -> Self:
        """The task at another length, with the same error."""
        return dataclasses.replace(self, task=self.task.at_length(length))

    @property
    def baseline(self) -> float | None:
        """The task's, in the units of this loss."""
        mean = self.task.baseline
        return None if mean is None or self.predictions is None else mean * self.predictions / 2

    @property
    def criterion(self) -> Criterion:
        """The task's rule; one on the last training sequences remembers when its parts held first."""
        rule = self.task.criterion
        return Milestones(rule) if isinstance(rule, Streak | RecentErrors) else rule

    def loss(self, outputs: PyTree, batch: Batch) -> Total:
        """Half the sum of the task's squared errors, and the number of sequences with a prediction."""
        total, _ = self.task.loss(outputs, batch)
        counted = batch.weights != 0
        return total / 2, jnp.sum(counted if counted.ndim == 1 else jnp.any(counted, axis=0)) * 1.0


def parts_1997(
    config: Config,
    predicts: EveryStep | LastStep,
    init_range: float,
    *,
    predictions: int | None = 1,
    **options: Any,
) -> Parts:
    """The configuration's task with the error of 1997, its cell with output units that start at U(±``init_range``), and
    its optimizer. ``options`` are those of `experiments.models.cell_with_readout.with_readout`.
    """
    found = parts(config, predicts, init_range=init_range, **options)
    return found._replace(task=HalfSquares(found.task, predictions))
