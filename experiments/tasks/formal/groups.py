"""Word problems of finite groups: which element is the product of those read so far?"""

import dataclasses
import functools
import itertools
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from experiments.tasks.base import Batch, Total, require_known
from experiments.tasks.formal.base import Strings, exists, sequence_accuracy
from recurrent import losses

Permutation = tuple[int, ...]


class Group(NamedTuple):
    """``table[p, x]`` is the number of the product p x; element 0 is neutral."""

    table: Int[np.ndarray, "k k"]
    generators: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class WordProblem(Strings):
    """Name the product of the elements of a group read so far.

    Read x_1, x_2, ..., x_n; the product p_t = p_{t-1} x_t starts from the neutral element. Inputs: the elements
    of the stream, one-hot, without a blank; the class is the number of the product. Permutations are numbered from 0
    in lexicographic order, and (p x)(i) = p(x(i)).

    ``group``: ``s3`` and ``s5``, all permutations of 3 and of 5; ``a5``, the 60 even ones of 5; ``z60``, addition
    modulo 60. S5 and A5 are not solvable, and their word problems complete for NC1; Z60, as large as A5, and S3 are
    solvable, and theirs in TC0, as what transformers and diagonal linear recurrences compute.

    ``stream``: ``elements``, all of them equally likely, numbered as the classes. Source: Merrill, Petty & Sabharwal
    (2024), their code. ``generators``, a few, equally likely: for S_n the neutral element, the shift i -> i + 1
    and the swap of 0 and 1; for A_n the neutral element and the cycles 0 -> 1 -> j -> 0, j from 2 on; for Z60 0 and 1.
    Source: Liu et al. (2023), their data set.

    ``answers``: at ``every_step``, as in both, or at the ``last_step`` alone; other steps then have weight 0.

    Differs: sequences are fresh, not from a set of a fixed size; Merrill et al. train on all lengths from 2 to the
    one that they ask for, behind a start symbol. Solved: an accuracy of 0.9 or more over the answers.

    Example: S3 has the elements 012, 021, 102, 120, 201, 210, so elements 1 2 give the products 1 4.

    Baseline: with ``elements`` every product is uniform, ln |G|; with ``generators`` it has the distribution of
    a walk on the group, computed exactly step by step.

    >>> round(WordProblem().baseline, 4), WordProblem().lag
    (4.7875, 31)
    """

    min_length: int = 32
    """Elements of the shortest string."""
    max_length: int = 32
    """Elements of the longest string."""
    group: Literal["s3", "s5", "a5", "z60"] = "s5"
    """The group."""
    stream: Literal["elements", "generators"] = "elements"
    """What is read: all elements, or a few that generate them."""
    answers: Literal["every_step", "last_step"] = "every_step"
    """Where the product is asked for."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_known("group", self.group, GROUPS)
        require_known("stream", self.stream, STREAMS)
        require_known("answers", self.answers, FIRST_ANSWER)

    @property
    def _table(self) -> Int[np.ndarray, "k k"]:
        return GROUPS[self.group]().table

    @property
    def _stream(self) -> Int[np.ndarray, "symbols"]:
        return np.array(STREAMS[self.stream](GROUPS[self.group]()))

    @property
    def num_inputs(self) -> int:
        """Elements of the stream."""
        return len(self._stream)

    @property
    def num_classes(self) -> int:
        """Elements of the group."""
        return len(self._table)

    @property
    def lag(self) -> int:
        """From the first element to the last answer."""
        return self.max_length - 1

    def first_answer(self, length: int) -> int:
        """The first step, or the last."""
        return FIRST_ANSWER[self.answers](length)

    def answer_probabilities(self, length: int) -> Float[np.ndarray, "answers k"]:
        """By the walk: each step sends the chance of p to p x for all x of the stream."""
        chances = np.eye(self.num_classes)[:1]
        for _ in range(length):
            after = np.zeros((1, self.num_classes))
            np.add.at(after[0], self._table[:, self._stream], chances[-1][:, None] / self.num_inputs)
            chances = np.concatenate([chances, after])
        return chances[1 + self.first_answer(length) :]

    def sample(self, key: PRNGKeyArray, batch_size: int) -> Batch:
        """Inputs ``[t, b, symbols]``, integer targets and weights ``[t, b]``."""
        key_lengths, key_symbols = jax.random.split(key)
        lengths = self.draw_lengths(key_lengths, batch_size)
        symbols = jax.random.randint(key_symbols, (self.max_length, batch_size), 0, self.num_inputs)
        table = jnp.asarray(self._table)
        products = jax.lax.associative_scan(lambda p, x: table[p, x], jnp.asarray(self._stream)[symbols])
        mask = exists(lengths, self.max_length)
        first = FIRST_ANSWER[self.answers](lengths)
        asked = mask & (jnp.arange(self.max_length)[:, None] >= first[None, :])
        inputs = jax.nn.one_hot(symbols, self.num_inputs, dtype=jnp.float32)
        inputs = jnp.where(mask[..., None], inputs, 0.0)
        return Batch(inputs, jnp.where(asked, products, 0), asked.astype(jnp.float32), mask)

    def metrics(self, outputs: Float[Array, "t b k"], batch: Batch) -> dict[str, Total]:
        """Cross-entropy, accuracy, and the share of strings without a wrong answer."""
        return {
            "cross_entropy": self.loss(outputs, batch),
            "accuracy": losses.accuracy(outputs, batch.targets, batch.weights),
            "sequence_accuracy": sequence_accuracy(outputs, batch.targets, batch.weights),
        }


def _permutations(elements: list[Permutation], generators: list[Permutation]) -> Group:
    number = {element: index for index, element in enumerate(elements)}
    products = [[number[tuple(p[i] for i in x)] for x in elements] for p in elements]
    return Group(np.array(products), tuple(number[generator] for generator in generators))


@functools.cache
def _symmetric(size: int) -> Group:
    neutral = tuple(range(size))
    shift = (*neutral[1:], 0)
    swap = (1, 0, *neutral[2:])
    return _permutations(list(itertools.permutations(neutral)), [neutral, shift, swap])


@functools.cache
def _alternating(size: int) -> Group:
    neutral = tuple(range(size))
    even = [p for p in itertools.permutations(neutral) if _num_inversions(p) % 2 == 0]
    cycles = [tuple({0: 1, 1: j, j: 0}.get(i, i) for i in neutral) for j in range(2, size)]
    return _permutations(even, [neutral, *cycles])


def _num_inversions(permutation: Permutation) -> int:
    return sum(a > b for a, b in itertools.combinations(permutation, 2))


@functools.cache
def _cyclic(size: int) -> Group:
    numbers = np.arange(size)
    return Group((numbers[:, None] + numbers[None, :]) % size, (0, 1))


GROUPS = {
    "s3": lambda: _symmetric(3),
    "s5": lambda: _symmetric(5),
    "a5": lambda: _alternating(5),
    "z60": lambda: _cyclic(60),
}
STREAMS = {"elements": lambda group: range(len(group.table)), "generators": lambda group: group.generators}
FIRST_ANSWER = {"every_step": lambda length: 0 * length, "last_step": lambda length: length - 1}
