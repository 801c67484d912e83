"""A split nnx module of several parts is a model like the others."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from token_classifier import (
    TOKENS,
    WIDTH,
    Classifier,
    MoreOnes,
    Tagger,
    attend,
    both,
    by_hand,
    cell_params,
    double,
)
from trainers import assert_close, compiled, predict, without_key

import recurrent as rec
from experiments.lab.storage.checkpoint import Checkpoints
from experiments.lab.storage.hashing import params_sha256
from experiments.lab.training.trainer import Trainer, gradients_by_lag, named_leaves
from experiments.models.base import EveryStep, HasGradients, HasSolver, HasStateGradients
from experiments.models.nnx_model import NNXModel, WatchedNNXModel
from experiments.tasks.base import Batch
from recurrent import losses

pytest_plugins = ["lab_fixtures"]

MODEL, TASK = NNXModel(Classifier), MoreOnes(num_evaluation=64)
KEY = jax.random.key(3)
init = jax.jit(lambda model, key: model.init(key), static_argnums=0)


@pytest.fixture(scope="module")
def params():
    return init(MODEL, KEY)


@pytest.fixture(scope="module")
def batch():
    return TASK.sample(jax.random.key(4), 5)


def test_a_model_is_a_value_whose_parameters_have_names(params):
    assert MODEL == NNXModel(Classifier) != NNXModel(Tagger, carries=True)
    assert hash(MODEL) == hash(NNXModel(Classifier))
    assert [name for name, _ in named_leaves(params) if "layers" not in name] == [
        *("dense.bias", "dense.kernel", "embed.embedding", "scores.bias", "scores.kernel")
    ]
    assert {name.rpartition(".")[2] for name, _ in named_leaves(params["layers"][0])} == {"w_x", "w_h", "b"}
    assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(params))  # no key, no counter
    assert params_sha256(init(MODEL, KEY)) == params_sha256(params)
    assert params_sha256(init(MODEL, jax.random.key(4))) != params_sha256(params)


def test_what_is_in_the_padding_and_how_much_of_it_changes_nothing(params, batch):
    outputs = predict(MODEL, params, batch)
    other = jnp.where(batch.mask, batch.inputs, TOKENS + 100)
    np.testing.assert_array_equal(predict(MODEL, params, batch._replace(inputs=other)), outputs)
    longer = batch._replace(
        inputs=jnp.pad(batch.inputs, ((0, 4), (0, 0)), constant_values=3),
        mask=jnp.pad(batch.mask, ((0, 4), (0, 0))),
    )
    np.testing.assert_allclose(predict(MODEL, params, longer), outputs, rtol=1e-5, atol=1e-6)
    whole = predict(MODEL, params, batch._replace(mask=None))
    assert not np.allclose(whole, outputs, atol=1e-3)


class Regressor(nnx.Module):
    """A dense layer below, which knows of no mask."""

    def __init__(self, rngs):
        self.dense = nnx.Linear(2, 1, rngs=rngs)

    def __call__(self, batch):
        return jnp.sum(jnp.where(batch.mask[..., None], self.dense(batch.inputs), 0.0), axis=0)


def test_nan_in_the_padding_reaches_neither_outputs_nor_gradients():
    mask = rec.mask_from_lengths(jnp.array([4, 2]), 4)
    xs = jnp.where(mask[..., None], jnp.ones((4, 2, 2)), jnp.nan)
    model, batch = NNXModel(Regressor), Batch(xs, None, None, mask)
    params = init(model, KEY)

    @jax.jit
    def gradient(params):
        return jax.value_and_grad(lambda p: model.apply(p, batch, carry=(), key=None)[0].sum())(params)

    value, found = gradient(params)
    kernel, bias = params["dense"]["kernel"], params["dense"]["bias"]
    assert float(value) == pytest.approx(float(6 * (kernel.sum() + bias.sum())), rel=1e-5)
    np.testing.assert_allclose(found["dense"]["kernel"], np.full((2, 1), 6.0))
    np.testing.assert_allclose(found["dense"]["bias"], [6.0])


def test_evaluation_is_deterministic_and_a_key_draws_all_that_is_random(params, batch):
    np.testing.assert_allclose(
        predict(MODEL, params, batch), jax.jit(by_hand)(params, batch), rtol=1e-5, atol=1e-6
    )
    first, again, other = (predict(MODEL, params, batch, (), jax.random.key(n)) for n in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, other, atol=1e-3)
    assert not np.allclose(first, predict(MODEL, params, batch), atol=1e-3)


class Dropped(nnx.Module):
    def __init__(self, rngs):
        self.one, self.other = (nnx.Dropout(0.5, rngs=rngs) for _ in range(2))

    def __call__(self, batch):
        return self.one(batch.inputs), self.other(batch.inputs)


def test_two_dropouts_draw_apart():
    batch = Batch(jnp.ones((50, 4)), None, None)
    one, other = predict(NNXModel(Dropped), {}, batch, (), KEY)
    assert set(np.unique(one)) == {0.0, 2.0}
    assert 0.3 < np.mean(np.array(one) != np.array(other)) < 0.7


def test_gradients_are_those_of_the_network_by_hand(params, batch, float64):
    wide = NNXModel(double)

    def gradient(outputs_of):
        return jax.jit(jax.value_and_grad(lambda p: losses.mean(TASK.loss(outputs_of(p), batch))))

    for model, leaves, tolerance in ((MODEL, params, 1e-6), (wide, init(wide, KEY), 1e-10)):
        found = gradient(lambda p, model=model: model.apply(p, batch, carry=(), key=None)[0])(leaves)
        expected = gradient(lambda p: by_hand(p, batch))(leaves)
        assert_close(found, expected, tolerance)
        assert all(float(jnp.max(jnp.abs(leaf))) > 1e-8 for leaf in jax.tree.leaves(found[1]["layers"]))
    assert found[1]["dense"]["kernel"].dtype == jnp.float64


def trainer_of_classifier(model=MODEL, **options):
    return Trainer(TASK, model, optax.adam(0.02), 32, 32, **options)


train, evaluate = compiled(Trainer.train), compiled(Trainer.evaluate)


def test_a_trainer_trains_it_and_a_checkpoint_holds_its_state(tmp_path, compile_once):
    trainer = trainer_of_classifier()
    first = compiled(Trainer.init)(trainer, jax.random.key(0))
    _, before = evaluate(trainer, first, (), KEY)
    state, _ = train(trainer, first, (), 40)
    with Checkpoints(tmp_path / "checkpoints") as writer:
        writer.save(40, state, {})
        restored, _ = writer.restore(first)
    assert params_sha256(without_key(restored)) == params_sha256(without_key(state))
    on, _ = train(trainer, restored, (), 40)
    unbroken, _ = train(trainer, state, (), 40)
    assert params_sha256(without_key(on)) == params_sha256(without_key(unbroken))
    _, after = evaluate(trainer, on, (), KEY)
    assert before["loss"] > 0.6 and after["loss"] < 0.8 * before["loss"]
    assert trainer.diagnose(on, (), KEY) == {}


def test_seeds_are_mapped_as_those_of_any_model():
    trainer, keys = trainer_of_classifier(), jax.vmap(jax.random.key)(jnp.arange(2))
    networks = jax.jit(jax.vmap(trainer.init))(keys)
    alone = compiled(Trainer.init)(trainer, jax.random.key(1))
    assert_close(jax.tree.map(lambda leaf: leaf[1], networks.params), alone.params)


def test_a_carry_goes_on_from_batch_to_batch_without_its_gradient():
    model = NNXModel(Tagger, carries=True)
    params, tokens = init(model, KEY), jax.random.randint(KEY, (6, 3), 0, TOKENS)
    carry = model.initial_carry(params, 3)
    whole, end = jax.jit(model.apply)(params, Batch(tokens, None, None), carry=carry, key=None)
    halves = []
    for half in (tokens[:3], tokens[3:]):
        outputs, carry = jax.jit(model.apply)(params, Batch(half, None, None), carry=carry, key=None)
        halves.append(outputs)
    np.testing.assert_allclose(jnp.concatenate(halves), whole, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(carry.c, end.c, rtol=1e-6, atol=1e-6)

    def of_carry(scale):
        scaled = jax.tree.map(lambda leaf: scale * leaf, carry)
        return model.apply(params, Batch(tokens, None, None), carry=scaled, key=None)[0].sum()

    assert jax.jit(jax.grad(of_carry))(1.0) == 0.0
    assert jax.jit(of_carry)(1.0) != jax.jit(of_carry)(2.0)


def test_capabilities_are_declared_by_the_class():
    for model, has_states in ((MODEL, False), (WatchedNNXModel(Classifier, watched="layers.0"), True)):
        assert isinstance(model, HasStateGradients) == has_states
        assert not isinstance(model, HasSolver) and not isinstance(model, HasGradients)


@pytest.mark.parametrize("index", [0, 1])
def test_state_gradients_are_those_of_one_layer(params, batch, index):
    model = WatchedNNXModel(Classifier, watched=f"layers.{index}")
    found = jax.jit(model.state_gradients, static_argnums=2)(params, batch, TASK.loss)
    xs = params["embed"]["embedding"][batch.inputs]
    low, high = both(params)

    def above(ys):
        if index == 0:
            ys = rec.unroll(rec.zoneout(rec.GRU(WIDTH, WIDTH), h=0.2), high, ys, mask=batch.mask)[1]
        scores = ys @ params["scores"]["kernel"] + params["scores"]["bias"]
        pooled = attend(scores[..., 0], ys, batch.mask)
        return TASK.loss(pooled @ params["dense"]["kernel"] + params["dense"]["bias"], batch)[0]

    cell, own = rec.LSTM(WIDTH, WIDTH), low
    if index:
        xs, cell, own = (
            rec.unroll(cell, low, xs, mask=batch.mask)[1],
            rec.zoneout(rec.GRU(WIDTH, WIDTH), h=0.2),
            high,
        )
    expected = rec.diagnostics.state_gradients(cell, own, xs, lambda ys, _: above(ys), mask=batch.mask)
    assert_close(found, expected, 1e-6)
    assert float(jnp.max(jnp.abs(found.h))) > 1e-4
    assert set(gradients_by_lag(model, params, batch, TASK.loss)) == {"all", *found._fields}


def test_state_gradients_of_a_module_that_carries():
    model = WatchedNNXModel(Tagger, carries=True, watched="recurrent", predicts=EveryStep())
    params, tokens = init(model, KEY), jax.random.randint(KEY, (4, 3), 0, TOKENS)
    batch = Batch(tokens, jnp.zeros((4, 3), int), jnp.ones((4, 3)))
    found = model.state_gradients(params, batch, lambda ys, batch: (jnp.sum(ys[..., 0] * batch.weights), 1.0))
    # what is watched is the last step: the state that it reads has the gradient of one step
    cell = rec.LSTM(WIDTH, WIDTH)
    own = cell_params(cell, params["recurrent"]["params"])
    xs, kernel = params["embed"]["embedding"][tokens], params["dense"]["kernel"]
    before, _ = rec.unroll(cell, own, xs[:3])
    weights = cell.prepare(own)
    last = jax.grad(lambda s: (cell.step(weights, s, cell.project(weights, xs[3]))[1] @ kernel)[:, 0].sum())
    np.testing.assert_allclose(found.c[3], last(before).c, rtol=1e-5, atol=1e-7)


class Twice(nnx.Module):
    def __init__(self, rngs):
        self.recurrent = rec_layer(rngs)
        self.dense = nnx.Linear(2, 2, rngs=rngs)

    def __call__(self, batch):
        return self.recurrent(self.recurrent(batch.inputs)[1])[1][-1]


def rec_layer(rngs):
    from recurrent.nnx import Recurrent

    return Recurrent(rec.Elman(2, 2), rngs=rngs)


@pytest.mark.parametrize(
    ("watched", "message"),
    [
        ("recurent", "watched: Twice has no recurent"),
        ("recurrent.0", "watched: Twice has no recurrent.0"),
        ("dense", "watched: expected a recurrent.nnx.Recurrent around one cell at dense, got Linear"),
        ("recurrent", "watched: expected recurrent to be called once, and forwards"),
    ],
)
def test_what_cannot_be_watched_is_named(watched, message):
    model = WatchedNNXModel(Twice, watched=watched)
    batch = Batch(jnp.ones((3, 2, 2)), None, jnp.ones(2))
    with pytest.raises(ValueError, match=f"^{message}"):
        model.state_gradients(model.init(KEY), batch, lambda outputs, batch: (jnp.sum(outputs), 1.0))


class Averaging(nnx.Module):
    def __init__(self, rngs):
        self.norm = nnx.BatchNorm(2, rngs=rngs)

    def __call__(self, batch):
        return self.norm(batch.inputs)


def test_what_would_have_to_be_kept_beside_the_parameters_is_named():
    message = (
        "^build: expected parameters and random streams alone, the module keeps norm.mean, norm.var too$"
    )
    with pytest.raises(ValueError, match=message):
        NNXModel(Averaging).apply({}, Batch(jnp.ones((3, 2)), None, None), carry=(), key=None)
