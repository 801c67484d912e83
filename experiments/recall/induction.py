"""Induction heads: what followed this symbol when it came before?

Question: A special symbol stands at a random place and is followed by another. At the end the special symbol comes
again: what has to follow? Does what was learned at one length hold at longer ones?

Source: Gu & Dao (2023), "Mamba", section 4.1.2, after Olsson et al. (2022).

Run: python -m experiments.recall.induction --test-lengths 64,128,256,512

Expect: an accuracy of 1 at the trained length, and at longer ones for cells that let nothing in but what follows the
special symbol.

Deviations: trained at 64 steps, published at 256; 64 units and 2,000 updates of Adam at 0.003. Preset paper has the
published length; its other numbers are ours.
"""

import sys

from experiments.lab import cli
from experiments.lab.parts import parts
from experiments.lab.pictures import curves
from experiments.lab.plan.configs import Config, TaskFlags, configuration
from experiments.lab.plan.experiment import Experiment, Parts, presets
from experiments.models.base import EveryStep
from experiments.tasks.recall.induction import Induction


@configuration(num_updates=2000, learning_rate=3e-3, num_seeds=3, test_lengths=(64, 128, 256))
class InductionConfig(Config):
    """Induction heads."""

    task: TaskFlags[Induction] = Induction(num_steps=64)


def build(config: InductionConfig) -> Parts:
    """A cell with a readout at every step."""
    return parts(config, EveryStep())


EXPERIMENT = Experiment(
    name="recall.induction",
    doc=__doc__ or "",
    config=InductionConfig,
    presets=presets(
        InductionConfig,
        smoke={"num_steps": 16, "num_evaluation": 128, "test_lengths": (32,)},
        paper={"num_steps": 256, "num_updates": 25_600, "batch_size": 8, "learning_rate": 1e-3},
    ),
    build=build,
    minutes=3,
    cells=("lstm", "lru", "s6"),
    pictures=(curves.draw,),
)

if __name__ == "__main__":
    sys.exit(cli.main(EXPERIMENT))
