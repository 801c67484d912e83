"""Images as sequences: name the digit after its rows or its pixels have gone by, one at a time."""

import dataclasses
import functools
import math
from collections.abc import Callable
from typing import Literal, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, UInt8

from experiments.data.mnist import load_mnist
from experiments.tasks import criteria
from experiments.tasks.base import SPLITS, Batch, Criterion, Total, require_at_least, require_known
from experiments.tasks.digits import SIZE, draw_digits
from experiments.tasks.finite import Finite
from recurrent import losses

NUM_PIXELS = SIZE * SIZE
LINEAR_BASELINE = 0.924
"""Accuracy of a softmax regression on the 784 pixels of MNIST, whose order is nothing to it.

Source: 92.37 % of the validation images in the notebook of Voelker, Kajić & Eliasmith (2019), Legendre Memory
Units. Measured on the splits of `PixelImages`: 0.927 on the test images, 0.944 on the last 5,000 training
images, which are easier. A network that reads permuted pixels and scores less has shown no memory.
"""


class Images(NamedTuple):
    """One split: images [n, 28, 28], those with colours [n, 32, 32, 3], and labels [n], all uint8."""

    images: UInt8[Array, "n *image"]
    labels: UInt8[Array, "n"]


class Raw(NamedTuple):
    """A set as it comes: training images and labels, test images and labels."""

    training: tuple[np.ndarray, np.ndarray]
    test: tuple[np.ndarray, np.ndarray]


def by_split(raw: Raw, num_training: int) -> dict[str, Images]:
    """The images of each split: the training images behind the first ``num_training`` are for validation."""
    (images, labels), test = raw
    parts = (
        (images[:num_training], labels[:num_training]),
        (images[num_training:], labels[num_training:]),
        test,
    )
    return {
        split: Images(jnp.asarray(part[0]), jnp.asarray(part[1]))
        for split, part in zip(SPLITS, parts, strict=True)
    }


def _load_mnist(num_training: int, num_test: int) -> Raw:
    arrays = load_mnist()
    return Raw(
        (arrays["train_images"][:num_training], arrays["train_labels"][:num_training]),
        (arrays["test_images"][:num_test], arrays["test_labels"][:num_test]),
    )


def _load_synthetic(num_training: int, num_test: int) -> Raw:
    return Raw(draw_digits(num_training, seed=0), draw_digits(num_test, seed=1))


class DataSet(NamedTuple):
    """What can be read: its load, its sizes at most, and the accuracy that counts as solved, by order."""

    load: Callable[[int, int], Raw]
    most: tuple[float, float]
    solved: dict[str, float]


