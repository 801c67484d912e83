"""The flip-flop language against its printed grammar."""

import itertools

import numpy as np
import pytest
from drawn import assert_distributed
from recall_draws import asked_of, assert_baseline, assert_solved, judged, many, part, tokens_of

from experiments.tasks.recall.flip_flop import FlipFlop

pytestmark = pytest.mark.medium

MANY, SOME = 20_000, 500
TASKS = [FlipFlop(6, variant) for variant in ("canonical", "sparse", "dense")] + [FlipFlop(64)]
P_IGNORE = {"canonical": 0.8, "sparse": 0.98, "dense": 0.1}


def ids(task):
    return f"{task.variant}-{task.num_steps}" if isinstance(task, FlipFlop) else None


def solve(tokens):
    """A machine with one bit of memory."""
    text = "".join("wri01"[token] for token in tokens)
    memory, answers = None, {}
    for step in range(0, len(text), 2):
        instruction, bit = text[step : step + 2]
        assert instruction in "wri" and bit in "01"
        if instruction == "w":
            memory = bit
        if instruction == "r":
            assert bit == memory
            answers[step] = int(memory)
    assert text[0] == "w" and text[-2] == "r"
    return answers


@pytest.mark.parametrize("task", TASKS, ids=ids)
def test_a_machine_with_one_bit_is_right(task):
    assert_solved(task, part(many(task, MANY), SOME), solve)


@pytest.mark.parametrize("task", TASKS, ids=ids)
def test_the_baseline_is_that_of_the_step_alone(task):
    assert_baseline(task, many(task, MANY))


@pytest.mark.parametrize("task", TASKS[:3], ids=ids)
def test_instructions_and_bits_have_their_probabilities(task):
    p, probabilities = P_IGNORE[task.variant], {}
    middle = {"w": (1 - p) / 2, "r": (1 - p) / 2, "i": p}
    for first, (instruction, chance), bit in itertools.product("01", middle.items(), "01"):
        last = bit if instruction == "w" else first
        free = 2 if instruction == "r" else 4  # the bit of a read is not drawn
        if instruction != "r" or bit == first:
            probabilities[f"w{first}{instruction}{bit}r{last}"] = chance / free
    assert_distributed(
        ["".join("wri01"[token] for token in row) for row in tokens_of(many(task, MANY))], probabilities
    )


def test_longer_sequences_have_the_same_probabilities():
    rows = np.array(tokens_of(many(TASKS[3], MANY)))[:, 2:-2:2].ravel().tolist()
    assert_distributed(rows, {0: 0.1, 1: 0.1, 2: 0.8})
    pairs = np.array(tokens_of(many(TASKS[3], MANY)))[:, 2:6].tolist()
    both = {(a, b): p * q for (a, p), (b, q) in itertools.product({0: 0.1, 1: 0.1, 2: 0.8}.items(), repeat=2)}
    assert_distributed([(row[0], row[2]) for row in pairs], both)


def test_the_lag_is_the_longest_found():
    task, longest = TASKS[1], 0
    for row, asked in zip(tokens_of(many(task, MANY)), asked_of(many(task, MANY)), strict=True):
        for step in asked:
            written = max(
                place for place in range(0, step, 2) if row[place] < 2
            )  # w, or r, which shows the bit too
            longest = max(longest, step - written - 1)
    assert longest == task.lag


def test_one_error_in_the_split_is_one_too_many():
    task, batch = TASKS[3], part(many(TASKS[3], MANY), SOME)
    outputs = 100.0 * np.eye(2, dtype=np.float32)[batch.targets]
    assert judged(task, outputs, batch)[2]
    outputs[-2, 7] = outputs[-2, 7, ::-1].copy()
    _, metrics, solved = judged(task, outputs, batch)
    assert not solved and metrics["accuracy"] > 0.999


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ({"num_steps": 2}, "num_steps: expected at least 4 for the flip-flop language, got 2"),
        ({"num_steps": 9}, "num_steps: expected an even number for the flip-flop language, got 9"),
        ({"variant": "spars"}, "variant: expected one of canonical, sparse, dense, got 'spars'"),
    ],
)
def test_bad_values_are_refused(fields, line):
    with pytest.raises(ValueError) as caught:
        FlipFlop(**fields)
    assert str(caught.value).startswith(line)
