"""The experiments of 1997 have the networks and the error of their paper."""

import copy
import importlib
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.hs97.network import HalfSquares
from experiments.lab.plan.cell_names import parse_cell
from experiments.lab.plan.configs import changed
from experiments.models.base import EveryStep
from experiments.tasks.adding import Adding
from experiments.tasks.base import Batch
from experiments.tasks.reber import Reber

# printed in its tables, biases included
WEIGHTS = {
    "reber": 276,
    "two_sequences": 10_504,
    "distractors": 364,
    "two_classes": 102,
    "adding": 93,
    "multiplication": 93,
    "temporal_order": 156,
    "temporal_order_three": 308,
}
LARGER = {"delay": 1000, "num_symbols": 1000}  # 6,064 weights


def parts(name, **fields):
    experiment = importlib.import_module(f"experiments.hs97.{name}").EXPERIMENT
    config = changed(experiment.presets["default"], **fields)
    return config, experiment.build(config.with_cell(parse_cell(experiment.cells[0])))


def num_weights(model):
    shapes = jax.eval_shape(model.init, jax.random.key(0))
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(shapes))


@pytest.mark.parametrize("name", WEIGHTS)
def test_a_network_has_the_weights_that_are_printed(name):
    assert num_weights(parts(name)[1].model) == WEIGHTS[name]


def test_the_weights_grow_with_the_symbols_as_printed():
    assert num_weights(parts("distractors", **LARGER)[1].model) == 6_064


@pytest.mark.parametrize("name", WEIGHTS)
def test_everything_starts_within_the_printed_range(name):
    _, (_, model, optimizer) = parts(name)
    params = model.init(jax.random.key(1))
    bound = 0.2 if name in ("reber", "two_sequences", "distractors") else 0.1
    for leaf in jax.tree.leaves((params.readout, params.cell.w_x)):
        assert float(jnp.abs(leaf).max()) <= bound
        assert leaf.size < 20 or float(jnp.abs(leaf).max()) > 0.7 * bound
    assert optimizer.transformation(0.5).init(params) is not None and optimizer.clip_norm is None


def test_one_update_is_the_rate_times_the_gradient_of_half_the_squares():
    config, (task, model, optimizer) = parts("adding")
    assert (config.batch_size, config.learning_rate) == (1, 0.5)
    params = model.init(jax.random.key(0))
    batch = task.sample(jax.random.key(1), 1)

    def printed(params):
        return 0.5 * jnp.sum((model.apply(params, batch, carry=(), key=None)[0] - batch.targets) ** 2)

    def ours(params):
        total, count = task.loss(model.apply(params, batch, carry=(), key=None)[0], batch)
        return total / count

    expected, found = jax.grad(printed)(params), jax.grad(ours)(params)
    rule = optimizer.transformation(config.learning_rate)
    steps, _ = rule.update(found, rule.init(params), params)
    for step, gradient in zip(jax.tree.leaves(steps), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(step, -0.5 * gradient, rtol=1e-5, atol=1e-9)


def test_the_error_of_a_string_is_summed_over_its_steps():
    task = HalfSquares(Reber(output_unit="linear"), None)
    targets = jnp.array([[0, 1], [2, 0], [0, 0]])
    weights = jnp.array([[1.0, 1.0], [1.0, 0.0], [0.0, 0.0]])
    outputs = jnp.zeros((3, 2, 7)).at[0, 0, 0].set(0.5)
    total, count = task.loss(outputs, Batch(None, targets, weights))
    assert (float(total), float(count)) == (pytest.approx((0.25 + 1 + 1) / 2), 2.0)
    assert task.baseline is None


def test_half_squares_are_the_task_in_all_else():
    task = HalfSquares(Adding(100, "hs97"))
    assert task.baseline == Adding(100, "hs97").baseline / 2
    assert (task.lag, task.criterion.rule) == (Adding(100, "hs97").lag, Adding(100, "hs97").criterion)
    assert task.at_length(200) == HalfSquares(Adding(200, "hs97"))
    assert copy.deepcopy(task) == task and hash(task) == hash(copy.copy(task))
    assert isinstance(parts("reber")[1].model.predicts, EveryStep)
