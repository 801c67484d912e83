"""Selective copying: repeat the symbols that stood at random places among blanks.

Question: In copying, a network can wait for a fixed time. Here the symbols come at random steps, so that it has to
look at what it reads. Which cells still repeat them?

Source: Gu & Dao (2023), "Mamba", section 4.1.1; --variant mad is the version of Poli et al. (2024).

Run: python -m experiments.recall.selective_copying

Expect: cells whose update depends on the input fall below ln 14; those that are the same map at every step do not.

Deviations: 64 steps with 4 symbols, where the paper has 4,096 steps with 16; 2,000 updates of Adam at 0.003, where it
has 400,000 at 0.0001.
"""

import sys

from experiments.lab import cli
from experiments.lab.parts import parts
from experiments.lab.pictures import curves
from experiments.lab.plan.configs import Config, TaskFlags, configuration
from experiments.lab.plan.experiment import Experiment, Parts, presets
from experiments.models.base import EveryStep
from experiments.tasks.recall.selective_copying import SelectiveCopying


@configuration(num_updates=2000, learning_rate=3e-3, num_seeds=3)
class SelectiveCopyingConfig(Config):
    """Selective copying."""

    task: TaskFlags[SelectiveCopying] = SelectiveCopying(num_steps=64, num_recalled=4)


def build(config: SelectiveCopyingConfig) -> Parts:
    """A cell with a readout at every step."""
    return parts(config, EveryStep())


EXPERIMENT = Experiment(
    name="recall.selective_copying",
    doc=__doc__ or "",
    config=SelectiveCopyingConfig,
    presets=presets(
        SelectiveCopyingConfig,
        smoke={"num_steps": 16, "num_recalled": 2, "num_evaluation": 128},
        paper={"num_steps": 4096, "num_recalled": 16, "num_updates": 400_000, "learning_rate": 1e-4},
    ),
    build=build,
    minutes=3,
    cells=("lstm", "lru", "s6"),
    pictures=(curves.draw,),
)

if __name__ == "__main__":
    sys.exit(cli.main(EXPERIMENT))
