"""Nested brackets against a reader with a stack, and against all short strings with their chances."""

import collections
import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from drawn import assert_distributed
from formal_strings import MANY, assert_baseline_holds, many, on_device

from experiments.tasks.formal.dyck import Dyck

pytestmark = pytest.mark.medium

OPENING, CLOSING = "([{<", ")]}>"
SMALL = [Dyck(0, 4, 2, 2), Dyck(1, 7, 1, 3), Dyck(3, 6, 2, 1), Dyck(4, 4, 1, 2)]
TASKS = [*SMALL, Dyck(1, 20, 3, 3), Dyck(13, 24, 2, 4)]


def letters(task):
    return OPENING[: task.num_kinds] + CLOSING[: task.num_kinds] + "$"


def read(task):
    """Each string; what it is asked to predict is asserted to be itself, one step later."""
    batch, symbols = many(task), np.array(list(letters(task)))
    assert np.array_equal(batch.inputs.sum(axis=-1), batch.mask) and set(np.unique(batch.inputs)) == {
        0.0,
        1.0,
    }
    assert np.array_equal(batch.weights, batch.mask) and not np.any(batch.mask[1:] & ~batch.mask[:-1])
    texts = []
    for index, length in enumerate(batch.mask.sum(axis=0).tolist()):
        inputs = "".join(symbols[batch.inputs[:length, index].argmax(axis=-1)])
        targets = "".join(symbols[batch.targets[:length, index]])
        assert inputs[0] == "$" and targets == inputs[1:] + "$"
        texts.append(targets[:-1])
    return texts


def open_brackets(text):
    """What is still open behind the text; only the last bracket may close."""
    stack = []
    for symbol in text:
        if symbol in OPENING:
            stack.append(symbol)
        else:
            assert CLOSING.index(symbol) == OPENING.index(stack.pop())
    return stack


def next_chances(task, text):
    """What comes next in a string that may be too long in the end, as it is printed."""
    stack = open_brackets(text)
    kinds = OPENING[: task.num_kinds]
    if len(stack) == task.max_depth:
        return {CLOSING[OPENING.index(stack[-1])]: 1.0}
    ends = 0.5 if not stack and len(text) >= task.min_length else 0.0
    if stack:
        return {CLOSING[OPENING.index(stack[-1])]: 0.5} | {kind: 0.5 / len(kinds) for kind in kinds}
    return ({"$": ends} if ends else {}) | {kind: (1 - ends) / len(kinds) for kind in kinds}


def strings(task):
    """All strings that are kept, and their chances: those of the kept ones alone."""
    kept, growing = {}, {"": 1.0}
    while growing:
        longer = {}
        for text, chance in growing.items():
            for symbol, other in next_chances(task, text).items():
                if symbol == "$":
                    kept[text] = chance * other
                elif len(text) < task.max_length:
                    longer[text + symbol] = chance * other
        growing = longer
    total = sum(kept.values())
    return {text: chance / total for text, chance in kept.items()}


def symbol_chances(task):
    """For each beginning of a kept string: what comes next, weighted by the chance of the strings."""
    chances = collections.defaultdict(collections.Counter)
    for text, chance in strings(task).items():
        for step in range(len(text) + 1):
            chances[text[:step]][(text + "$")[step]] += chance
    return chances


def cross_entropy(groups):
    """Of the frequencies within each group."""
    loss = -sum(p * math.log(p / sum(group.values())) for group in groups for p in group.values())
    return loss / sum(sum(group.values()) for group in groups)


@pytest.mark.parametrize("task", SMALL, ids=str)
def test_strings_come_as_often_as_they_should(task):
    assert_distributed(read(task), strings(task))


@pytest.mark.parametrize("task", SMALL, ids=str)
def test_baseline_and_floor_are_those_of_all_strings(task):
    chances = symbol_chances(task)
    at_step = collections.defaultdict(collections.Counter)
    for text, symbols in chances.items():
        at_step[len(text)].update(symbols)
    assert abs(task.baseline - cross_entropy(list(at_step.values()))) < 1e-9
    assert abs(task.floor - cross_entropy(list(chances.values()))) < 1e-9
    longest = max(map(len, strings(task)))
    assert task.lag == (longest - 2 if task.max_depth > 1 else 0)


