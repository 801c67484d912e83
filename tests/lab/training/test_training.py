"""The trainer against loops of plain Python: one update at a time, the optimizer's steps by hand, nothing scanned."""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from trainers import (
    ADDING,
    STEP,
    assert_close,
    draw,
    evaluate,
    num_programs,
    start,
    train,
    trainer_of,
    without_key,
)

from experiments.adding_problem import AddingConfig
from experiments.lab.storage.hashing import params_sha256
from experiments.lab.training import driver, seeds
from experiments.lab.training.optimizers import make_optimizer
from experiments.lab.training.trainer import INIT
from experiments.models.cell_with_readout import CellWithReadout
from experiments.tasks.adding import Adding
from experiments.tasks.base import Batch

pytest_plugins = ["lab_fixtures"]
pytestmark = [pytest.mark.optimised, pytest.mark.usefixtures("compile_once")]

PADDED = Adding(num_steps=10, variant="pascanu", num_evaluation=12)


def loss_of(model: CellWithReadout, params: Any, batch: Batch) -> Any:
    """The mean loss of a batch by a loop over its steps; the output of the last step that exists is read."""
    cell, weights = model.cell, model.cell.prepare(params.cell)
    num_steps, batch_size = batch.inputs.shape[:2]
    mask = jnp.ones((num_steps, batch_size), bool) if batch.mask is None else batch.mask
    state = cell.initial_state(weights, (batch_size,))
    last = jnp.zeros((batch_size, *cell.output_shape))
    for t in range(num_steps):
        new, y = cell.step(weights, state, cell.project(weights, batch.inputs[t]))
        exists = mask[t][:, None]
        state = jax.tree.map(lambda a, b, exists=exists: jnp.where(exists, a, b), new, state)
        last = jnp.where(exists, y, last)
    predictions = last @ params.readout.w + params.readout.b
    return jnp.mean((predictions[:, 0] - batch.targets[:, 0]) ** 2)


gradient_of = jax.jit(jax.value_and_grad(loss_of, argnums=1), static_argnums=0)


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
        loss, grads = gradient_of(trainer.model, params, draw(task, key, update))
        losses.append(float(loss))
        norms.append([float(jnp.sqrt(jnp.sum(leaf**2))) for leaf in jax.tree.leaves(grads)])
        adam, params = adam.step(params, grads, STEP, 0.05)
    assert_close(state.params, params, 1e-5)
    assert int(state.update) == 6
    names = ["cell.w_x", "cell.w_h", "cell.b", "readout.w", "readout.b"]
    numbers = {"loss", "grad_norm", "grad_norm_max", *(f"grad_norm/{name}" for name in names)}
    assert set(metrics) == {*numbers, "lost_to"} and int(metrics["lost_to"]) == 0
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
    config = AddingConfig(optimizer=name, learning_rate=0.1, clip_norm=2.0, schedule="cosine", num_updates=4)
    optimizer, params = make_optimizer(config).transformation(0.1), jnp.array([1.0, -1.0])
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
    unclipped = make_optimizer(dataclasses.replace(config, clip_norm=None)).transformation(0.1)
    assert unclipped.init(params) != optimizer.init(params)


def test_chunks_do_not_matter():
    trainer = trainer_of(optimizer=optax.adam(STEP))
    whole, mean = train(trainer, start(trainer), 10)
    programs = num_programs()
    parts, chunks = start(trainer), {}
    for count in (3, 1, 6):
        parts, chunks[count] = train(trainer, parts, count)
    assert num_programs() == programs  # a shorter chunk is no other program
    assert params_sha256(without_key(parts)) == params_sha256(without_key(whole))
    for name in ("loss", "grad_norm", "grad_norm/cell.w_h"):
        total = sum(count * float(metrics[name]) for count, metrics in chunks.items())
        assert float(mean[name]) == pytest.approx(total / 10, rel=1e-5)
    assert mean["grad_norm_max"] == max(metrics["grad_norm_max"] for metrics in chunks.values())


ALONE = trainer_of(optimizer=optax.adam(STEP))


@pytest.mark.parametrize("name", sorted(seeds.MAPPINGS))
def test_seeds_are_the_networks_that_they_would_be_alone(name):
    trainer = ALONE
    lift = seeds.MAPPINGS[name]
    keys = jax.vmap(jax.random.key)(jnp.arange(7, 10))
    networks = jax.jit(lift(trainer.init))(keys)
    networks, (key,) = seeds.place(networks, (jax.random.key(0),), name)
    networks, metrics = jax.jit(lift(trainer.train))(networks, (), 5)
    networks, _ = jax.jit(lift(trainer.evaluate))(networks, (), key)
    for index in range(3):
        alone, one = train(trainer, start(trainer, 7 + index), 5)
        alone, _ = evaluate(trainer, alone, (), jax.random.key(0))
        assert_close(jax.tree.map(lambda leaf, index=index: leaf[index], networks.params), alone.params)
        assert float(metrics["loss"][index]) == pytest.approx(float(one["loss"]), rel=1e-5)
        assert float(networks.records.best_loss[index]) == pytest.approx(
            float(alone.records.best_loss), rel=1e-5
        )


def test_the_mapping_is_chosen_by_shape_and_fillers_come_and_go():
    assert seeds.choose(3, 16, "gpu", 1) == "vectorized"
    assert [seeds.choose(3, width, "cpu", 1) for width in (32, 33)] == ["vectorized", "one_by_one"]
    assert seeds.choose(1, 16, "cpu", 2) == "one_by_one"
    spread = ["vectorized_over_devices", "over_devices"]
    assert [seeds.choose(2, width, "cpu", 2) for width in (32, 33)] == spread
    assert [seeds.padded(3, name, 2) for name in ("one_by_one", *spread)] == [3, 4, 4]
    trainer = trainer_of()
    networks = jax.vmap(trainer.init)(jax.vmap(jax.random.key)(jnp.arange(4)))
    others = jax.vmap(trainer.init)(jax.vmap(jax.random.key)(jnp.arange(10, 14)))
    kept, filled = driver._fillers(3, 4)
    three = jax.vmap(trainer.init)(jax.vmap(jax.random.key)(jnp.arange(3)))
    assert params_sha256(without_key(kept(networks))) == params_sha256(without_key(three))
    mixed = jax.vmap(trainer.init)(jax.vmap(jax.random.key)(jnp.array([0, 1, 2, 13])))
    assert params_sha256(without_key(filled(three, others))) == params_sha256(without_key(mixed))
