"""Noise-padded images: an image is read row by row, then noise for a long time, then its class is asked for."""

import dataclasses
import math
from collections.abc import Callable
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from experiments.data.cifar10 import load_cifar10
from experiments.tasks import criteria, images
from experiments.tasks.base import SPLITS, Batch, Criterion, Total, require_at_least, require_known
from experiments.tasks.finite import Finite
from experiments.tasks.images import Images, Raw
from recurrent import losses

NOISES = ("independent", "shared")
PADDING = 6
"""What keys are folded with for noise; networks and the order of images take the numbers below it."""


class Source(NamedTuple):
    """What can be read: its load, images at most, rows, numbers in a row, and the accuracy that counts as solved."""

    load: Callable[[int, int], Raw]
    most: tuple[float, float]
    num_rows: int
    row_size: int
    solved: float


def _load_cifar10(num_training: int, num_test: int) -> Raw:
    arrays = load_cifar10()
    return Raw(
        (arrays["train_images"][:num_training], arrays["train_labels"][:num_training]),
        (arrays["test_images"][:num_test], arrays["test_labels"][:num_test]),
    )


@dataclasses.dataclass(frozen=True)
class NoisePadded(Finite):
    """Name the class of an image after its rows have gone by, one a step, and standard normal noise after them.

    A row is as many numbers as it has pixels and colours, scaled to [0, 1]: of ``mnist`` and ``synthetic`` 28 rows of
    28, of ``cifar10`` 32 rows of 96, the reds of a row before its greens and blues. Noise has as many numbers a step,
    to step ``num_steps``. One answer, after the last step.

    ``independent``: noise is drawn anew for each sequence, whenever it is shown; that of validation and test images
    follows the evaluation key. Source: Chang et al. (2019), AntisymmetricRNN. ``shared``: one tensor of noise,
    drawn from ``noise_seed``, stands behind every image of all splits, which is easier: a network may learn it by
    heart. So it is in the code of coRNN, UnICORNN and LEM (Rusch & Mishra, 2021; Rusch et al., 2022), whose papers
    call the task by the same name. Accuracies of the two are not comparable. Printed for CIFAR-10, first
    ``independent``: LSTM 0.116, AntisymmetricRNN 0.483, with gates 0.547; then ``shared``: coRNN 0.590, LEM 0.605.

    The images are those of `images.PixelImages`: the last ``num_validation`` of ``num_images`` are for validation. The
    code named has 48,000 and 2,000 of CIFAR-10, drawn at random. `experiments.data.cifar10` says where CIFAR-10
    has to lie. Differs: MNIST and the drawn digits are ours in place of CIFAR-10, which no package holds.

    Baseline: ten equally likely classes, ln 10 = 2.3026. ``lag`` is from the first row to the answer. Solved, on the
    validation images: an accuracy of 0.955 (synthetic: 0.9), more than a softmax regression on all pixels reaches (see
    `images.PixelImages`); of CIFAR-10 0.5, which of the printed networks those reach that were made for the task.

    >>> task = NoisePadded(data="cifar10")
    >>> task.num_steps, task.input_shape, task.lag, round(task.baseline, 4)
    (1000, (96,), 999, 2.3026)
    """

    num_steps: int = 1000
    """Length of the sequences: the rows of the image, then noise."""
    noise: Literal["independent", "shared"] = "independent"
    """Whether each sequence has noise of its own, or all have the same."""
    data: Literal["mnist", "synthetic", "cifar10"] = "mnist"
    """The images; synthetic: digits drawn by code."""
    noise_seed: int = 0
    """Seed of the noise that all sequences share."""
    num_images: int = 50_000
    """Images that training and validation share."""
    num_validation: int = 2_000
    """Images kept for validation: the last of them."""
    num_test: int = 10_000
    """Test images."""

    def __post_init__(self) -> None:
        require_known("noise", self.noise, NOISES)
        require_known("data", self.data, SOURCES)
        require_at_least("num_steps", self.num_steps, self._source.num_rows, f"(the rows of {self.data})")
        require_at_least("noise_seed", self.noise_seed, 0)
        require_at_least("num_validation", self.num_validation, 1)
        require_at_least(
            "num_images", self.num_images, self.num_validation + 1, "(one beside the validation)"
        )
        require_at_least("num_test", self.num_test, 1)
        for name, most in zip(("num_images", "num_test"), self._source.most, strict=True):
            if getattr(self, name) > most:
                raise ValueError(f"{name}: {self.data} has {most}, got {getattr(self, name)}")

    @property
    def _source(self) -> Source:
        return SOURCES[self.data]

    @property
    def num_noise(self) -> int:
        """Steps of noise."""
        return self.num_steps - self._source.num_rows

    @property
    def input_shape(self) -> tuple[int, ...]:
        """A row."""
        return (self._source.row_size,)

    @property
    def output_shape(self) -> tuple[int, ...]:
        """Logits of the classes."""
        return (10,)

    @property
    def baseline(self) -> float:
        """The cross-entropy of equally likely classes."""
        return math.log(10)

    @property
    def lag(self) -> int:
        """From the first row to the answer."""
        return self.num_steps - 1

    @property
    def criterion(self) -> Criterion:
        """An accuracy on the validation images."""
        return criteria.AccuracyAtLeast(self._source.solved)

    def num_examples(self, split: str) -> int:
        """The size of a split."""
        training = self.num_images - self.num_validation
        return (training, self.num_validation, self.num_test)[SPLITS.index(split)]

    def load(self) -> dict[str, Images]:
        """The images of each split; `Fault` where they have not been prepared."""
        return images.by_split(
            self._source.load(self.num_images, self.num_test), self.num_examples("training")
        )

    def examples(self, data: dict[str, Images], split: str, indices: Int[Array, "b"]) -> Batch:
        """The rows alone, ``[rows, b, d]``, with integer targets and weights ``[b]``."""
        pixels, labels = data[split]
        chosen = pixels[indices]
        if chosen.ndim == 4:
            chosen = jnp.moveaxis(chosen, -1, 2)  # the colours of a row one after the other
        rows = jnp.moveaxis(chosen.reshape(len(indices), self._source.num_rows, self._source.row_size), 1, 0)
        return Batch(
            rows.astype(jnp.float32) / 255,
            labels[indices].astype(jnp.int32),
            jnp.ones(len(indices), jnp.float32),
        )

    def batch(self, data: dict[str, Images], key: PRNGKeyArray, update: Array, batch_size: int) -> Batch:
        """Training batch number ``update``: inputs ``[t, b, d]``, targets and weights ``[b]``."""
        return self._padded(super().batch(data, key, update, batch_size), _noise_key(key, "training", update))

    def evaluation(
        self, data: dict[str, Images], split: str, index: Array, key: PRNGKeyArray, batch_size: int
    ) -> Batch:
        """Batch ``index`` of a split in its stored order; the last one is filled up with weight 0."""
        batch = super().evaluation(data, split, index, key, batch_size)
        return self._padded(batch, _noise_key(key, split, index))

    def _padded(self, batch: Batch, key: PRNGKeyArray) -> Batch:
        """The batch with its noise."""
        _, batch_size, row_size = batch.inputs.shape
        if self.noise == "shared":
            drawn = jax.random.normal(jax.random.key(self.noise_seed), (self.num_noise, 1, row_size))
            noise = jnp.broadcast_to(drawn, (self.num_noise, batch_size, row_size))
        else:
            noise = jax.random.normal(key, (self.num_noise, batch_size, row_size))
        return batch._replace(inputs=jnp.concatenate([batch.inputs, noise]))

    def loss(self, outputs: Float[Array, "b k"], batch: Batch) -> Total:
        """Cross-entropy."""
        return losses.cross_entropy(outputs, batch.targets, batch.weights)

    def metrics(self, outputs: Float[Array, "b k"], batch: Batch) -> dict[str, Total]:
        """Cross-entropy and accuracy."""
        return {
            "cross_entropy": self.loss(outputs, batch),
            "accuracy": losses.accuracy(outputs, batch.targets, batch.weights),
        }


def _noise_key(key: PRNGKeyArray, split: str, number: Array) -> PRNGKeyArray:
    return jax.random.fold_in(
        jax.random.fold_in(jax.random.fold_in(key, PADDING), SPLITS.index(split)), number
    )


def _digits(name: str) -> Source:
    """A set of 28 x 28 pixels; solved as where its pixels come in a permuted order."""
    known = images.DATA_SETS[name]
    return Source(known.load, known.most, images.SIZE, images.SIZE, known.solved["permuted"])


SOURCES = {
    "mnist": _digits("mnist"),
    "synthetic": _digits("synthetic"),
    "cifar10": Source(_load_cifar10, (50_000, 10_000), 32, 96, 0.5),
}
