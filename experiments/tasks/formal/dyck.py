"""Well-nested brackets of several kinds, of bounded depth: which symbol comes next?"""

import dataclasses
import functools
from typing import NamedTuple, Self

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from experiments.tasks.base import Batch, Criterion, Generated, Total, require_at_least
from experiments.tasks.criteria import Evaluated
from recurrent import arrays, losses

SURE = 0.8
"""Share of the chance of all closing brackets that the right one has to have (Hewitt et al. 2020)."""
SOLVED = 0.99
OPEN, CLOSE, END = range(3)
NO_BRACKET = -1


class Process(NamedTuple):
    """Chances by number of brackets so far and depth: of opening, closing, ending; and of being there at all."""

    moves: Float[np.ndarray, "t depths 3"]
    visits: Float[np.ndarray, "t depths"]


@dataclasses.dataclass(frozen=True)
class Dyck(Generated):
    """Predict the next symbol of a string of Dyck-(k, m): nested brackets of k kinds, at most m open at once.

    A string grows from the left: with no bracket open it ends with chance 1/2, else a bracket opens; with m open, the
    last one closes; between, a bracket opens with chance 1/2, else the last one closes; the kind of an opening
    one is uniform. It cannot end before it has ``min_length`` brackets, and one with more than ``max_length`` is
    thrown away as a whole. Each sequence reads a start, then the brackets: inputs one-hot over k opening ones, k
    closing ones and the start; the target at each step is the next symbol, the end in the place of the start.
    The padding on the right is 0 and not in ``mask``. ``at_length(n)`` asks for n brackets; a string has an even
    number, so n - 1 where n is odd.

    Source: Hewitt et al. (2020), their code, k = 2, 8, 32, 128: for m = 3 1 to 83 brackets in training and 85 to 167 in
    the test, for m = 5 1 to 179 and 181 to 359. Differs: sequences are fresh, not from a set of a fixed size.

    Their measure: after each symbol with a bracket open, does the right closing bracket have more than 0.8 of the
    chance that the network gives to all closing ones? ``closing_accuracy`` is the share of such steps; they take
    the mean over the distances between the two brackets. Solved: 0.99 of the steps, a number of ours.

    Example, k = 2 and kinds ( and [: ( [ ] ) reads start ( [ ] ), and the targets are ( [ ] ) end.

    Baseline: by the chances of each number of open brackets at each step, given that the string ends in time, those of
    opening, closing and ending follow; all kinds are alike. ``floor`` is the loss of the process itself.

    >>> task = Dyck()
    >>> round(task.baseline, 4), round(task.floor, 4), task.lag
    (1.3914, 0.8529, 80)
    """

    min_length: int = 1
    """Brackets that a string has at least."""
    max_length: int = 83
    """Brackets that a string has at most."""
    num_kinds: int = 2
    """Kinds k of brackets."""
    max_depth: int = 3
    """Brackets m that may be open at once."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_at_least("num_kinds", self.num_kinds, 1)
        require_at_least("max_depth", self.max_depth, 1)
        require_at_least("min_length", self.min_length, 0)
        shortest = self.min_length + self.min_length % 2
        require_at_least(
            "max_length", self.max_length, shortest, "(min_length, rounded up to an even number)"
        )

    def at_length(self, length: int) -> Self:
        """This task, in which every string has ``length`` brackets, or one less where that is odd."""
        even = length - length % 2
        return dataclasses.replace(self, min_length=even, max_length=even)

    @property
    def num_steps(self) -> int:
        """The start and the longest string."""
        return 1 + self.max_length - self.max_length % 2

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Opening brackets, closing brackets, start; one-hot."""
        return (2 * self.num_kinds + 1,)

    @property
    def output_shape(self) -> tuple[int, ...]:
        """Logits of opening brackets, closing brackets, end."""
        return (2 * self.num_kinds + 1,)

    @property
    def _process(self) -> Process:
        return _process(self.min_length, self.num_steps - 1, self.max_depth)

    @property
    def baseline(self) -> float:
        """The cross-entropy of the frequencies of the symbols at each step."""
        moves, visits = self._process
        expected = np.einsum("td,tdm->tm", visits, moves)
        total = expected.sum(axis=1, keepdims=True)
        unknown_kinds = (expected[:, OPEN] + expected[:, CLOSE]).sum() * np.log(self.num_kinds)
        return float((_surprise(expected, expected / total) + unknown_kinds) / expected.sum())

    @property
    def floor(self) -> float:
        """The cross-entropy of the chances with which each symbol is drawn: what the best network can reach."""
        moves, visits = self._process
        expected = visits[..., None] * moves
        unknown_kinds = expected[..., OPEN].sum() * np.log(self.num_kinds)
        return float((_surprise(expected, moves) + unknown_kinds) / expected.sum())

    @property
    def lag(self) -> int:
        """From the first bracket to the step before the last, which has to close it; with others in between."""
        return max(self.num_steps - 3, 0) if self.max_depth > 1 else 0

    @property
    def criterion(self) -> Criterion:
        """A closing accuracy of 0.99 or more."""
        return ClosingAccuracyAtLeast(SOLVED)

    def sample(self, key: PRNGKeyArray, batch_size: int) -> Batch:
        """Inputs ``[t, b, 2k + 1]``; targets, weights and, in ``info``, the closing bracket that fits ``[t, b]``."""
        key_moves, key_kinds = jax.random.split(key)
        shape = (self.num_steps, batch_size)
        opening = jnp.asarray(self._process.moves[..., OPEN], jnp.float32)
        chances = jax.random.uniform(key_moves, shape)
        kinds = jax.random.randint(key_kinds, shape, 0, self.num_kinds)
        rows = jnp.arange(self.max_depth)[:, None]
        end = jnp.full(batch_size, 2 * self.num_kinds)

        def write(
            growing: Growing, xs: tuple[Array, Array, Array]
        ) -> tuple[Growing, tuple[Array, Array, Array]]:
            stack, depth, there = growing
            opening_now, chance, kind = xs
            opens = chance < opening_now[depth]
            closes = ~opens & (depth > 0)
            top = jnp.sum(jnp.where(rows == depth[None, :] - 1, stack, 0), axis=0)
            fits = jnp.where(depth > 0, self.num_kinds + top, NO_BRACKET)
            symbol = jnp.select([opens, closes], [kind, fits], end)
            stack = jnp.where(rows == depth[None, :], kind[None, :], stack)  # matters where one opens
            grown = Growing(
                stack, jnp.clip(depth + opens - closes, 0, self.max_depth), there & (opens | closes)
            )
            return grown, (symbol, there, jnp.where(there, fits, NO_BRACKET))

        nothing = jnp.zeros(batch_size, kinds.dtype)
        start = Growing(jnp.zeros((self.max_depth, batch_size), kinds.dtype), nothing, nothing == 0)
        _, (symbols, mask, fits) = jax.lax.scan(write, start, (opening, chances, kinds))
        read = jnp.concatenate([end[None, :], symbols[:-1]])
        inputs = jax.nn.one_hot(read, *self.input_shape, dtype=jnp.float32)
        inputs = jnp.where(mask[..., None], inputs, 0.0)
        return Batch(inputs, jnp.where(mask, symbols, 0), mask.astype(jnp.float32), mask, info=fits)

    def loss(self, outputs: Float[Array, "t b k"], batch: Batch) -> Total:
        """Cross-entropy."""
        return losses.cross_entropy(outputs, batch.targets, batch.weights)

    def metrics(self, outputs: Float[Array, "t b k"], batch: Batch) -> dict[str, Total]:
        """Cross-entropy, and the share of steps that are sure of the right closing bracket."""
        return {
            "cross_entropy": self.loss(outputs, batch),
            "closing_accuracy": closing_accuracy(outputs, batch),
        }


