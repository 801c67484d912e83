"""The order of two symbols as it was in 1997: one sequence an update, 156 weights.

Question: How many sequences does the network of 1997 see until it tells which two of two symbols came, in what order,
some forty steps apart among distractors?

Source: Hochreiter & Schmidhuber (1997), experiment 6a: two blocks of two cells, 156 weights, learning rate 0.5;
31,390 sequences, mean of twenty trials.

Run: python -m experiments.hs97.temporal_order

Expect: ten of ten trials solved: the last 2,000 sequences all with every unit within 0.3 of its target.

Deviations: ten trials, not twenty. The paper does not say what its average training error is; here, over the last
2,000 sequences, the largest of the four units.
"""

import sys

from experiments.hs97.network import ONE_BY_ONE, SMOKE, parts_1997
from experiments.lab import cli
from experiments.lab.pictures import curves
from experiments.lab.plan.configs import Config, TaskFlags, configuration
from experiments.lab.plan.experiment import Experiment, Parts, presets
from experiments.models.base import LastStep
from experiments.tasks.temporal_order import TemporalOrder

CELL = "hs97_cut(bias='hidden',block_size=2,input_gate_bias=(-2,-4))"


@configuration(**ONE_BY_ONE, num_updates=150_000, hidden_size=4, learning_rate=0.5)
class HS97TemporalOrderConfig(Config):
    """The order of two symbols, experiment 6a of 1997."""

    task: TaskFlags[TemporalOrder] = TemporalOrder(num_steps=100, variant="hs97", num_evaluation=2560)


def build(config: HS97TemporalOrderConfig) -> Parts:
    """The network of 1997, read at the last step."""
    return parts_1997(config, LastStep(), init_range=0.1)


EXPERIMENT = Experiment(
    name="hs97.temporal_order",
    doc=__doc__ or "",
    config=HS97TemporalOrderConfig,
    presets=presets(
        HS97TemporalOrderConfig,
        smoke={**SMOKE, "num_steps": 20, "hidden_size": 4, "learning_rate": 0.5},
        paper={"num_updates": 5_000_000},
    ),
    build=build,
    minutes=5,
    cells=(CELL,),
    pictures=(curves.draw,),
)

if __name__ == "__main__":
    sys.exit(cli.main(EXPERIMENT))
