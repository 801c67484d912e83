"""The embedded Reber grammar against its printed graph."""

import functools
import math
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from drawn import assert_distributed, is_solved, measured, on_device, part
from reber_strings import FRAMED, SYMBOLS, legal_after, probability, shorter_strings, text

from experiments.tasks.error_criteria import LegalMostActive
from experiments.tasks.output_units import UNITS
from experiments.tasks.reber import Reber

pytestmark = pytest.mark.medium

TASK = Reber()
LARGE = Reber(num_training=6000, num_test=1)


@functools.cache
def whole(task, split):
    """All strings of a split in one batch."""
    size = task.num_examples(split)
    batch = task.evaluation(task.load(), split, jnp.array(0), jax.random.key(0), size)
    return jax.tree.map(np.asarray, batch)


def strings_of(batch):
    """The strings as text: the inputs, and the target after the last of them."""
    found = []
    for inputs, targets, mask in zip(
        np.moveaxis(batch.inputs, 1, 0), batch.targets.T, batch.mask.T, strict=True
    ):
        steps = mask.sum()
        assert np.array_equal(mask, np.arange(len(mask)) < steps) and not inputs[steps:].any()
        assert np.array_equal(inputs.sum(axis=-1), mask)
        read = text(np.argmax(inputs[:steps], axis=-1))
        assert read[1:] == text(targets[: steps - 1])
        found.append(read + text(targets[steps - 1 : steps]))
    return found


def test_every_string_is_one_of_the_grammar_and_the_sets_are_disjoint():
    training, validation, test = (strings_of(whole(TASK, s)) for s in ("training", "validation", "test"))
    assert len(training) == len(test) == 256 and validation == training + test
    assert all(FRAMED.fullmatch(string) for string in validation)
    assert not set(training) & set(test)
    assert len(set(training)) < 256  # repeats are kept
    assert strings_of(whole(Reber(set_seed=1), "training")) != training
    again = Reber(num_training=256)
    assert strings_of(whole(again, "training")) == training


def legal_of(batch):
    """The symbols that may follow each step of each string, by reading it."""
    legal = np.zeros(batch.info.shape, bool)
    for number, string in enumerate(strings_of(batch)):
        for step in range(len(string) - 1):
            legal[step, number] = [symbol in legal_after(string[: step + 1]) for symbol in SYMBOLS]
    return legal


def test_info_holds_the_legal_symbols():
    batch = whole(TASK, "validation")
    assert np.array_equal(batch.info, legal_of(batch))
    assert np.array_equal(batch.weights, batch.mask)
    comes = np.take_along_axis(batch.info, batch.targets[..., None], axis=-1)[..., 0]
    assert np.all(comes[batch.mask])


def outputs_for(unit, probabilities):
    p = np.clip(probabilities, 1e-9, 1 - 1e-9)
    return {"logistic": np.log(p / (1 - p)), "linear": probabilities, "softmax": np.log(p)}[unit]


@pytest.mark.parametrize("unit", UNITS)
def test_who_knows_the_grammar_scores_what_is_possible(unit):
    """Nothing where one symbol is legal; half a squared error, or ln 2, where two are."""
    task = Reber(output_unit=unit)
    batch = whole(task, "validation")
    legal = legal_of(batch)
    knows = legal / np.maximum(legal.sum(axis=-1, keepdims=True), 1)
    branching = np.sum(legal.sum(axis=-1) == 2) / batch.mask.sum()
    found = measured(task, outputs_for(unit, knows), batch)
    expected = branching * (math.log(2) if unit == "softmax" else 0.5)
    assert found.pop(UNITS[unit].metric) == pytest.approx(expected, rel=1e-4)
    assert found == {"legal_steps": 1, "legal_strings": 1}
    assert is_solved(task.criterion, (outputs_for(unit, knows), batch))


def test_who_forgets_the_second_symbol_is_wrong_at_one_step_of_every_string():
    batch = whole(TASK, "validation")
    forgets = batch.info.astype(float)
    for number, string in enumerate(strings_of(batch)):
        forgets[len(string) - 3, number] = [symbol in "TP" for symbol in SYMBOLS]
    outputs = outputs_for("logistic", forgets)
    assert not is_solved(TASK.criterion, (outputs, batch))
    found = measured(TASK, outputs, batch)
    assert found["legal_strings"] == 0
    assert found["legal_steps"] == pytest.approx(1 - 512 / batch.mask.sum(), rel=1e-5)


def step_frequencies(batch):
    """``[t, 7]``: how often each symbol comes next, of the strings that go on."""
    counts = np.sum(np.eye(7)[batch.targets] * batch.weights[..., None], axis=1)
    return counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("min_length", [9, 15])
