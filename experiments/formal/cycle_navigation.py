"""Navigation on a cycle: where do the steps left and right lead?

Question: A string of steps (one forward, one back, stay) leads around a cycle of five places. Does a network that was
trained on up to 40 steps know the place after 500?

Source: Delétang et al. (2023), "Neural networks and the Chomsky hierarchy", cycle navigation; the version of Beck et
al. (2024) is --variant xlstm.

Run: python -m experiments.formal.cycle_navigation

Expect: the accuracy at 500 steps shows whether a network keeps one of five places, or a sum that grows.

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
from experiments.tasks.formal.regular import CycleNavigation


@configuration(num_updates=3000, learning_rate=3e-3, num_seeds=3, test_lengths=(40, 60, 100, 200, 500))
class CycleNavigationConfig(Config):
    """Navigation on a cycle."""

    task: TaskFlags[CycleNavigation] = CycleNavigation()


def build(config: CycleNavigationConfig) -> Parts:
    """A cell with a readout at the last step."""
    return parts(config, LastStep())


EXPERIMENT = Experiment(
    name="formal.cycle_navigation",
    doc=__doc__ or "",
    config=CycleNavigationConfig,
    presets=presets(
        CycleNavigationConfig,
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
