"""Variable copy: the copy memory task with a delay that every sequence draws for itself."""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray

from experiments.tasks.base import Batch
from experiments.tasks.recall.tokens import DelayedRecall, put
from recurrent import arrays

BLANK = 0


@dataclasses.dataclass(frozen=True)
class VariableCopy(DelayedRecall):
    """Repeat K = ``num_recalled`` symbols of S = ``num_symbols`` kinds after a delay that nobody knows beforehand.

    T = ``delay``. Each sequence draws D uniform in 1..T and is a `Copying` sequence of that delay, canonical layout:
    s_1..s_K, D - 1 blanks, the marker at step D + K - 1, K blanks; D + 2K steps, the padding on the right is 0 and
    not in ``mask``. One-hot inputs over blank 0, the symbols 1..S and the marker S + 1; integer targets over blank
    and symbols: blank, but for the K steps after the marker, which repeat the symbols. The loss counts all steps.

    Source: Henaff, Szlam & LeCun (2016) and Tallec & Ollivier (2018), where T is 500 and 1,000 with 10 symbols of 8
    kinds: the number of dummies before the signal is drawn at random up to T. T is 100 by default, for two cores.
    Differs: a batch has several lengths; how the papers made batches is not known here.

    Baseline, of a prediction that knows the step alone: step t exists in the fraction e_t of the sequences, those
    with D > t - 2K, and is a step of the answer in the fraction r_t, those with t - 2K < D <= t - K. With q = r_t / e_t
    it is worth e_t (H(q) + q ln S) nats, H the entropy of a coin, and the sum over t is divided by the mean length
    (T + 1) / 2 + 2K. A network that sees the marker but remembers nothing has no H: K ln S over that mean length.

    The lag is T + K, from reading a symbol to repeating it at the longest delay. Solved: an accuracy above 0.99 over
    the repeated symbols.

    Example, T = 3, K = 2, S = 3, a sequence with D = 2, ``m`` the marker and ``_`` padding:
    read ``3 1 0 m 0 0 _``, answer ``0 0 0 0 3 1 _``.

    >>> round(VariableCopy().baseline, 4), VariableCopy().lag
    (0.6285, 110)
    """

    delay: int = 100
    """Longest delay T, in steps; the longest sequence has T + 2K steps."""

    @property
    def baseline(self) -> float:
        """The cross-entropy of the step's own mixture of blank and symbols."""
        delays, steps = np.arange(1, self.delay + 1)[:, None], np.arange(self.num_steps)[None]
        exists = delays > steps - 2 * self.num_recalled
        answers = exists & (delays <= steps - self.num_recalled)
        q = answers.sum(axis=0) / exists.sum(axis=0)
        coin = -_xlogx(q) - _xlogx(1 - q)
        nats = np.mean(exists, axis=0) * (coin + q * math.log(self.num_symbols))
        return float(nats.sum() / np.mean(exists, axis=0).sum())

    def sample(self, key: PRNGKeyArray, batch_size: int) -> Batch:
        """Inputs ``[t, b, S + 2]``, targets, weights and mask ``[t, b]``."""
        key_symbols, key_delays = jax.random.split(key)
        count = self.num_recalled
        symbols = jax.random.randint(key_symbols, (count, batch_size), 1, self.num_symbols + 1)
        delays = jax.random.randint(key_delays, (1, batch_size), 1, self.delay + 1)
        blanks = jnp.full((self.num_steps, batch_size), BLANK, symbols.dtype)
        marker = jnp.full((1, batch_size), self.num_symbols + 1, symbols.dtype)
        tokens = put(blanks.at[:count].set(symbols), count + delays - 1, marker)
        targets = put(blanks, jnp.arange(count)[:, None] + count + delays, symbols)
        mask = jnp.arange(self.num_steps)[:, None] < delays + 2 * count
        inputs = arrays.where(mask, self.read(tokens), 0.0)
        return Batch(inputs, targets, mask.astype(jnp.float32), mask)


def _xlogx(x: np.ndarray) -> np.ndarray:
    return x * np.log(np.where(x > 0, x, 1.0))