def test_no_prediction_by_the_step_number_beats_the_baseline(unit, min_length):
    task = Reber(num_training=6000, num_test=1, min_length=min_length, output_unit=unit)
    batch = whole(Reber(num_training=6000, num_test=1, min_length=min_length), "training")
    frequencies = step_frequencies(batch)
    of_targets = np.take_along_axis(frequencies, batch.targets, axis=1)
    each = -np.log(np.maximum(of_targets, 1e-12))
    if unit != "softmax":
        each = 1 - 2 * of_targets + np.sum(frequencies**2, axis=1)[:, None]
    of_strings, steps = np.sum(each * batch.weights, axis=0), batch.weights.sum(axis=0)
    best = of_strings.sum() / steps.sum()
    error = np.std(of_strings - best * steps) / (math.sqrt(len(steps)) * steps.mean())
    fitted = np.sum(frequencies > 0) / steps.sum()  # what frequencies of the same draws gain is of this size
    assert abs(best - task.baseline) < 5 * error + fitted
    assert not is_solved(task.criterion, (np.tile(frequencies[:, None], (1, 6000, 1)), batch))


@pytest.mark.parametrize("min_length", [9, 12])
def test_strings_are_as_frequent_as_the_grammar_makes_them(min_length):
    strings = strings_of(whole(Reber(num_training=6000, num_test=1, min_length=min_length), "training"))
    left = 1 - sum(probability(string) for string in shorter_strings(min_length))
    expected = {string: probability(string) / left for string in shorter_strings(min_length + 4)}
    expected = {s: p for s, p in expected.items() if len(s) >= min_length and 6000 * p > 30}
    expected["other"] = 1 - sum(expected.values())
    assert len(expected) > 10
    assert_distributed([string if string in expected else "other" for string in strings], expected)


def test_test_strings_are_drawn_as_those_that_training_left():
    """One training string: a test string has its probability among all others."""
    task = Reber(num_training=1, num_test=3000)
    (taken,), test = (strings_of(whole(task, split)) for split in ("training", "test"))
    expected = {s: probability(s) / (1 - probability(taken)) for s in shorter_strings(12) if s != taken}
    expected = {s: p for s, p in expected.items() if 3000 * p > 30}
    expected["other"] = 1 - sum(expected.values())
    assert_distributed([string if string in expected else "other" for string in test], expected)


def test_a_batch_picks_training_strings_with_replacement():
    task = Reber(num_training=6, num_test=4, set_seed=3)
    data, strings = task.load(), strings_of(whole(task, "training"))
    draw = jax.jit(lambda key, update: task.batch(data, key, update, 2000))
    batches = [jax.tree.map(np.asarray, draw(jax.random.key(0), update)) for update in (0, 1, 0)]
    picked = [strings_of(batch) for batch in batches]
    assert picked[0] == picked[2] != picked[1]
    shares = {string: strings.count(string) / 6 for string in strings}
    assert_distributed(picked[0] + picked[1], shares)
    pairs = list(zip(picked[0][:-1], picked[0][1:], strict=True))
    assert_distributed(pairs, {(a, b): shares[a] * shares[b] for a in shares for b in shares})


def test_the_lag_is_from_the_second_symbol_to_its_last_use():
    strings = strings_of(whole(TASK, "validation"))
    longest = 0
    for string in strings:
        other = string[0] + {"T": "P", "P": "T"}[string[1]] + string[2:]
        differ = [
            step
            for step in range(1, len(string) - 1)
            if legal_after(string[: step + 1]) != legal_after(other[: step + 1])
        ]
        longest = max(longest, *(step - 1 for step in differ))
    assert longest == TASK.lag


def test_another_length_means_longer_strings():
    task = TASK.at_length(40)
    assert task == Reber(min_length=40)
    assert min(map(len, strings_of(whole(task, "validation")))) >= 40
    assert all(FRAMED.fullmatch(string) for string in strings_of(whole(task, "validation")))


def test_a_split_is_covered_exactly_once():
    task = Reber(num_training=10, num_test=3)
    data, seen = task.load(), []
    for index in range(task.num_batches("validation", 4)):
        batch = task.evaluation(data, "validation", jnp.array(index), jax.random.key(0), 4)
        kept = int(np.asarray(batch.weights[0]).sum())
        seen += strings_of(part(jax.tree.map(np.asarray, batch), kept))
    assert seen == strings_of(whole(task, "validation")) and len(seen) == 13
    assert task.criterion == LegalMostActive() and on_device(batch).info.dtype == bool


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"num_training": 0}, "num_training: expected at least 1, got 0"),
        ({"num_test": 0}, "num_test: expected at least 1, got 0"),
        ({"set_seed": -1}, "set_seed: expected at least 0, got -1"),
        (
            {"min_length": 8},
            re.escape("min_length: expected at least 9 (the grammar's shortest string), got 8"),
        ),
        ({"output_unit": "tanh"}, "output_unit: expected one of logistic, linear, softmax, got 'tanh'"),
    ],
)
def test_what_makes_no_sense_is_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        Reber(**fields)
