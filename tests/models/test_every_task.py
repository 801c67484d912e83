"""Every task has a model: `parts` builds it, and one update's loss and gradient are finite."""

import every_task
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.errors import Fault
from experiments.lab.parts import parts
from experiments.lab.plan.cell_names import parse_cell
from experiments.lab.plan.configs import Config
from experiments.lab.training.gradient_rules import Backpropagation
from experiments.models.base import EveryStep, LastStep
from experiments.tasks.recall.associative import MultiQueryRecall
from experiments.tasks.recall.compression import Compression
from recurrent import online

BATCH = 2
TOKENS = MultiQueryRecall(num_steps=8, num_tokens=300, num_pairs=2)


def built(task, cell="gru", **changes):
    """The model of a task, with predictions at every step or at the last as it asks for them, and a batch."""
    data = task.load()
    batch = jax.jit(lambda key: task.batch(data, key, jnp.array(0), BATCH))(jax.random.key(0))
    at_last = batch.weights.ndim == 1 or isinstance(task, Compression)
    predicts = LastStep() if at_last else EveryStep()
    config = Config(task=task, cell=parse_cell(cell), **{"hidden_size": 3, **changes})
    return parts(config, predicts).model, batch


def update(task, model, batch):
    """``(parameters, loss, gradient)`` of the first update."""
    params = model.init(jax.random.key(1))
    step = jax.jit(
        lambda params: Backpropagation()(
            model,
            task.loss,
            params,
            batch,
            carry=model.initial_carry(params, BATCH),
            key=jax.random.key(2),
            rule_key=jax.random.key(3),
        )
    )(params)
    return params, step.loss, step.grads


@pytest.mark.medium
@pytest.mark.parametrize("name", every_task.KINDS)
def test_an_update_of_every_task_is_finite(name):
    task = every_task.make(name)
    model, batch = built(task)
    _, loss, grads = update(task, model, batch)
    assert np.isfinite(loss)
    for path, leaf in jax.tree_util.tree_leaves_with_path(grads):
        assert np.isfinite(leaf).all(), jax.tree_util.keystr(path)
    assert max(float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(grads)) > 0
    if task.input_shape == ():
        assert_only_rows_that_are_read(batch, grads.embedding)


def assert_only_rows_that_are_read(batch, gradient):
    read = np.zeros(len(gradient), bool)
    read[np.asarray(batch.inputs)] = True
    size = np.abs(np.asarray(gradient)).max(axis=1)
    assert 0 < read.sum() < len(gradient)
    assert (size[~read] == 0).all() and (size[read] > 0).any()


def test_tokens_are_read_through_rows_that_alone_are_trained():
    model, batch = built(TOKENS)
    assert batch.inputs.dtype == jnp.int32
    params, loss, grads = update(TOKENS, model, batch)
    assert params.embedding.shape == (300, 3) and np.isfinite(loss)
    assert_only_rows_that_are_read(batch, grads.embedding)


def test_a_row_does_what_a_product_of_a_one_hot_vector_does():
    model, batch = built(TOKENS, "elman")
    params = model.init(jax.random.key(1))
    outputs, _ = model.apply(params, batch, carry=(), key=None)
    vectors = jax.nn.one_hot(batch.inputs, 300) @ params.embedding
    plain = type(model)(model.cell, model.output_size, model.predicts)
    expected, _ = plain.apply(
        params._replace(embedding=None), batch._replace(inputs=vectors), carry=(), key=None
    )
    np.testing.assert_allclose(outputs, expected, rtol=1e-5, atol=1e-6)


def test_rows_start_at_the_length_of_a_one_hot_vector():
    model, _ = built(TOKENS, hidden_size=50)
    rows = np.asarray(model.init(jax.random.key(0)).embedding)
    assert np.mean(np.sum(rows**2, axis=1)) == pytest.approx(1, abs=0.03)
    assert np.mean(rows) == pytest.approx(0, abs=0.005)


def test_an_embedding_is_as_wide_as_the_cell():
    assert built(TOKENS, "lstm(hidden_size=7)")[0].embedding.size == 7
    assert built(TOKENS, "lstm", hidden_size=5)[0].embedding.size == 5


def test_the_parameters_of_cell_and_readout_do_not_depend_on_the_embedding():
    model, _ = built(TOKENS)
    plain = type(model)(model.cell, model.output_size, model.predicts)
    with_rows, without = (one.init(jax.random.key(0)) for one in (model, plain))
    assert without.embedding is None
    for ours, theirs in zip(
        jax.tree.leaves(with_rows._replace(embedding=None)), jax.tree.leaves(without), strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)


def test_state_gradients_reach_through_an_embedding():
    model, batch = built(TOKENS, "elman")
    params = model.init(jax.random.key(0))
    found = model.state_gradients(params, batch, TOKENS.loss)
    plain = type(model)(model.cell, model.output_size, model.predicts)
    vectors = batch._replace(inputs=params.embedding[batch.inputs])
    expected = plain.state_gradients(params._replace(embedding=None), vectors, TOKENS.loss)
    np.testing.assert_allclose(found.h, expected.h, rtol=1e-5)
    assert np.abs(found.h).max() > 0


def test_a_rule_that_has_no_gradient_for_an_embedding_says_so():
    model, batch = built(TOKENS, "elman")
    params = model.init(jax.random.key(0))
    with pytest.raises(Fault, match=r"--gradient: RTRL\(\) gives no gradient of an embedding; bptt does"):
        model.gradients(params, batch, TOKENS.loss, rule=online.RTRL(), carry=(), key=None, rule_key=None)


def test_inputs_that_are_neither_vectors_nor_tokens_are_refused():
    odd = type("Frames", (), {"input_shape": (4, 4), "output_shape": (1,)})()
    with pytest.raises(
        Fault, match=r"Frames: input_shape: expected one axis, or \(\) and a vocabulary, got \(4, 4\)"
    ):
        parts(Config(task=odd), LastStep())
