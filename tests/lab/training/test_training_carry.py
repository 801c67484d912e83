"""Truncated backpropagation through time on a stream, and where the gradient goes: by lag, with padding."""

import dataclasses
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from trainers import STEP, assert_close, evaluate, start, train, trainer_of

import recurrent as rec
from experiments.lab.training.trainer import Trainer, gradients_by_lag, lags
from experiments.models.base import EveryStep, HasStateGradients, LastStep, last_step, target_step
from experiments.models.cell_with_readout import CellWithReadout, LayerWithReadout
from experiments.tasks.adding import Adding
from experiments.tasks.base import Batch
from experiments.tasks.copying import Copying
from experiments.tasks.criteria import SquaredErrorBelow
from recurrent import losses

pytest_plugins = ["lab_fixtures"]
pytestmark = [pytest.mark.optimised, pytest.mark.usefixtures("compile_once")]

CHUNK, NUM_CHUNKS, STREAMS = 3, 4, 2


@dataclasses.dataclass(frozen=True)
class Stream:
    """Say at every step the input of two steps before; streams of 12 steps are read in chunks of 3, again and again."""

    criterion: ClassVar[SquaredErrorBelow] = SquaredErrorBelow(0.01)
    input_shape: ClassVar[tuple[int]] = (1,)
    output_shape: ClassVar[tuple[int]] = (1,)

    def load(self) -> Any:
        xs = jax.random.normal(jax.random.key(5), (CHUNK * NUM_CHUNKS, STREAMS, 1))
        return xs, jnp.concatenate([jnp.zeros((2, STREAMS, 1)), xs[:-2]])

    def batch(self, data: Any, key: Any, update: Any, batch_size: int) -> Batch:
        first = CHUNK * (update % NUM_CHUNKS)
        xs, ys = (jax.lax.dynamic_slice_in_dim(leaf, first, CHUNK) for leaf in data)
        wraps = jnp.zeros((CHUNK, STREAMS), bool).at[0].set(update % NUM_CHUNKS == 0)
        return Batch(xs, ys, jnp.ones((CHUNK, STREAMS)), reset=wraps)

    def num_batches(self, split: str, batch_size: int) -> int:
        return NUM_CHUNKS

    def evaluation(self, data: Any, split: str, index: Any, key: Any, batch_size: int) -> Batch:
        return self.batch(data, key, index, batch_size)

    def loss(self, outputs: Any, batch: Batch) -> Any:
        return losses.squared_error(outputs, batch.targets, batch.weights)

    def metrics(self, outputs: Any, batch: Batch) -> dict[str, Any]:
        return {"mse": self.loss(outputs, batch)}


def streaming() -> Trainer:
    trainer = trainer_of(Stream(), CellWithReadout(rec.Elman(1, 3), 1, EveryStep(), carries=True))
    return dataclasses.replace(trainer, batch_size=STREAMS, evaluation_batch_size=STREAMS)


def read(params: Any, h: Any, xs: Any, ys: Any) -> tuple[Any, Any]:
    """The mean squared error of a tanh network over some steps from a state, and the state after them."""
    errors = []
    for x, y in zip(xs, ys, strict=True):
        h = jnp.tanh(x @ params.cell.w_x + h @ params.cell.w_h + params.cell.b)
        errors.append((h @ params.readout.w + params.readout.b - y) ** 2)
    return jnp.mean(jnp.stack(errors)), h


def test_the_state_goes_on_from_chunk_to_chunk_and_the_gradient_does_not():
    trainer, data = streaming(), Stream().load()
    state = start(trainer)
    params, h = state.params, jnp.zeros((STREAMS, 3))
    slopes = jax.jit(jax.value_and_grad(read, has_aux=True))
    for update in range(NUM_CHUNKS + 2):
        chunk = slice(CHUNK * (update % NUM_CHUNKS), CHUNK * (update % NUM_CHUNKS + 1))
        h = jnp.zeros_like(h) if update % NUM_CHUNKS == 0 else h  # the stream wraps
        (loss, after), grads = slopes(params, h, data[0][chunk], data[1][chunk])
        state, metrics = train(trainer, state, 1, data)
        assert float(metrics["loss"]) == pytest.approx(float(loss), rel=1e-5)
        params, h = jax.tree.map(lambda p, g: p - STEP * g, params, grads), after
        assert_close(state.params, params, 1e-5)
        assert_close(state.carry.h, h, 1e-5)
    whole = trainer.train(start(trainer), data, NUM_CHUNKS + 2)[0]
    assert_close(whole.params, params, 1e-5)


