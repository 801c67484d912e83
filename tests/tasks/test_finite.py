"""Finite data sets: the training order is a permutation an epoch, and evaluation covers a split once."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.tasks.base import SPLITS, Batch
from experiments.tasks.finite import Finite, epoch_indices, shuffled

KEY = jax.random.key(3)


@dataclasses.dataclass(frozen=True)
class Numbers(Finite):
    """Shows the numbers of its examples; one weight an example, or one for each of ``num_steps``."""

    sizes: tuple[int, int, int] = (10, 7, 12)
    num_steps: int | None = None

    def load(self):
        return {split: jnp.arange(self.num_examples(split)) for split in SPLITS}

    def num_examples(self, split):
        return self.sizes[SPLITS.index(split)]

    def examples(self, data, split, indices):
        shape = indices.shape if self.num_steps is None else (self.num_steps, *indices.shape)
        return Batch(data[split][indices], indices, jnp.ones(shape))


def stream(task, key, num_updates, batch_size):
    """The examples of ``num_updates`` batches, in one row."""
    data = task.load()
    batches = jax.jit(
        lambda key: jax.lax.map(
            lambda update: task.batch(data, key, update, batch_size).inputs, jnp.arange(num_updates)
        )
    )
    return np.asarray(batches(key)).reshape(-1)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 8, 9, 31, 32, 33, 1000, 55_000])
def test_shuffled_is_a_bijection(size):
    keys = jax.vmap(jax.random.key)(jnp.arange(3))
    orders = np.asarray(jax.jit(jax.vmap(lambda key: shuffled(key, jnp.arange(size), size)))(keys))
    np.testing.assert_array_equal(np.sort(orders, axis=1), np.tile(np.arange(size), (3, 1)))


def test_every_order_of_five_is_about_equally_frequent():
    num_keys = 24_000
    orders = jax.jit(jax.vmap(lambda key: shuffled(key, jnp.arange(5), 5)))(jax.random.split(KEY, num_keys))
    _, counts = np.unique(np.asarray(orders), axis=0, return_counts=True)
    assert len(counts) == 120
    chi_square = np.sum((counts - num_keys / 120) ** 2) / (num_keys / 120)
    assert chi_square < 119 + 4 * np.sqrt(2 * 119)  # mean and standard deviation with 119 degrees of freedom


def test_neighbours_are_scattered():
    size = 55_000
    order = np.asarray(shuffled(KEY, jnp.arange(size), size)).astype(float)
    positions = np.arange(size)
    assert abs(np.corrcoef(order, positions)[0, 1]) < 4 / np.sqrt(size)
    assert abs(np.corrcoef(order[1:], order[:-1])[0, 1]) < 4 / np.sqrt(size)


@functools.cache
def one_by_one():
    return stream(Numbers(), KEY, 40, 1)


@pytest.mark.parametrize("batch_size", [1, 4, 7, 10, 23])
def test_each_epoch_shows_every_example_once_whatever_the_batch_size(batch_size):
    task = Numbers()
    seen = stream(task, KEY, -(-40 // batch_size), batch_size)[:40].reshape(4, 10)
    np.testing.assert_array_equal(np.sort(seen, axis=1), np.tile(np.arange(10), (4, 1)))
    assert len(np.unique(seen, axis=0)) == 4  # a new order each epoch
    # the order does not depend on the batch size, so a straddling batch is two pieces of the same stream
    np.testing.assert_array_equal(seen.reshape(-1), one_by_one())


def test_an_epoch_is_the_permutation_of_its_folded_key():
    training = jax.random.fold_in(KEY, SPLITS.index("training"))
    expected = [shuffled(jax.random.fold_in(training, epoch), jnp.arange(10), 10) for epoch in range(3)]
    np.testing.assert_array_equal(stream(Numbers(), KEY, 5, 6), np.concatenate(expected))


def test_the_order_depends_on_the_key_and_networks_in_one_program_see_their_own():
    keys = jax.vmap(jax.random.key)(jnp.arange(3))
    alone = np.stack([stream(Numbers(), key, 3, 8) for key in keys])
    assert len(np.unique(alone, axis=0)) == 3
    task, data = Numbers(), Numbers().load()
    together = jax.jit(jax.vmap(lambda key: task.batch(data, key, jnp.array(1), 8).inputs))(keys)
    np.testing.assert_array_equal(together, alone[:, 8:16])


@pytest.mark.parametrize("update", [0, 429, 1_000_003, 33_554_431])
def test_positions_are_exact_up_to_32_bits(update):
    size, batch_size = 55_000, 128
    assert (update + 1) * batch_size <= 2**32
    found = jax.jit(epoch_indices, static_argnums=(2, 3))(KEY, jnp.array(update), batch_size, size)
    expected = []
    for position in range(update * batch_size, (update + 1) * batch_size):
        epoch, place = divmod(position, size)
        if not expected or place == 0:
            order = np.asarray(shuffled(jax.random.fold_in(KEY, epoch), jnp.arange(size), size))
        expected.append(order[place])
    np.testing.assert_array_equal(found, expected)


def test_nothing_as_large_as_the_data_set_is_computed():
    program = str(jax.make_jaxpr(lambda update: epoch_indices(KEY, update, 32, 55_000))(jnp.array(5)))
    assert "while" in program and "32" in program
    assert "[55000" not in program and "[65536" not in program


@pytest.mark.parametrize("batch_size", [1, 3, 7, 20])
@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("num_steps", [None, 4])
def test_evaluation_covers_a_split_exactly_once(split, batch_size, num_steps):
    task = Numbers(num_steps=num_steps)
    data, shown = task.load(), []
    for index in range(task.num_batches(split, batch_size)):
        batch = task.evaluation(data, split, jnp.array(index), KEY, batch_size)
        assert batch.inputs.shape == (batch_size,)
        weights = np.asarray(batch.weights).reshape(-1, batch_size)
        np.testing.assert_array_equal(weights, np.broadcast_to(weights[0], weights.shape))
        assert set(np.unique(weights)) <= {0.0, 1.0}
        shown.extend(np.asarray(batch.inputs)[weights[0] == 1])
    np.testing.assert_array_equal(shown, np.arange(task.num_examples(split)))


def test_an_unknown_split_is_named():
    with pytest.raises(ValueError, match=r"split: expected one of .* got 'tset'; did you mean test\?"):
        Numbers().num_batches("tset", 2)
    with pytest.raises(ValueError, match="batch_size: expected at least 1, got 0"):
        Numbers().num_batches("test", 0)
