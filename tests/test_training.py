"""Training against a plain loop written here: one update at a time, with optax by hand."""

import dataclasses
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import recurrent as rec
from experiments.lab import seeds
from experiments.lab.model import EveryStep, LastStep, Recurrent, last_step
from experiments.lab.training import INIT, MAX_LAGS, NEVER, Trainer, gradients_by_lag, lags, named_leaves
from experiments.tasks.adding import Adding
from experiments.tasks.base import Batch, Generated
from experiments.tasks.copying import Copying
from recurrent import losses

KEY = jax.random.key(3)


def adam():
    return optax.chain(optax.clip_by_global_norm(1.0), optax.adam(5e-3))


def trainer(task=None, cell=None, predicts=None, **options):
    task = task or Adding(num_steps=8, num_evaluation=48)
    (input_size,), (output_size,) = task.input_shape, task.output_shape
    model = Recurrent(cell or rec.LSTM(input_size, 6), output_size, predicts or LastStep())
    return Trainer(task, model, options.pop("optimizer", adam()), 16, 32, **options)


def close(found, expected, tolerance=1e-6):
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance)


def by_hand(which, num_updates):
    """Parameters, losses and gradients after each of a few updates."""
    params = which.model.init(jax.random.fold_in(KEY, INIT))
    opt_state, history = which.optimizer.init(params), []

    @jax.jit
    def differentiate(params, batch):
        def loss_fn(params):
            _, ys = rec.unroll(which.model.cell, params.cell, batch.inputs)
            answers = ys[-1] @ params.readout.w + params.readout.b
            return jnp.mean((answers - batch.targets) ** 2)

        return jax.value_and_grad(loss_fn)(params)

    for update in range(num_updates):
        batch = which.task.batch((), KEY, jnp.array(update), which.batch_size)
        loss, grads = differentiate(params, batch)
        steps, opt_state = which.optimizer.update(grads, opt_state, params)
        params = optax.apply_updates(params, steps)
        history.append((loss, grads))
    return params, history


def test_updates_are_those_of_a_plain_loop_and_metrics_their_means():
    which = trainer()
    params, history = by_hand(which, 10)
    state, metrics = jax.jit(which.train)(which.init(KEY), (), 10)
    close(state.params, params, 1e-5)
    assert int(state.update) == 10
    norms = [float(optax.tree.norm(grads)) for _, grads in history]
    np.testing.assert_allclose(metrics["loss"], np.mean([loss for loss, _ in history]), rtol=1e-5)
    np.testing.assert_allclose(metrics["grad_norm"], np.mean(norms), rtol=1e-4)
    np.testing.assert_allclose(metrics["grad_norm_max"], np.max(norms), rtol=1e-4)
    for name, _ in named_leaves(params):
        parts = [float(jnp.linalg.norm(dict(named_leaves(grads))[name])) for _, grads in history]
        np.testing.assert_allclose(metrics[f"grad_norm/{name}"], np.mean(parts), rtol=1e-3, atol=1e-7)
    assert {"cell.w_x", "cell.w_h", "cell.b", "readout.w", "readout.b"} == {
        name.removeprefix("grad_norm/") for name in metrics if "/" in name
    }


def test_chunks_do_not_matter():
    which = trainer()
    train = jax.jit(which.train)
    whole, _ = train(which.init(KEY), (), 10)
    parts = which.init(KEY)
    for count in (3, 1, 6):
        parts, _ = train(parts, (), count)
    for one, other in zip(jax.tree.leaves(whole.params), jax.tree.leaves(parts.params), strict=True):
        np.testing.assert_array_equal(one, other)
    assert train._cache_size() == 1  # and the last, shorter one is no other program


@pytest.mark.parametrize("mapping", seeds.MAPPINGS)
def test_mappings_train_each_network_as_if_it_were_alone(mapping):
    which = trainer()
    keys = jax.vmap(jax.random.key)(jnp.arange(2))
    lift = seeds.MAPPINGS[mapping]
    networks, shared = seeds.place(jax.jit(lift(which.init))(keys), (), mapping)
    networks, metrics = jax.jit(lift(which.train))(networks, shared, 5)
    for index in range(2):
        alone, expected = jax.jit(which.train)(which.init(keys[index]), (), 5)
        close(jax.tree.map(lambda leaf, index=index: leaf[index], networks.params), alone.params, 1e-5)
        np.testing.assert_allclose(metrics["loss"][index], expected["loss"], rtol=1e-5)


