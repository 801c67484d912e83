"""The recall tasks of MAD against their printed definitions: pairs, words, a fixed map, a state for a sequence."""

import itertools
import math

import jax.numpy as jnp
import numpy as np
import pytest
from drawn import assert_distributed, assert_uniform
from recall_draws import asked_of, assert_baseline, assert_solved, judged, many, part, tokens_of

from experiments.tasks.recall.compression import Compression
from experiments.tasks.recall.fuzzy_recall import FuzzyRecall
from experiments.tasks.recall.mad import InContextRecall, Memorization

pytestmark = pytest.mark.medium

MANY, SOME = 20_000, 400
PAIRS = [
    InContextRecall(6, num_tokens=4),
    InContextRecall(6, "noisy", num_tokens=4, num_noise=2, noise=0.5),
    InContextRecall(32),
    InContextRecall(32, "noisy", noise=0.4),
]
WORDS = [
    FuzzyRecall(8, num_keys=2, num_values=2, longest=2),
    FuzzyRecall(40),
    FuzzyRecall(12, 2, 3, longest=1),
]
MAPS = [Memorization(6, num_keys=3, num_values=4), Memorization()]


def ids(task):
    name = f"{type(task).__name__}-{getattr(task, 'variant', '')}-{getattr(task, 'num_steps', '')}"
    return name if type(task).__module__.startswith("experiments") else None


def look_back(task):
    """Reads pairs; at a key that was read before, answers with its value."""

    def answer(tokens):
        half, seen, answers = task.num_tokens // 2, {}, {}
        for step in range(0, len(tokens), 2):
            key, value = tokens[step : step + 2]
            if key >= task.num_tokens:
                assert task.variant == "noisy" and value >= task.num_tokens
                continue
            assert key < half <= value < task.num_tokens and seen.get(key, value) == value
            if key in seen:
                answers[step] = seen[key] - half
            seen[key] = value
        assert step in answers  # the last key was read before
        return answers

    return answer


def words_of(task, tokens):
    """Pairs of a key and a value, each with the step of its first token."""
    runs = [
        list(run) for _, run in itertools.groupby(enumerate(tokens), lambda item: item[1] < task.num_keys)
    ]
    words = [(run[0][0], tuple(token for _, token in run)) for run in runs]
    assert len(words) % 2 == 0 and all(len(set(word)) == len(word) <= task.longest for _, word in words)
    return list(zip(words[0::2], words[1::2], strict=True))


def look_back_for_words(task):
    def answer(tokens):
        seen, answers = {}, {}
        for (_, key), (step, value) in words_of(task, tokens):
            assert key[0] < task.num_keys <= min(value) and seen.get(key, value) == value
            if key in seen:
                answers |= {step + place - 1: token - task.num_keys for place, token in enumerate(seen[key])}
            seen[key] = value
        assert len(tokens) - 2 in answers
        return answers

    return answer