class Growing(NamedTuple):
    """Strings that grow: the kinds of the open brackets, how many are open, and whether it has not ended."""

    stack: Int[Array, "depths b"]
    depth: Int[Array, "b"]
    there: Bool[Array, "b"]


@dataclasses.dataclass(frozen=True)
class ClosingAccuracyAtLeast(Evaluated):
    """The share of steps that are sure of the right closing bracket is ``threshold`` or more."""

    threshold: float

    def measure(self, outputs: Float[Array, "t b k"], batch: Batch) -> Total:
        """Steps that are sure, and all steps with a bracket open."""
        return closing_accuracy(outputs, batch)

    def reached(self, average: Float[Array, ""]) -> Bool[Array, ""]:
        """At the threshold or above."""
        return average >= self.threshold


def closing_accuracy(outputs: Float[Array, "t b k"], batch: Batch) -> Total:
    """Steps where the right closing bracket has more than `SURE` of the chance of all, and all with one open."""
    num_kinds = (outputs.shape[-1] - 1) // 2
    asked = (batch.info != NO_BRACKET) & (batch.weights != 0)
    among = jax.nn.softmax(arrays.where(asked, outputs[..., num_kinds : 2 * num_kinds], 0.0), axis=-1)
    right = jnp.where(asked, batch.info - num_kinds, 0)
    share = jnp.take_along_axis(among, right[..., None], axis=-1)[..., 0]
    return jnp.sum(asked & (share > SURE), dtype=jnp.float32), jnp.sum(asked, dtype=jnp.float32)


@functools.cache
def _process(min_length: int, max_length: int, max_depth: int) -> Process:
    """The printed chances, given that the string ends with ``max_length`` brackets or less.

    The chance h[t, d] to do so, with t brackets of which d are open, is 1/2 for the end, where it may end, and the
    sum over opening and closing of their chance times h[t + 1, d +- 1]; each part over h is that move's chance.
    """
    depths = np.arange(max_depth + 1)
    in_time = np.zeros((max_length + 2, max_depth + 3))  # depths from -1 to one too many
    parts = np.zeros((max_length + 1, max_depth + 1, 3))
    for t in range(max_length, -1, -1):
        end = np.where(depths == 0, 0.5 * (t >= min_length), 0.0)
        opening = np.select([depths == max_depth, depths == 0], [0.0, 1 - end], 0.5)
        parts[t, :, OPEN] = opening * in_time[t + 1, 2:]
        parts[t, :, CLOSE] = (1 - end - opening) * in_time[t + 1, :-2]
        parts[t, :, END] = end
        in_time[t, 1:-1] = parts[t].sum(axis=-1)
    moves = np.divide(parts, in_time[:-1, 1:-1, None], out=np.zeros_like(parts), where=parts > 0)
    visits = np.zeros((max_length + 2, max_depth + 3))
    visits[0, 1] = 1
    for t in range(max_length + 1):
        visits[t + 1, 2:] += visits[t, 1:-1] * moves[t, :, OPEN]
        visits[t + 1, :-2] += visits[t, 1:-1] * moves[t, :, CLOSE]
    return Process(moves, visits[:-1, 1:-1])


def _surprise(mass: Float[np.ndarray, "*n"], chance: Float[np.ndarray, "*n"]) -> float:
    """The sum of -ln ``chance``, weighted by ``mass``; 0 where there is none."""
    return float(-np.sum(mass * np.log(np.where(mass > 0, chance, 1.0))))
