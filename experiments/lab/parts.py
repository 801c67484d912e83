"""What most experiments build: a task, the configuration's cell with a readout, and an optimizer."""

from typing import Any

import recurrent as rec
from experiments.errors import Fault
from experiments.lab.plan import cell_names
from experiments.lab.plan.configs import Config
from experiments.lab.plan.experiment import Parts
from experiments.lab.training.optimizers import make_optimizer
from experiments.models import inputs
from experiments.models.base import EveryStep, HasParamGroups, LastStep
from experiments.models.cell_with_readout import with_readout
from experiments.tasks.base import HasVocabulary, Task

SOLVERS = {
    "auto": rec.AUTO,
    "sequential": rec.Sequential(),
    "fused": rec.Fused(),
    "checkpointed": rec.Checkpointed(),
    "associative": rec.Associative(),
}
"""The solvers that a configuration names."""


def parts(config: Config, predicts: EveryStep | LastStep, **options: Any) -> Parts:
    """The configuration's task, its cell with a readout, and its optimizer: what most experiments build.

    Where the task gives tokens (integers, its ``input_shape`` is ``()``), the model starts with an embedding whose
    vectors have ``hidden_size`` entries. ``options`` are those of
    `experiments.models.cell_with_readout.with_readout`.

    Raises:
        Fault: the cell does not fit, or the task gives neither vectors nor tokens.
    """
    task = config.task
    (output_size,) = task.output_shape
    if has_tokens(task):
        input_size = dict(config.cell.options).get("hidden_size", config.hidden_size)
        options["num_tokens"] = task.vocabulary
    elif len(task.input_shape) == 1:
        (input_size,) = task.input_shape
    else:
        raise Fault(
            f"{type(task).__name__}: input_shape: expected one axis, or () and a vocabulary, got {task.input_shape}"
        )
    cell = cell_names.build(config.cell, input_size, config.hidden_size)
    inputs.check(cell, input_size)
    model = with_readout(cell, output_size, predicts, SOLVERS[config.solver], **options)
    groups = model.param_groups if isinstance(model, HasParamGroups) else None
    return Parts(task, model, make_optimizer(config, groups))


def has_tokens(task: Task) -> bool:
    """Whether a task gives integers, for an embedding, and not vectors."""
    return task.input_shape == () and isinstance(task, HasVocabulary)
