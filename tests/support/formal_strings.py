"""Tasks on strings against their printed definitions: solvers of one string, and all strings with their chances."""

import collections
import dataclasses
import functools
import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from drawn import assert_distributed, on_device

MANY, SOME = 6_000, 300
BLANK = "_"


@dataclasses.dataclass(frozen=True)
class Case:
    """A task; its symbols without the blank, one letter each; the answers of a machine that reads the string alone.

    ``strings(n)`` has all strings of n symbols and their chances, ``ends`` the letter behind which no answer counts.
    ``small`` is the length at which all strings are counted; ``num_blanks`` stand behind a string of a length.
    """

    task: Any
    symbols: str
    solve: Callable[[str], Sequence[str]]
    strings: Callable[[int], dict[str, float]]
    small: int = 5
    ends: str = ""
    num_blanks: Callable[[int], int] = lambda length: 1

    @property
    def short(self):
        """The same task up to the length at which all strings are counted."""
        return dataclasses.replace(self.task, min_length=1, max_length=self.small)


def ids(value):
    if not isinstance(value, Case):
        return None
    return f"{type(value.task).__name__}-{getattr(value.task, 'variant', '')}".rstrip("-")


@functools.cache
def sampler(task):
    return jax.jit(task.sample, static_argnums=1)


@functools.cache
def many(task, num_sequences=MANY):
    """One jitted call; NumPy arrays."""
    return jax.tree.map(np.asarray, sampler(task)(jax.random.key(0), num_sequences))


def texts(case, batch):
    """What each sequence reads, blanks at its end; everything else about the inputs is asserted."""
    assert set(np.unique(batch.inputs)) <= {0.0, 1.0}
    assert np.array_equal(batch.inputs.sum(axis=-1), batch.mask.astype(np.float32))
    assert not np.any(batch.mask[1:] & ~batch.mask[:-1])
    letters = np.array(list(case.symbols + BLANK))
    assert batch.inputs.shape[-1] == len(letters) - (case.num_blanks(1) == 0)
    read = letters[np.argmax(batch.inputs, axis=-1)]
    return ["".join(read[: batch.mask[:, i].sum(), i]) for i in range(read.shape[1])]


def answered_steps(batch):
    """Targets and weights ``[t, b]``: one answer for the whole string stands at its last step."""
    if batch.targets.ndim == 2:
        return batch.targets, batch.weights
    last = np.arange(len(batch.mask))[:, None] == batch.mask.sum(axis=0)[None] - 1
    return np.where(last, batch.targets[None], 0), last * batch.weights[None]


def answers_of(batch, index):
    """``step: (answer, whether it counts)`` of one sequence."""
    targets, weights = answered_steps(batch)
    counted = weights > 0 if batch.info is None else batch.info
    steps = np.flatnonzero(weights[:, index])
    return {int(step): (str(targets[step, index]), bool(counted[step, index])) for step in steps}


def expected_answers(case, text):
    """The same, by the solver, from the symbols before the blanks."""
    string = text.rstrip(BLANK)
    assert BLANK not in string and len(text) - len(string) == case.num_blanks(len(string))
    answers = case.solve(string)
    first = len(text) - len(answers)
    end = answers.index(case.ends) if case.ends else len(answers)
    return {first + place: (answer, place <= end) for place, answer in enumerate(answers)}


def outputs_of(task, batch, answers):
    """What a network would say that is sure of ``answers``, a dictionary a sequence; 0 elsewhere."""
    logits = np.zeros((*batch.mask.shape, *task.output_shape), np.float32)
    for index, steps in enumerate(answers):
        for step, (answer, _) in steps.items():
            logits[step, index, int(answer)] = 100.0
    if batch.targets.ndim == 2:
        return jnp.asarray(logits)
    return jnp.asarray(logits[batch.mask.sum(axis=0) - 1, np.arange(batch.mask.shape[1])])


def first(batch, num_sequences):
    return jax.tree.map(
        lambda leaf: leaf[..., :num_sequences] if leaf.ndim < 3 else leaf[:, :num_sequences], batch
    )


