"""The drawn tasks against their printed definitions: plain-Python solvers, exact probabilities, slow criteria.

Over 300 lines, because one set of draws and solvers serves every task.
"""

import collections
import dataclasses
import functools
import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from drawn import assert_distributed, assert_uniform, on_device

from experiments.tasks import criteria
from experiments.tasks.adding import Adding
from experiments.tasks.base import Batch, Generated
from experiments.tasks.copying import Copying
from experiments.tasks.temporal_order import TemporalOrder
from recurrent import losses

MANY, SOME = 20_000, 2_000

ADDING = [Adding(21), Adding(21, "anywhere"), Adding(37, "pascanu"), Adding(25, "hs97")]
LOGISTIC = Adding(25, "hs97_logistic")
ORDER = [TemporalOrder(20), TemporalOrder(20, "three"), TemporalOrder(20, "pascanu")]
COPYING = [Copying(3, variant, 3, 2) for variant in ("canonical", "on_marker", "recall_markers")]
TASKS = ADDING + ORDER + COPYING


def ids(value):
    """``hs97-25`` for a task; pytest's own name for the rest."""
    size = value.delay if isinstance(value, Copying) else getattr(value, "num_steps", None)
    return f"{type(value).__name__}-{value.variant}-{size}" if size else None


@functools.cache
def sampler(task):
    return jax.jit(task.sample, static_argnums=1)


@functools.cache
def many(task, num_sequences=MANY):
    """One jitted call; NumPy arrays."""
    return jax.tree.map(np.asarray, sampler(task)(jax.random.key(0), num_sequences))


def first(num_sequences, task):
    """Some of them; the last axis of targets and weights is the batch, but for the answers of adding."""
    batch = many(task)
    targets = (
        batch.targets[:num_sequences] if isinstance(task, Adding) else batch.targets[..., :num_sequences]
    )
    mask = None if batch.mask is None else batch.mask[:, :num_sequences]
    return Batch(batch.inputs[:, :num_sequences], targets, batch.weights[..., :num_sequences], mask)


def sequences(batch):
    """Each sequence as a list of rows, without its padding."""
    num_steps, num_sequences = batch.inputs.shape[:2]
    mask = np.ones((num_steps, num_sequences), bool) if batch.mask is None else batch.mask
    return [batch.inputs[: mask[:, i].sum(), i].tolist() for i in range(num_sequences)]


def pairs_of(task, rows):
    """``(value, marker)`` a step: the published code of 2013 has the marker in channel 0."""
    return [(row[1], row[0]) if task.variant == "pascanu" else tuple(row) for row in rows]


def tokens_of(rows):
    for row in rows:
        assert sorted(row) == [0.0] * (len(row) - 1) + [1.0]
    return [row.index(1.0) for row in rows]


def solve_adding(task, rows):
    """The answer, from one sequence."""
    marked = [value for value, marker in pairs_of(task, rows) if marker == 1]
    if task.variant == "hs97":
        return 0.5 + sum(marked) / 4
    return sum(marked) / 2 if task.variant == "pascanu" else sum(marked)


def solve_order(task, rows):
    alphabet = "ABcdef" if task.variant == "pascanu" else "EBabcdXY"
    relevant = "AB" if task.variant == "pascanu" else "XY"
    seen = [alphabet[token] for token in tokens_of(rows) if alphabet[token] in relevant]
    return list(itertools.product(relevant, repeat=len(seen))).index(tuple(seen))


def solve_copying(task, rows):
    """One answer a step, by a machine that reads from left to right."""
    memory, answers, answering = [], [], False
    for token in tokens_of(rows):
        marker = token == task.num_symbols + 1
        if len(memory) < task.num_recalled and not answers.count("recalled") and not marker and token:
            memory.append(token)
        now = {"canonical": answering, "on_marker": answering or marker, "recall_markers": marker}[
            task.variant
        ]
        answers.append(memory.pop(0) if now and memory else 0)
        answering = answering or marker
    return answers


def solve(task, rows):
    return {Adding: solve_adding, TemporalOrder: solve_order, Copying: solve_copying}[type(task)](task, rows)