@pytest.mark.parametrize("task", TASKS, ids=str)
def test_no_prediction_that_knows_the_step_beats_the_baseline(task):
    assert_baseline_holds(task, many(task)._replace(info=None))


@pytest.mark.parametrize("task", TASKS, ids=str)
def test_a_reader_with_a_stack_closes_every_bracket(task):
    batch = many(task)
    some = jax.tree.map(lambda leaf: leaf[:, :300], batch)
    outputs = np.zeros((*some.mask.shape, *task.output_shape), np.float32)
    for index, text in enumerate(read(task)[:300]):
        assert not open_brackets(text) and task.min_length <= len(text) <= task.max_length
        fits = []
        for step in range(len(text) + 1):
            stack = open_brackets(text[:step])
            assert len(stack) <= task.max_depth
            fits.append(task.num_kinds + OPENING.index(stack[-1]) if stack else -1)
            chances = next_chances(task, text[:step])
            for symbol, chance in chances.items():
                outputs[step, index, letters(task).index(symbol)] = 20 + math.log(chance)
        assert some.info[: len(fits), index].tolist() == fits and np.all(some.info[len(fits) :, index] == -1)
    asked = np.sum(some.info >= 0)
    right, count = task.metrics(jnp.asarray(outputs), on_device(some))["closing_accuracy"]
    assert right == count == asked
    criterion = task.criterion
    assert (
        bool(criterion.solved(criterion.update(criterion.init(), jnp.asarray(outputs), on_device(some))))
        or not asked
    )
    for unsure in (np.zeros_like(outputs), outputs * np.nan):
        state = criterion.update(criterion.init(), jnp.asarray(unsure), on_device(some))
        assert not criterion.solved(state) or (task.num_kinds == 1 and not np.isnan(unsure).any())


@pytest.mark.parametrize("task", [Dyck(0, 4, 2, 2), Dyck(1, 6, 3, 3)], ids=str)
def test_who_knows_the_chances_loses_the_floor(task):
    batch, chances = many(task), symbol_chances(task)
    outputs = np.full((*batch.mask.shape, *task.output_shape), -100.0, np.float32)
    for index, text in enumerate(read(task)):
        for step in range(len(text) + 1):
            for symbol, chance in chances[text[:step]].items():
                outputs[step, index, letters(task).index(symbol)] = math.log(chance)
    total, count = task.loss(jnp.asarray(outputs), on_device(batch))
    picked = np.take_along_axis(np.asarray(jax.nn.log_softmax(outputs)), batch.targets[..., None], axis=-1)[
        ..., 0
    ]
    sums, numbers = -(picked * batch.weights).sum(axis=0), batch.weights.sum(axis=0)
    scatter = np.std(sums - task.floor * numbers) / numbers.mean() / math.sqrt(MANY)
    assert abs(total / count - task.floor) < 5 * scatter and task.floor < task.baseline


def test_eight_tenths_are_not_enough():
    task = Dyck(2, 2, 2, 1)
    batch = on_device(jax.tree.map(lambda leaf: leaf[:, :1], many(task)))
    right = int(batch.info[1, 0])
    other = {2: 3, 3: 2}[right]
    for share, sure in ((0.79, 0), (0.81, 1)):
        outputs = (
            jnp.full((3, 1, 5), 3.0)
            .at[1, 0, right]
            .set(math.log(share))
            .at[1, 0, other]
            .set(math.log(1 - share))
        )
        assert task.metrics(outputs, batch)["closing_accuracy"] == (sure, 1)


def test_lengths_are_what_was_asked_for():
    for length, brackets in ((0, 0), (6, 6), (9, 8), (120, 120)):
        task = Dyck().at_length(length)
        assert {len(text) for text in read_at_most(task, 20)} == {brackets}


def read_at_most(task, num_sequences):
    batch = many(task, num_sequences)
    return ["." * (int(number) - 1) for number in batch.mask.sum(axis=0)]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_kinds": 0}, "num_kinds: expected at least 1, got 0"),
        ({"max_depth": 0}, "max_depth: expected at least 1, got 0"),
        ({"min_length": -1}, "min_length: expected at least 0, got -1"),
        (
            {"min_length": 83},
            r"max_length: expected at least 84 \(min_length, rounded up to an even number\), got 83",
        ),
    ],
)
def test_impossible_brackets_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(Dyck(), **change)
