"""Tasks on data sets of a fixed size: every example once an epoch, in an order that is computed, not stored."""

import abc
import dataclasses

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, PRNGKeyArray, PyTree, UInt32

from experiments.tasks.base import SPLITS, Batch, require_at_least, require_known

# Measured: with 8, the orders of five examples are not equally frequent (chi-square 570 where 119 is expected).
NUM_ROUNDS = 16


@dataclasses.dataclass(frozen=True)
class Finite(abc.ABC):
    """Base of the tasks on finite sets: a subclass gives ``num_examples`` and ``examples``, and overrides ``load``.

    The training examples form one endless stream: position p = ``update`` * ``batch_size`` + i belongs to
    epoch p // N and shows the example that a permutation of its own, drawn from (key, epoch), puts at
    p mod N. So a batch may straddle epochs, N need not be a multiple of ``batch_size``, and a resumed run
    sees what an unbroken one would. Positions are counted in 32 bits: up to 4.29e9 examples.
    """

    @abc.abstractmethod
    def num_examples(self, split: str) -> int:
        """The size of a split."""

    @abc.abstractmethod
    def examples(self, data: PyTree, split: str, indices: Int[Array, "b"]) -> Batch:
        """The examples of a split at ``indices``, each of weight 1."""

    @abc.abstractmethod
    def load(self) -> PyTree:
        """The arrays of all splits, an argument of the jitted code."""

    def batch(self, data: PyTree, key: PRNGKeyArray, update: Array, batch_size: int) -> Batch:
        """Training batch number ``update``."""
        key = jax.random.fold_in(key, SPLITS.index("training"))
        indices = epoch_indices(key, update, batch_size, self.num_examples("training"))
        return self.examples(data, "training", indices)

    def num_batches(self, split: str, batch_size: int) -> int:
        """How many batches cover a split."""
        require_known("split", split, SPLITS)
        require_at_least("batch_size", batch_size, 1)
        return -(-self.num_examples(split) // batch_size)

    def evaluation(self, data: PyTree, split: str, index: Array, key: PRNGKeyArray, batch_size: int) -> Batch:
        """Batch ``index`` of a split in its stored order; the last one is filled up with weight 0."""
        del key
        require_known("split", split, SPLITS)
        size = self.num_examples(split)
        positions = index * batch_size + jnp.arange(batch_size)
        batch = self.examples(data, split, jnp.minimum(positions, size - 1))
        # weights end in the batch axis (one prediction a sequence) or start with time: [b] and [t, b]
        return batch._replace(
            weights=jax.tree.map(lambda w: jnp.where(positions < size, w, 0.0), batch.weights)
        )


def epoch_indices(key: PRNGKeyArray, update: Array, batch_size: int, size: int) -> Int[Array, "b"]:
    """The examples of batch ``update`` of the endless stream over a set of ``size``; each epoch is a permutation."""
    start = jnp.asarray(update).astype(jnp.uint32) * jnp.uint32(batch_size)
    positions = start + jnp.arange(batch_size, dtype=jnp.uint32)
    epochs = positions // jnp.uint32(size)
    num_epochs = (batch_size - 1) // size + 2  # no batch meets more
    met = epochs[0] + jnp.arange(num_epochs, dtype=jnp.uint32)
    round_keys = jax.vmap(lambda epoch: _round_keys(jax.random.fold_in(key, epoch)))(met)
    return _walk(round_keys[epochs - epochs[0]], positions % jnp.uint32(size), size)


def shuffled(key: PRNGKeyArray, positions: Int[Array, "b"], size: int) -> Int[Array, "b"]:
    """Where the permutation of [0, ``size``) drawn from ``key`` sends ``positions``.

    A Feistel network on the smallest sufficient number of bits permutes [0, 2^bits); a position is sent
    through it until it falls below ``size`` (cycle walking: Black & Rogaway, 2002), twice on average at
    the worst. Cost: that of the positions asked for, whatever the size.

    >>> sorted(shuffled(jax.random.key(0), jnp.arange(5), 5).tolist())
    [0, 1, 2, 3, 4]
    """
    round_keys = jnp.broadcast_to(_round_keys(key), (*positions.shape, NUM_ROUNDS))
    return _walk(round_keys, positions.astype(jnp.uint32), size)


def _round_keys(key: PRNGKeyArray) -> UInt32[Array, "rounds"]:
    return jax.random.bits(key, (NUM_ROUNDS,), jnp.uint32)


def _walk(round_keys: UInt32[Array, "b rounds"], positions: UInt32[Array, "b"], size: int) -> Int[Array, "b"]:
    num_bits = max(2, (size - 1).bit_length())  # two, so that each half has a bit
    end = jnp.uint32(size)
    indices = jax.lax.while_loop(
        lambda x: jnp.any(x >= end),
        lambda x: jnp.where(x >= end, _feistel(round_keys, x, num_bits), x),
        _feistel(round_keys, positions, num_bits),
    )
    return indices.astype(jnp.int32)


def _feistel(
    round_keys: UInt32[Array, "b rounds"], x: UInt32[Array, "b"], num_bits: int
) -> UInt32[Array, "b"]:
    """A bijection of [0, 2^num_bits): the halves, of almost equal size, are changed in turns."""
    num_low = num_bits // 2
    low_mask, high_mask = jnp.uint32((1 << num_low) - 1), jnp.uint32((1 << (num_bits - num_low)) - 1)
    high, low = x >> num_low, x & low_mask
    for number in range(0, NUM_ROUNDS, 2):
        high ^= _mix(low ^ round_keys[:, number]) & high_mask
        low ^= _mix(high ^ round_keys[:, number + 1]) & low_mask
    return (high << num_low) | low


def _mix(x: UInt32[Array, "b"]) -> UInt32[Array, "b"]:
    """Every bit of the result depends on every bit of ``x``; the last step of MurmurHash3 (Appleby)."""
    x = (x ^ (x >> 16)) * jnp.uint32(0x85EBCA6B)
    x = (x ^ (x >> 13)) * jnp.uint32(0xC2B2AE35)
    return x ^ (x >> 16)
