"""Endless streams of embedded Reber strings: continuous, of the printed grammar, and the same whatever the chunks."""

import collections
import functools
import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from drawn import assert_distributed, assert_uniform, assert_within, is_solved, measured
from reber_strings import FRAMED, SYMBOLS, UNFRAMED, legal_after, share_of_symbols, text

from experiments.tasks.continual_reber import BLOCK, ContinualReber
from experiments.tasks.error_criteria import AllWithin
from experiments.tasks.legal_criteria import LegalAllWithin

pytestmark = pytest.mark.medium

TASK = ContinualReber(600, 6000)
UNFRAMED_TASK = ContinualReber(600, 6000, "unframed")
NUM_STREAMS = 40


@functools.cache
def chunks(task, num_streams=NUM_STREAMS, seed=0):
    """All chunks of some streams."""
    draw = jax.jit(task.chunk, static_argnums=2)
    return [
        jax.tree.map(np.asarray, draw(jax.random.key(seed), number, num_streams))
        for number in range(task.num_chunks)
    ]


@functools.cache
def stream_texts(task):
    """Each stream in one piece, after a look at where its chunks meet."""
    pieces = chunks(task)
    inputs = np.concatenate([np.argmax(piece.inputs, axis=-1) for piece in pieces])
    targets = np.concatenate([piece.targets for piece in pieces])
    assert np.array_equal(inputs[1:], targets[:-1])
    assert all(np.all(piece.inputs.sum(axis=-1) == 1) and np.all(piece.weights == 1) for piece in pieces)
    return [text(column) for column in inputs.T]


def strings_of(stream, pattern):
    """The strings that a stream consists of, but the last, which it may cut."""
    found, start = [], 0
    while match := pattern.match(stream, start):
        found.append(match.group())
        start = match.end()
    rest = stream[start:]
    framed = pattern is FRAMED
    for place in range(len(rest)):
        assert rest[place] in legal_after(rest[:place], framed)
    return found


@pytest.mark.parametrize(
    ("task", "pattern"), [(TASK, FRAMED), (UNFRAMED_TASK, UNFRAMED)], ids=["framed", "unframed"]
)
def test_a_stream_is_one_string_after_the_other(task, pattern):
    for stream in stream_texts(task):
        strings = strings_of(stream, pattern)
        assert len(stream) - sum(map(len, strings)) < 150 and len(strings) > 300
    lengths = [len(string) for stream in stream_texts(task) for string in strings_of(stream, pattern)]
    assert_within(lengths, 12 if task is TASK else 10)


def branches(stream, framed=True):
    """``(what was read since the node before, choice)`` wherever there were two legal symbols."""
    prefix = ""
    for symbol in stream:
        legal = legal_after(prefix, framed)
        if not legal:
            prefix, legal = "", legal_after("", framed)
        if len(legal) == 2:
            yield legal, symbol
        prefix += symbol


@pytest.mark.parametrize("task", [TASK, UNFRAMED_TASK], ids=["framed", "unframed"])
def test_every_branch_is_taken_half_the_time_and_independently(task):
    seen = [list(branches(stream, task is TASK)) for stream in stream_texts(task)]
    by_legal = collections.defaultdict(list)
    for legal, symbol in itertools.chain(*seen):
        by_legal[legal].append(symbol)
    for legal, symbols in by_legal.items():
        assert_uniform(symbols, legal)
    choices = [[legal.index(symbol) for legal, symbol in stream] for stream in seen]
    triples = [
        triple for stream in choices for triple in zip(stream[::3], stream[1::3], stream[2::3], strict=False)
    ]
    assert_uniform(triples, list(itertools.product((0, 1), repeat=3)))


