"""Temporal order: which of two symbols stood at each of a few places, and in what order."""

import dataclasses
from collections.abc import Callable
from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from experiments.tasks import criteria
from experiments.tasks.base import Batch, Criterion, Generated, Total, require_at_least, require_known
from experiments.tasks.error_criteria import RecentErrors
from experiments.tasks.output_units import UNITS, OutputUnit
from recurrent import losses

Windows = tuple[range, ...]
"""For each relevant symbol, the steps at which it may stand."""

START, TRIGGER, FRAMED_DISTRACTORS, X = 0, 1, (2, 6), 6  # of E, B, a, b, c, d, X, Y
A, PLAIN_DISTRACTORS = 0, (2, 6)  # of A, B, c, d, e, f


@dataclasses.dataclass(frozen=True)
class Variant:
    """One definition: its alphabet's size, where the relevant symbols stand, its length, draw, criterion.

    ``unit`` names what the output layer is made of, one of `output_units.UNITS`.
    """

    num_symbols: int
    windows: Callable[[int], Windows]
    longest: Callable[[int], int]
    draw: Callable[[PRNGKeyArray, int, Windows, int], Batch]
    criterion: Criterion
    unit: str = "softmax"


@dataclasses.dataclass(frozen=True)
class TemporalOrder(Generated):
    """Name the relevant symbols of a sequence in their order; one answer, at the last step.

    ``canonical``: T = ``num_steps``; length L uniform in [T, T + T//10]; one-hot over E, B, a, b, c, d,
    X, Y, in this order. E at step 0, B at step L - 1, X or Y at t1 uniform in [T//10, T//5] and at t2
    uniform in [T//2, 3T//5], else a, b, c or d. Classes XX, XY, YX, YY = 0..3. The padding on the right
    is 0 and not in ``mask``. Source: Hochreiter & Schmidhuber (1997), experiment 6a, where T = 100.

    ``three``: the same with three, t1 in [T//10, T//5], t2 in [33T//100, 43T//100], t3 in [66T//100,
    76T//100]; classes XXX, XXY, ..., YYY = 0..7. Source: experiment 6b.

    ``pascanu``: T steps, one-hot over A, B, c, d, e, f, with no symbol for start or end; A or B at p0
    uniform in [T//10, 2(T//10)) and at p1 uniform in [T//2, T//2 + T//10), else c, d, e or f. Source:
    Pascanu, Mikolov & Bengio (2013), their code. Differs: classes AA, AB, BA, BB = 0..3 (there AB = 2).

    ``pascanu_three``: the same with three, p0 in [T//10, 2(T//10)), p1 in [3T//10, 3T//10 + T//10), p2 in
    [6T//10, 6T//10 + T//10): their 3-bit task. Differs: AAA, AAB, ..., BBB = 0..7 (there AAB = 4).

    ``hs97`` and ``hs97_three``: the sequences of ``canonical`` and of ``three`` with the output layer and the
    rule of the paper. Each class has a logistic unit, the target is one-hot, the loss the squared error
    summed over units. Solved, on the training sequences: the last 2,000 all with |e| < 0.3 at every unit, of
    mean below 0.1, where |e| of a sequence is its largest. Differs: the paper has a factor 1/2 before the
    loss, and does not say what its average training error is.

    Baseline: the n = 4 or 8 classes are equally likely, so ln n; with logistic units, where the best constant
    is 1/n for each, 1 - 1/n. Solved: for ``canonical`` and ``three`` an accuracy of 0.99 or more, which differs
    from the 1997 paper; for ``pascanu`` and ``pascanu_three`` an error rate below 0.01.

    The sequence E a b c X d a ... Y c B has the class XY = 1.

    >>> round(TemporalOrder(num_steps=100).baseline, 4), TemporalOrder(num_steps=100).lag
    (1.3863, 99)
    >>> TemporalOrder(100, "hs97").baseline, TemporalOrder(100, "hs97_three").baseline
    (0.75, 0.875)
    """

    num_steps: int = 60
    """Length T of the shortest sequence, in steps."""
    variant: Literal["canonical", "three", "pascanu", "hs97", "hs97_three", "pascanu_three"] = "canonical"
    """Definition of the task."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_known("variant", self.variant, VARIANTS)
        require_at_least("num_steps", self.num_steps, 10, f"for temporal order ({self.variant})")

    @property
    def _variant(self) -> Variant:
        return VARIANTS[self.variant]

    @property
    def _unit(self) -> OutputUnit:
        return UNITS[self._variant.unit]

    @property
    def _windows(self) -> Windows:
        return self._variant.windows(self.num_steps)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The alphabet, one-hot."""
        return (self._variant.num_symbols,)

    @property
    def output_shape(self) -> tuple[int, ...]:
        """A unit for each class."""
        return (2 ** len(self._windows),)

    @property
    def baseline(self) -> float:
        """The loss of equally likely classes."""
        (num_classes,) = self.output_shape
        return self._unit.least([1 / num_classes] * num_classes)

    @property
    def lag(self) -> int:
        """From the first step of the first window to the last step of the longest sequence."""
        return self._variant.longest(self.num_steps) - 1 - self._windows[0].start

    @property
    def criterion(self) -> Criterion:
        """The variant's own."""
        return self._variant.criterion

    def sample(self, key: PRNGKeyArray, batch_size: int) -> Batch:
        """Inputs ``[t, b, symbols]``, integer targets and weights ``[b]``."""
        return self._variant.draw(key, self.num_steps, self._windows, batch_size)

    def loss(self, outputs: Float[Array, "b k"], batch: Batch) -> Total:
        """Cross-entropy; squared error of logistic units."""
        return self._unit.loss(outputs, batch)

    def metrics(self, outputs: Float[Array, "b k"], batch: Batch) -> dict[str, Total]:
        """The loss and the accuracy; of logistic units the fraction of sequences with every |e| < 0.3 too."""
        measured = {
            self._unit.metric: self.loss(outputs, batch),
            "accuracy": losses.accuracy(outputs, batch.targets, batch.weights),
        }
        if self._variant.unit == "softmax":
            return measured
        return {**measured, "fraction_correct": _RECENT.fraction_correct(outputs, batch)}


