"""The copy memory task: can the network hold ten symbols while nothing happens?

Question: Ten symbols are read, and repeated after a delay in which nothing happens. Which cells do better than a
network without memory?

Source: Hochreiter & Schmidhuber (1997) in spirit; in the form of Arjovsky, Shah & Bengio (2016), section 4.1. Variants
of the literature: --variant on_marker, recall_markers (experiments/tasks/copying.py defines each).

Run: python -m experiments.copy_memory --cell elman lstm

Expect: at the default delay of 20 the LSTM falls below the baseline 10 ln 8 / 40, the loss of a network that knows
the layout and remembers nothing; published LSTMs at delays of 500 and more are exactly at it. The accuracy counts
the last ten steps alone: over all of them, blanks would make every network look good.

Deviations: the default preset is made for minutes on two cores: delay 20 (published: 100 to 1,000), Adam (RMSprop),
2,000 updates (20,000), fresh sequences for every update (100,000 fixed ones). Preset paper follows the publication but
for the fresh sequences, with hidden size 40 for every cell (published: LSTM 40, tanh RNN 80).
"""

import sys

from experiments.lab import cli
from experiments.lab.parts import parts
from experiments.lab.pictures import curves, gradient_flow
from experiments.lab.plan.configs import Config, TaskFlags, configuration
from experiments.lab.plan.experiment import Experiment, Parts, presets
from experiments.models.base import EveryStep
from experiments.tasks.copying import Copying


@configuration(num_updates=2000, learning_rate=5e-3)
class CopyingConfig(Config):
    """The copy memory task."""

    task: TaskFlags[Copying] = Copying()


def build(config: CopyingConfig) -> Parts:
    """A cell with a readout at every step."""
    return parts(config, EveryStep())


EXPERIMENT = Experiment(
    name="copy_memory",
    doc=__doc__ or "",
    config=CopyingConfig,
    presets=presets(
        CopyingConfig,
        smoke={"delay": 3, "num_recalled": 2, "num_evaluation": 128},
        paper={
            "delay": 500,
            "hidden_size": 40,
            "num_updates": 20_000,
            "batch_size": 20,
            "optimizer": "rmsprop",
            "learning_rate": 1e-3,
            "num_evaluation": 10_000,
        },
    ),
    build=build,
    minutes=1,
    pictures=(curves.draw, gradient_flow.draw),
)

if __name__ == "__main__":
    sys.exit(cli.main(EXPERIMENT))
