"""What a run remembers: when it was solved, its best parameters, when it was no longer finite; and its noise."""

import dataclasses
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from trainers import STEP, assert_close, draw, evaluate, measure_test, predict, start, train, trainer_of

import recurrent as rec
from experiments.lab.storage.hashing import params_sha256
from experiments.lab.training.gradient_rules import Backpropagation
from experiments.lab.training.trainer import CAUSES, NEVER, NOISE, Trainer
from experiments.models.base import LastStep
from experiments.models.cell_with_readout import CellWithReadout
from experiments.tasks.adding import Adding
from experiments.tasks.base import Batch
from experiments.tasks.criteria import SquaredErrorBelow, Streak

pytest_plugins = ["lab_fixtures"]
pytestmark = pytest.mark.usefixtures("compile_once", "trace_once")


@dataclasses.dataclass(frozen=True)
class Counting(Adding):
    """Adding whose criterion wants a few sequences in a row with small errors."""

    @property
    def criterion(self) -> Streak:
        return Streak(window=10, error=0.7, mean_error=0.4)


def test_a_criterion_on_training_is_carried_across_updates():
    trainer = trainer_of(Counting(num_steps=5), optimizer=optax.adam(3e-2))
    state, key = start(trainer), jax.random.key(0)
    outcomes, errors = [], []
    solved_at = NEVER
    for update in range(24):
        # by hand: the errors of all sequences so far, with the parameters before each update
        batch = draw(trainer.task, key, update)
        outputs = predict(trainer.model, state.params, batch)
        errors += np.abs(np.asarray(outputs - batch.targets))[:, 0].tolist()
        window = errors[-10:]
        if solved_at == NEVER and len(window) == 10 and max(window) < 0.7 and np.mean(window) < 0.4:
            solved_at = update + 1
        state, _ = train(trainer, state, 1)
        outcomes.append(int(state.records.solved_at))
    assert 3 < solved_at < 24  # else this says nothing
    assert outcomes == [NEVER] * (solved_at - 1) + [solved_at] * (25 - solved_at)
    whole, _ = train(trainer, start(trainer), 24)
    assert int(whole.records.solved_at) == solved_at
    assert_close(whole.records.criterion, state.records.criterion)


def evaluated(trainer: Trainer, params: Any, split: str) -> float:
    """The mean squared error over the split's 12 sequences, in batches of 5: the last has 3 fillers."""
    errors: list[float] = []
    for index in range(3):
        batch = draw(trainer.task, jax.random.key(0), index, 5, {"validation": 1, "test": 2}[split])
        outputs = predict(trainer.model, params, batch)
        errors += np.asarray((outputs - batch.targets) ** 2)[:, 0].tolist()
    return float(np.mean(errors[:12]))


def test_validation_selects_the_parameters_that_are_tested():
    # a step so large that the last parameters are not the best
    trainer = trainer_of(optimizer=optax.adam(0.1), select="validation")
    state, seen = start(trainer), []
    for _ in range(10):
        state, metrics = evaluate(trainer, state, (), jax.random.key(0))
        seen.append((evaluated(trainer, state.params, "validation"), state.params))
        assert float(metrics["loss"]) == pytest.approx(seen[-1][0], rel=1e-5)
        assert float(metrics["mse"]) == float(metrics["loss"])
        state, _ = train(trainer, state, 1)
    best = min(range(10), key=lambda index: seen[index][0])
    assert 0 < best < 9  # else this says nothing
    assert int(state.records.best_at) == best
    assert float(state.records.best_loss) == pytest.approx(seen[best][0], rel=1e-5)
    assert params_sha256(trainer.tested_params(state)) == params_sha256(seen[best][1])
    assert float(measure_test(trainer, state, (), jax.random.key(0))["loss"]) == pytest.approx(
        evaluated(trainer, seen[best][1], "test"), rel=1e-5
    )
    last = dataclasses.replace(trainer, select="last")
    assert params_sha256(last.tested_params(state)) == params_sha256(state.params)


@dataclasses.dataclass(frozen=True)
class Lenient(Adding):
    """Solved by small errors in the last 12 training sequences, or by a small loss on the validation split."""

    rule: ClassVar[Any] = Streak(window=12, error=1.0, mean_error=0.45)

    @property
    def criterion(self) -> Any:
        return self.rule


@dataclasses.dataclass(frozen=True)
class LenientOnValidation(Lenient):
    rule: ClassVar[Any] = SquaredErrorBelow(0.14)


