"""Learning while a stream is read: the weights after every symbol against loops over the printed equations."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gers_learner import GersLearner

import recurrent as rec
from experiments.errors import Fault
from experiments.models.base import EveryStep
from experiments.models.cell_with_readout import CellWithReadout
from experiments.models.stream_learner import StreamLearner
from experiments.tasks.continual_reber import ContinualReber

pytestmark = pytest.mark.medium

TASK = ContinualReber(num_steps=200, stream_length=200)
RATE = 0.5


@dataclasses.dataclass(frozen=True)
class Lenient:
    """Every prediction is right."""

    def right(self, outputs, batch):
        return jnp.ones(outputs.shape[0], bool)


def learner(judge=None, decay=1.0, fields=("h",), init_range=1.0, **options):
    """The network of 2000; its weights are larger here, so that none has a gradient close to 0."""
    cell = rec.GersBlock(7, 8, block_size=2, init_range=init_range, **options)
    cell = rec.cut(cell, fields) if fields else cell
    model = CellWithReadout(cell, 7, EveryStep(), skip=True, init_range=init_range)
    # the task's loss lacks the factor 1/2 of the paper's
    return StreamLearner(model, judge or Lenient(), RATE / 2, decay)


@functools.partial(jax.jit, static_argnums=1)
def draw(key, num_streams):
    return TASK.batch((), key, jnp.array(0), num_streams)


def wide(tree):
    return jax.tree.map(lambda leaf: leaf.astype(float) if leaf.dtype == jnp.float32 else leaf, tree)


def stream(seed=0):
    """One stream in 64 bits; the task draws in 32."""
    with jax.enable_x64(False):
        drawn = jax.tree.map(np.asarray, draw(jax.random.key(seed), 1))
    return wide(jax.tree.map(jnp.asarray, drawn))


def read(made, params, batch, rule=None):
    rule = rule or rec.online.RTRL()
    return jax.jit(lambda params, batch: made.read(params, batch, TASK.loss, rule=rule))(params, batch)


def flat(params):
    return *params.cell, *params.readout


def reference(params, batch, num_symbols, **options):
    """The loop after so many symbols of a stream, and its outputs."""
    loop = GersLearner(params, 2, RATE, **options)
    outputs = [
        loop.learn(np.asarray(batch.inputs[t, 0]), np.eye(7)[int(batch.targets[t, 0])])
        for t in range(num_symbols)
    ]
    return loop, np.stack(outputs)


@pytest.mark.parametrize("decay", [1.0, 0.99])
def test_two_hundred_symbols_change_the_weights_as_the_printed_equations_do(float64, decay):
    made, batch = learner(decay=decay), stream()
    params = wide(made.init(jax.random.key(1)))
    last = read(made, params, batch)
    loop, outputs = reference(params, batch, 200, decay=decay)
    assert int(last.num_read) == 200
    for ours, theirs, before in zip(flat(last.params), loop.weights(), flat(params), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-10)
        assert (
            np.abs(theirs - before).max() > 1e-4
        )  # every kind of weight has moved, far beyond the tolerance
    np.testing.assert_allclose(last.state, np.concatenate([loop.y, loop.s]), rtol=0, atol=1e-10)
    squares = ((outputs - np.eye(7)[np.asarray(batch.targets[:, 0])]) ** 2).sum()
    np.testing.assert_allclose(last.loss, squares, rtol=1e-10)


def test_the_whole_gradient_is_another_one(float64):
    batch = stream()
    params = wide(learner().init(jax.random.key(1)))
    cut, whole = (read(learner(fields=fields), params, batch) for fields in (("h",), ()))
    assert np.abs(cut.params.cell.w_h - whole.params.cell.w_h).max() > 1e-6


def test_gates_that_stand_at_one_are_no_forget_gates(float64):
    made, batch = learner(forget_gate_bias=(1000,)), stream()
    params = wide(made.init(jax.random.key(1)))
    last = read(made, params, batch)
    loop, _ = reference(params, batch, 200, forgets=False)
    for ours, theirs in zip(flat(last.params), loop.weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-10)
    of_forget_gates = slice(4, 8)
    np.testing.assert_array_equal(
        last.params.cell.w_x[:, of_forget_gates], params.cell.w_x[:, of_forget_gates]
    )
    np.testing.assert_array_equal(last.params.cell.b[of_forget_gates], 1000.0)


def test_a_stream_ends_after_its_first_wrong_prediction(float64):
    made = learner(judge=TASK.criterion, init_range=0.2)
    ends = set()
    for seed in range(4):
        batch = stream(seed)
        params = wide(made.init(jax.random.key(seed)))
        _, outputs = reference(params, batch, 200)
        errors = (outputs - np.eye(7)[np.asarray(batch.targets[:, 0])]) ** 2
        num_read = int(np.argmax((errors >= 0.49).any(axis=1))) + 1
        loop, _ = reference(params, batch, num_read)
        last = read(made, params, batch)
        assert int(last.num_read) == num_read
        np.testing.assert_allclose(last.params.cell.w_x, loop.weights()[0], rtol=0, atol=1e-10)
        ends.add(num_read)
    assert len(ends) > 1 and max(ends) < 200


def test_networks_side_by_side_read_as_each_alone_does(float64):
    made = learner(judge=TASK.criterion, init_range=0.2)
    keys = jax.vmap(jax.random.key)(jnp.arange(4))
    params = jax.vmap(lambda key: wide(made.init(key)))(keys)
    batches = jax.tree.map(lambda *leaves: jnp.stack(leaves), *map(stream, range(4)))
    together = jax.jit(jax.vmap(lambda p, b: made.read(p, b, TASK.loss, rule=rec.online.RTRL())))(
        params, batches
    )
    for index in range(4):
        alone = read(made, *jax.tree.map(lambda leaf, index=index: leaf[index], (params, batches)))
        assert int(together.num_read[index]) == int(alone.num_read)
        np.testing.assert_allclose(together.params.cell.w_h[index], alone.params.cell.w_h, rtol=0, atol=1e-10)


def test_an_update_takes_the_weights_to_those_after_the_stream(float64):
    made, batch = learner(), stream()
    params = wide(made.init(jax.random.key(1)))
    last = read(made, params, batch)
    loss, moved, outputs, carry = made.gradients(
        params, batch, TASK.loss, rule=rec.online.RTRL(), carry=(), key=None, rule_key=None
    )
    after = jax.tree.map(lambda w, step: w - step, params, moved)
    for ours, theirs in zip(flat(after), flat(last.params), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-12)
    np.testing.assert_allclose(loss, last.loss / 200, rtol=1e-12)
    assert (outputs, carry) == ((), ())


def test_a_rule_that_looks_back_and_a_second_stream_are_refused():
    made = learner()
    params = made.init(jax.random.key(0))
    one, two = (draw(jax.random.key(0), number) for number in (1, 2))
    options = {"carry": (), "key": None, "rule_key": None}
    with pytest.raises(Fault, match="--gradient: expected a rule that travels forward"):
        made.gradients(params, one, TASK.loss, rule=rec.online.BPTT(), **options)
    with pytest.raises(Fault, match=r"--batch-size: .* expected 1, got 2"):
        made.gradients(params, two, TASK.loss, rule=rec.online.RTRL(), **options)
