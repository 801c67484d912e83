"""The multiplication problem: remember two marked numbers among many, and answer with their product."""

import dataclasses
from collections.abc import Callable
from typing import Literal

import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from experiments.tasks import criteria, marked_pairs
from experiments.tasks.base import Batch, Criterion, Generated, Total, require_at_least, require_known
from experiments.tasks.error_criteria import RecentErrors
from experiments.tasks.output_units import UNITS

CORRECT = 0.04  # Hochreiter & Schmidhuber (1997): their bound on the absolute error of a sequence
LARGE = 0.04  # Pascanu, Mikolov & Bengio (2013): a squared error above it is wrong


@dataclasses.dataclass(frozen=True)
class Variant:
    """One definition: its shortest ``num_steps``, its longest sequence, its draw, baseline and output units.

    ``criterion`` takes the number of wrong sequences allowed and the name of the output unit; ``earliest`` is the
    first step that anything depends on.
    """

    minimum: int
    longest: Callable[[int], int]
    draw: Callable[[PRNGKeyArray, int, int], Batch]
    baseline: Callable[[int], float]
    units: tuple[str, ...]
    criterion: Callable[[int, str], Criterion]
    earliest: int = 0


@dataclasses.dataclass(frozen=True)
class Multiplication(Generated):
    """Multiply the two marked values of a sequence of (value, marker) pairs; one answer, at the last step.

    ``hs97``: T = ``num_steps``; length L uniform in [T, T + T//10]; values U[0, 1); the first mark on one of the
    first ten pairs, the second on one of the first T//2 - 1 pairs still unmarked; markers 1 there, -1 at pairs 0 and
    L - 1, else 0; where pair 0 is marked its value becomes 1; target X1 X2. Source: Hochreiter & Schmidhuber (1997),
    experiment 5. Baseline: a mark falls on pair 0 with p = 0.1 + 0.9/(T//2 - 1), and then the target is one uniform
    number instead of the product of two: mean m = (1 - p)/4 + p/2, mean square (1 - p)/9 + p/3, and the variance
    of the target is the second minus m^2. Solved, on the training sequences: fewer than n_seq = ``num_wrong`` of
    the last 2,000 have |e| >= 0.04.

    ``hs97_minus``: the same where a marked pair 0 keeps the marker -1, so that it looks like any other first pair.
    Which of the two was meant the paper does not say.

    ``pascanu``: channel 0 is the marker, channel 1 the value; length L uniform in [T, T + T//10); values U[0, 1);
    marks in [0, L//10) and [L//10, L//10 + 4L//10); target X1 X2. Baseline 1/9 - 1/16 = 7/144. Solved: fewer than
    1 % of the sequences with a squared error above 0.04. Source: Pascanu, Mikolov & Bengio (2013), their code.
    Differs: each sequence draws its length, not each batch; success is read on ``num_evaluation`` sequences, not on
    10,000.

    The padding on the right is 0 and not in ``mask``. The 1997 paper prints logistic output units; the default is a
    linear one, as in `adding.Adding`, and its squared error lacks the factor 1/2 of the paper.

    A sequence of ``hs97`` with T = 20, by pair: (0.3, -1), (0.5, 1), (0.9, 0), ..., (0.4, 1), ..., (0.7, -1); the
    target is 0.5 x 0.4 = 0.2.

    >>> task = Multiplication(num_steps=100)
    >>> round(task.baseline, 4), task.lag, round(Multiplication(100, "pascanu").baseline, 4)
    (0.0592, 108, 0.0486)
    """

    num_steps: int = 100
    """Length T of the shortest sequences, in steps."""
    variant: Literal["hs97", "hs97_minus", "pascanu"] = "hs97"
    """Definition of the task."""
    num_wrong: int = 13
    """n_seq of the 1997 rule: fewer wrong sequences among the last 2,000 count as solved; printed: 140 and 13."""
    output_unit: Literal["linear", "logistic"] = "linear"
    """What the output unit computes; pascanu: linear."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_known("variant", self.variant, VARIANTS)
        name = f"for multiplication ({self.variant})"
        require_at_least("num_steps", self.num_steps, self._variant.minimum, name)
        require_at_least("num_wrong", self.num_wrong, 1)
        require_known("output_unit", self.output_unit, self._variant.units)

    @property
    def _variant(self) -> Variant:
        return VARIANTS[self.variant]

    @property
    def input_shape(self) -> tuple[int, ...]:
        """A value and a marker."""
        return (2,)

    @property
    def output_shape(self) -> tuple[int, ...]:
        """One number."""
        return (1,)

    @property
    def baseline(self) -> float:
        """The mean squared error of the best constant."""
        return self._variant.baseline(self.num_steps)

    @property
    def lag(self) -> int:
        """From the earliest value that counts to the answer at the last step of the longest sequence."""
        return self._variant.longest(self.num_steps) - 1 - self._variant.earliest

    @property
    def criterion(self) -> Criterion:
        """The variant's own."""
        return self._variant.criterion(self.num_wrong, self.output_unit)

    def sample(self, key: PRNGKeyArray, batch_size: int) -> Batch:
        """Inputs ``[t, b, 2]``, targets ``[b, 1]``, weights ``[b]``."""
        return self._variant.draw(key, self.num_steps, batch_size)

    def loss(self, outputs: Float[Array, "b 1"], batch: Batch) -> Total:
        """Squared error."""
        return UNITS[self.output_unit].loss(outputs, batch)

    def metrics(self, outputs: Float[Array, "b 1"], batch: Batch) -> dict[str, Total]:
        """Squared and absolute error, and the fractions with |e| < 0.04 and with a squared error above 0.04."""
        errors = UNITS[self.output_unit].errors(outputs, batch.targets, batch.weights)[:, 0]
        large = ~(errors**2 <= LARGE)  # so that NaN is large
        count = jnp.sum(batch.weights)
        return {
            "mse": self.loss(outputs, batch),
            "mae": (jnp.sum(errors * batch.weights), count),
            "fraction_correct": (jnp.sum((errors < CORRECT) * batch.weights), count),
            "fraction_large": (jnp.sum(large * batch.weights), count),
        }


