"""Associative recall against its printed definitions; the law of the gaps against its exact probabilities."""

import itertools
import math

import numpy as np
import pytest
from drawn import assert_distributed, assert_uniform
from recall_draws import asked_of, assert_baseline, assert_solved, many, part, tokens_of

from experiments.tasks.recall.associative import AssociativeRetrieval, MultiQueryRecall

pytestmark = pytest.mark.medium

MANY, SOME = 20_000, 500
MULTI = [
    MultiQueryRecall(10, "canonical", num_tokens=8, num_pairs=2, power=0.3),
    MultiQueryRecall(10, "blanks", num_tokens=8, num_pairs=2),
    MultiQueryRecall(64, num_tokens=32),
    MultiQueryRecall(32, num_tokens=300),
]
SINGLE = [AssociativeRetrieval(2), AssociativeRetrieval()]


def ids(task):
    if isinstance(task, MultiQueryRecall):
        return f"{task.variant}-{task.num_steps}-{task.num_tokens}"
    return f"{task.num_pairs}" if isinstance(task, AssociativeRetrieval) else None


def recalled(task, asked):
    """A reader who is told where something is asked, and looks the key up among the pairs."""

    def answer(tokens):
        half = task.num_tokens // 2
        values = dict(
            zip(tokens[0 : 2 * task.num_pairs : 2], tokens[1 : 2 * task.num_pairs : 2], strict=True)
        )
        assert len(values) == len(set(values.values())) == task.num_pairs
        assert all(0 < key < half <= value for key, value in values.items())
        return {step: values[tokens[step]] - half for step in next(asked)}

    return answer


@pytest.mark.parametrize("task", MULTI, ids=ids)
def test_who_looks_up_the_key_is_right(task):
    batch = part(many(task, MANY), SOME)
    asked = asked_of(batch)
    assert all(len(steps) == task.num_pairs for steps in asked)
    assert_solved(task, batch, recalled(task, iter(asked)))


def test_without_noise_the_queries_are_seen():
    for tokens, asked in zip(tokens_of(many(MULTI[1], MANY)), asked_of(many(MULTI[1], MANY)), strict=True):
        assert [step for step in range(4, 10) if tokens[step]] == sorted(asked)
        assert {tokens[step] for step in asked} == {tokens[0], tokens[2]}


@pytest.mark.parametrize("task", [*MULTI[:3], *SINGLE], ids=ids)
def test_the_baseline_is_that_of_the_step_alone(task):
    assert_baseline(task, many(task, MANY))


def test_pairs_are_any_and_gaps_follow_the_power_law_one_after_another():
    task = MULTI[0]
    weights = [(gap + 1) ** (task.power - 1) for gap in range(3)]
    law = {}
    for first, second in itertools.permutations(range(3), 2):
        rest = sum(weights) - weights[first]
        law[first, second] = weights[first] / sum(weights) * weights[second] / rest
    gaps, pairs, noise = [], [], []
    for tokens, asked in zip(tokens_of(many(task, MANY)), asked_of(many(task, MANY)), strict=True):
        answers = {target: step for step, target in asked.items()}
        gaps.append(tuple((answers[tokens[place] - 4] - 4) // 2 for place in (1, 3)))
        pairs.append(tuple(tokens[:4]))
        noise += [tokens[step] for step in range(4, 10) if step not in asked]
    assert_distributed(gaps, law)
    keys, values = itertools.permutations((1, 2, 3), 2), itertools.permutations((4, 5, 6, 7), 2)
    assert_uniform(pairs, [(a, c, b, d) for (a, b), (c, d) in itertools.product(keys, values)])
    assert_uniform(noise, range(8))


def test_the_lags_are_the_longest_found():
    longest = 0
    for tokens, asked in zip(tokens_of(many(MULTI[0], MANY)), asked_of(many(MULTI[0], MANY)), strict=True):
        longest = max([longest, *(step - tokens.index(target + 4) for step, target in asked.items())])
    assert longest == MULTI[0].lag
    assert AssociativeRetrieval(3).lag == 8 - 1  # the query at step 8, the first digit at step 1


def test_at_the_published_sizes_tokens_are_integers():
    task = MultiQueryRecall()
    batch = many(task, 64)
    assert batch.inputs.dtype == np.int32 and batch.inputs.shape == (64, 64) and task.input_shape == ()
    assert (task.vocabulary, task.output_shape) == (8192, (4096,)) and math.isclose(
        task.baseline, math.log(4096)
    )
    assert 0 < batch.inputs[0:8:2].min() and batch.inputs[0:8:2].max() < 4096 <= batch.inputs[1:8:2].min()
    assert batch.inputs.max() < 8192 and batch.targets.max() < 4096
    for row, asked in zip(batch.inputs.T.tolist(), asked_of(batch), strict=True):
        assert all(row[row.index(row[step]) + 1] == 4096 + target for step, target in asked.items())
    assert (
        MultiQueryRecall(num_tokens=256).input_shape == (256,)
        and MultiQueryRecall().at_length(512).num_steps == 512
    )


def test_who_remembers_the_letters_is_right():
    for task in SINGLE:
        alphabet = "abcdefghijklmnopqrstuvwxyz0123456789?"

        def answer(tokens, task=task, alphabet=alphabet):
            text = "".join(alphabet[token] for token in tokens)
            pairs, marks, query = text[:-3], text[-3:-1], text[-1]
            digits = dict(zip(pairs[::2], pairs[1::2], strict=True))
            assert marks == "??" and len(digits) == task.num_pairs and pairs[::2].isalpha()
            return {len(text) - 1: int(digits[query])}

        assert_solved(task, part(many(task, MANY), SOME), answer)


def test_letters_digits_and_query_are_uniform():
    rows = tokens_of(many(SINGLE[0], MANY))
    assert_uniform([(row[0], row[2]) for row in rows], list(itertools.permutations(range(26), 2)))
    found = [(row[1], row[3], row[0] == row[6]) for row in rows]
    assert_uniform(found, list(itertools.product(range(26, 36), range(26, 36), (True, False))))
    assert SINGLE[0].at_length(26) == AssociativeRetrieval(26)


@pytest.mark.parametrize(
    ("kind", "fields", "line"),
    [
        (MultiQueryRecall, {"num_steps": 14}, "num_steps: expected at least 16 for 4 pairs, got 14"),
        (
            MultiQueryRecall,
            {"num_steps": 17},
            "num_steps: expected an even number for associative recall, got 17",
        ),
        (MultiQueryRecall, {"num_tokens": 8}, "num_tokens: expected at least 10 for 4 pairs, got 8"),
        (
            MultiQueryRecall,
            {"num_tokens": 11},
            "num_tokens: expected an even number for associative recall, got 11",
        ),
        (MultiQueryRecall, {"num_pairs": 0}, "num_pairs: expected at least 1 for associative recall, got 0"),
        (MultiQueryRecall, {"power": 0.0}, "power: expected a number above 0, got 0.0"),
        (MultiQueryRecall, {"variant": "blank"}, "variant: expected one of canonical, blanks, got 'blank'"),
        (
            AssociativeRetrieval,
            {"num_pairs": 0},
            "num_pairs: expected at least 1 for associative retrieval, got 0",
        ),
        (AssociativeRetrieval, {"num_pairs": 27}, "num_pairs: expected at most 26, a letter each, got 27"),
    ],
)
def test_bad_values_are_refused(kind, fields, line):
    with pytest.raises(ValueError) as caught:
        kind(**fields)
    assert str(caught.value).startswith(line)
