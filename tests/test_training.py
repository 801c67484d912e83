"""The trainer against loops of plain Python: one update at a time, the optimizer's steps by hand, nothing scanned."""

import dataclasses
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import recurrent as rec
from experiments.lab import driver, seeds
from experiments.lab.hashing import params_sha256
from experiments.lab.model import EveryStep, LastStep, Recurrent, make_optimizer
from experiments.lab.training import INIT, NEVER, NOISE, Trainer, TrainState
from experiments.tasks.adding import Adding
from experiments.tasks.base import Batch
from experiments.tasks.criteria import Streak

ADDING = Adding(num_steps=5, num_evaluation=12)
PADDED = Adding(num_steps=10, variant="pascanu", num_evaluation=12)
STEP = 1e-2


def trainer_of(task: Any = ADDING, model: Any = None, optimizer: Any = None, **options: Any) -> Trainer:
    model = model or Recurrent(rec.Elman(2, 3), 1, LastStep())
    return Trainer(task, model, optimizer or optax.sgd(STEP), 4, 5, **options)


def train(trainer: Trainer, state: TrainState, num_updates: int, data: Any = ()) -> tuple[TrainState, dict]:
    return jax.jit(trainer.train)(state, data, num_updates)


def start(trainer: Trainer, seed: int = 0) -> TrainState:
    return jax.jit(trainer.init)(jax.random.key(seed))


def assert_close(got: Any, want: Any, tolerance: float = 1e-6) -> None:
    assert jax.tree.structure(got) == jax.tree.structure(want)
    for one, other in zip(jax.tree.leaves(got), jax.tree.leaves(want), strict=True):
        np.testing.assert_allclose(
            one, other, rtol=0, atol=tolerance * max(1.0, float(jnp.max(jnp.abs(other))))
        )


def loss_of(trainer: Trainer, params: Any, batch: Batch) -> Any:
    """The mean loss of a batch by a loop over its steps; the output of the last step that exists is read."""
    cell, weights = trainer.model.cell, trainer.model.cell.prepare(params.cell)
    num_steps, batch_size = batch.inputs.shape[:2]
    mask = np.ones((num_steps, batch_size), bool) if batch.mask is None else np.asarray(batch.mask)
    state = cell.initial_state(weights, (batch_size,))
    last = jnp.zeros((batch_size, *cell.output_shape))
    for t in range(num_steps):
        new, y = cell.step(weights, state, cell.project(weights, batch.inputs[t]))
        exists = jnp.asarray(mask[t])[:, None]
        state = jax.tree.map(lambda a, b, exists=exists: jnp.where(exists, a, b), new, state)
        last = jnp.where(exists, y, last)
    predictions = last @ params.readout.w + params.readout.b
    return jnp.mean((predictions[:, 0] - batch.targets[:, 0]) ** 2)


class Adam(NamedTuple):
    """Kingma & Ba (2015), algorithm 1, after clipping the whole gradient to a norm of at most ``bound``."""

    mean: Any
    square: Any
    count: int

    def step(self, params: Any, grads: Any, rate: float, bound: float) -> tuple["Adam", Any]:
        norm = np.sqrt(sum(float(np.sum(np.square(leaf))) for leaf in jax.tree.leaves(grads)))
        grads = jax.tree.map(lambda leaf: leaf * min(1.0, bound / norm), grads)
        count = self.count + 1
        mean = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, self.mean, grads)
        square = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g**2, self.square, grads)

        def moved(p: Any, m: Any, v: Any) -> Any:
            return p - rate * (m / (1 - 0.9**count)) / (np.sqrt(v / (1 - 0.999**count)) + 1e-8)

        return Adam(mean, square, count), jax.tree.map(moved, params, mean, square)


@pytest.mark.parametrize("task", [ADDING, PADDED], ids=["whole", "padded"])
def test_training_is_the_loop_that_one_would_write(task):
    trainer = trainer_of(task, optimizer=optax.chain(optax.clip_by_global_norm(0.05), optax.adam(STEP)))
    state, metrics = train(trainer, start(trainer), 6)
    key = jax.random.key(0)
    params = trainer.model.init(jax.random.fold_in(key, INIT))
    zeros = jax.tree.map(np.zeros_like, params)
    adam, losses, norms = Adam(zeros, zeros, 0), [], []
    for update in range(6):
        batch = task.sample(jax.random.fold_in(jax.random.fold_in(key, 0), update), 4)
        loss, grads = jax.value_and_grad(lambda params, batch=batch: loss_of(trainer, params, batch))(params)
        losses.append(float(loss))
        norms.append([float(jnp.sqrt(jnp.sum(leaf**2))) for leaf in jax.tree.leaves(grads)])
        adam, params = adam.step(params, grads, STEP, 0.05)
    assert_close(state.params, params, 1e-5)
    assert int(state.update) == 6
    names = ["cell.w_x", "cell.w_h", "cell.b", "readout.w", "readout.b"]
    assert set(metrics) == {"loss", "grad_norm", "grad_norm_max", *(f"grad_norm/{name}" for name in names)}
    whole = np.sqrt(np.sum(np.square(norms), axis=1))
    expected = {"loss": np.mean(losses), "grad_norm": np.mean(whole), "grad_norm_max": np.max(whole)}
    expected |= {
        f"grad_norm/{name}": value for name, value in zip(names, np.mean(norms, axis=0), strict=True)
    }
    for name, value in expected.items():
        assert float(metrics[name]) == pytest.approx(value, rel=1e-4), name
    assert np.ptp(whole) > 0.01  # else the maximum would be the mean


