"""Random permutation: keep the first symbol through many others, and name it at the end."""

import dataclasses
import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from experiments.tasks import criteria
from experiments.tasks.base import Batch, Criterion, Generated, Total, require_at_least
from recurrent import losses

NUM_TOLD = 2  # symbols that a sequence may start with; the others are distractors


@dataclasses.dataclass(frozen=True)
class RandomPermutation(Generated):
    """Name the first of T = ``num_steps`` symbols at the last step, which shows a distractor like all in between.

    One-hot over S = ``num_symbols`` symbols. The first is 0 or 1, equally likely; the others are uniform over 2..S-1;
    the answer, one at the last step, is the first symbol, under a softmax over all S. Source: Pascanu, Mikolov & Bengio
    (2013), their code, where S = 100. Despite its name nothing is permuted, and symbols repeat.

    Baseline: two equally likely answers, ln 2. Solved: an error rate below 1 %. Differs: read on ``num_evaluation``
    sequences, not on 10,000. To predict every next symbol as well is `long_lag.LongLag` with ``random_middle``.

    With T = 4: 1, 57, 30, 57 goes in, 1 is expected.

    >>> round(RandomPermutation().baseline, 4), RandomPermutation().lag
    (0.6931, 99)
    """

    num_steps: int = 100
    """Length T of every sequence, in steps."""
    num_symbols: int = 100
    """Kinds of symbols S, of which two may come first."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_at_least("num_steps", self.num_steps, 2, "for random permutation")
        require_at_least("num_symbols", self.num_symbols, NUM_TOLD + 1, "for random permutation")

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The symbols, one-hot."""
        return (self.num_symbols,)

    @property
    def output_shape(self) -> tuple[int, ...]:
        """Logits of the symbols."""
        return (self.num_symbols,)

    @property
    def baseline(self) -> float:
        """The cross-entropy of two equally likely answers."""
        return math.log(NUM_TOLD)

    @property
    def lag(self) -> int:
        """From the first step to the last."""
        return self.num_steps - 1

    @property
    def criterion(self) -> Criterion:
        """Fewer than 1 % wrong."""
        return criteria.ErrorRateBelow(0.01)

    def sample(self, key: PRNGKeyArray, batch_size: int) -> Batch:
        """Inputs ``[t, b, symbols]``, integer targets and weights ``[b]``."""
        key_first, key_others = jax.random.split(key)
        first = jax.random.randint(key_first, (batch_size,), 0, NUM_TOLD)
        others = jax.random.randint(key_others, (self.num_steps - 1, batch_size), NUM_TOLD, self.num_symbols)
        tokens = jnp.concatenate([first[None], others])
        inputs = jax.nn.one_hot(tokens, self.num_symbols, dtype=jnp.float32)
        return Batch(inputs, first, jnp.ones(batch_size, jnp.float32))

    def loss(self, outputs: Float[Array, "b k"], batch: Batch) -> Total:
        """Cross-entropy."""
        return losses.cross_entropy(outputs, batch.targets, batch.weights)

    def metrics(self, outputs: Float[Array, "b k"], batch: Batch) -> dict[str, Total]:
        """Cross-entropy and accuracy."""
        return {
            "cross_entropy": self.loss(outputs, batch),
            "accuracy": losses.accuracy(outputs, batch.targets, batch.weights),
        }