def expected_marks(task):
    """Probability of each (length, earlier mark, later mark), from the definitions."""
    t, probabilities = task.num_steps, collections.Counter()
    lengths = {"hs97": range(t, t + t // 10 + 1), "pascanu": range(t, t + t // 10)}.get(task.variant, [t])
    for length in lengths:
        firsts = {
            "canonical": range(t // 2),
            "anywhere": range(t),
            "pascanu": range(length // 10),
            "hs97": range(10),
        }
        for first in firsts[task.variant]:
            unmarked = [step for step in range(t) if step != first]
            start, width = length // 10, 4 * length // 10
            seconds = {
                "canonical": range(t // 2, t),
                "anywhere": unmarked,
                "pascanu": range(start, start + width),
                "hs97": unmarked[: t // 2 - 1],
            }[task.variant]
            for second in seconds:
                cell = (length, *sorted((first, second)))
                probabilities[cell] += 1 / (len(lengths) * len(firsts[task.variant]) * len(seconds))
    return dict(probabilities)


@pytest.mark.parametrize("task", ADDING, ids=ids)
def test_adding_draws_marks_lengths_and_values_as_defined(task):
    batch = many(task)
    value, marker = (1, 0) if task.variant == "pascanu" else (0, 1)
    values, markers = batch.inputs[..., value], batch.inputs[..., marker]
    mask = np.ones(values.shape, bool) if batch.mask is None else batch.mask
    lengths, steps = mask.sum(axis=0), np.arange(len(values))[:, None]
    assert np.all(mask == (steps < lengths[None])) and not np.any(batch.inputs[~mask])

    marked = markers == 1
    first, last = np.argmax(marked, axis=0), len(marked) - 1 - np.argmax(marked[::-1], axis=0)
    assert np.all(marked.sum(axis=0) == 2)
    assert_distributed(
        list(zip(lengths.tolist(), first.tolist(), last.tolist(), strict=True)), expected_marks(task)
    )

    ends = mask & ((steps == 0) | (steps == lengths[None] - 1)) & (task.variant == "hs97")
    assert np.array_equal(markers, np.where(marked, 1.0, np.where(ends, -1.0, 0.0)))
    drawn = mask & ~(marked & (steps == 0) & (task.variant == "hs97"))
    assert np.all(values[mask & ~drawn] == 0)  # the first pair, where it is marked
    low = -1.0 if task.variant == "hs97" else 0.0
    assert low <= values[drawn].min() and values[drawn].max() < 1.0
    for group in (drawn & marked, drawn & ~marked):
        assert_uniform(((values[group] - low) / (1 - low) * 20).astype(int).tolist(), range(20))
    both = drawn[1:] & drawn[:-1]
    correlation = np.corrcoef(values[1:][both], values[:-1][both])[0, 1]
    assert abs(correlation) < 5 / math.sqrt(both.sum())


def expected_windows(task):
    """The windows of BENCHMARKS' definitions at T = 100, scaled; ``pascanu``: half open."""
    t = task.num_steps
    lengths = range(t, t + 1) if task.variant == "pascanu" else range(t, t + t // 10 + 1)
    percent = {
        "canonical": [(10, 20), (50, 60)],
        "three": [(10, 20), (33, 43), (66, 76)],
        "pascanu": [(10, 20), (50, 60)],
    }[task.variant]
    end = 0 if task.variant == "pascanu" else 1
    return lengths, [range(low * t // 100, high * t // 100 + end) for low, high in percent]


@pytest.mark.parametrize("task", [*ORDER, *(TemporalOrder(100, order.variant) for order in ORDER)], ids=ids)
def test_temporal_order_draws_steps_lengths_and_symbols_as_defined(task):
    batch = many(task) if task.num_steps < 100 else first(MANY // 4, task)
    tokens = np.argmax(batch.inputs, axis=-1)
    mask = np.ones(tokens.shape, bool) if batch.mask is None else batch.mask
    assert np.all(batch.inputs.sum(axis=-1) == mask) and set(np.unique(batch.inputs)) <= {0.0, 1.0}
    framed = task.variant != "pascanu"
    relevant, distractor = (tokens >= 6, tokens >= 2) if framed else (tokens < 2, tokens >= 2)
    relevant, distractor = relevant & mask, distractor & mask & ~relevant
    lengths, windows = expected_windows(task)
    assert np.all(relevant.sum(axis=0) == len(windows))

    steps = [np.flatnonzero(column).tolist() for column in relevant.T]
    drawn = [(length, *places) for length, places in zip(mask.sum(axis=0).tolist(), steps, strict=True)]
    if task.num_steps < 100:
        labelled = [(*place, label) for place, label in zip(drawn, batch.targets.tolist(), strict=True)]
        assert_uniform(labelled, list(itertools.product(lengths, *windows, range(2 ** len(windows)))))
    for index, support in enumerate((lengths, *windows)):
        assert {place[index] for place in drawn} == set(support)
        assert len(support) == 1 or assert_uniform([place[index] for place in drawn], support) is None

    assert_uniform(tokens[distractor].tolist(), range(2, 6))
    both = distractor[1:] & distractor[:-1]
    assert_uniform(
        (4 * tokens[1:] + tokens[:-1])[both].tolist(), [4 * a + b for a in range(2, 6) for b in range(2, 6)]
    )
    if framed:
        grid = np.arange(len(tokens))[:, None]
        assert np.array_equal((tokens == 0) & mask, np.broadcast_to(grid == 0, mask.shape))
        assert np.array_equal((tokens == 1) & mask, grid == mask.sum(axis=0)[None] - 1)


@pytest.mark.parametrize(
    ("variant", "inputs", "targets", "weights"),
    [
        ("canonical", "ab00m00", "00000ab", "1111111"),  # delay - 1 blanks, the marker, then the answer
        ("on_marker", "ab000m0", "00000ab", "1111111"),  # delay blanks, the answer starts on the marker
        ("recall_markers", "ab000mm", "00000ab", "0000011"),  # a marker for each answer, which alone count
    ],
)
def test_copying_has_the_published_layout(variant, inputs, targets, weights):
    task = Copying(3, variant, num_symbols=3, num_recalled=2)
    batch = many(task)
    tokens = np.argmax(batch.inputs, axis=-1).T.tolist()
    for sequence, answer in zip(tokens[:500], batch.targets.T.tolist(), strict=False):
        names = {"0": 0, "m": 4, "a": sequence[0], "b": sequence[1]}
        assert sequence == [names[letter] for letter in inputs]
        assert answer == [names[letter] for letter in targets]
    assert np.array_equal(batch.weights, np.array([[float(w)] * MANY for w in weights]))
    assert_uniform([tuple(sequence[:2]) for sequence in tokens], list(itertools.product((1, 2, 3), repeat=2)))


@pytest.mark.parametrize(
    ("variant", "marker", "answer"),
    [("canonical", 109, 110), ("on_marker", 110, 110), ("recall_markers", 110, 110)],
)
def test_copying_has_the_published_indices_at_100(variant, marker, answer):
    batch = many(Copying(100, variant), 8)
    tokens = np.argmax(batch.inputs, axis=-1)
    assert tokens.shape == batch.targets.shape == (120, 8) and batch.inputs.shape[-1] == 10
    assert np.all((tokens == 9).argmax(axis=0) == marker) and np.all(
        (batch.targets > 0).argmax(axis=0) == answer
    )
    assert np.all((tokens == 9).sum(axis=0) == (10 if variant == "recall_markers" else 1))
    assert (
        np.array_equal(batch.targets[-10:], tokens[:10]) and tokens[:10].min() >= 1 and tokens[:10].max() <= 8
    )
    assert not tokens[10:marker].any() and not batch.targets[:answer].any()


def outputs_of(task, answers):
    """What a network would say that is sure of ``answers``."""
    if isinstance(task, Adding):
        return jnp.array(answers)[:, None]
    return 100.0 * jax.nn.one_hot(jnp.array(answers).T, *task.output_shape)


@pytest.mark.parametrize("task", TASKS, ids=ids)
def test_an_independent_solver_scores_zero(task):
    batch = on_device(first(SOME, task))
    outputs = outputs_of(task, [solve(task, rows) for rows in sequences(first(SOME, task))])
    assert outputs.shape == (*batch.weights.shape, *task.output_shape)
    total, count = task.loss(outputs, batch)
    assert total / count < 1e-12 and count == batch.weights.sum()
    for name, (value, number) in task.metrics(outputs, batch).items():
        best = 1.0 if name in ("fraction_correct", "accuracy", "recall_accuracy") else 0.0
        assert abs(value / number - best) < 1e-6, name
    criterion = task.criterion
    assert bool(criterion.solved(criterion.update(criterion.init(), outputs, batch)))


@pytest.mark.parametrize("task", [*ADDING, Adding(100, "hs97")], ids=ids)
def test_no_constant_beats_the_baseline_of_adding(task):
    batch = many(task)
    mean = {"canonical": 1.0, "anywhere": 1.0}.get(task.variant, 0.5)
    for constant in [mean, float(batch.targets.mean()), *np.linspace(mean - 0.5, mean + 0.5, 10)]:
        total, count = task.loss(jnp.full((MANY, 1), constant), on_device(batch))
        error = np.std((batch.targets.astype(float) - constant) ** 2) / math.sqrt(MANY)
        assert total / count > task.baseline - 4 * error
        assert constant != mean or abs(total / count - task.baseline) < 4 * error


@pytest.mark.parametrize("task", ORDER + COPYING, ids=ids)
def test_no_constant_beats_the_baseline_of_the_symbol_tasks(task):
    """No prediction that knows the step alone is better on these draws than the frequencies of the draws."""
    batch = many(task)
    targets = batch.targets if batch.targets.ndim == 2 else batch.targets[None]
    classes = np.arange(*task.output_shape)
    frequencies = np.mean(targets[:, :, None] == classes[None, None], axis=1)

    def loss(probabilities):
        logits = np.log(np.maximum(probabilities, 1e-30))
        outputs = logits[:, None] if batch.weights.ndim == 2 else logits
        outputs = jnp.broadcast_to(outputs, (*batch.weights.shape, len(classes)))
        total, count = task.loss(outputs, on_device(batch))
        return float(total / count)

    support = frequencies > 0
    assert abs(loss(support / support.sum(axis=1, keepdims=True)) - task.baseline) < 1e-6
    freedom = (support.sum(axis=1) - 1).sum()
    scored = 1 if batch.weights.ndim == 1 else np.count_nonzero(batch.weights[:, 0])
    gained = (task.baseline - loss(frequencies)) * scored * 2 * MANY  # chi-square, by Wilks
    assert -0.01 * freedom < gained < freedom + 5 * math.sqrt(2 * freedom)


def test_baselines_are_the_printed_ones():
    delays = {
        100: 0.17329,
        120: 0.14853,
        200: 0.09452,
        300: 0.06498,
        500: 0.03999,
        1000: 0.02039,
        2000: 0.01029,
    }
    assert {delay: round(Copying(delay).baseline, 5) for delay in delays} == delays
    assert math.isclose(Copying(50, "recall_markers").baseline, math.log(8))
    assert math.isclose(Adding(400).baseline, 1 / 6) and math.isclose(Adding(400, "pascanu").baseline, 1 / 24)
    assert math.isclose(TemporalOrder(100, "three").baseline, math.log(8))


@pytest.mark.parametrize(
    ("task", "right"), [(Adding(100, "hs97"), 0.154), (Adding(100, "pascanu"), 0.64)], ids=ids
)
def test_a_constant_is_right_as_often_as_computed(task, right):
    """15.4 % of the sequences within 0.04 of the answer 1/2, and 36 % with a squared error above 0.04."""
    targets = many(task).targets
    within = 0.04 if task.variant == "hs97" else 0.2
    assert abs(np.mean(np.abs(targets - 0.5) < within) - right) < 0.0005 + 4 * math.sqrt(
        right * (1 - right) / MANY
    )


def changed_inputs(task, rows):
    """``(step, rows with another value there)`` for each step whose value the definition lets vary."""
    for step, row in enumerate(rows):
        new = list(row)
        if isinstance(task, Adding):
            value, marker = pairs_of(task, rows)[step]
            if marker == 1 and not (
                task.variant == "hs97" and step == 0
            ):  # there the value is 0 by definition
                new[1 if task.variant == "pascanu" else 0] = value / 2 + 0.25
                yield step, [*rows[:step], new, *rows[step + 1 :]]
            continue
        symbols = {Copying: range(1, task.input_shape[0] - 1)}.get(type(task), range(6, 8))
        symbols = range(2) if task.variant == "pascanu" else symbols
        if row.index(1.0) in symbols:
            new = [0.0] * len(row)
            new[symbols[(symbols.index(row.index(1.0)) + 1) % len(symbols)]] = 1.0
            yield step, [*rows[:step], new, *rows[step + 1 :]]


def longest_dependence(task):
    longest = 0
    for rows in sequences(first(SOME, task)):
        answer = solve(task, rows)
        for step, changed in changed_inputs(task, rows):
            new = solve(task, changed)
            if isinstance(task, Copying):
                asked = max(
                    (t for t, (a, b) in enumerate(zip(answer, new, strict=True)) if a != b), default=step
                )
            else:
                asked = len(rows) - 1 if new != answer else step
            longest = max(longest, asked - step)
    return longest


@pytest.mark.parametrize("task", TASKS, ids=ids)
def test_the_lag_is_the_longest_dependence_found_by_changing_inputs(task):
    assert longest_dependence(task) == task.lag


@pytest.mark.parametrize("task", [Adding(21, num_evaluation=10), Copying(3, num_evaluation=10)], ids=ids)
def test_a_split_is_covered_exactly_once(task):
    assert task.num_batches("validation", 4) == task.num_batches("test", 4) == 3
    evaluate = jax.jit(lambda index: task.evaluation((), "validation", index, jax.random.key(0), 4).weights)
    counted = np.zeros(0)
    for index in range(3):
        weights = np.asarray(evaluate(index))
        assert weights.ndim == 1 or np.all(weights == weights[-1:])
        counted = np.append(counted, weights if weights.ndim == 1 else weights[-1])
    assert counted.tolist() == [1.0] * 10 + [0.0] * 2
    assert task.num_batches("test", 5) == 2 and task.num_batches("test", 16) == 1
    with pytest.raises(ValueError, match="split"):
        task.num_batches("training", 4)


@pytest.mark.parametrize("task", ADDING + ORDER, ids=ids)
def test_a_sample_is_a_function_of_its_key(task):
    again, other = (sampler(task)(jax.random.key(seed), MANY) for seed in (0, 1))
    assert jax.tree.structure(again) == jax.tree.structure(many(task))
    assert all(map(np.array_equal, jax.tree.leaves(again), jax.tree.leaves(many(task))))
    same = np.all(np.asarray(other.inputs) == many(task).inputs, axis=(0, 2))
    assert np.mean(same) < 1e-3 and np.mean(np.asarray(other.targets) != many(task).targets) > 0.4


@dataclasses.dataclass(frozen=True)
class Uniform(Generated):
    """Two numbers a sequence."""

    def sample(self, key, batch_size):
        return Batch(jax.random.uniform(key, (2, batch_size)), jnp.zeros(batch_size), jnp.ones(batch_size))


def test_batches_are_functions_of_key_split_and_number():
    task, keys = Uniform(), [jax.random.key(seed) for seed in (3, 4)]
    places = [("training", 0, 0), ("training", 0, 1), ("training", 1, 0), ("validation", 0, 0)]
    places += [("validation", 0, 1), ("test", 0, 0), ("test", 0, 1), ("test", 1, 0)]

    def draw(split, key, number):
        if split == "training":
            return task.batch((), keys[key], number, 4)
        return task.evaluation((), split, number, keys[key], 4)

    drawn = [np.asarray(draw(*place).inputs) for place in places]
    assert len({column.tobytes() for inputs in drawn for column in inputs.T}) == 4 * len(places)
    for place, inputs in zip(reversed(places), reversed(drawn), strict=True):  # whatever was drawn before
        assert np.array_equal(draw(*place).inputs, inputs)
        traced = jax.jit(lambda number, place=place: draw(*place[:2], number).inputs)(place[2])
        assert np.array_equal(traced, inputs)


def numbers(errors, weights=None):
    """Outputs and a batch with these errors."""
    errors = jnp.array(errors, jnp.float32)
    weights = jnp.ones(len(errors)) if weights is None else jnp.array(weights, jnp.float32)
    return 1 + errors[:, None], Batch(None, jnp.ones((len(errors), 1)), weights)


def labels(right, weights=None):
    """Logits over three classes, right or wrong, and a batch; the label is 1."""
    right = jnp.array(right)
    weights = jnp.ones(right.shape) if weights is None else jnp.array(weights, jnp.float32)
    return jax.nn.one_hot(jnp.where(right, 1, 2), 3), Batch(None, jnp.ones(right.shape, jnp.int32), weights)


MSE, LARGE = criteria.SquaredErrorBelow(0.25), criteria.LargeErrorsBelow(fraction=0.25, squared_error=0.25)
ACCURACY, ERRORS = criteria.AccuracyAtLeast(0.75), criteria.ErrorRateBelow(0.25)
RECALL = criteria.RecallAbove(num_recalled=2, threshold=0.75)


@pytest.mark.parametrize(
    ("criterion", "batches", "solved"),
    [
        (MSE, [numbers([0.5, -0.5])], False),  # at the threshold: not below
        (MSE, [numbers([0.5, -0.25])], True),
        (
            MSE,
            [numbers([0.0, 0.0]), numbers([1.0])],
            False,
        ),  # 1/3 over sequences; over batches it would be 1/2
        (MSE, [numbers([0.0] * 4), numbers([1.0])], True),  # 1/5
        (MSE, [numbers([0.0, 9.0, np.nan], [1, 0, 0])], True),
        (LARGE, [numbers([0.5, 0.5, 0.5, -0.5])], True),  # a squared error of 0.25 is not above 0.25
        (LARGE, [numbers([0.75, 0, 0, 0])], False),  # one in four is not fewer than a quarter
        (LARGE, [numbers([-0.75, 0, 0, 0]), numbers([0])], True),
        (LARGE, [numbers([0.75, 0], [0, 1])], True),
        (ACCURACY, [labels([1, 1, 1, 0])], True),  # at the threshold
        (ACCURACY, [labels([1, 1, 1, 1, 0, 0])], False),
        (ACCURACY, [labels([1, 1, 1]), labels([1, 0, 0], [1, 1, 0])], True),
        (ERRORS, [labels([1, 1, 1, 0])], False),
        (ERRORS, [labels([1, 1, 1, 0]), labels([1])], True),
        (
            RECALL,
            [labels([[0, 0], [1, 1], [1, 0]])],
            False,
        ),  # three in four is not above 0.75; the first step is free
        (RECALL, [labels([[0, 0], [1, 1], [1, 1]])], True),
        (RECALL, [labels([[1, 1], [1, 0], [1, 1]], [[1, 1], [1, 0], [1, 0]])], True),
    ],
)
def test_a_pass_is_judged_by_its_threshold(criterion, batches, solved):
    state = criterion.init()
    assert criterion.on == "evaluation" and not criterion.solved(state)
    for outputs, batch in batches:
        state = criterion.update(state, outputs, batch)
    assert bool(criterion.solved(state)) is solved


@pytest.mark.parametrize("criterion", [MSE, LARGE, criteria.Streak(window=4)], ids=repr)
def test_a_nan_answer_never_solves(criterion):
    outputs, batch = numbers([np.nan, 0.0, 0.0, 0.0])
    assert not criterion.solved(criterion.update(criterion.init(), outputs, batch))


@pytest.mark.parametrize("label", [0, 1])  # argmax of NaN is class 0
@pytest.mark.parametrize(
    ("criterion", "shape"), [(ACCURACY, (4,)), (ERRORS, (4,)), (RECALL, (3, 2))], ids=repr
)
def test_nan_logits_never_solve(criterion, shape, label):
    batch = Batch(None, jnp.full(shape, label), jnp.ones(shape))
    outputs = jnp.full((*shape, 3), np.nan)
    assert not criterion.solved(criterion.update(criterion.init(), outputs, batch))


def test_the_tasks_have_the_published_criteria():
    assert Adding(100, "hs97").criterion == criteria.Streak(window=2000, error=0.04, mean_error=0.01)
    assert Adding(100, "hs97").criterion.on == "training"
    assert Adding(100, "pascanu").criterion == criteria.LargeErrorsBelow(fraction=0.01, squared_error=0.04)
    assert TemporalOrder(100, "pascanu").criterion == criteria.ErrorRateBelow(0.01)


def streak_history(criterion, errors, weights):
    """Whether it is solved after each batch, ``errors[update, b]``."""

    def update(state, now):
        errors, weights = now
        batch = Batch(None, jnp.zeros((len(errors), 1)), weights)
        state = criterion.update(state, errors[:, None], batch)
        return state, criterion.solved(state)

    return np.asarray(jax.jit(lambda xs: jax.lax.scan(update, criterion.init(), xs)[1])((errors, weights)))


def slow_history(criterion, errors, weights):
    """The history of a criterion, computed with a deque of the last sequences."""
    last, history = collections.deque(maxlen=criterion.window), []
    for batch_errors, batch_weights in zip(errors.tolist(), weights.tolist(), strict=True):
        last.extend(abs(error) for error, weight in zip(batch_errors, batch_weights, strict=True) if weight)
        right = len(last) == criterion.window and all(error < criterion.error for error in last)
        history.append(right and sum(last) / len(last) < criterion.mean_error)
    return history


@pytest.mark.parametrize(
    ("criterion", "num_updates", "batch_size", "wrong"),
    [
        (criteria.Streak(window=8), 3000, 1, 0.05),
        (criteria.Streak(window=8), 2000, 3, 0.05),
        (criteria.Streak(window=8), 1000, 11, 0.03),  # longer than the window
        (criteria.Streak(), 1000, 40, 0.0002),
        (criteria.Streak(), 60, 2500, 0.0002),
    ],
)
def test_a_streak_is_what_a_deque_says(criterion, num_updates, batch_size, wrong):
    rng = np.random.default_rng(0)
    shape = (num_updates, batch_size)
    # the level of the small errors wanders, so that the mean decides as often as the streak does
    level = rng.choice([0.01, 0.018, 0.022, 0.03], size=num_updates)
    level = np.repeat(level, math.ceil(3 * criterion.window / batch_size))[:num_updates, None]
    errors = rng.uniform(-1, 1, shape) * level
    errors = np.where(rng.random(shape) < wrong, rng.choice([0.05, -0.05, np.nan, np.inf], shape), errors)
    errors, weights = errors.astype(np.float32), (rng.random(shape) < 0.9).astype(np.float32)
    expected = slow_history(criterion, errors, weights)
    assert 0.1 < np.mean(expected) < 0.9
    assert streak_history(criterion, errors, weights).tolist() == expected


def test_a_streak_of_2000_needs_2000():
    criterion = criteria.Streak(error=0.0625, mean_error=0.03125)
    for errors, first in (
        (np.full(2100, 0.03), 1999),
        (np.append(0.0625, np.full(2099, 0.03)), 2000),  # at the bound: not below it
        (np.append(np.full(1999, 0.03), [0.0625] * 101), None),
        (np.full(2100, 0.03125), None),  # the mean at its bound
        (np.append(np.nan, np.full(2099, 0.03)), 2000),
    ):
        history = streak_history(
            criterion, errors.astype(np.float32)[:, None], np.ones((2100, 1), np.float32)
        )
        assert history.tolist() == [first is not None and step >= first for step in range(2100)]


def test_the_logistic_unit_of_1997_answers_through_its_activation():
    linear, batch = ADDING[-1], on_device(first(SOME, ADDING[-1]))
    same = sampler(LOGISTIC)(jax.random.key(0), 7)
    np.testing.assert_array_equal(same.inputs, sampler(linear)(jax.random.key(0), 7).inputs)
    inside = jnp.clip(batch.targets, 1e-6, 1 - 1e-6)
    sure = jnp.log(inside / (1 - inside))
    for name in ("mse", "mae"):
        assert float(losses.mean(LOGISTIC.metrics(sure, batch)[name])) < 1e-5
        of_zero = LOGISTIC.metrics(jnp.zeros_like(sure), batch)[name]  # σ(0) = 1/2
        expected = linear.metrics(jnp.full_like(sure, 0.5), batch)[name]
        assert float(losses.mean(of_zero)) == pytest.approx(float(losses.mean(expected)), rel=1e-6)
    state = LOGISTIC.criterion.update(LOGISTIC.criterion.init(), sure, batch)
    assert bool(LOGISTIC.criterion.solved(state))
    state = LOGISTIC.criterion.update(LOGISTIC.criterion.init(), batch.targets, batch)
    assert not bool(LOGISTIC.criterion.solved(state))