@pytest.mark.parametrize("name", ["adam", "rmsprop", "sgd"])
def test_the_optimizers_of_a_configuration_are_what_their_names_say(name):
    from experiments.adding_problem import AddingConfig

    config = AddingConfig(optimizer=name, learning_rate=0.1, clip_norm=2.0, schedule="cosine", num_updates=4)
    optimizer, params = make_optimizer(config), jnp.array([1.0, -1.0])
    state, second, moments = optimizer.init(params), np.zeros(2), np.zeros(2)
    for count in range(4):
        rate = 0.1 * 0.5 * (1 + np.cos(np.pi * count / 4))
        gradient = np.array([3.0, 4.0]) * (count + 1)
        clipped = gradient * 2.0 / np.linalg.norm(gradient)
        steps, state = optimizer.update(jnp.asarray(gradient, jnp.float32), state, params)
        decay = {"adam": 0.999, "rmsprop": 0.9, "sgd": 0.0}[name]
        second = decay * second + (1 - decay) * clipped**2
        moments = 0.9 * moments + 0.1 * clipped
        expected = {
            "adam": moments / (1 - 0.9 ** (count + 1)) / np.sqrt(second / (1 - 0.999 ** (count + 1))),
            "rmsprop": clipped / np.sqrt(second + 1e-8),
            "sgd": clipped,
        }[name]
        np.testing.assert_allclose(steps, -rate * expected, rtol=1e-4, atol=1e-9)
    assert make_optimizer(dataclasses.replace(config, clip_norm=None)).init(params) != optimizer.init(params)


def test_chunks_do_not_matter():
    trainer = trainer_of(optimizer=optax.adam(STEP))
    whole, _ = train(trainer, start(trainer), 10)
    half, first = train(trainer, start(trainer), 5)
    rest, second = train(trainer, half, 5)
    assert params_sha256(rest) == params_sha256(whole)
    _, mean = train(trainer, start(trainer), 10)
    for name in ("loss", "grad_norm", "grad_norm/cell.w_h"):
        assert float(mean[name]) == pytest.approx(float(first[name] + second[name]) / 2, rel=1e-5)
    assert float(mean["grad_norm_max"]) == float(jnp.maximum(first["grad_norm_max"], second["grad_norm_max"]))


@pytest.mark.parametrize("name", sorted(seeds.MAPPINGS))
def test_seeds_are_the_networks_that_they_would_be_alone(name):
    trainer = trainer_of(optimizer=optax.adam(STEP))
    lift = seeds.MAPPINGS[name]
    keys = jax.vmap(jax.random.key)(jnp.arange(7, 10))
    networks = jax.jit(lift(trainer.init))(keys)
    networks, (key,) = seeds.place(networks, (jax.random.key(0),), name)
    networks, metrics = jax.jit(lift(trainer.train))(networks, (), 5)
    networks, _ = jax.jit(lift(trainer.evaluate))(networks, (), key)
    for index in range(3):
        alone, one = train(trainer, start(trainer, 7 + index), 5)
        alone, _ = trainer.evaluate(alone, (), jax.random.key(0))
        assert_close(jax.tree.map(lambda leaf, index=index: leaf[index], networks.params), alone.params)
        assert float(metrics["loss"][index]) == pytest.approx(float(one["loss"]), rel=1e-5)
        assert float(networks.records.best_loss[index]) == pytest.approx(
            float(alone.records.best_loss), rel=1e-5
        )


