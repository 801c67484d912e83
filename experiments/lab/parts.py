"""What most experiments build: a task, the configuration's cell with a readout, and an optimizer."""

from typing import Any

import recurrent as rec
from experiments.lab.plan import cell_names
from experiments.lab.plan.configs import Config
from experiments.lab.plan.experiment import Parts
from experiments.lab.training.optimizers import make_optimizer
from experiments.models import inputs
from experiments.models.base import EveryStep, HasParamGroups, LastStep
from experiments.models.cell_with_readout import with_readout

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

    ``options`` are those of `experiments.models.cell_with_readout.with_readout`.
    """
    task = config.task
    (input_size,), (output_size,) = task.input_shape, task.output_shape
    cell = cell_names.build(config.cell, input_size, config.hidden_size)
    inputs.check(cell, input_size)
    model = with_readout(cell, output_size, predicts, SOLVERS[config.solver], **options)
    groups = model.param_groups if isinstance(model, HasParamGroups) else None
    return Parts(task, model, make_optimizer(config, groups))
