"""What the tasks on strings share: drawn lengths, blank steps behind the string, the measures, and exact baselines."""

import abc
import dataclasses
import functools
from typing import ClassVar, Literal, Self, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from experiments.tasks import criteria
from experiments.tasks.base import Batch, Criterion, Generated, Total, require_at_least, require_known
from recurrent import losses

SOLVED = 0.9
"""Mean accuracy from which on Delétang et al. (2023) call a task solved."""

BLANKS = {"canonical": 1, "xlstm": 0}
"""Blank steps behind the string. The class is named at the last step there is: with none, that of the last symbol."""

LengthOrLengths = TypeVar("LengthOrLengths", int, Array)


@dataclasses.dataclass(frozen=True)
class Strings(Generated, abc.ABC):
    """Base of the tasks that read a string of n symbols, n uniform in [``min_length``, ``max_length``].

    Symbols are one-hot; the last input is the blank, which stands behind the string at the steps of the
    answer. The padding on the right is 0 and not in ``mask``. ``at_length(n)`` asks for strings of n symbols.

    Source: Delétang et al. (2023), "Neural networks and the Chomsky hierarchy", their code, which trains on n
    from 1 to 40 and reports the mean accuracy over n from 41 to 500. Differs: they draw one n for a batch, here
    each sequence draws its own; a loss is the mean over the predictions of a batch, so where the answer has many
    symbols, long strings count for more here. Solved: an accuracy of 0.9 or more over the predictions that count.

    Baseline: the best prediction that knows the step alone. The exact probabilities of the answers at each
    n give the expected number m[t, c] of answers c at step t; the best prediction of c at t is
    m[t, c] / m[t], and its mean loss -Σ m[t, c] ln(m[t, c] / m[t]) / Σ m[t].
    """

    length_field: ClassVar[str] = "max_length"

    min_length: int = 1
    """Symbols of the shortest string; the steps of the answer do not count."""
    max_length: int = 40
    """Symbols of the longest string; the steps of the answer do not count."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_at_least("min_length", self.min_length, 1, f"for {type(self).__name__}")
        require_at_least("max_length", self.max_length, self.min_length, "(min_length)")

    def at_length(self, length: int) -> Self:
        """This task, in which every string has ``length`` symbols."""
        return dataclasses.replace(self, min_length=length, max_length=length)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The symbols and, where the answer has steps of its own, the blank; one-hot."""
        return (self.num_inputs,)

    @property
    def output_shape(self) -> tuple[int, ...]:
        """Logits of the classes."""
        return (self.num_classes,)

    @property
    @abc.abstractmethod
    def num_inputs(self) -> int:
        """Kinds of symbols, with the blank."""

    @property
    @abc.abstractmethod
    def num_classes(self) -> int:
        """Kinds of answers."""

    @abc.abstractmethod
    def answer_probabilities(self, length: int) -> Float[np.ndarray, "answers k"]:
        """The probability of each class for each answer to a string of ``length`` symbols."""

    @property
    @abc.abstractmethod
    def lag(self) -> int:
        """The longest dependence."""

    def usable(self, length: LengthOrLengths) -> LengthOrLengths:
        """The length of the string where ``length`` was drawn: the same, for a task with strings of all lengths."""
        return length

    def first_answer(self, length: int) -> int:
        """The step of the first answer to a string of ``length`` symbols."""
        return length

    @property
    def baseline(self) -> float:
        """The cross-entropy of the frequencies of the answers at each step, exactly."""
        return _baseline(self)

    @property
    def criterion(self) -> Criterion:
        """An accuracy of 0.9 or more over the validation split, at whatever lengths it has."""
        return criteria.AccuracyAtLeast(SOLVED)

    def draw_lengths(self, key: PRNGKeyArray, batch_size: int) -> Int[Array, "b"]:
        """The length of each string."""
        return self.usable(jax.random.randint(key, (batch_size,), self.min_length, self.max_length + 1))

    def loss(self, outputs: Float[Array, "*t b k"], batch: Batch) -> Total:
        """Cross-entropy."""
        return losses.cross_entropy(outputs, batch.targets, batch.weights)


