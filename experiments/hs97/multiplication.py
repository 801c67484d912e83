"""Multiplication as it was in 1997: one sequence an update, 93 weights.

Question: Adding might suit a cell that adds. How many sequences does the network of 1997 see until it multiplies two
marked numbers among some hundred?

Source: Hochreiter & Schmidhuber (1997), experiment 5: the network of experiment 4 with gate biases drawn at random,
learning rate 0.1; 482,000 sequences until fewer than 140 of the last 2,000 are wrong, 1,273,000 until fewer than 13
(--num-wrong), means of ten trials.

Run: python -m experiments.hs97.multiplication --num-wrong 140

Expect: the mean error leaves its baseline after some hundred thousand sequences. Three of ten trials were solved within
500,000 here, ten of ten within 822,000.

Deviations: the output unit is linear (--output-unit logistic: as printed). What a marked first pair looks like the
paper does not say (--variant hs97_minus: as any other first pair).
"""

import sys

from experiments.hs97.network import ONE_BY_ONE, SMOKE, parts_1997
from experiments.lab import cli
from experiments.lab.pictures import curves
from experiments.lab.plan.configs import Config, TaskFlags, configuration
from experiments.lab.plan.experiment import Experiment, Parts, presets
from experiments.models.base import LastStep
from experiments.tasks.multiplication import Multiplication

CELL = "hs97_cut(bias='hidden',block_size=2)"


@configuration(**ONE_BY_ONE, num_updates=500_000, hidden_size=4, learning_rate=0.1)
class HS97MultiplicationConfig(Config):
    """Multiplication, experiment 5 of 1997."""

    task: TaskFlags[Multiplication] = Multiplication(num_wrong=140, num_evaluation=2560)


def build(config: HS97MultiplicationConfig) -> Parts:
    """The network of 1997, read at the last step."""
    return parts_1997(config, LastStep(), init_range=0.1)


EXPERIMENT = Experiment(
    name="hs97.multiplication",
    doc=__doc__ or "",
    config=HS97MultiplicationConfig,
    presets=presets(
        HS97MultiplicationConfig,
        smoke={**SMOKE, "num_steps": 20, "hidden_size": 4, "learning_rate": 0.1},
        paper={"num_updates": 5_000_000},
    ),
    build=build,
    minutes=25,
    cells=(CELL,),
    pictures=(curves.draw,),
)

if __name__ == "__main__":
    sys.exit(cli.main(EXPERIMENT))