def test_a_gradient_through_two_chunks_would_be_another():
    trainer, data = streaming(), Stream().load()
    state, _ = train(trainer, start(trainer), 1, data)

    def through(params: Any) -> Any:
        after = read(params, jnp.zeros((STREAMS, 3)), data[0][:CHUNK], data[1][:CHUNK])[1]
        return read(params, after, data[0][CHUNK : 2 * CHUNK], data[1][CHUNK : 2 * CHUNK])[0]

    def within(params: Any) -> Any:
        chunk = slice(CHUNK, 2 * CHUNK)
        return read(params, state.carry.h, data[0][chunk], data[1][chunk])[0]

    second, _ = train(trainer, state, 1, data)
    steps = jax.tree.map(lambda new, old: (old - new) / STEP, second.params, state.params)
    assert_close(steps, jax.grad(within)(state.params), 1e-4)
    difference = jax.tree.map(
        lambda a, b: float(jnp.max(jnp.abs(a - b))), jax.grad(through)(state.params), steps
    )
    assert difference.cell.w_h > 1e-2


def test_an_evaluation_of_a_stream_carries_the_state_too():
    trainer, data = streaming(), Stream().load()
    state, _ = train(trainer, start(trainer), 2, data)
    after, metrics = evaluate(trainer, state, data, jax.random.key(0))
    loss, _ = read(state.params, jnp.zeros((STREAMS, 3)), *data)
    assert float(metrics["loss"]) == pytest.approx(float(loss), rel=1e-5)
    assert_close(after.carry, state.carry, 0.0)  # training goes on from where it was


def test_the_last_step_that_exists_is_found_whatever_the_padding():
    mask = np.array([[1, 0, 1, 0], [1, 1, 0, 0], [0, 1, 1, 0]], bool)  # right, left, interior, all of it
    assert last_step(jnp.asarray(mask)).tolist() == [1, 2, 2, 2]
    ys = jnp.arange(24.0).reshape(3, 4, 2)
    assert LastStep().select(ys, jnp.asarray(mask)).tolist() == [[8, 9], [18, 19], [20, 21], [22, 23]]
    assert LastStep().select(ys, None).tolist() == ys[-1].tolist()
    assert EveryStep().select(ys, jnp.asarray(mask)) is ys
    weights = jnp.asarray([[1.0, 0, 1], [2, 0, 0], [0, 0.5, 0]])
    watched = EveryStep().watched(Batch(ys[..., :1], ys, weights))
    assert watched.weights.tolist() == [[0, 0, 1], [2, 0, 0], [0, 0.5, 0]]
    assert target_step(watched).tolist() == [1, 2, 0]
    assert target_step(Batch(ys, None, jnp.ones(4), jnp.asarray(mask))).tolist() == [1, 2, 2, 2]
    assert target_step(Batch(ys, None, jnp.ones(4))).tolist() == [2, 2, 2, 2]


by_lag = jax.jit(
    lambda model, task, params, batch: gradients_by_lag(model, params, batch, task.loss),
    static_argnums=(0, 1),
)
state_gradients = jax.jit(
    lambda model, task, params, batch: model.state_gradients(params, batch, task.loss), static_argnums=(0, 1)
)


def by_hand(
    model: CellWithReadout, params: Any, batch: Batch, last: Any, error: Any
) -> dict[int, list[float]]:
    """For each lag, the norm of the derivative of each long enough sequence's last error by the state read there."""
    weights = model.cell.prepare(params.cell)
    found: dict[int, list[float]] = {}
    for b, target in enumerate(last):
        states = [model.cell.initial_state(weights, ())]
        for t in range(target):
            states.append(_step(model.cell, weights, states[-1], batch.inputs[t, b])[0])
        for t, state in enumerate(states):

            def loss(state: Any, t: int = t, b: int = b, target: int = target) -> Any:
                for s in range(t, target + 1):
                    state, y = _step(model.cell, weights, state, batch.inputs[s, b])
                return error(y @ params.readout.w + params.readout.b, b)

            gradient = jax.grad(loss)(state)
            norm = float(jnp.sqrt(sum(jnp.sum(leaf**2) for leaf in gradient)))
            found.setdefault(int(target) - t, []).append(norm)
    return found


