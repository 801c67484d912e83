"""MNIST-1D: short curves, one for each digit, of which a sequence shows one: moved, stretched, slanted, in noise."""

import dataclasses
import functools
import math
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from experiments.tasks import criteria
from experiments.tasks.base import Batch, Criterion, Generated, Total, require_at_least, require_known
from recurrent import losses

LEVELS = (
    (5, 6, 6.5, 6.75, 7, 7, 7, 7, 6.75, 6.5, 6, 5),
    (5, 3, 3, 3.4, 3.8, 4.2, 4.6, 5, 5.4, 5.8, 5, 5),
    (5, 6, 6.5, 6.5, 6, 5.25, 4.75, 4, 3.5, 3.5, 4, 5),
    (5, 6, 6.5, 6.5, 6, 5, 5, 6, 6.5, 6.5, 6, 5),
    (5, 4.4, 3.8, 3.2, 2.6, 2.6, 5, 5, 5, 5, 5, 5),
    (5, 3, 3, 3, 3, 5, 6, 6.5, 6.5, 6, 4.5, 5),
    (5, 4, 3.5, 3.25, 3, 3, 3, 3, 3.25, 3.5, 4, 5),
    (5, 7, 7, 6.6, 6.2, 5.8, 5.4, 5, 4.6, 4.2, 5, 5),
    (5, 4, 3.5, 3.5, 4, 5, 5, 4, 3.5, 3.5, 4, 5),
    (5, 4, 3.5, 3.5, 4, 5, 5, 5, 5, 4.7, 4.3, 5),
)
"""The curves as they are published, one a digit, before `templates` scales them."""
TEMPLATE = 12
PADDING = (36, 60)
LENGTH = TEMPLATE + PADDING[1]
STEPS = 40
NUM_SHIFTS = 48
SCALE, SHEAR = 0.4, 0.75
SMOOTH_NOISE, STEP_NOISE = 0.25, 0.02
WIDTH = 2.0
"""Standard deviation of the kernel that smooths the noise, in places; it is cut at four of them."""
ORDERS = ("canonical", "shuffled")


class Draws(NamedTuple):
    """What is random about sequences: numbers in [0, 1), and noise of unit variance at `LENGTH` places."""

    labels: Int[Array, "b"]
    paddings: Int[Array, "b"]
    shifts: Int[Array, "b"]
    scales: Float[Array, "b"]
    shears: Float[Array, "b"]
    smooth: Float[Array, "b places"]
    steps: Float[Array, "b places"]


