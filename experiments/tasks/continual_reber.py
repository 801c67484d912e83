"""The continual embedded Reber grammar: strings that follow one another in a stream, without a mark between them."""

import dataclasses
import functools
from typing import ClassVar, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree

from experiments.tasks.base import (
    SPLITS,
    Batch,
    Generated,
    Total,
    require_at_least,
    require_known,
)
from experiments.tasks.error_criteria import legal_most_active
from experiments.tasks.legal_criteria import LegalAllWithin
from experiments.tasks.output_units import UNITS
from experiments.tasks.reber_grammar import START, SYMBOLS, Grammar, embedded

BLOCK = 512
"""Symbols of a block. A stream has forgotten its state after that many: 0.91^512 is below 1e-20."""

VARIANTS = {"canonical": True, "unframed": False}
"""Whether the strings have their first B and their last E."""


@dataclasses.dataclass(frozen=True)
class ContinualReber(Generated):
    """Predict every next symbol of streams of embedded Reber strings, whose ends nothing tells and nothing resets.

    ``canonical``: the strings B z R z E of `reber.Reber`, 12 symbols on average, one after the other from the start of
    a string on; ``stream_length`` symbols a stream. ``unframed``: z R z, so that the ends are harder to see, 10 symbols
    on average. One-hot over B, T, P, S, X, V, E; ``info`` holds the symbols that may follow, ``[t, b, 7]``. Source:
    Gers, Schmidhuber & Cummins (2000), experiment 1; ``unframed`` is their additional one.

    A batch is a chunk: the next ``num_steps`` symbols of ``batch_size`` streams. Training batch u is chunk number
    u mod n of the streams number u // n, with n chunks a stream; at their first step ``reset`` is True. A model has to
    carry its state from batch to batch. Any chunk is drawn by itself, as a function of (key, streams, its number):
    `chunk` can be scanned over its number. The validation and the test split are ``num_evaluation`` streams, whole.

    Solved, on the validation streams: every prediction is right, |e| < 0.7 at every unit (a squared error below 0.49),
    and the legal symbols are the most active. With ten streams of 100,000 these are the 10^6 symbols of a perfect
    solution. Differs: that legal symbols be the most active is our condition, for units that all stand at one half are
    right by the printed rule, as they do before any training (see `legal_criteria.LegalAllWithin`). There a training
    stream, with one update a symbol, stops at its first wrong prediction, and the rate of learning may decay within it;
    `experiments.continual.reber` does so. The targets are the symbols that come, one-hot; the squared error, summed
    over units, lacks the factor 1/2. ``symbols_before_error`` is the paper's measure where a chunk is a stream; in
    shorter chunks it counts from the start of the chunk.

    Baseline: the step number tells how likely each state of the grammar is, after some hundred steps the frequencies of
    the stationary stream; the mean over a stream. ``lag`` is None: a string may be of any length.

    The stream B T B T X S E T E B P B P V V E P E B ...: at the second E, B is expected.

    >>> task = ContinualReber()
    >>> round(task.baseline, 4), task.lag, task.num_chunks, task.num_batches("test", batch_size=10)
    (0.8437, None, 1000, 1000)
    """

    length_field: ClassVar[str] = "num_steps"

    num_steps: int = 100
    """Symbols of a chunk, which is one batch, in steps."""
    stream_length: int = 100_000
    """Symbols of a stream, rounded up to whole chunks."""
    variant: Literal["canonical", "unframed"] = "canonical"
    """Whether strings have their first B and last E."""
    output_unit: Literal["logistic", "linear", "softmax"] = "logistic"
    """What the output units compute; printed: logistic; softmax: with the cross-entropy."""
    num_evaluation: int = dataclasses.field(default=10, kw_only=True)
    """Streams in the validation split, and in the test split."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_known("variant", self.variant, VARIANTS)
        require_known("output_unit", self.output_unit, UNITS)
        require_at_least("num_steps", self.num_steps, 1)
        require_at_least("stream_length", self.stream_length, 1)

    @property
    def _grammar(self) -> Grammar:
        return embedded(VARIANTS[self.variant])

    @property
    def num_chunks(self) -> int:
        """Chunks of a stream."""
        return -(-self.stream_length // self.num_steps)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The symbols, one-hot."""
        return (len(SYMBOLS),)

    @property
    def output_shape(self) -> tuple[int, ...]:
        """A unit for each symbol."""
        return (len(SYMBOLS),)

    @property
    def baseline(self) -> float:
        """The mean loss of the best prediction for each step of a stream."""
        grammar, least = self._grammar, UNITS[self.output_unit].least
        num_steps = self.num_chunks * self.num_steps
        state, total = np.eye(len(grammar.stationary))[START], 0.0
        for _ in range(min(num_steps, BLOCK)):
            state = state @ grammar.transitions
            total += least(grammar.next_symbols(np.stack([state, state], axis=1)))
        stationary = np.stack([grammar.stationary] * 2, axis=1)
        rest = max(num_steps - BLOCK, 0)
        return (total + rest * least(grammar.next_symbols(stationary))) / num_steps

    @property
    def lag(self) -> None:
        """Without bound."""
        return

    @property
    def criterion(self) -> LegalAllWithin:
        """No wrong prediction on all validation streams."""
        return LegalAllWithin(0.7, self.output_unit)

    def chunk(self, key: PRNGKeyArray, number: Array, batch_size: int) -> Batch:
        """Chunk ``number`` of as many streams: inputs and ``info`` ``[t, b, 7]``, targets and weights ``[t, b]``."""
        start = jnp.asarray(number, jnp.int32) * self.num_steps
        first = start // BLOCK
        blocks = first + jnp.arange(self.num_steps // BLOCK + 2)
        drawn = jax.vmap(lambda block: _draw_block(key, block, self._grammar, batch_size))(blocks)
        symbols, states = (
            jax.lax.dynamic_slice_in_dim(
                each.reshape(-1, batch_size), start - first * BLOCK, self.num_steps + 1
            )
            for each in drawn
        )
        inputs = jax.nn.one_hot(symbols[:-1], len(SYMBOLS), dtype=jnp.float32)
        weights = jnp.ones((self.num_steps, batch_size), jnp.float32)
        reset = jnp.zeros(weights.shape, bool).at[0].set(start == 0)
        legal = jnp.asarray(self._grammar.legal)[states[:-1]]
        return Batch(inputs, symbols[1:], weights, reset=reset, info=legal)

    def sample(self, key: PRNGKeyArray, batch_size: int) -> Batch:
        """The first chunk of fresh streams."""
        return self.chunk(key, jnp.array(0), batch_size)

    def batch(self, data: PyTree, key: PRNGKeyArray, update: Array, batch_size: int) -> Batch:
        """Training batch number ``update``: the next chunk, or the first one of new streams."""
        del data
        key = _stream_key(key, "training", update // self.num_chunks)
        return self.chunk(key, update % self.num_chunks, batch_size)

    def num_batches(self, split: str, batch_size: int) -> int:
        """How many chunks cover the streams of a split, ``batch_size`` streams at a time."""
        return self.num_chunks * super().num_batches(split, batch_size)

    def evaluation(self, data: PyTree, split: str, index: Array, key: PRNGKeyArray, batch_size: int) -> Batch:
        """Batch ``index`` of a split: chunk after chunk of some streams, then of others; weight 0 fills up."""
        del data
        group = index // self.num_chunks
        batch = self.chunk(_stream_key(key, split, group), index % self.num_chunks, batch_size)
        kept = group * batch_size + jnp.arange(batch_size) < self.num_evaluation
        return batch._replace(weights=jnp.where(kept[None, :], batch.weights, 0.0))

    def loss(self, outputs: Float[Array, "t b k"], batch: Batch) -> Total:
        """The loss of the output units over all steps."""
        return UNITS[self.output_unit].loss(outputs, batch)

    def metrics(self, outputs: Float[Array, "t b k"], batch: Batch) -> dict[str, Total]:
        """The loss, right predictions, those with the legal symbols most active, and symbols before the first error."""
        right, count = self.criterion.right(outputs, batch), jnp.sum(batch.weights)
        streams = jnp.any(batch.weights != 0, axis=0)
        before = jnp.sum(jnp.cumprod(right.astype(jnp.float32), axis=0), axis=0)
        return {
            UNITS[self.output_unit].metric: self.loss(outputs, batch),
            "fraction_correct": (jnp.sum(right * batch.weights), count),
            "legal_steps": (jnp.sum(legal_most_active(outputs, batch) * batch.weights), count),
            "symbols_before_error": (jnp.sum(before * streams), jnp.sum(streams, dtype=float)),
        }


def _stream_key(key: PRNGKeyArray, split: str, number: Array) -> PRNGKeyArray:
    return jax.random.fold_in(jax.random.fold_in(key, SPLITS.index(split)), number)


@functools.cache
def _reach(grammar: Grammar) -> np.ndarray:
    """The probability of going from a state to another in m steps, ``[m, states, states]``, m from `BLOCK` - 2 to 0."""
    powers = [np.eye(len(grammar.transitions))]
    while len(powers) < BLOCK - 1:
        powers.append(powers[-1] @ grammar.transitions)
    return np.stack(powers[::-1]).astype(np.float32)


def _draw_block(
    key: PRNGKeyArray, block: Array, grammar: Grammar, batch_size: int
) -> tuple[Int[Array, "block b"], Int[Array, "block b"]]:
    """The symbols of a block of a stream, and the state after each of them.

    Where blocks meet, the state and the first symbol of the later one have a key of their own. Between two such states
    the walk takes each edge with its probability given that it arrives at the later one in time.
    """
    symbols, following = jnp.asarray(grammar.symbols), jnp.asarray(grammar.following)
    state, edge = _meeting(key, block, grammar, batch_size)
    arrival, _ = _meeting(key, block + 1, grammar, batch_size)
    inside = jax.random.fold_in(jax.random.fold_in(key, block), 1)
    uniform = jax.random.uniform(inside, (BLOCK - 1, batch_size))

    def walk(state: Array, now: tuple[Array, Array]) -> tuple[Array, tuple[Array, Array]]:
        uniform, reach = now
        weights = reach[following[state], arrival[:, None]]
        edge = (uniform * jnp.sum(weights, axis=1) >= weights[:, 0]).astype(jnp.int32)
        after = following[state, edge]
        return after, (symbols[state, edge], after)

    first = following[state, edge]
    _, rest = jax.lax.scan(walk, first, (uniform, jnp.asarray(_reach(grammar))))
    start = symbols[state, edge], first
    return jax.tree.map(lambda one, others: jnp.concatenate([one[None], others]), start, rest)


def _meeting(
    key: PRNGKeyArray, block: Array, grammar: Grammar, batch_size: int
) -> tuple[Int[Array, "b"], Int[Array, "b"]]:
    """The state in which a block starts, of the stationary stream but for the first, and its first edge."""
    key_state, key_edge = jax.random.split(jax.random.fold_in(jax.random.fold_in(key, block), 0))
    up_to = jnp.asarray(np.cumsum(grammar.stationary)[:-1], jnp.float32)
    state = jnp.searchsorted(up_to, jax.random.uniform(key_state, (batch_size,)), side="right")
    edge = jax.random.bernoulli(key_edge, shape=(batch_size,)).astype(jnp.int32)
    return jnp.where(block == 0, START, state.astype(jnp.int32)), edge
