"""The NNX module computes what `unroll` computes, and trains as a pure function of its split parameters."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
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
    params = module.params.get_value()
    mask = rec.mask_from_lengths(jnp.array([6, 4]), 6)
    same(module(xs, mask=mask, reverse=True), rec.unroll(cell, params, xs, mask=mask, reverse=True))


def test_parameters_are_those_of_init():
    cell = CASES["lstm"]
    module = Recurrent(cell, rngs=nnx.Rngs(params=jax.random.key(5)))
    same(module.params.get_value(), cell.init(nnx.Rngs(params=jax.random.key(5)).params()))


@pytest.mark.parametrize("name", CASES)
def test_gradients_through_the_split_are_those_of_unroll(name):
    cell, xs = CASES[name], inputs()
    graph, params = nnx.split(Recurrent(cell, rngs=nnx.Rngs(0)), nnx.Param)

    @jax.jit
    def gradient(params):
        return jax.grad(lambda p: jnp.sum(nnx.merge(graph, p)(xs)[1] ** 2))(params)

    plain = nnx.merge(graph, params).params.get_value()
    expected = jax.grad(lambda p: jnp.sum(rec.unroll(cell, p, xs)[1] ** 2))(plain)
    same(gradient(params), expected, atol=2e-6)


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
