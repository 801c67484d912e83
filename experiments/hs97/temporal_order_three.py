"""The order of three symbols as it was in 1997: one sequence an update, 308 weights.

Question: How many sequences does the network of 1997 see until it tells which three of two symbols came, in what
order, among distractors?

Source: Hochreiter & Schmidhuber (1997), experiment 6b: three blocks of two cells, 308 weights, learning rate 0.1;
571,100 sequences, mean of ten trials.

Run: python -m experiments.hs97.temporal_order_three

Expect: the mean error leaves its baseline late; four of ten trials were solved within 1,000,000 sequences here, after
some 400,000. The paper stops at 5,000,000.

Deviations: the default ends after 1,000,000 sequences. The paper does not say what its average training error is;
here, over the last 2,000 sequences, the largest of the eight units.
"""

import sys

from experiments.hs97.network import ONE_BY_ONE, SMOKE, parts_1997
from experiments.lab import cli
from experiments.lab.pictures import curves
from experiments.lab.plan.configs import Config, TaskFlags, configuration
from experiments.lab.plan.experiment import Experiment, Parts, presets
from experiments.models.base import LastStep
from experiments.tasks.temporal_order import TemporalOrder

CELL = "hs97_cut(bias='hidden',block_size=2,input_gate_bias=(-2,-4,-6))"


@configuration(**ONE_BY_ONE, num_updates=1_000_000, hidden_size=6, learning_rate=0.1)
class HS97TemporalOrderThreeConfig(Config):
    """The order of three symbols, experiment 6b of 1997."""

    task: TaskFlags[TemporalOrder] = TemporalOrder(num_steps=100, variant="hs97_three", num_evaluation=2560)


def build(config: HS97TemporalOrderThreeConfig) -> Parts:
    """The network of 1997, read at the last step."""
    return parts_1997(config, LastStep(), init_range=0.1)


EXPERIMENT = Experiment(
    name="hs97.temporal_order_three",
    doc=__doc__ or "",
    config=HS97TemporalOrderThreeConfig,
    presets=presets(
        HS97TemporalOrderThreeConfig,
        smoke={**SMOKE, "num_steps": 20, "hidden_size": 6, "learning_rate": 0.1},
        paper={"num_updates": 5_000_000},
    ),
    build=build,
    minutes=40,
    cells=(CELL,),
    pictures=(curves.draw,),
)

if __name__ == "__main__":
    sys.exit(cli.main(EXPERIMENT))
