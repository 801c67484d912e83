"""First words that every experiment has."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.lab.plan.experiment import Experiment, OfConfig
from experiments.lab.planning import DataSets, build


def sample(experiment: Experiment) -> OfConfig:
    """``sample``: print the first training sequence of a configuration, inputs by step, then what is asked for."""

    def show(config: Any) -> None:
        task = build(experiment, config).task
        batch = task.batch(DataSets().of(task), jax.random.key(config.seed), jnp.array(0), config.batch_size)
        print(f"{task}\ninputs, one step a line:")
        for step, values in enumerate(np.asarray(batch.inputs[:, 0])):
            exists = batch.mask is None or bool(batch.mask[step, 0])
            numbers = " ".join(f"{value:.4g}" for value in np.ravel(values))
            print(f"{step:5d}  {numbers}{'' if exists else '   (padding)'}")
        first = np.asarray(batch.targets[:, 0] if batch.weights.ndim > 1 else batch.targets[0])
        print(f"target: {' '.join(f'{value:.4g}' for value in np.ravel(first))}")

    return OfConfig(show)
