"""The denoise task: repeat symbols that stood at random steps among noise, when a marker says so."""

import dataclasses
import math

import jax
import jax.numpy as jnp
from jaxtyping import PRNGKeyArray

from experiments.tasks.base import Batch
from experiments.tasks.recall.tokens import DelayedRecall, put, subset

NOISE = 0


@dataclasses.dataclass(frozen=True)
class Denoise(DelayedRecall):
    """Repeat K = ``num_recalled`` symbols of S = ``num_symbols`` kinds, which stand among ``delay`` - 1 noise tokens.

    T = ``delay``. A sequence has T + 2K steps: T + K - 1 of which K distinct ones, drawn at random, read the
    symbols and the others noise; the marker, at step T + K - 1; K steps of noise. One-hot inputs over noise 0, the
    symbols 1..S and the marker S + 1. Integer targets over noise and symbols: noise at all steps but the last K,
    then the symbols in the order in which they were read. The loss counts all steps.

    It differs from `Copying` in that the symbols must be told from noise, and from `SelectiveCopying` in that all
    steps are predicted and one marker starts the answer.

    Source: Jing et al. (2019), the denoise task, and their code, where T is 200 with 10 symbols of 9 kinds. Differs:
    the K steps are drawn without replacement. The published code draws them with replacement, so that in 19.6 % of
    the sequences at T = 200 a symbol overwrites another and cannot be repeated by any network. The marker has an
    input of its own; their one-hot code is too short for it and makes it a row of zeros.

    Baseline: without memory noise is certain at the first T + K steps, and the symbols are uniform at the last K:
    K ln S / (T + 2K). The i-th symbol is read at step i at the earliest and asked for at T + K + i, so the lag is
    T + K. Solved: an accuracy above 0.99 over the last K steps; the paper shows curves alone.

    Example, T = 4, K = 2, S = 3, ``m`` the marker: read ``0 2 0 0 3 m 0 0``, answer ``0 0 0 0 0 0 2 3``.

    >>> round(Denoise().baseline, 5), Denoise().lag
    (0.09987, 210)
    """

    delay: int = 200
    """Noise tokens T - 1 among the symbols, and one for the marker; a sequence has T + 2K steps."""
    num_symbols: int = 9
    """Kinds of symbols S."""

    @property
    def baseline(self) -> float:
        """The cross-entropy of noise, then uniform over the symbols."""
        return self.num_recalled * math.log(self.num_symbols) / self.num_steps

    def sample(self, key: PRNGKeyArray, batch_size: int) -> Batch:
        """Inputs ``[t, b, S + 2]``, targets and weights ``[t, b]``."""
        key_symbols, key_places = jax.random.split(key)
        count, marker = self.num_recalled, self.lag - 1
        symbols = jax.random.randint(key_symbols, (count, batch_size), 1, self.num_symbols + 1)
        places = jnp.sort(subset(key_places, count, marker, batch_size), axis=0)
        noise = jnp.full((self.num_steps, batch_size), NOISE, symbols.dtype)
        tokens = put(noise, places, symbols).at[marker].set(self.num_symbols + 1)
        weights = jnp.ones(noise.shape, jnp.float32)
        return Batch(self.read(tokens), noise.at[self.lag :].set(symbols), weights)
