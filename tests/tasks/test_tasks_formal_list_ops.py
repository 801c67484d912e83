"""Nested lists against an evaluator of their symbols, and against all short lists with their chances."""

import collections
import itertools
import math
import statistics

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from drawn import assert_distributed, assert_uniform
from formal_strings import MANY, assert_baseline_holds, first, many, on_device

from experiments.tasks.formal import list_op_chances
from experiments.tasks.formal.list_ops import ListOps

pytestmark = pytest.mark.medium

SYMBOLS = "0123456789mMds]"  # [MIN, [MAX, [MED, [SM
LONG = ListOps(20, 60, 4, 6)
TASKS = [ListOps(4, 16, 3, 4), ListOps(1, 12, 20, 3), LONG]


def drawn(task):
    """Fewer of the long ones."""
    return many(task, 1500 if task is LONG else MANY)


def read(task):
    batch = drawn(task)
    assert np.array_equal(batch.inputs.sum(axis=-1), batch.mask) and set(np.unique(batch.inputs)) == {
        0.0,
        1.0,
    }
    assert not np.any(batch.mask[1:] & ~batch.mask[:-1])
    letters = np.array(list(SYMBOLS))[batch.inputs.argmax(axis=-1)]
    return ["".join(letters[:length, i]) for i, length in enumerate(batch.mask.sum(axis=0).tolist())]


def parse(text):
    """A digit, or a tuple of the operator and its elements."""
    stack = [[]]
    for symbol in text:
        if symbol == "]":
            done = tuple(stack.pop())
            stack[-1].append(done)
        elif symbol in "mMds":
            stack.append([symbol])
        else:
            stack[-1].append(int(symbol))
    ((element,),) = stack
    return element


def evaluate(element):
    if isinstance(element, int):
        return element
    values = [evaluate(part) for part in element[1:]]
    return {"m": min, "M": max, "d": lambda v: int(statistics.median(v)), "s": lambda v: sum(v) % 10}[
        element[0]
    ](values)


def depth(element):
    return 1 + max(map(depth, element[1:])) if isinstance(element, tuple) else 1


def lists(element):
    if isinstance(element, tuple):
        yield element
        for part in element[1:]:
            yield from lists(part)


@pytest.mark.parametrize("task", TASKS, ids=str)
def test_an_evaluator_gives_the_targets(task):
    texts, batch = read(task), drawn(task)
    elements = [parse(text) for text in texts[:1500]]
    answers = [evaluate(element) for element in elements[:600]]
    assert answers == batch.targets[:600].tolist() and np.all(batch.weights == 1)
    assert all(task.min_length <= len(text) <= task.max_length for text in texts)
    assert max(map(depth, elements)) == min(task.max_depth, 4)  # twelve symbols fit four deep, and no more
    sizes = {len(part) - 1 for element in elements for part in lists(element)}
    assert sizes == set(range(2, task.max_args + 1))

    some = on_device(first(batch, 600))
    outputs = 100.0 * jax.nn.one_hot(jnp.array(answers), 10)
    values = {name: value / count for name, (value, count) in task.metrics(outputs, some).items()}
    assert (
        values["accuracy"] == 1
        and values["cross_entropy"] < 1e-9
        and abs(values["scaled_accuracy"] - 1) < 1e-6
    )
    for known, solved in (
        (outputs, True),
        (jnp.zeros((600, 10)).at[:, 0].set(1.0), False),
        (outputs * np.nan, False),
    ):
        assert (
            bool(task.criterion.solved(task.criterion.update(task.criterion.init(), known, some))) is solved
        )


def trees(num_symbols, levels, max_args):
    """All elements of a size, with x for a digit and o for an operator, and their chances, by the printed rules."""
    found = {"x": 1.0 if levels == 1 else 0.75} if num_symbols == 1 else {}
    if levels > 1:
        for number in range(2, max_args + 1):
            for parts, chance in several_trees(number, num_symbols - 2, levels - 1, max_args):
                found[f"o{parts}]"] = chance * 0.25 / (max_args - 1)
    return found


