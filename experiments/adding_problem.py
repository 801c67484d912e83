"""The adding problem: can the network remember two numbers among many?

Question: Of T pairs (value, marker) two are marked; the answer, their sum, is due at the last step. Does a tanh RNN
or an LSTM find it, and does the gradient say why?

Source: Hochreiter & Schmidhuber (1997), experiment 4; in the form of Arjovsky, Shah & Bengio (2016), section 4.2.
Variants of the literature: --variant hs97, pascanu, anywhere (experiments/tasks/adding.py defines each).

Run: python -m experiments.adding_problem --cell elman lstm

Expect: the LSTM is solved (validation MSE < 0.01) on three of three seeds, the tanh RNN stays at the baseline 1/6, the
mean squared error of always answering 1. gradient_flow.png shows the gradient by lag before and after training.

Deviations: the default preset is made for minutes on two cores: hidden size 64 (published: 128), batch 64 (20), Adam
at 0.005 (RMSprop at 0.001, decay 0.9), 1,600 updates (20,000), fresh sequences for every update (100,000 fixed
ones). Preset paper follows the publication but for the fresh sequences.
"""

import sys

from experiments.lab import cli
from experiments.lab.parts import parts
from experiments.lab.pictures import curves, gradient_flow
from experiments.lab.plan.configs import Config, TaskFlags, configuration
from experiments.lab.plan.experiment import Experiment, Parts, presets
from experiments.models.base import LastStep
from experiments.tasks.adding import Adding


@configuration(num_updates=1600, batch_size=64, learning_rate=5e-3, num_seeds=3)
class AddingConfig(Config):
    """The adding problem."""

    task: TaskFlags[Adding] = Adding()


def build(config: AddingConfig) -> Parts:
    """A cell with a readout at the last step."""
    return parts(config, LastStep())


EXPERIMENT = Experiment(
    name="adding_problem",
    doc=__doc__ or "",
    config=AddingConfig,
    presets=presets(
        AddingConfig,
        smoke={"num_steps": 10, "num_seeds": 2, "num_evaluation": 128},
        paper={
            "hidden_size": 128,
            "num_updates": 20_000,
            "batch_size": 20,
            "optimizer": "rmsprop",
            "learning_rate": 1e-3,
            "num_seeds": 3,
            "num_evaluation": 10_000,
        },
    ),
    build=build,
    minutes=2,
    pictures=(curves.draw, gradient_flow.draw),
)

if __name__ == "__main__":
    sys.exit(cli.main(EXPERIMENT))