def _place(
    key: PRNGKeyArray, tokens: Int[Array, "t b"], windows: Windows, symbol: int
) -> tuple[Int[Array, "t b"], Int[Array, "b"]]:
    """Put ``symbol`` or the one after it at a random step of each window; and the class that results."""
    num_steps, batch_size = tokens.shape
    labels = jnp.zeros(batch_size, jnp.int32)
    for window, key_window in zip(windows, jax.random.split(key, len(windows)), strict=True):
        key_step, key_choice = jax.random.split(key_window)
        step = jax.random.randint(key_step, (batch_size,), window.start, window.stop)
        choice = jax.random.bernoulli(key_choice, shape=(batch_size,)).astype(labels.dtype)
        here = jnp.arange(num_steps)[:, None] == step[None, :]
        tokens = jnp.where(here, symbol + choice[None, :], tokens)
        labels = 2 * labels + choice
    return tokens, labels


def _draw_framed(key: PRNGKeyArray, num_steps: int, windows: Windows, batch_size: int) -> Batch:
    key_length, key_distractors, key_relevant = jax.random.split(key, 3)
    longest = _longest_framed(num_steps)
    lengths = jax.random.randint(key_length, (batch_size,), num_steps, longest + 1)[None, :]
    steps = jnp.arange(longest)[:, None]
    tokens = jax.random.randint(key_distractors, (longest, batch_size), *FRAMED_DISTRACTORS)
    tokens = jnp.where(steps == 0, START, jnp.where(steps == lengths - 1, TRIGGER, tokens))
    tokens, labels = _place(key_relevant, tokens, windows, X)
    mask = steps < lengths
    inputs = jnp.where(mask[..., None], jax.nn.one_hot(tokens, 8, dtype=jnp.float32), 0.0)
    return Batch(inputs, labels, jnp.ones(batch_size, jnp.float32), mask)


def _draw_plain(key: PRNGKeyArray, num_steps: int, windows: Windows, batch_size: int) -> Batch:
    key_distractors, key_relevant = jax.random.split(key)
    tokens = jax.random.randint(key_distractors, (num_steps, batch_size), *PLAIN_DISTRACTORS)
    tokens, labels = _place(key_relevant, tokens, windows, A)
    inputs = jax.nn.one_hot(tokens, 6, dtype=jnp.float32)
    return Batch(inputs, labels, jnp.ones(batch_size, jnp.float32))


def _longest_framed(num_steps: int) -> int:
    return num_steps + num_steps // 10


def _windows_two(num_steps: int) -> Windows:
    return (
        range(num_steps // 10, num_steps // 5 + 1),
        range(num_steps // 2, 3 * num_steps // 5 + 1),
    )


def _windows_three(num_steps: int) -> Windows:
    return (
        range(num_steps // 10, num_steps // 5 + 1),
        range(33 * num_steps // 100, 43 * num_steps // 100 + 1),
        range(66 * num_steps // 100, 76 * num_steps // 100 + 1),
    )


def _windows_pascanu_three(num_steps: int) -> Windows:
    tenth = num_steps // 10
    return tuple(range(start, start + tenth) for start in (tenth, 3 * num_steps // 10, 6 * num_steps // 10))


def _length(num_steps: int) -> int:
    return num_steps


def _windows_pascanu(num_steps: int) -> Windows:
    tenth, half = num_steps // 10, num_steps // 2
    return range(tenth, 2 * tenth), range(half, half + tenth)


_ACCURATE, _FEW_ERRORS = criteria.AccuracyAtLeast(0.99), criteria.ErrorRateBelow(0.01)
_RECENT = RecentErrors(window=2000, error=0.3, mean_error=0.1, unit="logistic")

VARIANTS = {
    "canonical": Variant(8, _windows_two, _longest_framed, _draw_framed, _ACCURATE),
    "three": Variant(8, _windows_three, _longest_framed, _draw_framed, _ACCURATE),
    "pascanu": Variant(6, _windows_pascanu, _length, _draw_plain, _FEW_ERRORS),
    "hs97": Variant(8, _windows_two, _longest_framed, _draw_framed, _RECENT, "logistic"),
    "hs97_three": Variant(8, _windows_three, _longest_framed, _draw_framed, _RECENT, "logistic"),
    "pascanu_three": Variant(6, _windows_pascanu_three, _length, _draw_plain, _FEW_ERRORS),
}
