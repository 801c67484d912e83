"""A symbol kept across random distractors, as in 1997: the lag grows, and the sequences needed hardly do.

Question: One of two symbols comes at the start, then q or more random ones of p kinds, then the question which it
was. How does the number of sequences that the network of 1997 needs grow with q?

Source: Hochreiter & Schmidhuber (1997), experiment 2c: two blocks of one cell, no biases, learning rate 0.01; 30,000,
31,000 and 33,000 sequences for q = p = 50, 100 and 200, means of twenty trials.

Run: python -m experiments.hs97.distractors --delay 50 --num-symbols 50

Expect: about as many sequences for every q = p: the time lag does not slow the network down. Here it takes four times
the paper's number. The count includes the 10,000 right sequences in a row that the rule asks for.

Deviations: ten trials, not twenty. Training goes on during the 10,000 sequences that have to be right; the paper may
have stopped it. At most 100 distractors beyond q, where the paper has no bound.
"""

import sys

from experiments.hs97.network import ONE_BY_ONE, SMOKE, parts_1997
from experiments.lab import cli
from experiments.lab.pictures import curves
from experiments.lab.plan.configs import Config, TaskFlags, configuration
from experiments.lab.plan.experiment import Experiment, Parts, presets
from experiments.models.base import LastStep
from experiments.tasks.long_lag import LongLag

CELL = "hs97_cut(init_range=0.2)"


@configuration(**ONE_BY_ONE, num_updates=200_000, hidden_size=2, learning_rate=0.01)
class HS97DistractorsConfig(Config):
    """Distractors, experiment 2c of 1997."""

    task: TaskFlags[LongLag] = LongLag(delay=50, variant="distractors", num_symbols=50, num_evaluation=2560)


def build(config: HS97DistractorsConfig) -> Parts:
    """Two blocks of one cell without biases, read at the last step."""
    return parts_1997(config, LastStep(), init_range=0.2, bias=False)


EXPERIMENT = Experiment(
    name="hs97.distractors",
    doc=__doc__ or "",
    config=HS97DistractorsConfig,
    presets=presets(
        HS97DistractorsConfig,
        smoke={**SMOKE, "delay": 10, "num_symbols": 5, "hidden_size": 2, "learning_rate": 0.01},
        paper={"num_updates": 5_000_000},
    ),
    build=build,
    minutes=5,
    cells=(CELL,),
    pictures=(curves.draw,),
)

if __name__ == "__main__":
    sys.exit(cli.main(EXPERIMENT))