@pytest.mark.parametrize("kind", [Lenient, LenientOnValidation])
def test_the_parameters_that_first_met_the_criterion_are_tested(kind):
    trainer = trainer_of(kind(num_steps=5, num_evaluation=12), optimizer=optax.adam(0.1), select="solved")
    state, seen = start(trainer), []
    for _ in range(40):
        state, _ = evaluate(trainer, state, (), jax.random.key(0))
        seen.append(state.params)
        if int(state.records.solved_at) < 0:
            assert params_sha256(trainer.tested_params(state)) == params_sha256(state.params)
        state, _ = train(trainer, state, 1)
    solved_at = int(state.records.solved_at)
    assert 0 < solved_at < 39  # else this says nothing
    # a criterion on training is read after an update: what met it are the parameters before that one
    met = solved_at - 1 if kind is Lenient else solved_at
    assert params_sha256(trainer.tested_params(state)) == params_sha256(seen[met])
    assert float(measure_test(trainer, state, (), jax.random.key(0))["loss"]) == pytest.approx(
        evaluated(trainer, seen[met], "test"), rel=1e-5
    )


@dataclasses.dataclass(frozen=True)
class Poisoned(Adding):
    """From the fourth update on, inputs are not numbers."""

    at: ClassVar[int] = 3

    def batch(self, data: Any, key: Any, update: Any, batch_size: int) -> Batch:
        batch = super().batch(data, key, update, batch_size)
        return batch._replace(inputs=jnp.where(update == self.at, jnp.nan, batch.inputs))


@dataclasses.dataclass(frozen=True)
class Met(Adding):
    """Whatever is answered, the task counts as solved."""

    @property
    def criterion(self) -> SquaredErrorBelow:
        return SquaredErrorBelow(np.inf)


def test_a_network_that_is_not_finite_stays_as_it_was_for_good():
    poisoned = trainer_of(Poisoned(num_steps=5, num_evaluation=12), optimizer=optax.adam(STEP))
    healthy = trainer_of(optimizer=optax.adam(STEP))
    state, metrics = train(poisoned, start(poisoned), 8)
    expected, _ = train(healthy, start(healthy), 3)
    assert params_sha256((state.params, state.opt_state)) == params_sha256(
        (expected.params, expected.opt_state)
    )
    assert (int(state.records.frozen_at), bool(state.records.finite), int(state.update)) == (4, False, 8)
    assert int(expected.records.frozen_at) == NEVER
    assert np.isnan(metrics["loss"])
    # not even by a criterion that everything meets
    easy = dataclasses.replace(poisoned, task=Met(num_steps=5, num_evaluation=12))
    assert int(evaluate(easy, state, (), jax.random.key(0))[0].records.solved_at) == NEVER
    assert int(evaluate(easy, expected, (), jax.random.key(0))[0].records.solved_at) == 3
    # the test of the last parameters is that of the last finite ones
    assert float(measure_test(poisoned, state, (), jax.random.key(0))["loss"]) == pytest.approx(
        evaluated(healthy, expected.params, "test"), rel=1e-5
    )


@dataclasses.dataclass(frozen=True)
class Steep:
    """Backpropagation with a gradient that is not finite at some update."""

    def __call__(self, model, loss, params, batch, *, carry, key, rule_key):
        step = Backpropagation()(model, loss, params, batch, carry=carry, key=key, rule_key=rule_key)
        steep = batch.targets[0, 0] > 0.5  # of the first sequence, at some update
        return step._replace(grads=jax.tree.map(lambda g: jnp.where(steep, jnp.inf, g), step.grads))


@pytest.mark.parametrize(
    ("options", "cause"),
    [
        ({"task": Poisoned(num_steps=5, num_evaluation=12)}, "loss"),
        ({"gradient": Steep()}, "gradient"),
        ({"optimizer": optax.sgd(1e38)}, "parameters"),
    ],
    ids=["loss", "gradient", "parameters"],
)
def test_what_was_not_finite_is_a_metric_of_its_chunk_alone(options, cause):
    trainer = trainer_of(**options)
    state, found = start(trainer), []
    for _ in range(4):
        state, metrics = train(trainer, state, 2)
        found.append(int(metrics["lost_to"]))
    lost = (int(state.records.frozen_at) - 1) // 2
    assert lost >= 0 and found == [CAUSES.index(cause) if chunk == lost else 0 for chunk in range(4)]


def test_noise_is_drawn_afresh_for_every_update_and_not_in_an_evaluation():
    trainer = trainer_of(model=CellWithReadout(rec.zoneout(rec.Elman(2, 3), h=0.5), 1, LastStep()))
    state = start(trainer)
    for update in range(2):
        batch = draw(trainer.task, state.key, update)
        key = jax.random.fold_in(jax.random.fold_in(state.key, NOISE), update)

        def loss(params: Any, key: Any, batch: Batch = batch) -> Any:
            return jnp.mean((predict(trainer.model, params, batch, (), key) - batch.targets) ** 2)

        grads = jax.grad(loss)(state.params, key)
        expected = jax.tree.map(lambda p, g: p - STEP * g, state.params, grads)
        assert float(loss(state.params, key)) != float(loss(state.params, None))
        state, _ = train(trainer, state, 1)
        assert_close(state.params, expected)
