"""The embedded Reber grammar: predict the next symbol, and remember the second one to the end of the string."""

import dataclasses
import functools
from typing import ClassVar, Literal, NamedTuple, Self

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from experiments.tasks.base import SPLITS, Batch, Criterion, Total, require_at_least, require_known
from experiments.tasks.error_criteria import LegalMostActive, legal_most_active
from experiments.tasks.finite import Finite
from experiments.tasks.output_units import UNITS
from experiments.tasks.reber_grammar import START, SYMBOLS, draw_string, edge_weights, embedded

SHORTEST = 9  # symbols, such as B T B T X S E T E


class Strings(NamedTuple):
    """Strings of a split: ``symbols`` ``[n, length]``, -1 after their end, and the ``states`` after them."""

    symbols: Int[Array, "n length"]
    states: Int[Array, "n length"]


@dataclasses.dataclass(frozen=True)
class Reber(Finite):
    """Predict every next symbol of strings B z R z E: z is T or P, R a string of the Reber grammar.

    The grammar R: B, then from node 0: T to 1 or P to 2; 1: S to 1 or X to 3; 2: T to 2 or V to 4; 3: X to 2 or S to 5;
    4: P to 3 or V to 5; 5: E. Each branch has the probability 1/2, a string 12 symbols on average and 9 at least.
    One-hot over B, T, P, S, X, V, E, in this order. The prediction is scored at every step but the last symbol's, where
    nothing follows. The last z alone needs a long memory: ``lag`` counts from reading the first z to predicting the
    last one, n - 4 for a string of n symbols, here the longest of the sets.

    The strings are drawn once from ``set_seed``: ``num_training`` training strings, repeats kept, of which every batch
    picks with replacement; then ``num_test`` test strings, redrawn while they are among the training strings. The
    validation split is both together, for that is what the rule judges: solved when at every step of every one of them
    the units of all symbols that may follow are the most active. ``info`` holds those symbols ``[t, b, 7]``.

    Source: Hochreiter & Schmidhuber (1997), experiment 1, who print logistic units with one-hot targets and made three
    such pairs of sets. Differs: the squared error, summed over units, lacks the factor 1/2; whether their sets have
    repeats is not said.

    Baseline: the step number alone tells which states of the grammar are possible, and how likely; computed from the
    probabilities of all strings, not from the drawn sets. ``min_length`` above 9 keeps longer strings only, with the
    probabilities that the grammar gives them among those.

    The string B T B P V V E T E has 8 steps: B, T, B, P, V, V, E, T go in, T, B, P, V, V, E, T, E are expected; T or P
    is legal at the first step, T alone at the seventh.

    >>> task = Reber()
    >>> round(task.baseline, 4), round(Reber(output_unit="softmax").baseline, 4), task.lag
    (0.6533, 1.2814, 29)
    """

    length_field: ClassVar[str] = "min_length"

    num_training: int = 256
    """Strings in the training set."""
    num_test: int = 256
    """Strings in the test set."""
    set_seed: int = 0
    """Seed of both sets."""
    min_length: int = SHORTEST
    """Symbols of the shortest strings that are used; the grammar's shortest have 9."""
    output_unit: Literal["logistic", "linear", "softmax"] = "logistic"
    """What the output units compute; softmax: with the cross-entropy."""

    def __post_init__(self) -> None:
        require_at_least("num_training", self.num_training, 1)
        require_at_least("num_test", self.num_test, 1)
        require_at_least("set_seed", self.set_seed, 0)
        require_at_least("min_length", self.min_length, SHORTEST, "(the grammar's shortest string)")
        require_known("output_unit", self.output_unit, UNITS)

    def at_length(self, length: int) -> Self:
        """This task, in which every string has at least ``length`` symbols."""
        return dataclasses.replace(self, min_length=length)

    @property
    def data(self) -> str:
        """``generated``."""
        return "generated"

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The symbols, one-hot."""
        return (len(SYMBOLS),)

    @property
    def output_shape(self) -> tuple[int, ...]:
        """A unit for each symbol."""
        return (len(SYMBOLS),)

    @property
    def baseline(self) -> float:
        """The mean loss of the best prediction for each step, over the steps of all strings."""
        least, total, count = UNITS[self.output_unit].least, 0.0, 0.0
        for weights in edges_by_step(self.min_length):
            going_on = float(weights.sum())
            total += going_on * least(embedded().next_symbols(weights))
            count += going_on
        return total / count

    @property
    def lag(self) -> int:
        """From the second symbol of the longest string to the step before its last but one."""
        return _longest(*self._sets) - 4

    @property
    def criterion(self) -> Criterion:
        """All legal symbols the most active, always."""
        return LegalMostActive()

    @property
    def _sets(self) -> tuple[tuple, tuple]:
        return _draw_sets(self.num_training, self.num_test, self.set_seed, self.min_length)

    def num_examples(self, split: str) -> int:
        """The size of a split; ``validation`` is both sets."""
        return (self.num_training, self.num_training + self.num_test, self.num_test)[SPLITS.index(split)]

    def load(self) -> dict[str, Strings]:
        """The strings of each split."""
        training, test = self._sets
        longest = _longest(training, test)
        return {
            split: _padded(strings, longest)
            for split, strings in zip(SPLITS, (training, training + test, test), strict=True)
        }

    def batch(self, data: dict[str, Strings], key: PRNGKeyArray, update: Array, batch_size: int) -> Batch:
        """Training batch number ``update``: strings picked with replacement, as in the paper, without epochs."""
        key = jax.random.fold_in(jax.random.fold_in(key, SPLITS.index("training")), update)
        return self.examples(data, "training", jax.random.randint(key, (batch_size,), 0, self.num_training))

    def examples(self, data: dict[str, Strings], split: str, indices: Int[Array, "b"]) -> Batch:
        """Inputs and ``info`` ``[t, b, 7]``, integer targets and weights ``[t, b]``."""
        symbols, states = (each[indices].T for each in data[split])
        mask = symbols[1:] >= 0
        inputs = jnp.where(
            mask[..., None], jax.nn.one_hot(symbols[:-1], len(SYMBOLS), dtype=jnp.float32), 0.0
        )
        legal = jnp.asarray(embedded().legal)[states[:-1]] & mask[..., None]
        targets = jnp.where(mask, symbols[1:], 0)
        return Batch(inputs, targets, mask.astype(jnp.float32), mask, info=legal)

    def loss(self, outputs: Float[Array, "t b k"], batch: Batch) -> Total:
        """The loss of the output units over all steps."""
        return UNITS[self.output_unit].loss(outputs, batch)

    def metrics(self, outputs: Float[Array, "t b k"], batch: Batch) -> dict[str, Total]:
        """The loss, and of steps and of strings the fractions at which the legal symbols are the most active."""
        right, counted = legal_most_active(outputs, batch), batch.weights != 0
        strings = jnp.any(counted, axis=0)
        all_right = jnp.all(right | ~counted, axis=0) & strings
        return {
            UNITS[self.output_unit].metric: self.loss(outputs, batch),
            "legal_steps": (jnp.sum(right * batch.weights), jnp.sum(batch.weights)),
            "legal_strings": (jnp.sum(all_right, dtype=float), jnp.sum(strings, dtype=float)),
        }


@functools.cache
def _draw_sets(num_training: int, num_test: int, set_seed: int, min_length: int) -> tuple[tuple, tuple]:
    random = np.random.default_rng(set_seed)
    training = tuple(draw_string(random, min_length) for _ in range(num_training))
    taken, test = set(training), []
    while len(test) < num_test:
        string = draw_string(random, min_length)
        if string not in taken:
            test.append(string)
    return training, tuple(test)


def _longest(training: tuple, test: tuple) -> int:
    return max(len(symbols) for symbols, _ in training + test)


def _padded(strings: tuple, longest: int) -> Strings:
    symbols, states = np.full((len(strings), longest), -1), np.zeros((len(strings), longest), int)
    for row, (of_string, after) in enumerate(strings):
        symbols[row, : len(of_string)], states[row, : len(after)] = of_string, after
    return Strings(jnp.asarray(symbols, jnp.int32), jnp.asarray(states, jnp.int32))


def edges_by_step(min_length: int) -> list[np.ndarray]:
    """For each step at which something is predicted, the probability of every edge being taken, ``[states, 2]``.

    What is missing from 1 are the strings that have ended; the list ends where all but 1e-12 have.
    """
    grammar, by_step, read = embedded(), [], 0
    alive = np.eye(len(grammar.following))[START]
    while alive.sum() > 1e-12:
        weights = edge_weights(min_length)[max(min_length - read, 0)]
        edges = alive[:, None] * weights / np.maximum(weights.sum(axis=1, keepdims=True), 1e-300)
        alive = np.bincount(grammar.following.ravel(), edges.ravel(), minlength=len(alive))
        alive[START] = 0.0
        if read > 0:  # the first symbol is not predicted
            by_step.append(edges)
        read += 1
    return by_step
