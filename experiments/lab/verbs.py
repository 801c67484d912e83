"""First words that several experiments share."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.lab.run import build, load


def sample(experiment: Callable[[], Any]) -> Callable[[Any], None]:
    """Print the first training sequence of a configuration: inputs by step, then what is asked for.

    ``experiment`` returns the `Experiment`; a module can name it only after it has been made.
    """

    def show(config: Any) -> None:
        task = build(experiment(), config).task
        batch = task.batch(load(task), jax.random.key(config.seed), jnp.array(0), config.batch_size)
        print(f"{task}\ninputs, one step a line:")
        for step, values in enumerate(np.asarray(batch.inputs[:, 0])):
            exists = batch.mask is None or bool(batch.mask[step, 0])
            print(
                f"{step:5d}  {' '.join(f'{value:.4g}' for value in values)}{'' if exists else '   (padding)'}"
            )
        first = np.asarray(batch.targets[:, 0] if batch.weights.ndim > 1 else batch.targets[0])
        print(f"target: {' '.join(f'{value:.4g}' for value in np.atleast_1d(first))}")

    return show