def _product(pairs: marked_pairs.MarkedPairs) -> Float[Array, "b"]:
    return jnp.prod(jnp.where(pairs.marked, pairs.values, 1.0), axis=0)


def _draw_hs97(first_marker: float) -> Callable[[PRNGKeyArray, int, int], Batch]:
    def draw(key: PRNGKeyArray, num_steps: int, batch_size: int) -> Batch:
        pairs = marked_pairs.draw_hs97(
            key, num_steps, batch_size, low=0.0, neutral=1.0, first_marker=first_marker
        )
        return marked_pairs.answered((pairs.values, pairs.markers), _product(pairs), pairs.mask)

    return draw


def _baseline_hs97(num_steps: int) -> float:
    p = marked_pairs.first_pair_marked(num_steps)
    return (1 - p) / 9 + p / 3 - ((1 - p) / 4 + p / 2) ** 2


def _recent_hs97(num_wrong: int, unit: str) -> Criterion:
    return RecentErrors(window=2000, error=CORRECT, num_wrong=num_wrong, unit=unit)


def _draw_pascanu(key: PRNGKeyArray, num_steps: int, batch_size: int) -> Batch:
    pairs = marked_pairs.draw_pascanu(key, num_steps, batch_size)
    return marked_pairs.answered((pairs.markers, pairs.values), _product(pairs), pairs.mask)


def _large_pascanu(num_wrong: int, unit: str) -> Criterion:
    return criteria.LargeErrorsBelow(fraction=0.01, squared_error=LARGE)


def _hs97(first_marker: float) -> Variant:
    # the first ten pairs lie within the first half; at pair 0 a mark finds the value 1: nothing that counts is there
    units = ("linear", "logistic")
    draw = _draw_hs97(first_marker)
    return Variant(20, marked_pairs.longest_hs97, draw, _baseline_hs97, units, _recent_hs97, earliest=1)


VARIANTS = {
    "hs97": _hs97(first_marker=1.0),
    "hs97_minus": _hs97(first_marker=-1.0),
    "pascanu": Variant(
        10, marked_pairs.longest_pascanu, _draw_pascanu, lambda _: 7 / 144, ("linear",), _large_pascanu
    ),
}
