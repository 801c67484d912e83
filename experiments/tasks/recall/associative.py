"""Associative recall: pairs of keys and values are read, then keys alone, and their values are asked for."""

import dataclasses
import math
from collections.abc import Callable
from typing import ClassVar, Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, PRNGKeyArray

from experiments.tasks.base import Batch, require_at_least, require_known
from experiments.tasks.recall.tokens import TokenTask, distinct, put, require_even

LETTERS, DIGITS = 26, 10  # Ba et al. (2016): keys are the letters a..z, values the digits 0..9
MARK = LETTERS + DIGITS  # their question mark


@dataclasses.dataclass(frozen=True)
class MultiQueryRecall(TokenTask):
    """Multi-query associative recall: answer every key with the value that stood behind it at the beginning.

    V = ``num_tokens``, K = ``num_pairs``, T = ``num_steps``. K pairs fill the steps [0, 2K): the keys are distinct,
    from 1..V/2 - 1, the values distinct, from V/2..V - 1. The rest has room for S = (T - 2K) / 2 queries, at the
    steps 2K + 2g for the gaps g = 0..S - 1. The pairs draw their gaps one after another, without replacement, with
    weights (g + 1)^(a - 1) for a = ``power``: small gaps are frequent. At its step the key is read again, and its
    value is asked for there. Targets are classes 0..V/2 - 1 for the values V/2..V - 1.

    ``canonical``: the other steps after the pairs read tokens uniform in 0..V - 1, keys and values among them; they
    ask for nothing. ``blanks``: they read token 0. Source: Arora et al. (2024), Zoology, and their code:
    a = 0.01 and V = 8,192; (T, K) is (64, 4), (128, 8), (256, 16) or (512, 64); ``blanks`` belongs to the
    configuration of its figure 2. Differs: fresh sequences, not 100,000 fixed ones; and a reaches the draw, while
    their settings ``train_power_a`` and ``test_power_a`` do not.

    With the default V the inputs are tokens, int32 ``[t, b]``, for a model with an embedding (see `TokenTask`).

    Baseline: by symmetry the value asked for at any step is uniform over V/2: ln(V/2). The lag is T - 3, from the
    value at step 1 to a query at T - 2, the last place. Solved: an accuracy of 0.99 or more; the paper names no rule.

    Example, ``blanks`` with V = 12, K = 2, T = 12, ``.`` nothing asked:
    read ``2 8 4 7 0 0 4 0 0 0 2 0``, answer ``. . . . . . 1 . . . 2 .`` (values 7 and 8 are classes 1 and 2).

    >>> round(MultiQueryRecall().baseline, 4), MultiQueryRecall().lag, MultiQueryRecall().input_shape
    (8.3178, 61, ())
    """

    num_steps: int = 64
    """Length T of the sequences, in steps; even."""
    variant: Literal["canonical", "blanks"] = "canonical"
    """What stands between the queries."""
    num_tokens: int = 8192
    """Kinds of tokens V: half of them keys, half values; even."""
    num_pairs: int = 4
    """Pairs K of a key and a value, each asked for once."""
    power: float = 0.01
    """Exponent a of the law of the gaps; 1 makes all places equally likely."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_known("variant", self.variant, FILLING)
        require_at_least("num_pairs", self.num_pairs, 1, "for associative recall")
        for name in ("num_steps", "num_tokens"):
            require_even(name, getattr(self, name), "for associative recall")
        reason = f"for {self.num_pairs} pairs"
        require_at_least("num_steps", self.num_steps, 4 * self.num_pairs, reason)
        # 0 is no key, and the keys are distinct
        require_at_least("num_tokens", self.num_tokens, 2 * (self.num_pairs + 1), reason)
        if not self.power > 0:
            raise ValueError(f"power: expected a number above 0, got {self.power}")

    @property
    def vocabulary(self) -> int:
        """Keys, values and token 0."""
        return self.num_tokens

    @property
    def output_shape(self) -> tuple[int, ...]:
        """Logits of the values."""
        return (self.num_tokens // 2,)

    @property
    def baseline(self) -> float:
        """The cross-entropy of the uniform answer."""
        return math.log(self.num_tokens // 2)

    @property
    def lag(self) -> int:
        """From the first value to the last place of a query."""
        return self.num_steps - 3

    def sample(self, key: PRNGKeyArray, batch_size: int) -> Batch:
        """Inputs ``[t, b]`` or ``[t, b, V]``, targets and weights ``[t, b]``."""
        key_keys, key_values, key_gaps, key_rest = jax.random.split(key, 4)
        pairs, half = self.num_pairs, self.num_tokens // 2
        keys = 1 + distinct(key_keys, pairs, half - 1, batch_size)
        values = distinct(key_values, pairs, half, batch_size)
        queries = 2 * pairs + 2 * self._gaps(key_gaps, batch_size)
        rest = FILLING[self.variant](key_rest, self.num_steps, self.num_tokens, batch_size)
        tokens = rest.at[0 : 2 * pairs : 2].set(keys).at[1 : 2 * pairs : 2].set(half + values)
        nothing = jnp.zeros_like(tokens)
        asked = put(nothing, queries, jnp.ones_like(keys))
        targets = put(nothing, queries, values)
        return Batch(self.read(put(tokens, queries, keys)), targets, asked.astype(jnp.float32))

    def _gaps(self, key: PRNGKeyArray, batch_size: int) -> Int[Array, "pairs b"]:
        """The gap of each pair: the largest of noisy log-weights are a draw without replacement, in its order."""
        places = (self.num_steps - 2 * self.num_pairs) // 2
        weights = (self.power - 1) * jnp.log(jnp.arange(1, places + 1, dtype=jnp.float32))
        noisy = weights[None] + jax.random.gumbel(key, (batch_size, places))
        return jax.lax.top_k(noisy, self.num_pairs)[1].T


@dataclasses.dataclass(frozen=True)
class AssociativeRetrieval(TokenTask):
    """Answer one letter with the digit that stood behind it. K = ``num_pairs``.

    K distinct letters, each followed by a digit, then two question marks, then one of the K letters: 2K + 3 steps.
    Letters, digits and the query are uniform, digits may repeat. One-hot over a..z, 0..9 and the question mark, in
    this order. Asked at the last step: the digit, as classes 0..9.

    Source: Ba et al. (2016), fast weights, section 4.1: K is 4 in their example and here; 100,000 fixed sequences
    there, fresh ones here. Published errors in percent at 20, 50 and 100 units: IRNN 62.11, 60.23, 0.34; LSTM
    60.81, 1.85, 0; fast weights 1.81, 0, 0.

    Baseline: the digit is uniform: ln 10. The lag is 2K + 1, from the first digit at step 1 to the query.
    ``at_length(n)`` asks for n pairs. Solved: an accuracy of 0.99 or more; the paper names no rule.

    Example: read ``c 9 k 8 j 3 f 1 ? ? c``, answer 9 at the last step.

    >>> round(AssociativeRetrieval().baseline, 4), AssociativeRetrieval().lag
    (2.3026, 9)
    """

    length_field: ClassVar[str] = "num_pairs"

    num_pairs: int = 4
    """Pairs K of a letter and a digit; a sequence has 2K + 3 steps."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_at_least("num_pairs", self.num_pairs, 1, "for associative retrieval")
        if self.num_pairs > LETTERS:
            raise ValueError(f"num_pairs: expected at most {LETTERS}, a letter each, got {self.num_pairs}")

    @property
    def num_steps(self) -> int:
        """The length of every sequence."""
        return 2 * self.num_pairs + 3

    @property
    def vocabulary(self) -> int:
        """Letters, digits and the question mark."""
        return MARK + 1

    @property
    def output_shape(self) -> tuple[int, ...]:
        """Logits of the digits."""
        return (DIGITS,)

    @property
    def baseline(self) -> float:
        """The cross-entropy of the uniform digit."""
        return math.log(DIGITS)

    @property
    def lag(self) -> int:
        """From the first digit to the query."""
        return self.num_steps - 2

    def sample(self, key: PRNGKeyArray, batch_size: int) -> Batch:
        """Inputs ``[t, b, 37]``, targets and weights ``[t, b]``."""
        key_letters, key_digits, key_query = jax.random.split(key, 3)
        letters = distinct(key_letters, self.num_pairs, LETTERS, batch_size)
        digits = jax.random.randint(key_digits, letters.shape, 0, DIGITS)
        query = jax.random.randint(key_query, (1, batch_size), 0, self.num_pairs)
        pairs = jnp.stack([letters, LETTERS + digits], axis=1).reshape(-1, batch_size)
        marks = jnp.full((2, batch_size), MARK, pairs.dtype)
        tokens = jnp.concatenate([pairs, marks, jnp.take_along_axis(letters, query, axis=0)])
        answer = jnp.take_along_axis(digits, query, axis=0)
        targets = jnp.zeros_like(tokens).at[-1:].set(answer)
        return Batch(self.read(tokens), targets, jnp.zeros(tokens.shape, jnp.float32).at[-1].set(1.0))


def _random_tokens(key: PRNGKeyArray, num_steps: int, num_tokens: int, batch_size: int) -> Int[Array, "t b"]:
    return jax.random.randint(key, (num_steps, batch_size), 0, num_tokens)


def _zeros(key: PRNGKeyArray, num_steps: int, num_tokens: int, batch_size: int) -> Int[Array, "t b"]:
    return jnp.zeros((num_steps, batch_size), jnp.int32)


FILLING: dict[str, Callable[[PRNGKeyArray, int, int, int], Int[Array, "t b"]]] = {
    "canonical": _random_tokens,
    "blanks": _zeros,
}
"""What stands at the steps that are no pair and no query, by the variant's name."""
