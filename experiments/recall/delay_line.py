"""The delay line: what was the input a quarter, a half, three quarters of the way back, and at its end?

Question: Smooth noise is read, and its values at several moments of the past are asked for at every step. How well does
a state hold the course of its input, not one value of it?

Source: the capacity experiment of Voelker, Kajic & Eliasmith (2019), Legendre memory units.

Run: python -m experiments.recall.delay_line --cell lstm lmu

Expect: the LMU, whose memory is made for this, is below the LSTM; both are below the variance 1/4, the baseline.

Deviations: delays of up to 50 steps with 5 cycles, published are 25 to 1,600 with 10; 64 units and 2,000 updates of
Adam at 0.003 on batches of 32. Preset paper has 10 cycles in 100 steps; its other numbers are ours.
"""

import sys

from experiments.lab import cli
from experiments.lab.parts import parts
from experiments.lab.pictures import curves
from experiments.lab.plan.configs import Config, TaskFlags, configuration
from experiments.lab.plan.experiment import Experiment, Parts, presets
from experiments.models.base import EveryStep
from experiments.tasks.recall.delay_line import DelayLine


@configuration(num_updates=2000, batch_size=32, learning_rate=3e-3, num_seeds=3)
class DelayLineConfig(Config):
    """The delay line."""

    task: TaskFlags[DelayLine] = DelayLine(delay=50, cycles=5)


def build(config: DelayLineConfig) -> Parts:
    """A cell with a readout at every step."""
    return parts(config, EveryStep())


EXPERIMENT = Experiment(
    name="recall.delay_line",
    doc=__doc__ or "",
    config=DelayLineConfig,
    presets=presets(
        DelayLineConfig,
        smoke={"delay": 8, "cycles": 2, "num_evaluation": 128},
        paper={"delay": 100, "cycles": 10, "num_updates": 10_000, "learning_rate": 1e-3},
    ),
    build=build,
    minutes=4,
    cells=("lstm", "lmu"),
    pictures=(curves.draw,),
)

if __name__ == "__main__":
    sys.exit(cli.main(EXPERIMENT))
