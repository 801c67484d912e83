"""The adding problem: remember two marked numbers among many, and answer at the last step."""

import dataclasses
from collections.abc import Callable
from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from experiments.tasks import criteria, marked_pairs
from experiments.tasks.base import Batch, Criterion, Generated, Total, require_at_least, require_known
from experiments.tasks.error_criteria import RecentErrors
from experiments.tasks.marked_pairs import answered, at, longest_hs97, longest_pascanu, skip, uniform
from experiments.tasks.output_units import UNITS

CORRECT = 0.04  # Hochreiter & Schmidhuber (1997): their bound on the absolute error of a sequence


@dataclasses.dataclass(frozen=True)
class Variant:
    """One definition: its shortest ``num_steps``, its longest sequence, its draw, baseline and criterion.

    ``earliest`` is the first step that anything depends on, ``unit`` the kind of output unit.
    """

    minimum: int
    longest: Callable[[int], int]
    draw: Callable[[PRNGKeyArray, int, int], Batch]
    baseline: Callable[[int], float]
    criterion: Criterion
    earliest: int = 0
    unit: str = "linear"


@dataclasses.dataclass(frozen=True)
class Adding(Generated):
    """Add the two marked values of a sequence of (value, marker) pairs; one answer, at the last step.

    ``canonical``: T = ``num_steps`` pairs; values U[0, 1); marker 1 at one step of the first half
    [0, T//2) and at one of the second [T//2, T), else 0; target the sum. A constant can do no better
    than the variance of the sum of two uniforms: baseline 2/12 = 1/6.
    Source: Arjovsky, Shah & Bengio (2016), their code.

    ``anywhere``: the same, with any two distinct steps marked. Baseline 1/6.
    Source: Bai, Kolter & Koltun (2018), their code.

    ``pascanu``: channel 0 is the marker, channel 1 the value; length L uniform in [T, T + T//10); values
    U[0, 1); marks in [0, L//10) and [L//10, L//10 + 4L//10); target the mean of the two. Baseline 1/24,
    a quarter of 1/6. Solved: fewer than 1 % of the sequences with a squared error above 0.04.
    Source: Pascanu, Mikolov & Bengio (2013), their code. Differs: each sequence draws its length, not
    each batch; success is read on ``num_evaluation`` sequences, not on 10,000.

    ``hs97``: length L uniform in [T, T + T//10]; values U[-1, 1); the first mark on one of the first ten
    pairs, the second on one of the first T//2 - 1 pairs still unmarked; markers 1 there, -1 at pairs 0
    and L - 1, else 0; where pair 0 is marked its value becomes 0; target 1/2 + (X1 + X2)/4. Baseline: a
    mark falls on pair 0 with p = 0.1 + 0.9/(T//2 - 1) and takes away the variance 1/3 of one of the two
    values, so (2/3 - p/3)/16. Solved, on the training sequences: the last 2,000 all with |e| < 0.04, of
    mean below 0.01. Source: Hochreiter & Schmidhuber (1997), experiment 4. Differs: which marker a
    marked pair 0 carries is not in the paper; here it is 1.

    ``hs97_logistic``: the same with a logistic output unit, as the paper prints ("all activation functions are logistic
    with output range [0, 1]", but for those within a cell); ``hs97`` has a linear one, with which its rule is met.

    In ``pascanu``, ``hs97`` and ``hs97_logistic`` the padding on the right is 0 and not in ``mask``.

    >>> Adding(num_steps=100).baseline, Adding(num_steps=100).lag
    (0.16666666666666666, 99)
    """

    num_steps: int = 100
    """Length T of the sequences, in steps."""
    variant: Literal["canonical", "hs97", "pascanu", "anywhere", "hs97_logistic"] = "canonical"
    """Definition of the task."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_known("variant", self.variant, VARIANTS)
        require_at_least("num_steps", self.num_steps, self._variant.minimum, f"for adding ({self.variant})")

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
        return self._variant.criterion

    def sample(self, key: PRNGKeyArray, batch_size: int) -> Batch:
        """Inputs ``[t, b, 2]``, targets ``[b, 1]``, weights ``[b]``."""
        return self._variant.draw(key, self.num_steps, batch_size)

    def loss(self, outputs: Float[Array, "b 1"], batch: Batch) -> Total:
        """Squared error."""
        return UNITS[self._variant.unit].loss(outputs, batch)

    def metrics(self, outputs: Float[Array, "b 1"], batch: Batch) -> dict[str, Total]:
        """Squared error, absolute error, and the fraction with |e| < 0.04, for every variant."""
        errors = UNITS[self._variant.unit].errors(outputs, batch.targets, batch.weights)[:, 0]
        count = jnp.sum(batch.weights)
        return {
            "mse": self.loss(outputs, batch),
            "mae": (jnp.sum(errors * batch.weights), count),
            "fraction_correct": (jnp.sum((errors < CORRECT) * batch.weights), count),
        }


def _sum_of(values: Float[Array, "t b"], first: Int[Array, "b"], second: Int[Array, "b"]) -> Batch:
    marked = at(len(values), first) | at(len(values), second)
    return answered((values, marked.astype(values.dtype)), jnp.sum(jnp.where(marked, values, 0.0), axis=0))


def _draw_canonical(key: PRNGKeyArray, num_steps: int, batch_size: int) -> Batch:
    key_values, key_first, key_second = jax.random.split(key, 3)
    half = num_steps // 2
    first = jax.random.randint(key_first, (batch_size,), 0, half)
    second = jax.random.randint(key_second, (batch_size,), half, num_steps)
    return _sum_of(uniform(key_values, num_steps, batch_size), first, second)


def _draw_anywhere(key: PRNGKeyArray, num_steps: int, batch_size: int) -> Batch:
    key_values, key_first, key_second = jax.random.split(key, 3)
    first = jax.random.randint(key_first, (batch_size,), 0, num_steps)
    second = skip(jax.random.randint(key_second, (batch_size,), 0, num_steps - 1), first)
    return _sum_of(uniform(key_values, num_steps, batch_size), first, second)


def _draw_pascanu(key: PRNGKeyArray, num_steps: int, batch_size: int) -> Batch:
    values, markers, marked, mask = marked_pairs.draw_pascanu(key, num_steps, batch_size)
    targets = jnp.sum(jnp.where(marked, values, 0.0), axis=0) / 2
    return answered((markers, values), targets, mask)


def _draw_hs97(key: PRNGKeyArray, num_steps: int, batch_size: int) -> Batch:
    values, markers, marked, mask = marked_pairs.draw_hs97(
        key, num_steps, batch_size, low=-1.0, neutral=0.0, first_marker=1.0
    )
    targets = 0.5 + jnp.sum(jnp.where(marked, values, 0.0), axis=0) / 4
    return answered((values, markers), targets, mask)


def _baseline_hs97(num_steps: int) -> float:
    return (2 / 3 - marked_pairs.first_pair_marked(num_steps) / 3) / 16


_MSE = criteria.SquaredErrorBelow(0.01)
_RECENT_LOGISTIC = RecentErrors(window=2000, error=CORRECT, mean_error=0.01, unit="logistic")
_LARGE_ERRORS = criteria.LargeErrorsBelow(fraction=0.01, squared_error=0.04)

# the shortest sequences: a choice of two steps in each half; of two among three; a tenth of one step;
# the first ten pairs within the first half, as in the paper, so that no mark meets the last pair
VARIANTS = {
    "canonical": Variant(4, lambda num_steps: num_steps, _draw_canonical, lambda _: 1 / 6, _MSE),
    # at pair 0 a mark finds the value 0: nothing that counts is there
    "hs97": Variant(20, longest_hs97, _draw_hs97, _baseline_hs97, criteria.Streak(), earliest=1),
    "hs97_logistic": Variant(
        20, longest_hs97, _draw_hs97, _baseline_hs97, _RECENT_LOGISTIC, earliest=1, unit="logistic"
    ),
    "pascanu": Variant(10, longest_pascanu, _draw_pascanu, lambda _: 1 / 24, _LARGE_ERRORS),
    "anywhere": Variant(3, lambda num_steps: num_steps, _draw_anywhere, lambda _: 1 / 6, _MSE),
}