class Classification(Strings):
    """Base of the tasks that name one class for the whole string, at the step of one blank behind it."""

    @property
    def num_blanks(self) -> int:
        """Steps behind the string."""
        return 1

    @abc.abstractmethod
    def draw(self, key: PRNGKeyArray, lengths: Int[Array, "b"]) -> tuple[Int[Array, "n b"], Int[Array, "b"]]:
        """Symbols ``[max_length, b]``, whatever behind the string, and the class of each string."""

    def first_answer(self, length: int) -> int:
        """The blank behind the string; the last symbol, where there is none."""
        return length + self.num_blanks - 1

    @property
    def lag(self) -> int:
        """From the first symbol of the longest string to the answer."""
        return self.first_answer(self.usable(self.max_length))

    def sample(self, key: PRNGKeyArray, batch_size: int) -> Batch:
        """Inputs ``[t, b, symbols]``, integer targets and weights ``[b]``."""
        key_lengths, key_strings = jax.random.split(key)
        lengths = self.draw_lengths(key_lengths, batch_size)
        symbols, labels = self.draw(key_strings, lengths)
        ends = lengths + self.num_blanks
        inputs, mask = lay_out(symbols, lengths, ends, self.max_length + self.num_blanks, self.num_inputs)
        return Batch(inputs, labels, jnp.ones(batch_size, jnp.float32), mask)

    def metrics(self, outputs: Float[Array, "b k"], batch: Batch) -> dict[str, Total]:
        """Cross-entropy, accuracy, and the scaled accuracy of Beck et al. (2024): 0 for guesses, 1 for no mistake."""
        right, count = losses.accuracy(outputs, batch.targets, batch.weights)
        chance = 1 / self.num_classes
        return {
            "cross_entropy": self.loss(outputs, batch),
            "accuracy": (right, count),
            "scaled_accuracy": ((right - chance * count) / (1 - chance), count),
        }


