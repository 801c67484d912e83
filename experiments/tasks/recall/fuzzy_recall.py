"""Fuzzy in-context recall: the pairs stream by, and keys and values are words of one to three tokens."""

import dataclasses
import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, PRNGKeyArray

from experiments.tasks.base import Batch, require_at_least
from experiments.tasks.recall.tokens import TokenTask, distinct, put
from recurrent import arrays


@dataclasses.dataclass(frozen=True)
class FuzzyRecall(TokenTask):
    """Whenever a word comes again, say the word that followed it before, token by token. T = ``num_steps``.

    A word has 1..m tokens, m = ``longest``, all lengths equally likely, and no token twice: keys of the tokens
    0..p - 1, p = ``num_keys``, values of the p.. p + q - 1, q = ``num_values``. Pairs of a key and a value follow one
    another while they end by T - 2m. A key has the same value whenever it comes; else the value is drawn afresh. After
    them comes a last pair, the key of one of the pairs before, drawn at random, and its value. At most T steps; the
    padding on the right is 0 and not in ``mask``. Asked, wherever a key was read before: the tokens of its value, one
    step before they are read, as classes 0..q - 1.

    Source: Poli et al. (2024), fuzzy in-context recall with many queries, and their code, where T is 128, m is 3 and a
    vocabulary of 16 is 7 keys, 8 values and padding. Differs: the padding is on their left. Their last key need not
    have been read before: it is put at a step that may lie behind the end of the pairs. Their evaluation has keys of m
    tokens alone; here it is drawn like the training set.

    Baseline: the tokens of the values can be exchanged, so that the answer is uniform at every step: ln q. The lag is
    T - 2m - 1, where the first pair comes again at the end, right after T - 2m steps of pairs. Solved: an accuracy of
    0.99 or more; the paper names no rule.

    Example, 3 keys, 3 values, m = 2, ``.`` nothing asked and ``_`` padding; 1 has the value 5 3 and comes again:
    read ``1 5 3 2 0 4 1 5 3 _``, answer ``. . . . . . 2 0 . _``.

    >>> round(FuzzyRecall().baseline, 4), FuzzyRecall().lag
    (2.0794, 121)
    """

    num_steps: int = 128
    """Length T of the longest sequence, in steps."""
    num_keys: int = 7
    """Kinds of tokens that make keys."""
    num_values: int = 8
    """Kinds of tokens that make values."""
    longest: int = 3
    """Tokens m of the longest word."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_at_least("longest", self.longest, 1, "for fuzzy recall")
        require_at_least("num_keys", self.num_keys, self.longest, "for words without a token twice")
        require_at_least(
            "num_values", self.num_values, max(2, self.longest), "for words without a token twice"
        )
        require_at_least("num_steps", self.num_steps, 4 * self.longest, "for two pairs of the longest words")

    @property
    def vocabulary(self) -> int:
        """Tokens of keys and of values."""
        return self.num_keys + self.num_values

    @property
    def output_shape(self) -> tuple[int, ...]:
        """Logits of the tokens of values."""
        return (self.num_values,)

    @property
    def baseline(self) -> float:
        """The cross-entropy of the uniform token."""
        return math.log(self.num_values)

    @property
    def lag(self) -> int:
        """From the first value to its repetition at the end."""
        return self._end - 1

    @property
    def _end(self) -> int:
        """Where the pairs end at the latest: the last one needs room."""
        return self.num_steps - 2 * self.longest

    def sample(self, key: PRNGKeyArray, batch_size: int) -> Batch:
        """Inputs ``[t, b, vocabulary]``, targets, weights and mask ``[t, b]``."""
        key_keys, key_values, key_last = jax.random.split(key, 3)
        keys = self._words(key_keys, self.num_keys, batch_size)
        values = self._words(key_values, self.num_values, batch_size)
        same = jnp.all(keys[:, None] == keys[None], axis=2)
        first = jnp.argmax(same, axis=1)  # of the pairs with this key, [pairs, b]
        values = _at(values, first)
        ends = jnp.cumsum(_length(keys) + _length(values), axis=0)
        kept = ends <= self._end
        number = jnp.sum(kept, axis=0, keepdims=True)
        last = (jax.random.uniform(key_last, number.shape) * number).astype(first.dtype)
        end = _at_row(ends, number - 1)

        again = kept & (first < jnp.arange(len(first))[:, None])
        keys, values = (jnp.concatenate([words, _at(words, last)]) for words in (keys, values))
        starts = jnp.concatenate([jnp.zeros_like(end), ends[:-1], end])
        kept, again = (jnp.concatenate([rows, jnp.ones_like(end, bool)]) for rows in (kept, again))
        # the pair behind the last kept one starts where the last key does: it is put nowhere
        nothing = jnp.zeros((self.num_steps, batch_size), keys.dtype)
        read_keys = self._steps(starts, keys, kept)
        read_values = self._steps(starts + _length(keys), values, kept)
        asked = self._steps(starts + _length(keys) - 1, values, again)
        tokens = put(put(nothing, read_keys, _flat(keys)), read_values, self.num_keys + _flat(values))
        targets = put(nothing, asked, _flat(values))
        weights = put(nothing, asked, jnp.ones_like(asked)).astype(jnp.float32)
        mask = jnp.arange(self.num_steps)[:, None] < end + _length(keys)[-1:] + _length(values)[-1:]
        return Batch(arrays.where(mask, self.read(tokens), 0.0), targets, weights, mask)

    def _words(self, key: PRNGKeyArray, size: int, batch_size: int) -> Int[Array, "pairs m b"]:
        """Words, one for each pair that could fit; -1 behind their end."""
        key_tokens, key_lengths = jax.random.split(key)
        pairs = self._end // 2
        tokens = distinct(key_tokens, self.longest, size, pairs * batch_size).reshape(
            self.longest, pairs, batch_size
        )
        lengths = jax.random.randint(key_lengths, (pairs, 1, batch_size), 1, self.longest + 1)
        return jnp.where(jnp.arange(self.longest)[None, :, None] < lengths, tokens.swapaxes(0, 1), -1)

    def _steps(
        self, starts: Int[Array, "pairs b"], words: Int[Array, "pairs m b"], kept: Array
    ) -> Int[Array, "pairs*m b"]:
        """The step of each token, words one after another; beyond the end where there is none."""
        steps = starts[:, None] + jnp.arange(self.longest)[None, :, None]
        return _flat(jnp.where((words >= 0) & kept[:, None], steps, self.num_steps))


def _length(words: Int[Array, "pairs m b"]) -> Int[Array, "pairs b"]:
    return jnp.sum(words >= 0, axis=1)


def _flat(words: Int[Array, "pairs m b"]) -> Int[Array, "pairs*m b"]:
    return words.reshape(-1, words.shape[-1])


def _at(words: Int[Array, "pairs m b"], pairs: Int[Array, "n b"]) -> Int[Array, "n m b"]:
    return jnp.take_along_axis(words, pairs[:, None], axis=0)


def _at_row(rows: Int[Array, "pairs b"], pairs: Int[Array, "n b"]) -> Int[Array, "n b"]:
    return jnp.take_along_axis(rows, pairs, axis=0)
