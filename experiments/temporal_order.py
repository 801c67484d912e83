"""Temporal order: which of two rare symbols came first?

Question: Two (or three) relevant symbols stand far apart among distractors; the class is their order. Neither symbol
alone says anything: does the network keep the first until the second comes?

Source: Hochreiter & Schmidhuber (1997), experiments 6a (canonical) and 6b (--variant three); --variant pascanu is the
form of Pascanu, Mikolov & Bengio (2013).

Run: python -m experiments.temporal_order --cell elman lstm

Expect: the LSTM answers rightly after some hundred updates; the tanh RNN, although its gradient arrives (see
gradient_flow.png), stays at ln 4, the loss of a network that does not look; for three symbols that is ln 8.

Deviations: the canonical task has T = 100 to 110 steps and single-sequence updates; here the windows of the relevant
symbols scale with --num-steps (default 60), updates are Adam on batches of 64, and solved means 99 % right answers on
1,024 fresh validation sequences instead of 2,000 training sequences in a row. Preset paper keeps T = 100 and the
published size of two blocks of two cells, four units, with those updates.
"""

import sys

from experiments.lab import cli
from experiments.lab.parts import parts
from experiments.lab.pictures import curves, gradient_flow
from experiments.lab.plan.configs import Config, TaskFlags, configuration
from experiments.lab.plan.experiment import Experiment, Parts, presets
from experiments.models.base import LastStep
from experiments.tasks.temporal_order import TemporalOrder


@configuration(num_updates=1500, learning_rate=3e-3)
class TemporalOrderConfig(Config):
    """Temporal order."""

    task: TaskFlags[TemporalOrder] = TemporalOrder()


def build(config: TemporalOrderConfig) -> Parts:
    """A cell with a readout at the last step."""
    return parts(config, LastStep())


EXPERIMENT = Experiment(
    name="temporal_order",
    doc=__doc__ or "",
    config=TemporalOrderConfig,
    presets=presets(
        TemporalOrderConfig,
        smoke={"num_steps": 10, "num_evaluation": 128},
        paper={
            "num_steps": 100,
            "hidden_size": 4,
            "num_updates": 20_000,
            "learning_rate": 1e-3,
            "num_seeds": 3,
        },
    ),
    build=build,
    minutes=1,
    pictures=(curves.draw, gradient_flow.draw),
)

if __name__ == "__main__":
    sys.exit(cli.main(EXPERIMENT))