def test_the_mapping_is_chosen_by_shape_and_filled_up():
    assert seeds.choose(3, 64, "gpu", 1) == "vectorized"
    assert seeds.choose(1, 64, "cpu", 2) == "one_by_one"
    assert seeds.choose(3, 64, "cpu", 2) == "over_devices"
    assert (seeds.padded(3, "over_devices", 2), seeds.padded(3, "one_by_one", 2)) == (4, 3)


@dataclasses.dataclass(frozen=True)
class Counting:
    """Solved when ten losses have been below a bound: a criterion on training with a state."""

    on: ClassVar[str] = "training"

    def init(self):
        return jnp.zeros((), jnp.int32)

    def update(self, state, outputs, batch):
        return state + (jnp.mean((outputs - batch.targets) ** 2) < 0.5)

    def solved(self, state):
        return state >= 10


@dataclasses.dataclass(frozen=True)
class Counted(Adding):
    """The adding problem with that criterion."""

    @property
    def criterion(self):
        return Counting()


def test_a_criterion_on_training_is_carried_through_the_updates():
    which = trainer(Counted(num_steps=8))
    _, history = by_hand(which, 30)
    below = np.cumsum([float(loss) < 0.5 for loss, _ in history])
    state = which.init(KEY)
    for _ in range(3):
        state, _ = jax.jit(which.train)(state, (), 10)
    assert int(state.records.criterion) == below[-1]
    assert int(state.records.solved_at) == int(np.argmax(below >= 10)) + 1


def test_the_best_parameters_on_validation_are_kept():
    which = trainer(keeps_best=True, optimizer=optax.adam(0.3))  # so large that it does not only improve
    train, evaluate = jax.jit(which.train), jax.jit(which.evaluate)
    state, seen = which.init(KEY), []
    for _ in range(8):
        state, metrics = evaluate(state, (), KEY)
        seen.append((float(metrics["loss"]), int(state.update), state.params))
        state, _ = train(state, (), 2)
    loss, update, params = min(seen, key=lambda entry: entry[0])
    assert (float(state.records.best_loss), int(state.records.best_at)) == (loss, update)
    assert 0 < update < seen[-1][1]
    close(which.tested_params(state), params, 0)
    close(which.test(state, (), KEY), which.measure(params, (), "test", KEY)[0], 1e-6)


def test_a_split_is_measured_as_a_whole():
    which = trainer()  # 48 sequences in batches of 32: the second is half empty
    state = which.init(KEY)
    metrics, _ = which.measure(state.params, (), "validation", KEY)
    errors = []
    for index, size in ((0, 32), (1, 16)):
        batch = which.task.evaluation((), "validation", jnp.array(index), KEY, 32)
        outputs, _ = which.model.apply(state.params, batch, carry=(), key=None)
        errors += ((outputs - batch.targets)[:size, 0] ** 2).tolist()
    np.testing.assert_allclose(metrics["loss"], np.mean(errors), rtol=1e-5)
    np.testing.assert_allclose(metrics["mse"], np.mean(errors), rtol=1e-5)


@dataclasses.dataclass(frozen=True)
class Poisoned(Adding):
    """The adding problem whose sixth batch is not a number."""

    def batch(self, data, key, update, batch_size):
        batch = super().batch(data, key, update, batch_size)
        return batch._replace(targets=jnp.where(update == 5, jnp.nan, batch.targets))


def test_a_network_that_is_not_finite_stays_as_it_was():
    which = trainer(Poisoned(num_steps=8))
    before, _ = jax.jit(which.train)(which.init(KEY), (), 5)
    after, metrics = jax.jit(which.train)(before, (), 7)
    assert (int(before.records.frozen_at), bool(before.records.finite)) == (NEVER, True)
    assert (int(after.records.frozen_at), bool(after.records.finite), int(after.update)) == (6, False, 12)
    close((after.params, after.opt_state), (before.params, before.opt_state), 0)
    assert np.isnan(metrics["loss"])
    solved, _ = which.evaluate(after, (), KEY)
    assert int(solved.records.solved_at) == NEVER  # what it was does not count as success


@dataclasses.dataclass(frozen=True)
class Stream(Generated):
    """Numbers without end, cut into chunks of four; the target is their sum since the chunk began."""

    @property
    def input_shape(self):
        return (1,)

    @property
    def output_shape(self):
        return (1,)

    @property
    def criterion(self):
        return Counting()

    def batch(self, data, key, update, batch_size):
        xs = jax.random.normal(jax.random.fold_in(key, update), (4, batch_size, 1))
        wraps = jnp.broadcast_to((jnp.arange(4)[:, None] == 0) & (update % 3 == 0), (4, batch_size))
        return Batch(xs, jnp.cumsum(xs, axis=0), jnp.ones((4, batch_size)), reset=wraps)

    def loss(self, outputs, batch):
        return losses.squared_error(outputs, batch.targets, batch.weights)


