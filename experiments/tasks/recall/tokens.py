"""What the recall tasks share: how tokens are read, what an answer costs, and draws without collisions."""

import dataclasses
from typing import ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from experiments.tasks import criteria
from experiments.tasks.base import Batch, Criterion, Generated, Total, require_at_least
from recurrent import losses

ONE_HOT = (
    256  # kinds of tokens up to which inputs are one-hot: beyond, a row of zeros costs more than an embedding
)


@dataclasses.dataclass(frozen=True)
class TokenTask(Generated):
    """Base of the recall tasks: a subclass gives the ``vocabulary`` and the rest of a `Task`.

    Inputs are one-hot, float32 ``[t, b, vocabulary]``, while ``vocabulary`` is at most 256. Beyond, they are the
    tokens themselves, int32 ``[t, b]``, and ``input_shape`` is ``()``: a model with an embedding reads them, and
    ``vocabulary`` says how many rows it needs. There is one prediction a step, ``[t, b]``; its weight is 1 where
    something is asked and 0 elsewhere, so that the loss and the accuracy count the same answers.
    """

    @property
    def vocabulary(self) -> int:
        """Kinds of tokens that are read."""
        raise TypeError(f"{type(self).__name__} has to define vocabulary")

    @property
    def input_shape(self) -> tuple[int, ...]:
        """A one-hot token, or the token itself where there are many kinds."""
        return (self.vocabulary,) if self.vocabulary <= ONE_HOT else ()

    @property
    def criterion(self) -> Criterion:
        """An accuracy of 0.99 or more; the publications name no rule."""
        return criteria.AccuracyAtLeast(0.99)

    def read(self, tokens: Int[Array, "t b"]) -> Array:
        """The inputs of a model: tokens as ``input_shape`` says."""
        if self.input_shape:
            return jax.nn.one_hot(tokens, self.vocabulary, dtype=jnp.float32)
        return tokens.astype(jnp.int32)

    def loss(self, outputs: Float[Array, "t b k"], batch: Batch) -> Total:
        """Cross-entropy of the answers that count."""
        return losses.cross_entropy(outputs, batch.targets, batch.weights)

    def metrics(self, outputs: Float[Array, "t b k"], batch: Batch) -> dict[str, Total]:
        """Cross-entropy and accuracy of the answers that count."""
        return {
            "cross_entropy": self.loss(outputs, batch),
            "accuracy": losses.accuracy(outputs, batch.targets, batch.weights),
        }


@dataclasses.dataclass(frozen=True)
class DelayedRecall(TokenTask):
    """Base of the tasks that repeat all symbols after a marker: every step counts, most of them ask for blank 0."""

    length_field: ClassVar[str] = "delay"

    delay: int = 100
    """Steps T that a symbol waits for its turn, beside the K of the symbols; a sequence has T + 2K steps at most."""
    num_symbols: int = 8
    """Kinds of symbols S."""
    num_recalled: int = 10
    """Symbols K to repeat."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, minimum in (("delay", 1), ("num_symbols", 2), ("num_recalled", 1)):
            require_at_least(name, getattr(self, name), minimum, f"for {type(self).__name__}")

    @property
    def num_steps(self) -> int:
        """The length of the longest sequence."""
        return self.delay + 2 * self.num_recalled

    @property
    def vocabulary(self) -> int:
        """Blank, symbols and marker."""
        return self.num_symbols + 2

    @property
    def output_shape(self) -> tuple[int, ...]:
        """Logits of blank and symbols."""
        return (self.num_symbols + 1,)

    @property
    def lag(self) -> int:
        """From reading a symbol to repeating it, at the longest; the same for each."""
        return self.delay + self.num_recalled

    @property
    def criterion(self) -> Criterion:
        """Recall above 0.99."""
        return criteria.SymbolsAbove(0.99)

    def metrics(self, outputs: Float[Array, "t b k"], batch: Batch) -> dict[str, Total]:
        """Cross-entropy over all steps, and the accuracy over the repeated symbols."""
        symbols = jnp.where(batch.targets != 0, batch.weights, 0.0)
        return {
            "cross_entropy": self.loss(outputs, batch),
            "recall_accuracy": losses.accuracy(outputs, batch.targets, symbols),
        }


def require_even(name: str, value: int, reason: str) -> None:
    """ValueError, naming the argument, where ``value`` is odd; ``reason`` says what for."""
    if value % 2:
        raise ValueError(f"{name}: expected an even number {reason}, got {value}")


def subset(key: PRNGKeyArray, count: int, size: int, batch_size: int) -> Int[Array, "count b"]:
    """For each sequence ``count`` distinct numbers below ``size``, every subset equally likely, in no useful order.

    Robert Floyd's algorithm (Bentley & Floyd, 1987): for j = size - count, ..., size - 1, draw a number of 0..j and
    take it, or j where it was taken before. Its cost depends on ``count`` alone.

    >>> sorted(subset(jax.random.key(0), 5, 5, 1)[:, 0].tolist())
    [0, 1, 2, 3, 4]
    """
    last = jnp.arange(size - count, size)
    draws = jax.random.randint(key, (count, batch_size), 0, last[:, None] + 1)

    def take(number: Array, chosen: Array) -> Array:
        taken = jnp.any(chosen == draws[number][None], axis=0)
        return chosen.at[number].set(jnp.where(taken, last[number], draws[number]))

    return jax.lax.fori_loop(0, count, take, jnp.full((count, batch_size), -1, draws.dtype))


def distinct(key: PRNGKeyArray, count: int, size: int, batch_size: int) -> Int[Array, "count b"]:
    """For each sequence ``count`` distinct numbers below ``size``, every ordered choice equally likely."""
    key_subset, key_order = jax.random.split(key)
    order = jnp.argsort(jax.random.bits(key_order, (count, batch_size)), axis=0)
    return jnp.take_along_axis(subset(key_subset, count, size, batch_size), order, axis=0)


def put(
    tokens: Int[Array, "t b"], steps: Int[Array, "count b"], values: Int[Array, "count b"]
) -> Int[Array, "t b"]:
    """``tokens`` with ``values`` at ``steps``; steps beyond the end are left out."""
    return tokens.at[steps, jnp.arange(tokens.shape[1])[None]].set(values, mode="drop")
