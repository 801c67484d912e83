"""The NNX module computes what `unroll` computes, and trains as a pure function of its split parameters."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import orbax.checkpoint as ocp
import pytest
from flax import nnx

import recurrent as rec
from recurrent.nnx import Recurrent

CASES = {
    "lstm": rec.LSTM(3, 4),
    "gru": rec.GRU(3, 4),
    "stack": rec.stack(rec.LSTM(3, 4), rec.Elman(4, 5)),
    "bidirectional": rec.Bidirectional(rec.GRU(3, 4), rec.GRU(3, 4)),
}


def inputs(seed=1, steps=6, batch=2):
    return jax.random.normal(jax.random.key(seed), (steps, batch, 3))


def same(found, expected, atol=0.0):
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(one, other, atol=atol, rtol=0)


@pytest.mark.parametrize("name", CASES)
def test_values_are_those_of_unroll(name):
    cell, xs = CASES[name], inputs()
    module = Recurrent(cell, rngs=nnx.Rngs(0))
    params = module.cell_params
    mask = rec.mask_from_lengths(jnp.array([6, 4]), 6)
    same(module(xs, mask=mask, reverse=True), rec.unroll(cell, params, xs, mask=mask, reverse=True))


def test_parameters_are_those_of_init():
    cell = CASES["lstm"]
    module = Recurrent(cell, rngs=nnx.Rngs(params=jax.random.key(5)))
    same(module.cell_params, cell.init(nnx.Rngs(params=jax.random.key(5)).params()))


@pytest.mark.parametrize("name", CASES)
def test_gradients_through_the_split_are_those_of_unroll(name):
    cell, xs = CASES[name], inputs()
    graph, params = nnx.split(Recurrent(cell, rngs=nnx.Rngs(0)), nnx.Param)

    @jax.jit
    def gradient(params):
        return jax.grad(lambda p: jnp.sum(nnx.merge(graph, p)(xs)[1] ** 2))(params)

    plain = nnx.merge(graph, params).cell_params
    expected = jax.grad(lambda p: jnp.sum(rec.unroll(cell, p, xs)[1] ** 2))(plain)
    same(nnx.merge(graph, gradient(params)).cell_params, expected, atol=2e-6)


class Tagger(nnx.Module):
    """An embedding, a recurrence, a head: what applications look like."""

    def __init__(self, *, rngs):
        self.embed = nnx.Embed(7, 3, rngs=rngs)
        self.recurrent = Recurrent(rec.LSTM(3, 8), rngs=rngs)
        self.head = nnx.Linear(8, 7, rngs=rngs)

    def __call__(self, tokens):
        return self.head(self.recurrent(self.embed(tokens))[1])


def test_a_model_trains_under_plain_jit_and_optax():
    graph, params = nnx.split(Tagger(rngs=nnx.Rngs(0)), nnx.Param)
    tokens = jax.random.randint(jax.random.key(1), (10, 16), 0, 7)
    targets = jnp.roll(tokens, 1, axis=0).at[0].set(0)  # the token before: it has to be remembered for a step
    optimizer = optax.adam(0.02)

    def loss_fn(params):
        logits = nnx.merge(graph, params)(tokens)
        return jnp.mean(optax.softmax_cross_entropy_with_integer_labels(logits, targets))

    @jax.jit
    def train(params):
        def update(carry, _):
            params, opt_state = carry
            steps, opt_state = optimizer.update(jax.grad(loss_fn)(params), opt_state, params)
            return (optax.apply_updates(params, steps), opt_state), None

        return jax.lax.scan(update, (params, optimizer.init(params)), None, length=150)[0][0]

    assert loss_fn(params) > 1.5
    assert loss_fn(train(params)) < 0.1


NOISY = rec.stack(rec.zoneout(rec.LSTM(3, 4), h=0.3), rec.WeightDrop(rec.GRU(4, 5), 0.4), dropout=0.2)


@pytest.mark.parametrize(
    ("cell", "uses"),
    [
        (rec.LSTM(3, 4), False),
        (rec.zoneout(rec.LSTM(3, 4), h=0.3), True),
        (rec.stack(rec.LSTM(3, 4), rec.GRU(4, 5)), False),
        (rec.stack(rec.LSTM(3, 4), rec.GRU(4, 5), dropout=0.1), True),
        (rec.stack(rec.LSTM(3, 4), rec.zoneout(rec.GRU(4, 5), h=0.3)), True),
        (rec.Bidirectional(rec.GRU(3, 4), rec.zoneout(rec.GRU(3, 4), h=0.3)), True),
        (rec.Bidirectional(rec.GRU(3, 4), rec.GRU(3, 4)), False),
        (rec.Dilated(rec.GRU(3, 4), 2), False),
        (rec.WeightDrop(rec.GRU(3, 4), 0.4), True),
    ],
)
def test_what_says_that_it_uses_a_key_is_changed_by_one(cell, uses):
    params, xs = cell.init(jax.random.key(0)), inputs()
    plain, noisy = (rec.unroll(cell, params, xs, key=key)[1] for key in (None, jax.random.key(1)))
    assert cell.uses_key is uses is not bool(jnp.array_equal(plain, noisy))


@pytest.mark.parametrize(
    ("cell", "decorate"),
    [(CASES["lstm"], nnx.jit), (NOISY, nnx.jit), (CASES["lstm"], lambda function: function)],
    ids=["lstm", "noisy stack", "eager"],
)
def test_the_usual_training_step_is_that_of_optax(cell, decorate):
    """Three updates by `nnx.Optimizer` beside three of optax over the parameters of `unroll`, with the same keys."""
    module, xs = Recurrent(cell, rngs=nnx.Rngs(0, dropout=7)), inputs()
    optimizer = nnx.Optimizer(module, optax.adam(0.01), wrt=nnx.Param)
    keys = nnx.Rngs(0, dropout=7)["dropout"].fork()

    @decorate
    def step(module, optimizer):
        optimizer.update(module, nnx.grad(lambda m: jnp.mean(m(xs).ys ** 2))(module))

    params = module.cell_params
    opt_state = optax.adam(0.01).init(params)
    for _ in range(3):
        step(module, optimizer)
        key = keys() if cell.uses_key else None
        grads = jax.grad(lambda p, key=key: jnp.mean(rec.unroll(cell, p, xs, key=key)[1] ** 2))(params)
        updates, opt_state = optax.adam(0.01).update(grads, opt_state, params)
        params = optax.apply_updates(params, updates)
    # Adam divides by small numbers
    same(module.cell_params, params, atol=2e-4)


def test_noise_follows_train_eval_stream_and_key():
    module, xs = Recurrent(NOISY, rngs=nnx.Rngs(0)), inputs()
    assert not jnp.array_equal(module(xs).ys, module(xs).ys)
    key = jax.random.key(5)
    same(module(xs, key=key), rec.unroll(NOISY, module.cell_params, xs, key=key))
    module.eval()
    same(module(xs), rec.unroll(NOISY, module.cell_params, xs))
    same(module(xs, key=key), rec.unroll(NOISY, module.cell_params, xs, key=key))
    module.train()
    again = nnx.clone(module)
    same(module(xs), again(xs))


def test_noise_without_a_stream_is_an_error_where_there_is_noise():
    xs = inputs()
    assert Recurrent(CASES["lstm"], rngs=nnx.Rngs(params=0))(xs).ys.shape == (6, 2, 4)
    module = Recurrent(NOISY, rngs=nnx.Rngs(params=0))
    with pytest.raises(
        ValueError, match=r"key: expected a key, .*dropout=seed.*, or module.eval\(\), got none"
    ):
        module(xs)
    module.eval()
    same(module(xs), rec.unroll(NOISY, module.cell_params, xs))


@pytest.mark.parametrize("cell", [CASES["lstm"], NOISY], ids=["lstm", "noisy stack"])
def test_a_table_counts_the_parameters(cell):
    module = Recurrent(cell, rngs=nnx.Rngs(0))
    count = sum(leaf.size for leaf in jax.tree.leaves(module.cell_params))
    table = nnx.tabulate(module, inputs(), console_kwargs={"width": 200, "force_terminal": False})
    assert f"{count} (" in table and "ys: float32[6,2," in table


@pytest.mark.parametrize("cell", [CASES["lstm"], NOISY], ids=["lstm", "noisy stack"])
def test_an_ensemble_is_its_members(cell):
    keys, xs = jax.random.split(jax.random.key(0), 3), inputs()

    @nnx.vmap
    def make(key):
        return Recurrent(cell, rngs=nnx.Rngs(key))

    members = make(keys)
    members.eval()
    ys = nnx.vmap(lambda module, xs: module(xs).ys, in_axes=(0, None))(members, xs)
    for index, key in enumerate(keys):
        alone = Recurrent(cell, rngs=nnx.Rngs(key))
        alone.eval()
        same(ys[index], alone(xs).ys, atol=2e-6)


def test_a_checkpoint_by_orbax_goes_on_where_it_was(tmp_path):
    module, xs = Recurrent(NOISY, rngs=nnx.Rngs(0)), inputs()
    module(xs)  # the stream has moved on
    with ocp.StandardCheckpointer() as checkpointer:
        checkpointer.save(tmp_path / "model", nnx.state(module))
        checkpointer.wait_until_finished()
        graph, shapes = nnx.split(nnx.eval_shape(lambda: Recurrent(NOISY, rngs=nnx.Rngs(1))))
        restored = nnx.merge(graph, checkpointer.restore(tmp_path / "model", shapes))
    same(restored(xs), module(xs))


def test_parameters_from_elsewhere_are_taken():
    module, xs = Recurrent(NOISY, rngs=nnx.Rngs(0)), inputs()
    params = NOISY.init(jax.random.key(9))
    module.set_cell_params(params)
    module.eval()
    same(module(xs), rec.unroll(NOISY, params, xs))