def test_the_carry_goes_on_without_its_gradient_and_wraps_at_resets():
    task = Stream()
    model = Recurrent(rec.Elman(1, 5), 1, EveryStep(), carries=True)
    which = Trainer(task, model, optax.sgd(0.1), 3, 3)
    params = model.init(jax.random.fold_in(KEY, INIT))
    state = jnp.zeros((3, 5))
    for update in range(5):
        batch = task.batch((), KEY, update, 3)
        start = jnp.zeros((3, 5)) if update % 3 == 0 else state

        def loss_fn(params, start=start, batch=batch):
            h, hs = start, []
            for x in batch.inputs:
                h = jnp.tanh(x @ params.cell.w_x + h @ params.cell.w_h + params.cell.b)
                hs.append(h)
            outputs = jnp.stack(hs) @ params.readout.w + params.readout.b
            return jnp.mean((outputs - batch.targets) ** 2), h

        grads, state = jax.grad(loss_fn, has_aux=True)(params)
        params = jax.tree.map(lambda param, grad: param - 0.1 * grad, params, grads)
    trained, _ = jax.jit(which.train)(which.init(KEY), (), 5)
    close(trained.params, params, 1e-5)
    close(trained.carry.h, state, 1e-5)


def test_gradients_by_lag_count_from_each_sequences_own_last_step():
    task = Adding(num_steps=10, variant="pascanu")
    model = Recurrent(rec.GRU(2, 5), 1, LastStep())
    params = model.init(KEY)
    batch = task.sample(KEY, 8)
    # sequences of two lengths, one of them with the same steps as a shorter batch
    lengths = jnp.array([10] * 4 + [6] * 4)
    long = task.sample(KEY, 8).inputs
    inputs = jnp.concatenate([long, jnp.zeros((2, 8, 2))])
    mask = rec.mask_from_lengths(lengths, 12)
    batch = Batch(inputs, jnp.ones((8, 1)), jnp.ones(8), mask)
    found = gradients_by_lag(model, params, batch, task.loss)["all"]
    norms = []
    for index, length in enumerate(lengths.tolist()):
        one = Batch(inputs[:length, index : index + 1], jnp.ones((1, 1)), jnp.ones(1))
        gradients = model.state_gradients(params, one, task.loss)
        own = np.asarray(rec.diagnostics.gradient_norms(gradients))[::-1, 0]
        norms.append(np.pad(own, (0, 12 - length), constant_values=np.nan))
    expected = np.nanmedian(np.stack(norms)[:, :10], axis=0)
    np.testing.assert_allclose(found[:10], expected, rtol=1e-5)
    assert np.isnan(found[10:]).all()


def test_the_watched_loss_of_a_task_with_many_predictions_is_the_last_one():
    task = Copying(delay=3, num_recalled=2)
    model = Recurrent(rec.LSTM(10, 5), 9, EveryStep())
    params, batch = model.init(KEY), task.sample(KEY, 4)

    def last(start):
        _, ys = rec.unroll(model.cell, params.cell, batch.inputs, state=start)
        logits = ys[-1] @ params.readout.w + params.readout.b
        return jnp.sum(optax.softmax_cross_entropy_with_integer_labels(logits, batch.targets[-1]))

    expected = jax.grad(last)(model.cell.initial_state(params.cell, (4,)))
    found = model.state_gradients(params, batch, task.loss)
    close((found.h[0], found.c[0]), (expected.h, expected.c), 1e-6)
    by_lag = gradients_by_lag(model, params, batch, task.loss)
    assert set(by_lag) == {"all", "h", "c"}
    norm = np.median(np.linalg.norm(np.concatenate([expected.h, expected.c], axis=1), axis=1))
    np.testing.assert_allclose(by_lag["all"][-1], norm, rtol=1e-5)


def test_layers_have_no_common_state_to_differentiate():
    task = Adding(num_steps=8)
    model = Recurrent(rec.stack(rec.LSTM(2, 3), rec.GRU(3, 4)), 1, LastStep())
    params = model.init(KEY)
    assert gradients_by_lag(model, params, task.sample(KEY, 4), task.loss) == {}


def test_lags_are_all_or_spread():
    assert lags(1) == (0,)
    assert lags(100) == tuple(range(100))
    spread = lags(784)
    assert (len(spread), spread[0], spread[-1]) == (MAX_LAGS, 0, 783)
    assert set(np.diff(spread)) <= {7, 8}


def test_the_last_step_of_a_mask():
    exists = jnp.array([[1, 1, 0], [1, 0, 0], [0, 1, 0]], bool)
    assert last_step(exists).tolist() == [1, 2, 2]
