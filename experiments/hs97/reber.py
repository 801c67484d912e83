"""The embedded Reber grammar as it was in 1997: one string an update, 276 weights.

Question: Every symbol of a string is to be predicted. All but the last but one follow from the few before; that one
is told by the second, nine or more symbols ago. How many strings does the network of 1997 see until it is always
right?

Source: Hochreiter & Schmidhuber (1997), experiment 1: three blocks of two cells, 276 weights, learning rate 0.5;
8,440 strings, mean of the 30 trials, all of which succeeded.

Run: python -m experiments.hs97.reber

Expect: in the paper all trials are solved after 8,440 strings; here none of ten within 60,000, with everything but the
last symbol but one learned by half of them. With the whole gradient (--cell hs97 with the same options) seven of ten.

Deviations: ten trials on one pair of sets (--set-seed), not ten on each of three. The rule is asked every 500
strings.
"""

import sys

from experiments.hs97.network import ONE_BY_ONE, parts_1997
from experiments.lab import cli
from experiments.lab.pictures import curves
from experiments.lab.plan.configs import Config, TaskFlags, configuration
from experiments.lab.plan.experiment import Experiment, Parts, presets
from experiments.models.base import EveryStep
from experiments.tasks.reber import Reber

CELL = "hs97_cut(bias='gates',block_size=2,init_range=0.2,output_gate_bias=(-1,-2,-3))"


@configuration(
    **{**ONE_BY_ONE, "log_every": 500, "eval_every": 500, "checkpoint_every": 10_000},
    num_updates=60_000,
    hidden_size=6,
    learning_rate=0.5,
)
class HS97ReberConfig(Config):
    """The embedded Reber grammar, experiment 1 of 1997."""

    task: TaskFlags[Reber] = Reber()


def build(config: HS97ReberConfig) -> Parts:
    """Three blocks of two cells, read at every step."""
    return parts_1997(config, EveryStep(), init_range=0.2, predictions=None, bias=False)


EXPERIMENT = Experiment(
    name="hs97.reber",
    doc=__doc__ or "",
    config=HS97ReberConfig,
    presets=presets(
        HS97ReberConfig,
        smoke={
            "batch_size": 1,
            "num_seeds": 2,
            "hidden_size": 6,
            "learning_rate": 0.5,
            "num_training": 32,
            "num_test": 32,
        },
        paper={"num_updates": 200_000},
    ),
    build=build,
    minutes=2,
    cells=(CELL,),
    pictures=(curves.draw,),
)

if __name__ == "__main__":
    sys.exit(cli.main(EXPERIMENT))