@pytest.mark.parametrize("place", [BLOCK - 2, BLOCK - 1, BLOCK, BLOCK + 256])
def test_where_blocks_meet_symbols_are_as_frequent_as_elsewhere(place):
    batch = jax.tree.map(np.asarray, ContinualReber(1).chunk(jax.random.key(2), place, 6000))
    symbols = [SYMBOLS[token] for token in np.argmax(batch.inputs[0], axis=-1)]
    legal = ["".join(sorted(np.array(list(SYMBOLS))[row])) for row in batch.info[0]]
    expected = {
        (symbol, "".join(sorted(after))): share for (symbol, after), share in share_of_symbols().items()
    }
    assert_distributed(list(zip(symbols, legal, strict=True)), expected)
    choices = [
        after.index(SYMBOLS[t]) for after, t in zip(legal, batch.targets[0], strict=True) if len(after) == 2
    ]
    assert_uniform(choices, (0, 1))


@pytest.mark.parametrize("num_steps", [40, 1500, 6000])
def test_a_stream_does_not_depend_on_the_length_of_its_chunks(num_steps):
    assert stream_texts(ContinualReber(num_steps, 6000)) == stream_texts(TASK)


def test_info_holds_the_legal_symbols():
    legal = np.concatenate([piece.info for piece in chunks(TASK)])[:, :4]
    for number, stream in enumerate(stream_texts(TASK)[:4]):
        prefix = ""
        for step, symbol in enumerate(stream):
            prefix += symbol
            may_follow = legal_after(prefix)
            if not may_follow:
                prefix, may_follow = "", "B"
            assert "".join(np.array(list(SYMBOLS))[legal[step, number]]) == "".join(
                symbol for symbol in SYMBOLS if symbol in may_follow
            )


def test_streams_restart_after_their_last_chunk_with_a_reset():
    task, key = ContinualReber(50, 150), jax.random.key(4)
    draw = jax.jit(lambda update: task.batch((), key, update, 8))
    batches = [jax.tree.map(np.asarray, draw(update)) for update in range(6)]
    for update, batch in enumerate(batches):
        expected = np.zeros((50, 8), bool)
        expected[0] = update % 3 == 0
        assert np.array_equal(batch.reset, expected)
    for first, second in ((0, 1), (1, 2), (3, 4), (4, 5)):
        assert np.array_equal(batches[first].targets[-1], np.argmax(batches[second].inputs[0], axis=-1))
    assert not np.array_equal(batches[0].inputs, batches[3].inputs)
    assert np.all(np.argmax(batches[3].inputs[0], axis=-1) == 0)  # new streams start with B
    columns = [column.tobytes() for batch in batches[::3] for column in np.moveaxis(batch.inputs, 1, 0)]
    assert len(set(columns)) == 16


def test_a_split_is_its_streams_whole_and_once():
    task, key = ContinualReber(50, 120, num_evaluation=3), jax.random.key(4)
    assert task.num_chunks == 3 and task.num_batches("validation", 2) == 6
    draw = jax.jit(lambda index, split: task.evaluation((), split, index, key, 2), static_argnums=1)
    batches = [jax.tree.map(np.asarray, draw(index, "validation")) for index in range(6)]
    kept = [batch.weights[0].tolist() for batch in batches]
    assert kept == [[1.0, 1.0]] * 3 + [[1.0, 0.0]] * 3
    assert [bool(batch.reset[0, 0]) for batch in batches] == [True, False, False] * 2
    for first, second in ((0, 1), (1, 2), (3, 4), (4, 5)):
        assert np.array_equal(batches[first].targets[-1], np.argmax(batches[second].inputs[0], axis=-1))
    assert not np.array_equal(draw(0, "test").inputs, batches[0].inputs)
    with pytest.raises(ValueError, match="split"):
        task.num_batches("training", 2)


def knows(batch):
    """Half for each of two legal symbols, before a logistic unit."""
    p = np.clip(batch.info / batch.info.sum(axis=-1, keepdims=True), 1e-9, 1 - 1e-9)
    return np.log(p / (1 - p))


def test_who_knows_the_grammar_is_perfect_and_scores_half_at_branches():
    pieces = chunks(TASK)[:2]
    assert is_solved(TASK.criterion, *[(knows(piece), piece) for piece in pieces])
    found = measured(TASK, knows(pieces[0]), pieces[0])
    assert found["squared_error"] == pytest.approx(0.5 * np.mean(pieces[0].info.sum(axis=-1) == 2), rel=1e-4)
    assert found["fraction_correct"] == found["legal_steps"] == 1 and found["symbols_before_error"] == 600
    assert TASK.criterion == LegalAllWithin(0.7, "logistic")


