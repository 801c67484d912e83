"""The flip-flop language: read the bit that was written last, however long ago.

Question: Instructions to write, to ignore and to read a bit follow one another. A network that was trained on one
distribution of distances is asked on another (--variant sparse, dense). Does it ever err?

Source: Liu et al. (2023), "Exposing attention glitches with flip-flop language modeling".

Run: python -m experiments.recall.flip_flop

Expect: the LSTM reaches an error of zero, as in the paper, where Transformers keep some.

Deviations: 128 steps, published 512, with 64 units and 2,000 updates of Adam at 0.003 on batches of 64. Preset paper
has the published length; its other numbers are ours.
"""

import sys

from experiments.lab import cli
from experiments.lab.parts import parts
from experiments.lab.pictures import curves
from experiments.lab.plan.configs import Config, TaskFlags, configuration
from experiments.lab.plan.experiment import Experiment, Parts, presets
from experiments.models.base import EveryStep
from experiments.tasks.recall.flip_flop import FlipFlop


@configuration(num_updates=2000, learning_rate=3e-3, num_seeds=3)
class FlipFlopConfig(Config):
    """The flip-flop language."""

    task: TaskFlags[FlipFlop] = FlipFlop(num_steps=128)


def build(config: FlipFlopConfig) -> Parts:
    """A cell with a readout at every step."""
    return parts(config, EveryStep())


EXPERIMENT = Experiment(
    name="recall.flip_flop",
    doc=__doc__ or "",
    config=FlipFlopConfig,
    presets=presets(
        FlipFlopConfig,
        smoke={"num_steps": 16, "num_evaluation": 128},
        paper={
            "num_steps": 512,
            "num_updates": 10_000,
            "batch_size": 16,
            "hidden_size": 128,
            "learning_rate": 3e-4,
        },
    ),
    build=build,
    minutes=4,
    cells=("elman", "lstm"),
    pictures=(curves.draw,),
)

if __name__ == "__main__":
    sys.exit(cli.main(EXPERIMENT))