@dataclasses.dataclass(frozen=True)
class TwoPlaces(Classification):
    """Base of the tasks whose answer stands behind the string or, with ``variant`` xlstm, at its last symbol."""

    variant: Literal["canonical", "xlstm"] = "canonical"
    """Where the answer is asked for."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_known("variant", self.variant, BLANKS)

    @property
    def num_blanks(self) -> int:
        """One, or none."""
        return BLANKS[self.variant]


class Transduction(Strings):
    """Base of the tasks that answer with a string, one symbol at each of the blank steps behind the input.

    ``info`` marks the answers that count for the accuracy: with a terminator in the answer, those up to it. The
    loss counts them all, as in the code of Delétang et al. (2023).
    """

    @abc.abstractmethod
    def draw(
        self, key: PRNGKeyArray, lengths: Int[Array, "b"]
    ) -> tuple[Int[Array, "n b"], Int[Array, "m b"], Bool[Array, "m b"]]:
        """Symbols ``[max_length, b]``, answers and which of them count ``[m, b]``; whatever behind their ends."""

    @abc.abstractmethod
    def num_answers(self, length: LengthOrLengths) -> LengthOrLengths:
        """Symbols of the answer to a string of ``length`` symbols."""

    @property
    def criterion(self) -> Criterion:
        """An accuracy of 0.9 or more over the answers that count."""
        return CountedAccuracyAtLeast(SOLVED)

    def sample(self, key: PRNGKeyArray, batch_size: int) -> Batch:
        """Inputs ``[t, b, symbols]``, integer targets, weights and ``info`` ``[t, b]``."""
        key_lengths, key_strings = jax.random.split(key)
        lengths = self.draw_lengths(key_lengths, batch_size)
        symbols, answers, counted = self.draw(key_strings, lengths)
        ends = lengths + self.num_answers(lengths)
        num_steps = self.max_length + self.num_answers(self.max_length)
        inputs, mask = lay_out(symbols, lengths, ends, num_steps, self.num_inputs)
        place = jnp.arange(num_steps)[:, None] - lengths[None, :]
        asked = mask & (place >= 0)
        at = jnp.clip(place, 0, len(answers) - 1)
        targets = jnp.where(asked, jnp.take_along_axis(answers, at, axis=0), 0)
        counted = asked & jnp.take_along_axis(counted, at, axis=0)
        return Batch(inputs, targets, asked.astype(jnp.float32), mask, info=counted)

    def metrics(self, outputs: Float[Array, "t b k"], batch: Batch) -> dict[str, Total]:
        """Cross-entropy over all answers; accuracy and share of wholly right strings over those that count."""
        weights = counted_weights(batch)
        return {
            "cross_entropy": self.loss(outputs, batch),
            "accuracy": losses.accuracy(outputs, batch.targets, weights),
            "sequence_accuracy": sequence_accuracy(outputs, batch.targets, weights),
        }


@dataclasses.dataclass(frozen=True)
class CountedAccuracyAtLeast(criteria.AccuracyAtLeast):
    """The fraction of right predictions, of those marked in ``info``, is ``threshold`` or more."""

    def measure(self, outputs: Float[Array, "t b k"], batch: Batch) -> Total:
        """Right and all predictions that count."""
        return losses.accuracy(outputs, batch.targets, counted_weights(batch))


def counted_weights(batch: Batch) -> Float[Array, "t b"]:
    """The weights of the predictions marked in ``info``, 0 for the others."""
    return jnp.where(batch.info, batch.weights, 0.0)


def sequence_accuracy(
    outputs: Float[Array, "t b k"], targets: Int[Array, "t b"], weights: Float[Array, "t b"]
) -> Total:
    """Sequences without a wrong prediction among those with a weight, and all sequences with one."""
    # NaN is wrong: its argmax would be the first class
    right = (jnp.argmax(outputs, axis=-1) == targets) & ~jnp.any(jnp.isnan(outputs), axis=-1)
    kept = jnp.any(weights != 0, axis=0)
    return jnp.sum(kept & jnp.all(right | (weights == 0), axis=0), dtype=jnp.float32), jnp.sum(
        kept, dtype=jnp.float32
    )


def lay_out(
    symbols: Int[Array, "n b"],
    lengths: Int[Array, "b"],
    ends: Int[Array, "b"],
    num_steps: int,
    num_inputs: int,
) -> tuple[Float[Array, "t b k"], Bool[Array, "t b"]]:
    """One-hot inputs, the last of them the blank from the end of the string to ``ends``, and the mask."""
    steps = jnp.arange(num_steps)[:, None]
    padded = jnp.pad(symbols, ((0, num_steps - len(symbols)), (0, 0)))
    mask = steps < ends[None, :]
    ids = jnp.where(steps < lengths[None, :], padded, num_inputs - 1)
    return jnp.where(mask[..., None], jax.nn.one_hot(ids, num_inputs, dtype=jnp.float32), 0.0), mask


def exists(lengths: Int[Array, "b"], size: int) -> Bool[Array, "n b"]:
    """Which of ``size`` places belong to strings of these lengths."""
    return jnp.arange(size)[:, None] < lengths[None, :]


def pick(values: Array, place: Int[Array, "b"]) -> Array:
    """For each sequence the value at its own place of the first axis."""
    return jnp.take_along_axis(values, place[None, :], axis=0)[0]


def uniform_answers(num_answers: int, num_classes: int) -> Float[np.ndarray, "answers k"]:
    """All classes equally likely for every answer."""
    return np.full((num_answers, num_classes), 1 / num_classes)


def certain_answer(label: int, num_classes: int) -> Float[np.ndarray, "1 k"]:
    """One answer, always the same."""
    return np.eye(num_classes)[[label]]


def stepwise_entropy(mass: Float[np.ndarray, "t k"]) -> float:
    """The mean loss of the best prediction that knows the step: c is expected ``mass[t, c]`` times at step t."""
    total = mass.sum(axis=1, keepdims=True)
    share = np.divide(mass, total, out=np.ones_like(mass), where=mass > 0)
    return float(-np.sum(mass * np.log(share)) / mass.sum())


@functools.cache
def _baseline(task: Strings) -> float:
    lengths = [task.usable(length) for length in range(task.min_length, task.max_length + 1)]
    answers = {length: task.answer_probabilities(length) for length in set(lengths)}
    num_steps = max(task.first_answer(length) + len(answers[length]) for length in lengths)
    mass = np.zeros((num_steps, task.num_classes))
    for length in lengths:
        first = task.first_answer(length)
        mass[first : first + len(answers[length])] += answers[length]
    return stepwise_entropy(mass)
