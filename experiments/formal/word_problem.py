"""Word problems of groups: what is the product of all elements so far?

Question: After every element of a string the product of all so far is asked for. Of S5, whose products no circuit of
constant depth computes, linear recurrences with diagonal maps should not learn strings longer than those of their
training; of Z60, the control, they may. What do the cells do?

Source: Merrill, Petty & Sabharwal (2024), "The illusion of state in state-space models"; Grazzi et al. (2025) for the
delta rule with negative eigenvalues.

Run: python -m experiments.formal.word_problem --group s5 z60

Expect: the accuracy over all steps by length, beside that of always answering the same, 1 in 120 for S5 and 1 in 60
for Z60.

Deviations: 64 units, batches of 64 and 5,000 updates of Adam at 0.003, on fresh strings of 2 to 16 elements. Grazzi
et al. train on 1.6 million strings of 32 elements, in batches of 512 with AdamW at 0.0001; preset paper takes Adam.
"""

import sys

from experiments.lab import cli
from experiments.lab.parts import parts
from experiments.lab.pictures import curves
from experiments.lab.plan.configs import Config, TaskFlags, configuration
from experiments.lab.plan.experiment import Experiment, Parts, presets
from experiments.models.base import EveryStep
from experiments.tasks.formal.groups import WordProblem


@configuration(num_updates=5000, learning_rate=3e-3, num_seeds=3, test_lengths=(16, 32, 64, 128))
class WordProblemConfig(Config):
    """Word problems of groups."""

    task: TaskFlags[WordProblem] = WordProblem(min_length=2, max_length=16)


def build(config: WordProblemConfig) -> Parts:
    """A cell with a readout at every step."""
    return parts(config, EveryStep())


EXPERIMENT = Experiment(
    name="formal.word_problem",
    doc=__doc__ or "",
    config=WordProblemConfig,
    presets=presets(
        WordProblemConfig,
        smoke={"max_length": 6, "num_evaluation": 128, "test_lengths": (12,)},
        paper={
            "max_length": 32,
            "num_updates": 312_500,
            "batch_size": 512,
            "hidden_size": 256,
            "learning_rate": 1e-4,
        },
    ),
    build=build,
    minutes=5,
    cells=("lstm", "lru", "delta_net(negative_eigenvalues=True)"),
    pictures=(curves.draw,),
)

if __name__ == "__main__":
    sys.exit(cli.main(EXPERIMENT))