@dataclasses.dataclass(frozen=True)
class PixelImages(Finite):
    """Classify 28 x 28 images of digits read as a sequence; one answer, after the last step.

    ``rows``: 28 steps of one row, 28 numbers. ``pixels``: 784 steps of one pixel, row after row.
    ``permuted``: the same pixels in one fixed order, ``RandomState(permutation_seed).permutation(784)``.
    Pixels are scaled to [0, 1]. Source: Le, Jaitly & Hinton (2015); the seed 92916 is that of the released code
    of scoRNN, expRNN and the dilated RNN. Differs: others permute otherwise, or standardise the pixels.

    ``mnist``: the training images are the first of ``num_images``, the validation images the last
    ``num_validation`` of them, the test images the first ``num_test`` of MNIST's own.
    ``synthetic``: the same numbers of digits drawn by `draw_digits`.

    Baseline: ten equally likely classes, so ln 10 = 2.3026. MNIST's classes are not quite equally likely:
    the best constant, the frequencies of the first 55,000 training labels, scores 2.3011 on them, 2.3018
    on the last 5,000 and 2.3010 on the test labels.

    Solved, on the validation images: for MNIST an accuracy of 0.97 by rows and by pixels, and of 0.955 for
    ``permuted``: three standard errors of 5,000 images above the 0.944 of a softmax regression on them
    (see `LINEAR_BASELINE`). For the synthetic digits 0.9, where a softmax regression reaches 0.78.

    >>> task = PixelImages(order="pixels")
    >>> task.num_steps, task.input_shape, task.lag, round(task.baseline, 4)
    (784, (1,), 783, 2.3026)
    """

    order: Literal["rows", "pixels", "permuted"] = "rows"
    """What a step is: a row of 28 pixels, a pixel, or a pixel in permuted order."""
    data: Literal["mnist", "synthetic"] = "mnist"
    """The images; synthetic: digits drawn by code."""
    permutation_seed: int = 92916
    """Seed of the permuted order."""
    num_images: int = 60_000
    """Images that training and validation share."""
    num_validation: int = 5_000
    """Images kept for validation: the last of them."""
    num_test: int = 10_000
    """Test images."""

    def __post_init__(self) -> None:
        require_known("order", self.order, ORDERS)
        require_known("data", self.data, DATA_SETS)
        require_at_least("permutation_seed", self.permutation_seed, 0)
        require_at_least("num_validation", self.num_validation, 1)
        require_at_least(
            "num_images", self.num_images, self.num_validation + 1, "(one beside the validation)"
        )
        require_at_least("num_test", self.num_test, 1)
        for name, most in zip(("num_images", "num_test"), DATA_SETS[self.data].most, strict=True):
            if getattr(self, name) > most:
                raise ValueError(f"{name}: {self.data} has {most}, got {getattr(self, name)}")

    @property
    def num_steps(self) -> int:
        """28 rows or 784 pixels."""
        return SIZE if self.order == "rows" else NUM_PIXELS

    @property
    def input_shape(self) -> tuple[int, ...]:
        """A row or a pixel."""
        return (NUM_PIXELS // self.num_steps,)

    @property
    def output_shape(self) -> tuple[int, ...]:
        """Logits of the digits."""
        return (10,)

    @property
    def baseline(self) -> float:
        """The cross-entropy of equally likely classes."""
        return math.log(10)

    @property
    def lag(self) -> int:
        """From the first step to the answer."""
        return self.num_steps - 1

    @property
    def criterion(self) -> Criterion:
        """An accuracy on the validation images."""
        return criteria.AccuracyAtLeast(DATA_SETS[self.data].solved[self.order])

    def num_examples(self, split: str) -> int:
        """The size of a split."""
        training = self.num_images - self.num_validation
        return (training, self.num_validation, self.num_test)[SPLITS.index(split)]

    def load(self) -> dict[str, Images]:
        """The images of each split; `Fault` where MNIST has not been prepared."""
        return by_split(
            DATA_SETS[self.data].load(self.num_images, self.num_test), self.num_examples("training")
        )

    def examples(self, data: dict[str, Images], split: str, indices: Int[Array, "b"]) -> Batch:
        """Inputs ``[t, b, d]``, integer targets and weights ``[b]``."""
        images, labels = data[split]
        pixels = images[indices].reshape(len(indices), NUM_PIXELS)
        if self.order == "permuted":
            pixels = pixels[:, permutation(self.permutation_seed)]
        steps = jnp.moveaxis(pixels.reshape(len(indices), self.num_steps, -1), 1, 0)
        inputs = steps.astype(jnp.float32) / 255
        return Batch(inputs, labels[indices].astype(jnp.int32), jnp.ones(len(indices), jnp.float32))

    def loss(self, outputs: Float[Array, "b k"], batch: Batch) -> Total:
        """Cross-entropy."""
        return losses.cross_entropy(outputs, batch.targets, batch.weights)

    def metrics(self, outputs: Float[Array, "b k"], batch: Batch) -> dict[str, Total]:
        """Cross-entropy and accuracy."""
        return {
            "cross_entropy": self.loss(outputs, batch),
            "accuracy": losses.accuracy(outputs, batch.targets, batch.weights),
        }


@functools.cache
def permutation(seed: int) -> np.ndarray:
    """Which pixel each step of ``permuted`` reads, [784]: NumPy's legacy generator, as the published code has it."""
    return np.random.RandomState(seed).permutation(NUM_PIXELS)


ORDERS = ("rows", "pixels", "permuted")
DATA_SETS = {
    "mnist": DataSet(_load_mnist, (60_000, 10_000), {"rows": 0.97, "pixels": 0.97, "permuted": 0.955}),
    "synthetic": DataSet(_load_synthetic, (math.inf, math.inf), dict.fromkeys(ORDERS, 0.9)),
}