def several_trees(number, num_symbols, levels, max_args):
    if number == 0:
        if num_symbols == 0:
            yield "", 1.0
        return
    for size in range(1, num_symbols - number + 2):
        for tree, chance in trees(size, levels, max_args).items():
            for others, other in several_trees(number - 1, num_symbols - size, levels, max_args):
                yield tree + others, chance * other


def shape(text):
    return "".join("x" if symbol.isdigit() else "]" if symbol == "]" else "o" for symbol in text)


@pytest.mark.parametrize("task", [ListOps(4, 8, 3, 4), ListOps(1, 7, 20, 3), ListOps(11, 11, 3, 3)], ids=str)
def test_lists_come_as_often_as_they_should(task):
    chances = collections.Counter()
    for length in range(task.min_length, task.max_length + 1):
        chances.update(trees(length, task.max_depth, task.max_args))
    total = sum(chances.values())
    assert_distributed(
        [shape(text) for text in read(task)], {text: chance / total for text, chance in chances.items()}
    )


def test_digits_and_operators_are_uniform():
    texts = "".join(read(LONG))
    assert_uniform([symbol for symbol in texts if symbol.isdigit()], "0123456789")
    assert_uniform([symbol for symbol in texts if symbol in "mMds"], "mMds")


@pytest.mark.parametrize("max_depth", [2, 3])
def test_the_baseline_is_that_of_all_lists(max_depth):
    task = ListOps(1, 7, max_depth, 5)
    entropies, weights = [], []
    for length in range(1, 8):
        answers = collections.Counter()
        for text, chance in trees(length, max_depth, 5).items():
            for value, other in values_of(text).items():
                answers[value] += chance * other
        total = sum(answers.values())
        if answers:
            weights.append(total)
            entropies.append(-sum(p / total * math.log(p / total) for p in answers.values()))
    assert abs(task.baseline - np.average(entropies, weights=weights)) < 1e-9
    assert_baseline_holds(task, many(task))


def values_of(text):
    """The distribution of the value of a shape: of lists of digits by all digits, of others by those of their parts."""
    return element_values(parse(text.replace("x", "0").replace("o", "m")))


def element_values(element):
    if isinstance(element, int):
        return dict.fromkeys(range(10), 0.1)
    found = collections.Counter()
    parts = [element_values(part).items() for part in element[1:]]
    for combination in itertools.product(*parts):
        values, chance = [value for value, _ in combination], math.prod(chance for _, chance in combination)
        for operator in "mMds":
            found[evaluate((operator, *values))] += chance / 4
    return found


def test_sizes_and_values_agree_where_lists_are_long():
    """The sizes are exact sums, the values come from a transform."""
    sizes = list_op_chances.sizes(150, 6, 10).one[0]
    values = list_op_chances.values(150, 6, 10)
    np.testing.assert_allclose(values.sum(axis=0), sizes, atol=1e-15)
    assert values.min() > -1e-15 and sizes[2] == sizes[3] == 0 and sizes[1] == 0.75
    assert math.isclose(list_op_chances.sizes(40, 3, 5).one.sum(axis=1)[0], 1.0)  # at most 2 + 5 · 7 symbols


def test_a_length_is_met_exactly():
    for length in (4, 33, 90):
        task = LONG.at_length(length)
        assert np.all(many(task, 50).mask) and many(task, 50).mask.shape == (length, 50)
        assert task.lag == length - 1
    assert ListOps(4, 9, 3, 2).lag == 6  # with two elements each, lists have 4, 7 or 10 symbols


def test_the_first_operator_decides_at_the_last_bracket():
    assert evaluate(parse("m19]")) != evaluate(parse("M19]")) and evaluate(parse("M29m47]0]")) == 9


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"max_args": 1}, "max_args: expected at least 2, got 1"),
        ({"max_depth": 0}, "max_depth: expected at least 1, got 0"),
        (
            {"min_length": 2, "max_length": 3},
            "max_length: expected a length that a list can have, .* 2 on, got 3",
        ),
        (
            {"min_length": 5, "max_length": 6, "max_args": 2},
            "max_length: expected a length that a list can have",
        ),
    ],
)
def test_lists_that_cannot_be_are_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        ListOps(**fields)