def assert_solved_by_its_solver(case):
    """The targets are the solver's; it loses nothing and meets the criterion, and a guess does not."""
    batch = first(many(case.task), SOME)
    read = texts(case, batch)
    lengths = {len(text.rstrip(BLANK)) for text in read}
    assert lengths == {case.task.usable(n) for n in range(case.task.min_length, case.task.max_length + 1)}
    expected = [expected_answers(case, text) for text in read]
    assert expected == [answers_of(batch, index) for index in range(SOME)]

    outputs = outputs_of(case.task, batch, expected)
    assert outputs.shape == (*batch.weights.shape, *case.task.output_shape)
    total, count = case.task.loss(outputs, on_device(batch))
    assert total < 1e-9 and count == batch.weights.sum()
    for name, (value, number) in case.task.metrics(outputs, on_device(batch)).items():
        assert number > 0 and abs(value / number - (name != "cross_entropy")) < 1e-6, name
    for known, solved in ((outputs, True), (frequency_logits(case.task, batch), False)):
        criterion = case.task.criterion
        state = criterion.update(criterion.init(), known, on_device(batch))
        assert bool(criterion.solved(state)) is solved
        assert not criterion.solved(criterion.update(criterion.init(), known * np.nan, on_device(batch)))


def step_counts(task, batch):
    """How often each class is the answer at each step."""
    targets, weights = answered_steps(batch)
    classes = np.arange(*task.output_shape)
    return np.sum((targets[..., None] == classes) * weights[..., None], axis=1)


def frequencies(task, batch):
    counts = step_counts(task, batch)
    return counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)


def frequency_logits(task, batch):
    """The best prediction, on these draws, that knows the step alone."""
    logits = np.log(np.maximum(frequencies(task, batch), 1e-30)).astype(np.float32)
    if batch.targets.ndim == 2:
        return jnp.asarray(np.broadcast_to(logits[:, None], (*batch.mask.shape, logits.shape[-1])))
    return jnp.asarray(logits[batch.mask.sum(axis=0) - 1])


def assert_baseline_holds(task, batch):
    """The frequencies of the draws lose what the baseline says, but for what they gain by being those of the draws."""
    targets, weights = answered_steps(batch)
    shares = frequencies(task, batch)
    nll = -np.log(np.take_along_axis(shares[:, None] + 1e-30, targets[..., None], axis=-1)[..., 0])
    sums, numbers = (nll * weights).sum(axis=0), weights.sum(axis=0)
    loss = sums.sum() / numbers.sum()
    error = np.std(sums - loss * numbers) / math.sqrt(len(sums)) / numbers.mean()
    freedom = np.maximum((shares > 0).sum(axis=1) - 1, 0).sum()
    gained = freedom / (
        2 * numbers.sum()
    )  # half a chi-square, by Wilks; answers of a string are not independent
    scatter = math.sqrt(2 * freedom) / (2 * numbers.sum()) * numbers.mean()
    assert abs(loss + gained - task.baseline) < 5 * error + 5 * scatter + 1e-6
    constant = step_counts(task, batch).sum(axis=0)
    constant = constant[constant > 0] / constant.sum()
    assert -np.sum(constant * np.log(constant)) > task.baseline - 5 * error - 5 * scatter - 1e-6


def exact_baseline(case):
    """From all strings up to the small length and what the solver says of them."""
    mass = collections.Counter()
    lengths = range(case.short.min_length, case.short.max_length + 1)
    for drawn in lengths:
        for string, chance in case.strings(case.task.usable(drawn)).items():
            for step, (answer, _) in expected_answers(case, with_blanks(case, string)).items():
                mass[step, answer] += chance / len(lengths)
    at_step = collections.Counter()
    for (step, _), chance in mass.items():
        at_step[step] += chance
    return -sum(p * math.log(p / at_step[step]) for (step, _), p in mass.items() if p) / sum(mass.values())


def with_blanks(case, string):
    return string + BLANK * case.num_blanks(len(string))


def assert_strings_have_their_chances(case):
    """At the small length: every string as often as the definition says."""
    task = case.task.at_length(case.small)
    drawn = [text.rstrip(BLANK) for text in texts(case, many(task))]
    assert_distributed(drawn, case.strings(case.task.usable(case.small)))


def longest_dependence(case):
    """At the small length: the farthest that the change of one symbol reaches, within the language."""
    strings, longest = set(case.strings(case.task.usable(case.small))), 0
    for string in strings:
        answers = expected_answers(case, with_blanks(case, string))
        for place in range(len(string)):
            for symbol in case.symbols:
                changed = string[:place] + symbol + string[place + 1 :]
                if changed in strings:
                    others = expected_answers(case, with_blanks(case, changed))
                    steps = [step for step in answers if answers[step][0] != others[step][0]]
                    longest = max(longest, max(steps, default=place) - place)
    return longest


def words(alphabet, length):
    """All strings of uniform symbols."""
    chance = len(alphabet) ** -length
    return {"".join(word): chance for word in itertools.product(alphabet, repeat=length)}
