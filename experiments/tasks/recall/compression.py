"""Compression: a whole sequence is put into one state, and all of it is read off the last step."""

import dataclasses
import math
from typing import ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from experiments.tasks import criteria
from experiments.tasks.base import Batch, Criterion, Generated, Total, require_at_least
from recurrent import losses


@dataclasses.dataclass(frozen=True)
class Compression(Generated):
    """Put a whole sequence into one state: all its tokens are read off the last step at once.

    n = ``num_recalled`` tokens, uniform over S = ``num_symbols`` kinds, then the token S, which asks: n + 1 steps,
    one-hot over the symbols and the asking token. The output at the last step has n S entries: the logits of the
    first token, then of the second, and so on, ``[b, n S]``. Targets and weights are ``[n, b]``. A model of this task
    predicts at the last step.

    Source: Poli et al. (2024), compression, and their code, where the vocabulary is 16 (S is 15) and 32 steps are read
    (n is 31). Differs: their decoder is a network that is told the place of a token, here the readout has outputs for
    each place, so that another length wants another readout; and their loss also counts the asking token, which is
    always the same.

    Baseline: the tokens are uniform: ln S. The lag is n, from the first token to the last step. Solved: an accuracy of
    0.99 or more over all tokens; the paper names no rule.

    Example, n = 3, S = 4: read ``3 0 2 4``; the last output's groups of four are largest at 3, 0 and 2.

    >>> round(Compression().baseline, 4), Compression().lag, Compression().output_shape
    (2.7081, 31, (465,))
    """

    length_field: ClassVar[str] = "num_recalled"

    num_recalled: int = 31
    """Tokens n to compress."""
    num_symbols: int = 15
    """Kinds of tokens S."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_at_least("num_recalled", self.num_recalled, 1, "for compression")
        require_at_least("num_symbols", self.num_symbols, 2, "for compression")

    @property
    def num_steps(self) -> int:
        """The length of every sequence."""
        return self.num_recalled + 1

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Symbols and the token that asks, one-hot."""
        return (self.num_symbols + 1,)

    @property
    def output_shape(self) -> tuple[int, ...]:
        """Logits of the symbols, once for each token."""
        return (self.num_recalled * self.num_symbols,)

    @property
    def baseline(self) -> float:
        """The cross-entropy of the uniform token."""
        return math.log(self.num_symbols)

    @property
    def lag(self) -> int:
        """From the first token to the last step."""
        return self.num_recalled

    @property
    def criterion(self) -> Criterion:
        """An accuracy of 0.99 or more."""
        return AllTokensAtLeast(0.99, self.num_symbols)

    def sample(self, key: PRNGKeyArray, batch_size: int) -> Batch:
        """Inputs ``[t, b, S + 1]``, targets and weights ``[n, b]``."""
        symbols = jax.random.randint(key, (self.num_recalled, batch_size), 0, self.num_symbols)
        tokens = jnp.concatenate([symbols, jnp.full((1, batch_size), self.num_symbols, symbols.dtype)])
        inputs = jax.nn.one_hot(tokens, *self.input_shape, dtype=jnp.float32)
        return Batch(inputs, symbols, jnp.ones(symbols.shape, jnp.float32))

    def loss(self, outputs: Float[Array, "b k"], batch: Batch) -> Total:
        """Cross-entropy of all tokens."""
        return losses.cross_entropy(by_place(outputs, self.num_symbols), batch.targets, batch.weights)

    def metrics(self, outputs: Float[Array, "b k"], batch: Batch) -> dict[str, Total]:
        """Cross-entropy and accuracy over all tokens."""
        logits = by_place(outputs, self.num_symbols)
        return {
            "cross_entropy": self.loss(outputs, batch),
            "accuracy": losses.accuracy(logits, batch.targets, batch.weights),
        }


@dataclasses.dataclass(frozen=True)
class AllTokensAtLeast(criteria.AccuracyAtLeast):
    """The fraction of tokens read off rightly, of ``num_symbols`` kinds, is ``threshold`` or more."""

    num_symbols: int

    def measure(self, outputs: Float[Array, "b k"], batch: Batch) -> Total:
        """Right tokens and all tokens."""
        return losses.accuracy(by_place(outputs, self.num_symbols), batch.targets, batch.weights)


def by_place(outputs: Float[Array, "b k"], num_symbols: int) -> Float[Array, "n b s"]:
    """The logits of one output, place by place.

    >>> by_place(jnp.arange(6.0).reshape(1, 6), 2)[:, 0].tolist()
    [[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]]
    """
    return outputs.reshape(outputs.shape[0], -1, num_symbols).swapaxes(0, 1)
