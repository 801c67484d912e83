"""Token tasks of MAD: recall of pairs that stream by, plain or noisy, and memorization.

The suite of Poli et al. (2024) has six tasks. Its other three are `FuzzyRecall`, `Compression` and the variant ``mad``
of `SelectiveCopying`. In all of them training counts the answers alone, as the suite's own evaluation does; its recall
networks are trained to predict every next token, those included that nobody could know.
"""

import dataclasses
import math
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray

from experiments.tasks.base import Batch, require_at_least, require_known
from experiments.tasks.recall.tokens import TokenTask, require_even


@dataclasses.dataclass(frozen=True)
class InContextRecall(TokenTask):
    """Whenever a key comes again, say the value that it had before. V = ``num_tokens``, T = ``num_steps``.

    T / 2 pairs of a key in 0..V/2 - 1 and a value in V/2..V - 1. Keys are uniform and come again; each key has one
    value throughout a sequence, uniform, so that two keys may share one. The last key is drawn among those that were
    read, each equally likely. Asked at each step that reads a key which was read before: its value, as classes
    0..V/2 - 1; the value then follows as input.

    ``canonical``: nothing but pairs. ``noisy``: each pair but the last is replaced with probability ``noise`` by two
    tokens uniform in V..V + ``num_noise`` - 1, save one pair drawn at random, so that there is something to recall.
    Source: Poli et al. (2024), in-context recall and noisy in-context recall with many queries, and their code: T is
    128, V is 16, with 16 noise tokens and a noise of 0.2; V to 128, T to 1,024 and a noise to 0.8 are their harder
    settings.

    Baseline: each value is uniform, so that the answer is at every step: ln(V/2). The lag is T - 3, from the value at
    step 1 to the last key at T - 2. Solved: an accuracy of 0.99 or more; the paper names no rule.

    Example, V = 4, T = 8, ``.`` nothing asked: read ``1 2 0 2 1 2 0 2``, answer ``. . . . 0 . 0 .``.

    >>> round(InContextRecall().baseline, 4), InContextRecall().lag, InContextRecall(variant="noisy").input_shape
    (2.0794, 125, (32,))
    """

    num_steps: int = 128
    """Length T of the sequences, in steps; even."""
    variant: Literal["canonical", "noisy"] = "canonical"
    """Whether noise stands between the pairs."""
    num_tokens: int = 16
    """Kinds of tokens V, half of them keys and half values; even."""
    num_noise: int = 16
    """Kinds of noise tokens, in ``noisy``."""
    noise: float = 0.2
    """Probability that a pair is noise, in ``noisy``."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_known("variant", self.variant, ("canonical", "noisy"))
        require_at_least("num_steps", self.num_steps, 4, "for in-context recall")
        require_at_least("num_tokens", self.num_tokens, 4, "for in-context recall")
        require_at_least("num_noise", self.num_noise, 1, "for in-context recall")
        for name in ("num_steps", "num_tokens"):
            require_even(name, getattr(self, name), "for in-context recall")
        if not 0 <= self.noise < 1:
            raise ValueError(f"noise: expected a probability below 1, got {self.noise}")

    @property
    def _noise(self) -> float:
        return self.noise if self.variant == "noisy" else 0.0

    @property
    def vocabulary(self) -> int:
        """Keys, values, and noise where there is any."""
        return self.num_tokens + (self.num_noise if self.variant == "noisy" else 0)

    @property
    def output_shape(self) -> tuple[int, ...]:
        """Logits of the values."""
        return (self.num_tokens // 2,)

    @property
    def baseline(self) -> float:
        """The cross-entropy of the uniform value."""
        return math.log(self.num_tokens // 2)

    @property
    def lag(self) -> int:
        """From the first value to the last key."""
        return self.num_steps - 3

    def sample(self, key: PRNGKeyArray, batch_size: int) -> Batch:
        """Inputs ``[t, b, vocabulary]``, targets and weights ``[t, b]``."""
        key_keys, key_values, key_last, key_noise, key_kept, key_noisy = jax.random.split(key, 6)
        num_pairs, half = self.num_steps // 2, self.num_tokens // 2
        kept = jax.random.randint(key_kept, (1, batch_size), 0, num_pairs - 1)
        noisy = jax.random.bernoulli(key_noisy, self._noise, (num_pairs, batch_size))
        noisy &= jnp.arange(num_pairs)[:, None] != kept
        noisy = noisy.at[-1].set(False)
        keys = jax.random.randint(key_keys, (num_pairs, batch_size), 0, half)
        present = jax.nn.one_hot(jnp.where(noisy, half, keys), half, dtype=jnp.int32).at[-1].set(0)
        before = jnp.cumsum(present, axis=0) - present  # how often each key was read before the pair
        drawn = jax.random.uniform(key_last, (batch_size, half))
        keys = keys.at[-1].set(jnp.argmax(jnp.where(before[-1] > 0, drawn, -1.0), axis=-1))
        values = jnp.take_along_axis(
            jax.random.randint(key_values, (half, batch_size), 0, half), keys, axis=0
        )
        asked = ~noisy & (jnp.take_along_axis(before, keys[..., None], axis=-1)[..., 0] > 0)
        noise = self.num_tokens + jax.random.randint(key_noise, (num_pairs, 2, batch_size), 0, self.num_noise)
        pairs = jnp.where(noisy[:, None], noise, jnp.stack([keys, half + values], axis=1))
        tokens = pairs.reshape(self.num_steps, batch_size)
        targets = jnp.zeros_like(tokens).at[::2].set(jnp.where(asked, values, 0))
        weights = jnp.zeros(tokens.shape, jnp.float32).at[::2].set(asked.astype(jnp.float32))
        return Batch(self.read(tokens), targets, weights)


@dataclasses.dataclass(frozen=True)
class Memorization(TokenTask):
    """Say the value of a key that never changes. The memory asked for is in the weights, not in the state.

    T / 2 times a key, uniform in 0..n - 1 with n = ``num_keys``, then the token n + ``num_values``, which asks.
    The map from keys to values, distinct ones, is drawn once from ``map_seed`` and is the same in every sequence.
    One-hot over the keys, the values, which are never read, and the asking token; answers as classes
    0..``num_values`` - 1.

    Source: Poli et al. (2024), memorization, and their code: a vocabulary of 256 is 127 keys, 128 values and the
    asking token; T is 32. Differs: their map has another seed and generator; fresh sequences, not 256 fixed ones.

    Baseline: the keys are uniform, so that the n values of the map are: ln n. The lag is 1. Solved: an accuracy of
    0.99 or more; the paper names no rule.

    Example with 3 keys, 3 values, the map 0, 1, 2 to 1, 0, 2 and ``.`` nothing asked:
    read ``2 6 0 6 2 6``, answer ``. 2 . 1 . 2``.

    >>> round(Memorization().baseline, 4), Memorization().lag, Memorization().input_shape
    (4.8442, 1, (256,))
    """

    num_steps: int = 32
    """Length T of the sequences, in steps; even."""
    num_keys: int = 127
    """Keys n, each with a value of its own."""
    num_values: int = 128
    """Values, of which n belong to a key."""
    map_seed: int = 12345
    """Seed of the map from keys to values: another one is another task."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_at_least("num_steps", self.num_steps, 2, "for memorization")
        require_even("num_steps", self.num_steps, "for memorization")
        require_at_least("num_keys", self.num_keys, 2, "for memorization")
        require_at_least("num_values", self.num_values, self.num_keys, "for a value of its own for each key")
        require_at_least("map_seed", self.map_seed, 0)

    @property
    def vocabulary(self) -> int:
        """Keys, values and the token that asks."""
        return self.num_keys + self.num_values + 1

    @property
    def output_shape(self) -> tuple[int, ...]:
        """Logits of the values."""
        return (self.num_values,)

    @property
    def baseline(self) -> float:
        """The cross-entropy of the values that belong to a key, uniform."""
        return math.log(self.num_keys)

    @property
    def lag(self) -> int:
        """From a key to the question."""
        return 1

    @property
    def values(self) -> tuple[int, ...]:
        """The class of each key's value."""
        order = np.random.default_rng(self.map_seed).permutation(self.num_values)
        return tuple(order[: self.num_keys].tolist())

    def sample(self, key: PRNGKeyArray, batch_size: int) -> Batch:
        """Inputs ``[t, b, vocabulary]``, targets and weights ``[t, b]``."""
        keys = jax.random.randint(key, (self.num_steps // 2, batch_size), 0, self.num_keys)
        tokens = jnp.full((self.num_steps, batch_size), self.vocabulary - 1, keys.dtype).at[::2].set(keys)
        targets = jnp.zeros_like(tokens).at[1::2].set(jnp.array(self.values, keys.dtype)[keys])
        return Batch(self.read(tokens), targets, jnp.zeros(tokens.shape, jnp.float32).at[1::2].set(1.0))