@dataclasses.dataclass(frozen=True)
class MNIST1D(Generated):
    """Name the digit whose curve is hidden in 40 numbers, one a step; one answer, after the last.

    The curve of a digit has 12 numbers. 36 to 60 zeros are put behind it; all is stretched to 72 places, linearly in
    between; multiplied by U(0.8, 1.2); moved round by 0 to 47 places. Where the curve is not, there is Gaussian noise
    instead, 0.25 times a standard normal one that is smoothed by a Gaussian of 2 places. Everywhere there is Gaussian
    noise of 0.02, and a slope that falls by U(-0.375, 0.375) from the first place to the last. 40 numbers, from the
    first place to the last and linearly in between, are the sequence. Source: Greydanus & Kobak (2020), "Scaling down
    deep learning with MNIST-1D", and the constants of their code.

    ``canonical``: in the order of the places. ``shuffled``: in one other order for all,
    ``RandomState(permutation_seed).permutation(40)``.

    Differs: there the set has 4,000 training and 1,000 test sequences, each digit as often; here all are drawn
    afresh, digits equally likely. There numbers are scaled to mean 0 and variance 1 over that set, here by the exact
    mean and deviation over all sequences and steps (`moments`). There the shuffled order is what the generator came to.

    Baseline: equally likely digits, ln 10 = 2.3026, an accuracy of 0.1. Solved: an accuracy of 0.9 on the validation
    sequences; printed for the set of 4,000: GRU 0.91, CNN 0.94, a human 0.96, logistic regression 0.32; shuffled:
    GRU 0.57. ``lag`` is 39, from the first number to the answer, for the curve may be anywhere.

    >>> task = MNIST1D()
    >>> task.num_steps, task.input_shape, task.lag, round(task.baseline, 4)
    (40, (1,), 39, 2.3026)
    """

    order: Literal["canonical", "shuffled"] = "canonical"
    """Order of the 40 numbers."""
    permutation_seed: int = 42
    """Seed of the shuffled order."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_known("order", self.order, ORDERS)
        require_at_least("permutation_seed", self.permutation_seed, 0)

    @property
    def num_steps(self) -> int:
        """40."""
        return STEPS

    @property
    def input_shape(self) -> tuple[int, ...]:
        """One number."""
        return (1,)

    @property
    def output_shape(self) -> tuple[int, ...]:
        """Logits of the digits."""
        return (len(LEVELS),)

    @property
    def baseline(self) -> float:
        """The cross-entropy of equally likely digits."""
        return math.log(len(LEVELS))

    @property
    def lag(self) -> int:
        """From the first step to the answer."""
        return STEPS - 1

    @property
    def criterion(self) -> Criterion:
        """An accuracy on the validation sequences."""
        return criteria.AccuracyAtLeast(0.9)

    def sample(self, key: PRNGKeyArray, batch_size: int) -> Batch:
        """Inputs ``[t, b, 1]``, the digits ``[b]``, weights ``[b]``."""
        drawn = draw(key, batch_size)
        mean, deviation = moments()
        sequences = (curves(drawn) - mean) / deviation
        if self.order == "shuffled":
            sequences = sequences[:, np.random.RandomState(self.permutation_seed).permutation(STEPS)]
        return Batch(sequences.T[..., None], drawn.labels, jnp.ones(batch_size, jnp.float32))

    def loss(self, outputs: Float[Array, "b k"], batch: Batch) -> Total:
        """Cross-entropy."""
        return losses.cross_entropy(outputs, batch.targets, batch.weights)

    def metrics(self, outputs: Float[Array, "b k"], batch: Batch) -> dict[str, Total]:
        """Cross-entropy and accuracy."""
        return {
            "cross_entropy": self.loss(outputs, batch),
            "accuracy": losses.accuracy(outputs, batch.targets, batch.weights),
        }


def templates() -> np.ndarray:
    """The ten curves ``[10, 12]``: of deviation 1/6, from 0 at the first number on."""
    levels = np.array(LEVELS, float)
    centred = (levels - levels.mean(axis=1, keepdims=True)) / levels.std(axis=1, keepdims=True)
    return (centred - centred[:, :1]) / 6


def draw(key: PRNGKeyArray, batch_size: int) -> Draws:
    """All that is random about ``batch_size`` sequences."""
    keys = jax.random.split(key, 7)
    places = (batch_size, LENGTH)
    return Draws(
        labels=jax.random.randint(keys[0], (batch_size,), 0, len(LEVELS)),
        paddings=jax.random.randint(keys[1], (batch_size,), PADDING[0], PADDING[1] + 1),
        shifts=jax.random.randint(keys[2], (batch_size,), 0, NUM_SHIFTS),
        scales=jax.random.uniform(keys[3], (batch_size,)),
        shears=jax.random.uniform(keys[4], (batch_size,)),
        smooth=jax.random.normal(keys[5], places),
        steps=jax.random.normal(keys[6], places),
    )


def curves(drawn: Draws) -> Float[Array, "b t"]:
    """The sequences that draws stand for, before they are scaled to mean 0 and variance 1."""
    signal, is_signal = _placed(drawn.labels, drawn.paddings, drawn.shifts)
    scaled = signal * (1 + SCALE * (drawn.scales - 0.5))[:, None]
    noise = SMOOTH_NOISE * drawn.smooth @ _smoothing().T.astype(np.float32)
    slope = SHEAR * (drawn.shears - 0.5)[:, None] * np.linspace(-0.5, 0.5, LENGTH, dtype=np.float32)[None]
    places = jnp.where(is_signal, scaled, noise) + STEP_NOISE * drawn.steps - slope
    return places @ _resampling().T.astype(np.float32)


def _placed(
    labels: Int[Array, "b"], paddings: Int[Array, "b"], shifts: Int[Array, "b"]
) -> tuple[Float[Array, "b places"], Bool[Array, "b places"]]:
    """The curves at their places, and where they are: where what was stretched stood before the first zero behind."""
    places = (jnp.arange(LENGTH)[None] - shifts[:, None]) % LENGTH
    # a place, times the length before it was stretched, in whole numbers: the end of the curve is no matter of rounding
    stretched = places * (TEMPLATE + paddings - 1)[:, None]
    below, fraction = stretched // (LENGTH - 1), (stretched % (LENGTH - 1)) / (LENGTH - 1)
    padded = np.pad(templates(), [(0, 0), (0, PADDING[1] + 1)]).astype(np.float32)
    levels = jnp.asarray(padded)[labels]
    lower, upper = (jnp.take_along_axis(levels, below + more, axis=1) for more in (0, 1))
    return lower + fraction * (upper - lower), stretched < TEMPLATE * (LENGTH - 1)


@functools.cache
def _smoothing() -> np.ndarray:
    """The matrix that smooths `LENGTH` places; beyond either end they go on as in a mirror."""
    radius = int(4 * WIDTH + 0.5)
    offsets = np.arange(-radius, radius + 1)
    kernel = np.exp(-0.5 * (offsets / WIDTH) ** 2)
    matrix = np.zeros((LENGTH, LENGTH))
    for place in range(LENGTH):
        for offset, weight in zip(offsets, kernel / kernel.sum(), strict=True):
            source = place + offset
            source = -1 - source if source < 0 else 2 * LENGTH - 1 - source if source >= LENGTH else source
            matrix[place, source] += weight
    return matrix


@functools.cache
def _resampling() -> np.ndarray:
    """The matrix that takes `LENGTH` places to `STEPS`, from the first to the last, linearly in between."""
    wanted = np.linspace(0, LENGTH - 1, STEPS)
    below = np.minimum(wanted.astype(int), LENGTH - 2)
    matrix = np.zeros((STEPS, LENGTH))
    rows = np.arange(STEPS)
    matrix[rows, below] = 1 - (wanted - below)
    matrix[rows, below + 1] = wanted - below
    return matrix


@functools.cache
def moments() -> tuple[float, float]:
    """Mean and standard deviation of `curves` over all sequences and steps, by going through all curves and places."""
    labels, paddings, shifts = (
        grid.ravel()
        for grid in np.meshgrid(
            np.arange(len(LEVELS)),
            np.arange(PADDING[0], PADDING[1] + 1),
            np.arange(NUM_SHIFTS),
            indexing="ij",
        )
    )
    with jax.ensure_compile_time_eval():
        signal, is_signal = (
            np.asarray(each) for each in _placed(*map(jnp.asarray, (labels, paddings, shifts)))
        )
    resampling, signal = _resampling(), np.where(is_signal, signal, 0.0).astype(float)
    mean = signal @ resampling.T
    # what is added to the mean, part by part: the scale, the slope, both noises; U(0, 1) has the variance 1/12
    scale = mean**2 * SCALE**2 / 12
    slope = (resampling @ np.linspace(-0.5, 0.5, LENGTH)) ** 2 * SHEAR**2 / 12
    smooth = _smoothing() @ _smoothing().T * SMOOTH_NOISE**2
    masked = ~is_signal
    noise = np.empty_like(mean)
    for step, row in enumerate(resampling):
        (used,) = np.nonzero(row)
        weights = row[used] * masked[:, used]
        noise[:, step] = np.einsum("ni,ij,nj->n", weights, smooth[np.ix_(used, used)], weights)
    white = (resampling**2).sum(axis=1) * STEP_NOISE**2
    square = (mean**2 + scale + noise).mean() + (slope + white).mean()
    return float(mean.mean()), math.sqrt(square - mean.mean() ** 2)