def know_by_heart(task):
    def answer(tokens):
        assert tokens[1::2] == [task.vocabulary - 1] * (len(tokens) // 2) and max(tokens[::2]) < task.num_keys
        return {step: task.values[tokens[step - 1]] for step in range(1, len(tokens), 2)}

    return answer


SOLVERS = {InContextRecall: look_back, FuzzyRecall: look_back_for_words, Memorization: know_by_heart}


@pytest.mark.parametrize("task", PAIRS + WORDS + MAPS, ids=ids)
def test_who_looks_back_is_right(task):
    assert_solved(task, part(many(task, MANY // 4), SOME), SOLVERS[type(task)](task))


@pytest.mark.parametrize("task", PAIRS + WORDS + MAPS, ids=ids)
def test_the_baseline_is_that_of_the_step_alone(task):
    assert_baseline(task, many(task, MANY // 4))


def test_pairs_have_their_probabilities():
    """Two drawn pairs over two keys and two values, then a key among those drawn."""
    law = {}
    for first, second, a, b in itertools.product(range(2), repeat=4):
        values = (2 + a, 2 + b)
        present = sorted({first, second})
        for last in present:
            row = tuple(token for key in (first, second, last) for token in (key, values[key]))
            law[row] = law.get(row, 0) + 1 / (16 * len(present))
    assert_distributed([tuple(row) for row in tokens_of(many(PAIRS[0], MANY))], law)


def test_noise_has_its_probabilities():
    """Of two drawn pairs one is kept, the other is noise with probability 1/2; noise tokens are uniform."""
    rows = tokens_of(many(PAIRS[1], MANY))
    kinds = [(row[0] < 4, row[2] < 4) for row in rows]
    assert_distributed(kinds, {(True, True): 0.5, (True, False): 0.25, (False, True): 0.25})
    noise = [tuple(row[step : step + 2]) for row in rows for step in (0, 2) if row[step] >= 4]
    assert_uniform(noise, list(itertools.product((4, 5), repeat=2)))
    alone = [row[0:2] + row[4:6] for row in rows if row[2] >= 4]
    assert_uniform(
        [tuple(row) for row in alone], [(key, value, key, value) for key in (0, 1) for value in (2, 3)]
    )


def fuzzy_law(task):
    """Every sequence of `WORDS[0]`, by listing all draws of keys and values."""
    words = {}
    for length in range(1, task.longest + 1):
        choices = list(itertools.permutations(range(task.num_keys), length))
        words |= {word: 1 / (task.longest * len(choices)) for word in choices}
    values = {tuple(task.num_keys + token for token in word): p for word, p in words.items()}
    end, law = task.num_steps - 2 * task.longest, {}

    def go_on(row, pairs, probability):
        for (key, p), (value, q) in itertools.product(words.items(), values.items()):
            known = dict(pairs).get(key)
            if known is not None:  # the draw of the value is not used
                value = known
            longer = (*row, *key, *value)
            if len(longer) <= end:
                go_on(longer, [*pairs, (key, value)], probability * p * q)
            else:
                for last_key, last_value in pairs:
                    whole = (*row, *last_key, *last_value)
                    law[whole] = law.get(whole, 0) + probability * p * q / len(pairs)

    go_on((), [], 1.0)
    return law


def test_words_have_their_probabilities():
    law = fuzzy_law(WORDS[0])
    assert len(law) > 20
    assert_distributed([tuple(row) for row in tokens_of(many(WORDS[0], MANY))], law)


def test_the_padding_of_words_is_at_the_right():
    lengths = [len(row) for row in tokens_of(many(WORDS[1], MANY // 4))]
    assert (
        max(lengths) == 40 and min(lengths) >= 40 - 6 - 5 + 2
    )  # a pair of six did not fit; the last pair has two
    assert not np.any(many(WORDS[1], MANY // 4).inputs[-1, np.array(lengths) < 40])


def test_the_map_is_fixed_and_one_to_one():
    rows = tokens_of(many(MAPS[0], MANY))
    assert_uniform([tuple(row[::2]) for row in rows], list(itertools.product(range(3), repeat=3)))
    values = MAPS[0].values
    assert len(set(values)) == 3 and max(values) < 4 and Memorization().values == Memorization(64).values
    assert sorted(Memorization(num_keys=9, num_values=9).values) == list(range(9))
    assert Memorization(map_seed=1).values != Memorization().values


def test_the_lags_are_the_longest_found():
    def found(task, first_of):
        rows = zip(tokens_of(many(task, MANY)), asked_of(many(task, MANY)), strict=True)
        return max(step - first_of(row, step) for row, asked in rows for step in asked)

    assert found(PAIRS[0], lambda row, step: row.index(row[step]) + 1) == PAIRS[0].lag
    assert found(MAPS[0], lambda row, step: step - 1) == MAPS[0].lag

    def first_value(row, step):
        pairs = words_of(WORDS[0], row)
        key = next(key for (_, key), (start, value) in pairs if start <= step + 1 < start + len(value))
        value_at = next(start for (start, value) in [pair[1] for pair in pairs if pair[0][1] == key])
        place = step + 1 - max(start for (_, k), (start, _) in pairs if k == key and start <= step + 1)
        return value_at + place

    assert found(WORDS[0], first_value) == WORDS[0].lag


def test_at_the_published_sizes():
    assert many(InContextRecall(), 8).inputs.shape == (128, 8, 16)
    assert many(InContextRecall(variant="noisy"), 8).inputs.shape == (128, 8, 32)
    assert many(FuzzyRecall(), 8).inputs.shape == (128, 8, 15)
    large = Memorization(num_keys=511, num_values=512)
    assert many(large, 8).inputs.shape == (32, 8) and large.vocabulary == 1024
    wide = FuzzyRecall(num_keys=200, num_values=200)
    assert many(wide, 8).inputs.dtype == np.int32 and wide.input_shape == ()


def test_compression_reads_all_tokens_off_the_last_output():
    task = Compression(3, num_symbols=4)
    batch = many(task, MANY)
    rows = tokens_of(batch)
    assert_uniform([tuple(row[:3]) for row in rows], list(itertools.product(range(4), repeat=3)))
    assert {row[3] for row in rows} == {4}
    outputs = np.zeros((MANY, 12), np.float32)
    for number, row in enumerate(rows):
        for place, token in enumerate(row[:3]):
            outputs[number, 4 * place + token] = 100.0
    loss, metrics, solved = judged(task, outputs, batch)
    assert loss < 1e-12 and metrics["accuracy"] == 1.0 and solved
    loss, metrics, solved = judged(task, np.roll(outputs, 1, axis=0), batch)
    assert abs(metrics["accuracy"] - 0.25) < 0.02 and not solved
    loss, metrics, solved = judged(task, jnp.zeros((MANY, 12)), batch)
    assert (
        math.isclose(loss, task.baseline, rel_tol=1e-5)
        and math.isclose(task.baseline, math.log(4))
        and not solved
    )
    shares = np.stack([np.bincount(column, minlength=4) / MANY for column in batch.targets])
    logs = jnp.broadcast_to(jnp.log(shares.ravel())[None], (MANY, 12))
    assert 0 <= task.baseline - judged(task, logs, batch)[0] < (9 + 5 * math.sqrt(18)) / (2 * 3 * MANY)
    assert (task.lag, task.num_steps, task.at_length(9).num_steps) == (3, 4, 10)
    assert Compression().output_shape == (31 * 15,) and Compression().input_shape == (16,)


@pytest.mark.parametrize(
    ("kind", "fields", "line"),
    [
        (InContextRecall, {"num_steps": 2}, "num_steps: expected at least 4 for in-context recall, got 2"),
        (
            InContextRecall,
            {"num_steps": 9},
            "num_steps: expected an even number for in-context recall, got 9",
        ),
        (InContextRecall, {"num_tokens": 2}, "num_tokens: expected at least 4 for in-context recall, got 2"),
        (
            InContextRecall,
            {"num_tokens": 5},
            "num_tokens: expected an even number for in-context recall, got 5",
        ),
        (InContextRecall, {"num_noise": 0}, "num_noise: expected at least 1 for in-context recall, got 0"),
        (InContextRecall, {"noise": 1.0}, "noise: expected a probability below 1, got 1.0"),
        (InContextRecall, {"variant": "loud"}, "variant: expected one of canonical, noisy, got 'loud'"),
        (FuzzyRecall, {"longest": 0}, "longest: expected at least 1 for fuzzy recall, got 0"),
        (
            FuzzyRecall,
            {"num_keys": 2},
            "num_keys: expected at least 3 for words without a token twice, got 2",
        ),
        (
            FuzzyRecall,
            {"num_values": 2},
            "num_values: expected at least 3 for words without a token twice, got 2",
        ),
        (
            FuzzyRecall,
            {"num_steps": 11},
            "num_steps: expected at least 12 for two pairs of the longest words, got 11",
        ),
        (Memorization, {"num_steps": 3}, "num_steps: expected an even number for memorization, got 3"),
        (Memorization, {"num_keys": 1}, "num_keys: expected at least 2 for memorization, got 1"),
        (
            Memorization,
            {"num_values": 9},
            "num_values: expected at least 127 for a value of its own for each key, got 9",
        ),
        (Memorization, {"map_seed": -1}, "map_seed: expected at least 0, got -1"),
        (Compression, {"num_recalled": 0}, "num_recalled: expected at least 1 for compression, got 0"),
        (Compression, {"num_symbols": 1}, "num_symbols: expected at least 2 for compression, got 1"),
    ],
)
def test_bad_values_are_refused(kind, fields, line):
    with pytest.raises(ValueError) as caught:
        kind(**fields)
    assert str(caught.value).startswith(line)
