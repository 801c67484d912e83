"""NARMA: what does a nonlinear system of order 10 give for its random input?

Question: The output of the system is a function of its last ten outputs and inputs, with a product of two inputs that
stand nine steps apart. A network reads the inputs alone. How much of the output does it give?

Source: Atiya & Parlos (2000), order 10; Schrauwen et al. (2008), order 30: --variant order_30.

Run: python -m experiments.dynamics.narma

Expect: the mean squared error of both cells falls below the variance of the output, the baseline: 0.0119 at order 10.

Deviations: sequences of 200 steps, of which the first 50 do not count, 64 units, and 1,500 updates of Adam at 0.003 on
batches of 32; reservoirs in print are read out by linear regression on one sequence of a few thousand steps. Preset
paper has sequences of 2,000 steps; its other numbers are ours.
"""

import sys

from experiments.lab import cli
from experiments.lab.parts import parts
from experiments.lab.pictures import curves
from experiments.lab.plan.configs import Config, TaskFlags, configuration
from experiments.lab.plan.experiment import Experiment, Parts, presets
from experiments.models.base import EveryStep
from experiments.tasks.narma import Narma


@configuration(num_updates=1500, batch_size=32, learning_rate=3e-3, num_seeds=3)
class NarmaConfig(Config):
    """NARMA."""

    task: TaskFlags[Narma] = Narma(num_steps=200)


def build(config: NarmaConfig) -> Parts:
    """A cell with a readout at every step."""
    return parts(config, EveryStep())


EXPERIMENT = Experiment(
    name="dynamics.narma",
    doc=__doc__ or "",
    config=NarmaConfig,
    presets=presets(
        NarmaConfig,
        smoke={"num_steps": 60, "num_evaluation": 128},
        paper={"num_steps": 2000, "num_updates": 10_000, "learning_rate": 1e-3},
    ),
    build=build,
    minutes=4,
    cells=("elman", "lstm"),
    pictures=(curves.draw,),
)

if __name__ == "__main__":
    sys.exit(cli.main(EXPERIMENT))
