"""Languages that count against all their strings."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from drawn import assert_uniform
from formal_strings import MANY, many, on_device

from experiments.tasks.formal.counting import Counting

pytestmark = pytest.mark.medium

TASKS = [Counting(1, 6), Counting(2, 5, "anbncn"), Counting(1, 4, "anbncn")]


def kinds(task):
    return "abc"[: len(task.language) // 2]


def may_follow(task, prefix):
    """All symbols behind this prefix, in the strings of the language with T at their ends."""
    strings = ("".join(kind * n for kind in kinds(task)) + "T" for n in range(1, 20))
    return {string[len(prefix)] for string in strings if string.startswith(prefix)}


def read(task):
    """Each sequence as letters behind the start."""
    batch = many(task)
    letters = np.array(list("S" + kinds(task)))
    assert np.array_equal(batch.inputs.sum(axis=-1), batch.mask) and set(np.unique(batch.inputs)) == {
        0.0,
        1.0,
    }
    texts = ["".join(letters[column.argmax(axis=-1)]) for column in batch.inputs.swapaxes(0, 1)]
    return [text[:length] for text, length in zip(texts, batch.mask.sum(axis=0).tolist(), strict=True)]


@pytest.mark.parametrize("task", TASKS, ids=str)
def test_the_targets_are_all_symbols_that_may_follow(task):
    batch, texts = many(task), read(task)
    outputs = np.zeros(batch.targets.shape, np.float32)
    for index, text in enumerate(texts[:300]):
        assert text[0] == "S" and text[1:] in ["".join(k * n for k in kinds(task)) for n in range(1, 7)]
        for step in range(len(text)):
            legal = may_follow(task, text[1 : step + 1])
            outputs[step, index] = [1.0 if symbol in legal else -1.0 for symbol in kinds(task) + "T"]
    some = jax.tree.map(lambda leaf: leaf[:, :300], batch)
    outputs = outputs[:, :300]
    assert np.array_equal(outputs, some.targets) and np.array_equal(some.weights, some.mask)

    assert task.loss(jnp.asarray(outputs), on_device(some))[0] == 0
    metrics = task.metrics(jnp.asarray(outputs), on_device(some))
    values = {name: value / count for name, (value, count) in metrics.items()}
    assert values == {"mse": 0.0, "accuracy": 1.0, "accepted": 1.0}
    one_wrong = outputs.copy()
    one_wrong[2, 7, 0] *= -1
    for known, solved in (
        (outputs, True),
        (0.1 * outputs, True),
        (one_wrong, False),
        (outputs * np.nan, False),
    ):
        state = task.criterion.update(task.criterion.init(), jnp.asarray(known), on_device(some))
        assert bool(task.criterion.solved(state)) is solved
    accepted, count = task.metrics(jnp.asarray(one_wrong), on_device(some))["accepted"]
    assert (accepted, count) == (299, 300)


@pytest.mark.parametrize("task", TASKS, ids=str)
def test_every_count_is_equally_likely(task):
    counts = [text.count("a") for text in read(task)]
    assert_uniform(counts, range(task.min_count, task.max_count + 1))
    at = many(task.at_length(3), 20)
    assert np.all(at.mask) and len(at.mask) == 3 * len(kinds(task)) + 1


def exact_baseline(task):
    """The variance of the targets of each step, over all counts."""
    targets = {}
    for n in range(task.min_count, task.max_count + 1):
        text = "".join(kind * n for kind in kinds(task))
        for step in range(len(text) + 1):
            legal = may_follow(task, text[:step])
            targets.setdefault(step, []).append(
                [1 if symbol in legal else -1 for symbol in kinds(task) + "T"]
            )
    number = sum(map(len, targets.values()))
    return sum(np.var(np.array(rows), axis=0).sum() * len(rows) for rows in targets.values()) / number


@pytest.mark.parametrize("task", TASKS, ids=str)
def test_the_baseline_is_the_variance_of_the_targets(task):
    assert abs(task.baseline - exact_baseline(task)) < 1e-6
    batch = many(task)
    number = batch.weights.sum(axis=1)[:, None]
    means = (batch.targets * batch.weights[..., None]).sum(axis=1) / np.maximum(number, 1)
    outputs = jnp.asarray(np.broadcast_to(means[:, None], batch.targets.shape))
    errors = (((batch.targets - means[:, None]) ** 2).sum(axis=-1) * batch.weights).sum(axis=0)
    total, count = task.loss(outputs, on_device(batch))
    counts = batch.weights.sum(axis=0)
    scatter = np.std(errors - float(total / count) * counts) / counts.mean() / MANY**0.5
    assert abs(total / count - task.baseline) < 5 * scatter
    overall = (batch.targets * batch.weights[..., None]).sum(axis=(0, 1)) / batch.weights.sum()
    constant = task.loss(jnp.asarray(np.broadcast_to(overall, batch.targets.shape)), on_device(batch))
    assert constant[0] / constant[1] > task.baseline
    state = task.criterion.update(task.criterion.init(), outputs, on_device(batch))
    assert not task.criterion.solved(state)


def test_the_lag_is_from_the_second_symbol_to_the_last():
    """Every string starts with an a; the second symbol decides in the longest string whether its end comes sooner."""
    task = Counting(1, 4)
    assert task.lag == len("S" + 4 * "a" + 4 * "b") - 1 - 2
    assert may_follow(task, "a") == {"a", "b"} and may_follow(task, "aaaabbbb") == {"T"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"language": "anbn cn"}, "language: expected one of anbn, anbncn, got 'anbn cn'"),
        ({"min_count": 0}, "min_count: expected at least 1, got 0"),
        ({"min_count": 11}, r"max_count: expected at least 11 \(min_count\), got 10"),
    ],
)
def test_impossible_counts_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(Counting(), **change)