def _step(cell: Any, weights: Any, state: Any, x: Any) -> Any:
    return cell.step(weights, state, cell.project(weights, x))


def test_gradients_are_aligned_to_the_last_prediction_of_each_sequence():
    task = Adding(num_steps=20, variant="hs97")
    model = CellWithReadout(rec.Elman(2, 3), 1, LastStep())
    params = model.init(jax.random.key(1))
    batch = task.sample(jax.random.key(2), 3)
    # shorter, so that a loop over all pairs of steps is quick: the last steps of each sequence, and its padding
    batch = batch._replace(inputs=batch.inputs[-6:], mask=jnp.arange(6)[:, None] < jnp.array([6, 4, 5]))
    norms = by_lag(model, task, params, batch)
    expected = by_hand(model, params, batch, [5, 3, 4], lambda y, b: (y[0] - batch.targets[b, 0]) ** 2)
    assert [len(expected[lag]) for lag in range(6)] == [3, 3, 3, 3, 2, 1]
    np.testing.assert_allclose(norms["all"], [np.median(expected[lag]) for lag in range(6)], rtol=1e-4)
    assert set(norms) == {"all", "h"}
    np.testing.assert_array_equal(norms["h"], norms["all"])


def test_of_predictions_at_every_step_the_last_that_counts_is_watched():
    model = CellWithReadout(rec.LSTM(1, 2), 1, EveryStep())
    params, stream = model.init(jax.random.key(1)), Stream()
    batch = stream.batch(stream.load(), None, 0, STREAMS)
    batch = batch._replace(weights=jnp.array([[1.0, 1], [1, 1], [1, 0]]), reset=None)
    norms = by_lag(model, stream, params, batch)
    expected = by_hand(model, params, batch, [2, 1], lambda y, b: (y[0] - batch.targets[2 - b, b, 0]) ** 2)
    np.testing.assert_allclose(norms["all"], [np.median(expected[lag]) for lag in range(3)], rtol=1e-4)
    assert set(norms) == {"all", "h", "c"}


def test_the_last_of_many_classifications_is_watched():
    task = Copying(delay=3, num_recalled=2)
    model = CellWithReadout(rec.LSTM(10, 5), 9, EveryStep())
    params, batch = model.init(jax.random.key(3)), task.sample(jax.random.key(4), 4)

    def last(start: Any) -> Any:
        ys = rec.unroll(model.cell, params.cell, batch.inputs, state=start)[1]
        scores = jax.nn.log_softmax(ys[-1] @ params.readout.w + params.readout.b)
        return -jnp.sum(jnp.take_along_axis(scores, batch.targets[-1][:, None], axis=1))

    expected = jax.jit(jax.grad(last))(model.cell.initial_state(params.cell, (4,)))
    found = state_gradients(model, task, params, batch)
    assert_close((found.h[0], found.c[0]), tuple(expected))
    norms = np.linalg.norm(np.concatenate(expected, axis=1), axis=1)
    relative = by_lag(model, task, params, batch)["all"]
    np.testing.assert_allclose(relative[-1], np.median(norms), rtol=1e-5)


def test_long_sequences_are_looked_at_by_lags_that_are_spread_evenly():
    assert lags(1) == (0,) and lags(4) == (0, 1, 2, 3) and lags(101) == tuple(range(101))
    spread = lags(784)
    assert (len(spread), spread[0], spread[-1]) == (101, 0, 783)
    assert set(np.diff(spread)) == {7, 8}
    model = CellWithReadout(rec.Elman(2, 3), 1, LastStep())
    task, params = Adding(num_steps=150), model.init(jax.random.key(1))
    batch = task.sample(jax.random.key(2), 4)
    norms = by_lag(model, task, params, batch)["all"]
    gradients = state_gradients(model, task, params, batch)
    every = np.median(np.linalg.norm(gradients.h, axis=-1), axis=1)
    np.testing.assert_allclose(norms, every[149 - np.array(lags(150))], rtol=1e-5)


def test_layers_have_no_common_state_to_look_at():
    layer = rec.stack(rec.Elman(2, 3), rec.Elman(3, 3))
    model = LayerWithReadout(layer, 1, LastStep())
    assert not isinstance(model, HasStateGradients)
    batch = Adding(num_steps=5).sample(jax.random.key(0), 2)
    assert gradients_by_lag(model, model.init(jax.random.key(1)), batch, Adding(num_steps=5).loss) == {}