def test_units_that_stand_at_one_half_are_right_as_printed_and_solve_nothing():
    pieces = chunks(TASK)
    idle = [np.zeros_like(piece.inputs) for piece in pieces]
    found = measured(TASK, idle[0], pieces[0])
    assert (found["fraction_correct"], found["symbols_before_error"], found["legal_steps"]) == (1, 600, 0)
    assert is_solved(AllWithin(0.7, "logistic"), *zip(idle, pieces, strict=True))
    assert not is_solved(TASK.criterion, *zip(idle, pieces, strict=True))


def test_who_forgets_the_second_symbol_errs_in_the_first_string():
    """One bet at every end: half of them are lost, by both the error and the set of legal symbols."""
    batch = chunks(TASK)[0]
    outputs, first = knows(batch), []
    for number, stream in enumerate(stream_texts(TASK)):
        asked = np.cumsum([0] + [len(string) for string in strings_of(stream, FRAMED)])[1:] - 3
        wrong = []
        for step in asked[asked < 600]:
            outputs[step, number] = np.where(np.array(list(SYMBOLS)) == "T", 9.0, -9.0)
            wrong += [step] if SYMBOLS[batch.targets[step, number]] == "P" else []
        first.append(wrong[0])
    found = measured(TASK, outputs, batch)
    assert found["symbols_before_error"] == pytest.approx(np.mean(first))
    assert not is_solved(TASK.criterion, (outputs, batch))
    lost = (
        np.sum(batch.targets != np.where(outputs.max(axis=-1) == 9.0, 1, batch.targets)) / batch.targets.size
    )
    assert found["fraction_correct"] == pytest.approx(1 - lost) and found["legal_steps"] == pytest.approx(
        1 - lost
    )


def best_by_step(batch):
    """The loss of the best prediction for each step on these draws, and its standard error."""
    frequencies = np.mean(np.eye(7)[batch.targets], axis=1)
    of_targets = np.take_along_axis(frequencies, batch.targets, axis=1)
    each = np.mean(1 - 2 * of_targets + np.sum(frequencies**2, axis=1)[:, None], axis=0)
    fitted = np.mean(np.sum(frequencies > 0, axis=1)) / batch.targets.shape[1]
    return each.mean(), np.std(each) / math.sqrt(len(each)), fitted


@pytest.mark.parametrize("variant", ["canonical", "unframed"])
def test_no_prediction_by_the_step_number_beats_the_baseline(variant):
    """From the start of a stream, and once it has forgotten its start."""
    short, endless = ContinualReber(30, 30, variant), ContinualReber(30, 3_000_000, variant)
    draw = jax.jit(endless.chunk, static_argnums=2)
    for number, task in ((0, short), (90, endless)):
        batch = jax.tree.map(np.asarray, draw(jax.random.key(1), number, 6000))
        best, error, fitted = best_by_step(batch)
        assert abs(best - task.baseline) < 5 * error + fitted
    frequencies = np.mean(np.eye(7)[batch.targets], axis=1, keepdims=True)
    outputs = np.log(np.maximum(frequencies, 1e-9) / (1 - np.minimum(frequencies, 1 - 1e-9)))
    assert not is_solved(short.criterion, (np.broadcast_to(outputs, batch.inputs.shape), batch))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"num_steps": 0}, "num_steps: expected at least 1, got 0"),
        ({"stream_length": 0}, "stream_length: expected at least 1, got 0"),
        ({"variant": "framed"}, "variant: expected one of canonical, unframed, got 'framed'"),
        ({"output_unit": "tanh"}, "output_unit: expected one of logistic, linear, softmax, got 'tanh'"),
    ],
)
def test_what_makes_no_sense_is_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        ContinualReber(**fields)


def test_another_length_is_that_of_the_chunks():
    assert ContinualReber().at_length(20) == ContinualReber(20)
    assert jnp.shape(ContinualReber(20).sample(jax.random.key(0), 3).inputs) == (20, 3, 7)
