"""Parity: is the number of ones in a string even?

Question: A network that has seen strings of up to 40 bits is asked for those of up to 500. Has it learned to count
modulo 2, which takes one bit of memory, or something that works for short strings only?

Source: Delétang et al. (2023), "Neural networks and the Chomsky hierarchy", parity check; the version of Beck et al.
(2024) is --variant xlstm.

Run: python -m experiments.formal.parity

Expect: once a nonlinear recurrent network has the short strings right, the long ones are right as well. A cell whose
state is multiplied by positive numbers alone, like minGRU, does not get there (Grazzi et al., 2025).

Deviations: 64 units, batches of 64 and 3,000 updates of Adam at 0.003, made for minutes on two cores; published are
256 units, batches of 128, and 1,000,000 updates at the best of three rates (preset paper: 100,000 at 0.001). Each
sequence draws its length.
"""

import sys

from experiments.lab import cli
from experiments.lab.parts import parts
from experiments.lab.pictures import curves
from experiments.lab.plan.configs import Config, TaskFlags, configuration
from experiments.lab.plan.experiment import Experiment, Parts, presets
from experiments.models.base import LastStep
from experiments.tasks.formal.regular import ParityCheck


@configuration(num_updates=3000, learning_rate=3e-3, num_seeds=3, test_lengths=(40, 60, 100, 200, 500))
class ParityConfig(Config):
    """Parity of a string of bits."""

    task: TaskFlags[ParityCheck] = ParityCheck()


def build(config: ParityConfig) -> Parts:
    """A cell with a readout at the last step."""
    return parts(config, LastStep())


EXPERIMENT = Experiment(
    name="formal.parity",
    doc=__doc__ or "",
    config=ParityConfig,
    presets=presets(
        ParityConfig,
        smoke={"max_length": 8, "num_evaluation": 128, "test_lengths": (16,)},
        paper={
            "num_updates": 100_000,
            "batch_size": 128,
            "hidden_size": 256,
            "learning_rate": 1e-3,
            "num_seeds": 10,
        },
    ),
    build=build,
    minutes=2,
    cells=("elman", "lstm", "min_gru"),
    pictures=(curves.draw,),
)

if __name__ == "__main__":
    sys.exit(cli.main(EXPERIMENT))
