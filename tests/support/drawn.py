"""Drawn tasks in tests: one jitted draw for many tests, and frequencies against exact probabilities."""

import collections
import functools
import math

import jax
import jax.numpy as jnp
import numpy as np

MANY, SOME = 20_000, 2_000


@functools.cache
def many(task, num_sequences=MANY, seed=0):
    """A batch of a drawn task from one jitted call; NumPy arrays."""
    return jax.tree.map(
        np.asarray, jax.jit(task.sample, static_argnums=1)(jax.random.key(seed), num_sequences)
    )


def part(batch, num_sequences):
    """The first sequences of a batch. Predictions have the batch axis where weights have their last one."""
    of_steps = (slice(None), slice(num_sequences))
    of_predictions = of_steps[-batch.weights.ndim :]
    names = {"inputs": of_steps, "mask": of_steps, "reset": of_steps}
    cut = {name: getattr(batch, name)[names.get(name, of_predictions)] for name in given(batch)}
    return batch._replace(**cut)


def given(batch):
    return [name for name, value in batch._asdict().items() if value is not None]


def on_device(batch):
    return jax.tree.map(jnp.asarray, batch)


def mean_loss(task, outputs, batch):
    total, count = task.loss(jnp.asarray(outputs), on_device(batch))
    return float(total / count)


def measured(task, outputs, batch):
    """The metrics of a batch, each a mean."""
    totals = task.metrics(jnp.asarray(outputs), on_device(batch)).items()
    return {name: float(total / count) for name, (total, count) in totals}


def is_solved(criterion, *batches):
    """Whether the criterion holds after ``(outputs, batch)`` pairs."""
    state = criterion.init()
    for outputs, batch in batches:
        state = criterion.update(state, jnp.asarray(outputs), on_device(batch))
    return bool(criterion.solved(state))


def sequences(batch):
    """Each sequence as a list of rows, without its padding."""
    num_steps, num_sequences = batch.inputs.shape[:2]
    mask = np.ones((num_steps, num_sequences), bool) if batch.mask is None else batch.mask
    assert not batch.inputs[~mask].any()
    assert np.array_equal(mask, np.arange(num_steps)[:, None] < mask.sum(axis=0)[None])
    return [batch.inputs[: mask[:, i].sum(), i].tolist() for i in range(num_sequences)]


def tokens_of(rows):
    for row in rows:
        assert sorted(row) == [0.0] * (len(row) - 1) + [1.0]
    return [row.index(1.0) for row in rows]


def sure_logits(unit, labels, num_classes):
    """Outputs, before their activation, of a network that is certain of ``labels`` (-1: of none)."""
    one_hot = (
        np.eye(num_classes, dtype=np.float32)[np.maximum(labels, 0)] * (np.asarray(labels) >= 0)[..., None]
    )
    return one_hot if unit == "linear" else 100.0 * one_hot - 50.0


def assert_within(sample, expected, std=None):
    """The mean of the sample is within five standard errors of ``expected``; ``std`` where the true one is known."""
    sample = np.asarray(sample, float)
    error = (sample.std() if std is None else std) / math.sqrt(sample.size)
    assert abs(sample.mean() - expected) <= 5 * error + 1e-7, (sample.mean(), expected, error)


def assert_distributed(observed, probabilities):
    """Chi-square: nothing outside the support, and a statistic within five standard deviations of its mean."""
    counts = collections.Counter(observed)
    assert set(counts) <= set(probabilities)
    assert math.isclose(sum(probabilities.values()), 1.0)
    expected = {cell: len(observed) * p for cell, p in probabilities.items()}
    assert min(expected.values()) > 20
    statistic = sum((counts[cell] - number) ** 2 / number for cell, number in expected.items())
    assert abs(statistic - (len(expected) - 1)) < 5 * math.sqrt(2 * (len(expected) - 1))


def assert_uniform(observed, support):
    assert_distributed(observed, {cell: 1 / len(support) for cell in support})
