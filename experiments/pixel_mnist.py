"""Sequential MNIST: can the network name a digit whose rows or pixels have gone by one at a time?

Question: An image is read row by row (28 steps), pixel by pixel (784 steps), or pixel by pixel in a fixed random order;
its class is asked for after the last step. How much of the image is still there?

Source: Le, Jaitly & Hinton (2015), section 4.3, pixels and permuted pixels. The permutation is NumPy's
RandomState(92916).permutation(784), that of the released code of scoRNN, expRNN and the dilated RNN; others differ.

Run: python -m experiments.data mnist && python -m experiments.pixel_mnist --order rows --cell lstm

Expect: by rows an LSTM reaches 97.5 % and more on the 10,000 test images within minutes. By pixels it needs hours;
published LSTMs reach 98 to 99 %, and 88 to 95 % with the pixels permuted, where a linear classifier that sees all 784
at once has 92.4 %: the table shows that number beside the result, for whoever is below it has shown no memory.

Deviations: 55,000 training images, the last 5,000 of the 60,000 are the validation split; the parameters tested are
those with the lowest validation loss, and the test images are read once, at the end (published: often the best
epoch on the test images). The default preset is made for rows and minutes: LSTM of 128 units, Adam, 8 epochs.
Preset paper follows Cooijmans et al. (2017): 100 units, RMSprop at 0.001, clipped at 1, batches of 64, here 70
epochs. Preset smoke reads synthetic digits drawn by code; it needs no network, and its summary says so.
"""

import sys
from collections.abc import Mapping
from typing import Any

from experiments.lab import cli
from experiments.lab.parts import parts
from experiments.lab.pictures import curves, gradient_flow
from experiments.lab.plan.configs import Config, TaskFlags, configuration
from experiments.lab.plan.experiment import Experiment, Parts, presets
from experiments.models.base import LastStep
from experiments.tasks.images import LINEAR_BASELINE, PixelImages


@configuration(
    hidden_size=128,
    num_updates=3500,
    batch_size=128,
    learning_rate=2e-3,
    log_every=100,
    eval_every=500,
    checkpoint_every=500,
    evaluation_batch_size=500,
    select="validation",
)
class PixelConfig(Config):
    """Images of one data set, read in one order."""

    task: TaskFlags[PixelImages] = PixelImages()


def build(config: PixelConfig) -> Parts:
    """A cell with a readout at the last step."""
    return parts(config, LastStep())


def facts(config: PixelConfig) -> Mapping[str, Any]:
    """The accuracy that needs no memory, where it says something."""
    permuted = config.task.order == "permuted" and config.task.data == "mnist"
    return {"accuracy of a linear classifier": LINEAR_BASELINE} if permuted else {}


EXPERIMENT = Experiment(
    name="pixel_mnist",
    doc=__doc__ or "",
    config=PixelConfig,
    presets=presets(
        PixelConfig,
        smoke={
            "data": "synthetic",
            "num_images": 1200,
            "num_validation": 200,
            "num_test": 200,
            "batch_size": 32,
            "evaluation_batch_size": 200,
        },
        paper={
            "order": "permuted",
            "hidden_size": 100,
            "num_updates": 60_000,
            "batch_size": 64,
            "optimizer": "rmsprop",
            "learning_rate": 1e-3,
            "eval_every": 1000,
            "checkpoint_every": 1000,
        },
    ),
    build=build,
    minutes=2,
    cells=("lstm",),
    pictures=(curves.draw, gradient_flow.draw),
    facts=facts,
)

if __name__ == "__main__":
    sys.exit(cli.main(EXPERIMENT))