def test_the_mapping_is_chosen_by_shape_and_fillers_come_and_go():
    assert seeds.choose(3, 16, "gpu", 1) == "vectorized"
    assert [seeds.choose(3, width, "cpu", 1) for width in (32, 33)] == ["vectorized", "one_by_one"]
    assert [seeds.choose(number, 16, "cpu", 2) for number in (1, 2)] == ["one_by_one", "over_devices"]
    assert [seeds.padded(3, name, 2) for name in ("one_by_one", "over_devices")] == [3, 4]
    trainer = trainer_of()
    networks = jax.vmap(trainer.init)(jax.vmap(jax.random.key)(jnp.arange(4)))
    others = jax.vmap(trainer.init)(jax.vmap(jax.random.key)(jnp.arange(10, 14)))
    kept, filled = driver._fillers(3, 4)
    three = jax.vmap(trainer.init)(jax.vmap(jax.random.key)(jnp.arange(3)))
    assert params_sha256(_data(kept(networks))) == params_sha256(_data(three))
    mixed = jax.vmap(trainer.init)(jax.vmap(jax.random.key)(jnp.array([0, 1, 2, 13])))
    assert params_sha256(_data(filled(three, others))) == params_sha256(_data(mixed))


def _data(networks: TrainState) -> TrainState:
    return networks._replace(key=jax.random.key_data(networks.key))


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
        batch = trainer.task.sample(jax.random.fold_in(jax.random.fold_in(key, 0), update), 4)
        outputs, _ = trainer.model.apply(state.params, batch, carry=(), key=None)
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
    key, errors = jax.random.fold_in(jax.random.key(0), {"validation": 1, "test": 2}[split]), []
    for index in range(3):
        batch = trainer.task.sample(jax.random.fold_in(key, index), 5)
        outputs, _ = trainer.model.apply(params, batch, carry=(), key=None)
        errors += np.asarray((outputs - batch.targets) ** 2)[:, 0].tolist()
    return float(np.mean(errors[:12]))


def test_validation_selects_the_parameters_that_are_tested():
    # a step so large that the last parameters are not the best
    trainer = trainer_of(optimizer=optax.sgd(0.9), keeps_best=True)
    state, seen = start(trainer), []
    evaluate = jax.jit(trainer.evaluate)
    for _ in range(8):
        state, metrics = evaluate(state, (), jax.random.key(0))
        seen.append((evaluated(trainer, state.params, "validation"), state.params))
        assert float(metrics["loss"]) == pytest.approx(seen[-1][0], rel=1e-5)
        assert float(metrics["mse"]) == float(metrics["loss"])
        state, _ = train(trainer, state, 1)
    best = min(range(8), key=lambda index: seen[index][0])
    assert 0 < best < 7  # else this says nothing
    assert int(state.records.best_at) == best
    assert float(state.records.best_loss) == pytest.approx(seen[best][0], rel=1e-5)
    assert params_sha256(trainer.tested_params(state)) == params_sha256(seen[best][1])
    assert float(trainer.test(state, (), jax.random.key(0))["loss"]) == pytest.approx(
        evaluated(trainer, seen[best][1], "test"), rel=1e-5
    )
    last = dataclasses.replace(trainer, keeps_best=False)
    assert params_sha256(last.tested_params(state)) == params_sha256(state.params)


@dataclasses.dataclass(frozen=True)
class Poisoned(Adding):
    """From the fourth update on, inputs are not numbers."""

    at: ClassVar[int] = 3

    def batch(self, data: Any, key: Any, update: Any, batch_size: int) -> Batch:
        batch = super().batch(data, key, update, batch_size)
        return batch._replace(inputs=jnp.where(update == self.at, jnp.nan, batch.inputs))


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
    # the test of the last parameters is that of the last finite ones, and nothing counts as solved any more
    assert float(poisoned.test(state, (), jax.random.key(0))["loss"]) == pytest.approx(
        evaluated(healthy, expected.params, "test"), rel=1e-5
    )


def test_noise_is_drawn_afresh_for_every_update_and_not_in_an_evaluation():
    cell = rec.zoneout(rec.Elman(2, 3), 0.5) if hasattr(rec, "zoneout") else None
    if cell is None:
        pytest.skip("no stochastic cell")
    trainer = trainer_of(model=Recurrent(cell, 1, LastStep()))
    state = start(trainer)
    for update in range(2):
        batch = trainer.task.batch((), state.key, jnp.array(update), 4)
        key = jax.random.fold_in(jax.random.fold_in(state.key, NOISE), update)

        def loss(params: Any, key: Any, batch: Batch = batch) -> Any:
            outputs, _ = trainer.model.apply(params, batch, carry=(), key=key)
            return jnp.mean((outputs - batch.targets) ** 2)

        grads = jax.grad(loss)(state.params, key)
        expected = jax.tree.map(lambda p, g: p - STEP * g, state.params, grads)
        assert float(loss(state.params, key)) != float(loss(state.params, None))
        state, _ = train(trainer, state, 1)
        assert_close(state.params, expected)


def test_predictions_at_every_step_are_learned_from():
    assert EveryStep().select(jnp.ones((3, 2, 1)), None).shape == (3, 2, 1)
