"""Recall tasks and series in tests: one jitted draw a task, sequences as tokens, oracles, baselines by chi-square."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
from drawn import on_device


@functools.cache
def many(task, num_sequences):
    """A batch of them as NumPy arrays."""
    batch = jax.jit(task.sample, static_argnums=1)(jax.random.key(0), num_sequences)
    return jax.tree.map(np.asarray, batch)


def part(batch, num_sequences):
    """The first of them; the batch is the second axis of every array."""
    return jax.tree.map(lambda leaf: leaf[:, :num_sequences], batch)


def tokens_of(batch):
    """Each sequence as a list of tokens, without its padding, which is 0; one-hot rows or tokens themselves."""
    mask = np.ones(batch.inputs.shape[:2], bool) if batch.mask is None else batch.mask
    tokens = batch.inputs
    if tokens.ndim == 3:
        assert set(np.unique(tokens)) <= {0.0, 1.0} and np.array_equal(tokens.sum(axis=-1), mask)
        tokens = tokens.argmax(axis=-1)
    lengths = mask.sum(axis=0)
    assert np.array_equal(mask, np.arange(len(mask))[:, None] < lengths[None])
    assert not tokens[~mask].any()
    return [row[:length] for row, length in zip(tokens.T.tolist(), lengths.tolist(), strict=True)]


def asked_of(batch):
    """For each sequence, its answers by the step that asks for them."""
    assert set(np.unique(batch.weights)) <= {0.0, 1.0}
    assert batch.mask is None or not np.any(batch.weights[~batch.mask])
    found = []
    for targets, weights in zip(batch.targets.T, batch.weights.T, strict=True):
        steps = np.flatnonzero(weights)
        found.append(dict(zip(steps.tolist(), targets[steps].tolist(), strict=True)))
    return found


def judged(task, outputs, batch):
    """The mean loss, the metrics, and whether a pass over this one batch counts as solved."""
    outputs, batch = jnp.asarray(outputs), on_device(batch)
    with jax.numpy_rank_promotion("raise"):
        total, count = task.loss(outputs, batch)
        metrics = {
            name: float(value / number) for name, (value, number) in task.metrics(outputs, batch).items()
        }
        solved = task.criterion.solved(task.criterion.update(task.criterion.init(), outputs, batch))
    return float(total / count), metrics, bool(solved)


def assert_solved(task, batch, solve):
    """``solve(tokens)`` answers each sequence by itself, step by step: exactly the targets where they count."""
    solutions = [solve(tokens) for tokens in tokens_of(batch)]
    assert solutions == asked_of(batch)
    answers = np.zeros(batch.targets.shape, int)
    for column, solution in enumerate(solutions):
        answers[list(solution), column] = list(solution.values())
    outputs = 100.0 * jax.nn.one_hot(answers, *task.output_shape)
    loss, metrics, solved = judged(task, outputs, batch)
    assert loss < 1e-12 and solved
    assert all(
        value == (1.0 if "accuracy" in name else metrics["cross_entropy"]) for name, value in metrics.items()
    )
    # one wrong answer in twenty sequences and more: nothing else is wrong, and the task is not solved
    wrong = answers.copy()
    wrong[:, ::8] = (answers[:, ::8] + 1) % task.output_shape[0]
    loss, metrics, solved = judged(task, 100.0 * jax.nn.one_hot(wrong, *task.output_shape), batch)
    share = len(range(0, answers.shape[1], 8)) / answers.shape[1]
    counted = batch.weights[:, ::8].sum() / batch.weights.sum()
    assert abs(loss - 100 * counted) < 1e-3 * loss and not solved and abs(share - counted) < 0.1


def frequencies(batch, num_classes):
    """How often each answer is right at each step: ``[t, k]``, and how often something is asked there, ``[t]``."""
    classes = np.arange(num_classes)[None, None]
    counts = np.sum((batch.targets[..., None] == classes) * batch.weights[..., None], axis=1)
    asked = batch.weights.sum(axis=1)
    return counts / np.maximum(asked, 1)[:, None], asked


def assert_baseline(task, batch):
    """No prediction that knows the step alone is better on these draws than the frequencies of the draws.

    Their loss is below the baseline by chi-square over twice the number of answers (Wilks), up to the scatter of the
    draws; and they do not solve the task.
    """
    shares, asked = frequencies(batch, *task.output_shape)
    outputs = jnp.broadcast_to(
        jnp.log(jnp.maximum(shares, 1e-30))[:, None], (*batch.weights.shape, *task.output_shape)
    )
    loss, _, solved = judged(task, outputs, batch)
    count, freedom = batch.weights.sum(), np.sum(np.maximum((shares > 0).sum(axis=1) - 1, 0))
    nll = (
        -np.log(np.maximum(np.take_along_axis(shares, batch.targets.astype(int), axis=1), 1e-30))
        * batch.weights
    )
    each, number = nll.sum(axis=0), batch.weights.sum(axis=0)
    scatter = np.std(each - loss * number) * math.sqrt(len(each)) / count
    assert abs(loss + freedom / (2 * count) - task.baseline) < 5 * math.hypot(
        scatter, math.sqrt(freedom / 2) / count
    )
    assert not solved and asked.sum() == count
