"""The suites as data: every flag is one, scores begin where the tasks say, digests tell budgets apart."""

import dataclasses

import jax
import jax.numpy as jnp
import pytest

import recurrent as rec
from experiments.errors import Fault
from experiments.suite import base, board, run, suites
from experiments.suite.scores import Accuracy
from experiments.suite.suites import SUITES

PARTS = [
    pytest.param(suite, part, id=f"{suite.name}-{part.name}")
    for suite in (SUITES["all"], SUITES["smoke"])
    for part in suite.parts
]


@pytest.mark.parametrize(("suite", "part"), PARTS)
def test_every_flag_of_a_task_is_one_of_its_experiment(suite, part):
    experiment, configs = base.requested(suite, part, "gru")
    assert [config.learning_rate for config in configs] == list(suite.rates)
    for config in configs:
        assert (config.num_updates, config.eval_every, config.checkpoint_every) == (part.updates,) * 3
        assert config.num_seeds == suite.num_seeds
        assert config.test_lengths == (() if part.test_length is None else (part.test_length,))
        task = experiment.build(config).task
        if part.test_length is not None:
            assert task.at_length(part.test_length).output_shape == task.output_shape


def test_the_core_is_part_of_all_at_the_same_budget():
    core, everything = SUITES["core"], SUITES["all"]
    assert everything.parts[: len(core.parts)] == core.parts and len(core.parts) == 10
    assert (everything.shared, everything.rates, everything.num_seeds) == (core.shared, (1e-3, 3e-3), 3)
    for suite in SUITES.values():
        folders = [run.folder_of(part) for part in suite.parts]
        assert len(set(folders)) == len(folders) and all("/" not in name for name in folders)


@pytest.mark.medium
@pytest.mark.parametrize(("suite", "part"), PARTS)
def test_a_score_of_0_is_what_no_constant_answer_beats(suite, part):
    experiment, (config, *_) = base.requested(suite, part, "gru")
    task = experiment.build(config).task
    if part.test_length is not None:
        task = task.at_length(part.test_length)
    batch = task.sample(jax.random.key(5), 1024)
    if isinstance(part.score, Accuracy):
        num_classes = task.output_shape[0]

        def accuracy(answer):
            outputs = jnp.broadcast_to(
                jax.nn.one_hot(answer, num_classes), (*batch.targets.shape, num_classes)
            )
            right, count = task.metrics(outputs, batch)[part.score.metric]
            return right / count

        best = float(jnp.max(jax.lax.map(accuracy, jnp.arange(min(num_classes, 8)))))
        # the best of the answers on 1,024 sequences; over 100 kinds it is a little above its chance
        assert part.score.chance - 0.02 < best < part.score.chance + 0.05
    else:
        weights = batch.weights[..., None]
        mean = jnp.sum(weights * batch.targets, 1, keepdims=True) / jnp.maximum(
            jnp.sum(weights, 1, keepdims=True), 1
        )
        if batch.weights.ndim == 1:
            mean = jnp.mean(batch.targets, axis=0, keepdims=True)
        total, count = task.metrics(jnp.broadcast_to(mean, batch.targets.shape), batch)[part.score.metric]
        assert abs(part.score.of(float(total / count), task.baseline)) < 0.1


def test_the_digest_tells_another_budget_and_other_scores_and_nothing_else():
    suite = SUITES["core"]
    first, *others = suite.parts

    def with_first(**values):
        return dataclasses.replace(suite, parts=(dataclasses.replace(first, **values), *others)).digest

    assert with_first(asks="another word", seconds=99.0) == suite.digest
    changes = [
        with_first(updates=first.updates + 100),
        with_first(flags="--num-steps 31"),
        with_first(score=dataclasses.replace(first.score, metric="mae")),
        with_first(test_length=40),
        dataclasses.replace(suite, num_seeds=4).digest,
        dataclasses.replace(suite, rates=(1e-3,)).digest,
        dataclasses.replace(suite, shared=suite.shared.replace("64", "65")).digest,
    ]
    assert len({suite.digest, *changes}) == len(changes) + 1


def test_an_unknown_suite_is_named():
    with pytest.raises(Fault, match="unknown suite 'cor'; did you mean core"):
        suites.find("cor")


def test_the_first_cells_are_of_all_families():
    order = board.one_of_each_family()
    assert sorted(order) == sorted(rec.CELLS)
    assert order[:4] == ["elman", "lstm", "lstm_v", "gru"] and order[12] == "irnn"
    assert board.missing({"lstm": None, "gru": None})[:2] == ["elman", "lstm_v"]
