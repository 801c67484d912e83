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
from typing import Literal

from experiments.lab import cli, verbs
from experiments.lab.parts import parts
from experiments.lab.pictures import curves, gradient_flow
from experiments.lab.plan.configs import Config, Positive, frozen
from experiments.lab.plan.experiment import Experiment, Parts
from experiments.models.base import EveryStep
from experiments.tasks.copying import Copying


@frozen
class CopyingConfig(Config):
    """The copy memory task of one delay."""

    delay: Positive = 20
    """Steps T between the symbols and their repetition; a sequence has T + 20."""
    variant: Literal["canonical", "on_marker", "recall_markers"] = "canonical"
    """Layout of the sequence."""
    num_symbols: Positive = 8
    """Kinds of symbols."""
    num_recalled: Positive = 10
    """Symbols to repeat."""
    num_evaluation: Positive = 1024
    """Sequences in the validation split, and in the test split."""


def build(config: CopyingConfig) -> Parts:
    """Task, model and optimizer."""
    task = Copying(
        delay=config.delay,
        variant=config.variant,
        num_symbols=config.num_symbols,
        num_recalled=config.num_recalled,
        num_evaluation=config.num_evaluation,
    )
    return parts(task, config, EveryStep())


EXPERIMENT = Experiment(
    name="copy_memory",
    doc=__doc__ or "",
    config=CopyingConfig,
    presets={
        "default": CopyingConfig(num_updates=2000, learning_rate=5e-3),
        "smoke": CopyingConfig(
            delay=3,
            num_recalled=2,
            hidden_size=16,
            num_updates=40,
            log_every=10,
            eval_every=20,
            checkpoint_every=20,
            batch_size=16,
            learning_rate=5e-3,
            num_evaluation=128,
            evaluation_batch_size=128,
        ),
        "paper": CopyingConfig(
            delay=500,
            hidden_size=40,
            num_updates=20_000,
            batch_size=20,
            optimizer="rmsprop",
            learning_rate=1e-3,
            num_evaluation=10_000,
        ),
    },
    build=build,
    minutes=1,
    pictures=(curves.draw, gradient_flow.draw),
    verbs={"sample": verbs.sample(lambda: EXPERIMENT)},
)

if __name__ == "__main__":
    sys.exit(cli.main(EXPERIMENT))
