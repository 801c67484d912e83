"""Digits as sequences: the orders against a loop, the drawn digits, the splits, loss and criterion."""

import hashlib
import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import recurrent as rec
from experiments.tasks import images as module
from experiments.tasks.base import SPLITS
from experiments.tasks.digits import draw_digits
from experiments.tasks.images import LINEAR_BASELINE, PixelImages, permutation
from recurrent import losses

KEY = jax.random.key(0)
PINNED = [319, 576, 323, 107, 355, 716]
DIGEST = "cfb6393b538ee6d8df9f057d9c87ea5451afbe268e33695dbd0cd167d19bc6b9"


def tiny(order="rows", data="synthetic", num_images=20, num_validation=6, num_test=5, **options):
    return PixelImages(
        order, data, num_images=num_images, num_validation=num_validation, num_test=num_test, **options
    )


@pytest.mark.parametrize("order", ["rows", "pixels", "permuted"])
def test_the_steps_are_those_of_a_plain_loop(order):
    task = tiny(order)
    data = task.load()
    indices = jnp.array([4, 0, 13])
    batch = jax.jit(lambda data: task.examples(data, "training", indices))(data)
    places = np.random.RandomState(92916).permutation(784) if order == "permuted" else range(784)
    expected = np.zeros((*((28, 3, 28) if order == "rows" else (784, 3, 1)),), np.float32)
    for column, index in enumerate(indices):
        image = np.asarray(data["training"].images[index])
        for step, place in enumerate(places):
            pixel = np.float32(image[place // 28, place % 28]) / np.float32(255)
            if order == "rows":
                expected[step // 28, column, step % 28] = pixel
            else:
                expected[step, column, 0] = pixel
    np.testing.assert_allclose(batch.inputs, expected, rtol=1e-6, atol=0)
    assert batch.inputs.dtype == jnp.float32 and batch.inputs.max() > 0.5
    np.testing.assert_array_equal(batch.targets, np.asarray(data["training"].labels)[np.asarray(indices)])
    np.testing.assert_array_equal(batch.weights, np.ones(3))
    assert batch.inputs.shape == (task.num_steps, 3, *task.input_shape)
    assert task.lag == task.num_steps - 1


def test_the_permutation_is_the_published_one_and_follows_its_seed():
    np.testing.assert_array_equal(permutation(92916)[:6], PINNED)
    assert not np.array_equal(permutation(92916), permutation(92917))
    a, b = (
        task.examples(task.load(), "test", jnp.arange(5)).inputs
        for task in (tiny("permuted"), tiny("permuted", permutation_seed=1))
    )
    assert not np.array_equal(a, b)
    np.testing.assert_array_equal(np.sort(a, axis=0), np.sort(b, axis=0))


def test_the_validation_images_are_the_last_and_mnist_is_cut_the_same_way(monkeypatch):
    train, test = draw_digits(20, seed=0), draw_digits(5, seed=1)
    arrays = dict(zip(("train_images", "train_labels"), train, strict=True))
    arrays |= dict(zip(("test_images", "test_labels"), test, strict=True))
    monkeypatch.setattr(module, "load_mnist", lambda: arrays)
    for task in (tiny(), tiny(data="mnist")):
        data = task.load()
        assert list(data) == list(SPLITS)
        expected = ((train[0][:14], train[1][:14]), (train[0][14:], train[1][14:]), test)
        for split, (images, labels) in zip(SPLITS, expected, strict=True):
            np.testing.assert_array_equal(data[split].images, images)
            np.testing.assert_array_equal(data[split].labels, labels)
            assert data[split].images.dtype == jnp.uint8 and len(images) == task.num_examples(split)


def test_a_training_epoch_shows_every_training_image_once():
    task = tiny()
    data = task.load()
    batches = [task.batch(data, KEY, jnp.array(update), 7) for update in range(2)]
    seen = np.concatenate([np.moveaxis(np.asarray(batch.inputs), 1, 0) for batch in batches])
    rows = {image.tobytes() for image in np.round(seen * 255).astype(np.uint8)}
    assert rows == {image.tobytes() for image in np.asarray(data["training"].images)} and len(rows) == 14


def test_the_images_are_an_argument_and_no_constant_of_the_program():
    task = tiny("permuted", num_images=500)
    program = jax.make_jaxpr(lambda data: task.batch(data, KEY, jnp.array(0), 4))(task.load())
    assert sum(constant.nbytes for constant in program.consts) <= 784 * 8 + 1000  # the permutation


def test_the_loss_and_the_metrics_are_those_of_numpy():
    task = tiny()
    batch = task.evaluation(task.load(), "validation", jnp.array(1), KEY, 4)  # two images and two fillers
    logits = np.random.default_rng(0).normal(size=(4, 10))
    labels = np.asarray(batch.targets)
    nll = [np.log(np.exp(logits[i]).sum()) - logits[i, labels[i]] for i in range(2)]
    right = [float(logits[i].argmax() == labels[i]) for i in range(2)]
    metrics = task.metrics(jnp.asarray(logits, jnp.float32), batch)
    np.testing.assert_allclose(task.loss(jnp.asarray(logits, jnp.float32), batch), (sum(nll), 2), rtol=1e-5)
    np.testing.assert_allclose(metrics["cross_entropy"], (sum(nll), 2), rtol=1e-5)
    np.testing.assert_allclose(metrics["accuracy"], (sum(right), 2))


def test_the_baseline_is_the_loss_of_equal_chances():
    task = tiny(num_images=3000, num_validation=2000)
    labels = np.asarray(task.load()["validation"].labels)
    batch = task.evaluation(task.load(), "validation", jnp.array(0), KEY, 2000)
    total, count = task.loss(jnp.zeros((2000, 10)), batch)
    assert float(total / count) == pytest.approx(task.baseline, rel=1e-5)
    frequencies = np.bincount(labels, minlength=10) / len(labels)
    best = -np.sum(frequencies * np.log(frequencies))  # the best constant for these very labels
    assert task.baseline - 0.01 < best <= task.baseline == math.log(10)


def test_mnist_prior_is_what_the_docstring_says():
    counts = np.array([5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949])
    assert counts.sum() == 60_000
    frequencies = counts / counts.sum()
    assert -np.sum(frequencies * np.log(frequencies)) == pytest.approx(2.3012, abs=1e-4)


def test_the_criterion_is_above_what_is_linear():
    thresholds = {
        order: PixelImages(order=order).criterion.threshold for order in ("rows", "pixels", "permuted")
    }
    assert thresholds == {"rows": 0.97, "pixels": 0.97, "permuted": 0.955}
    assert thresholds["permuted"] > LINEAR_BASELINE == 0.924
    task = tiny(num_validation=10)
    batch = task.evaluation(task.load(), "validation", jnp.array(0), KEY, 10)
    right = jax.nn.one_hot(batch.targets, 10)
    for num_wrong, solved in ((0, True), (1, True), (2, False)):
        outputs = right.at[:num_wrong].set(-right[:num_wrong])
        state = task.criterion.update(task.criterion.init(), outputs, batch)
        assert bool(task.criterion.solved(state)) is solved


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"order": "row"}, r"order: expected one of rows, pixels, permuted, got 'row'; did you mean rows\?"),
        ({"data": "minst"}, r"data: expected one of mnist, synthetic, got 'minst'; did you mean mnist\?"),
        ({"num_images": 60_001}, "num_images: mnist has 60000, got 60001"),
        ({"num_test": 0}, "num_test: expected at least 1"),
        ({"num_validation": 60_000}, "num_images: expected at least 60001"),
    ],
)
def test_what_cannot_be_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        PixelImages(**changes)


def test_the_drawn_digits_are_the_same_on_every_machine():
    images, labels = draw_digits(1200, seed=5)
    again, _ = draw_digits(1001, seed=5)
    np.testing.assert_array_equal(images[:1001], again)
    assert hashlib.sha256(images.tobytes() + labels.tobytes()).hexdigest() == DIGEST
    assert not np.array_equal(draw_digits(5, seed=6)[0], images[:5])
    assert not np.array_equal(images[:200], images[1000:])  # every chunk has its own draws


def test_a_drawn_digit_lights_its_segments():
    images, labels = draw_digits(2000, seed=0)
    ink = images.astype(float).mean(axis=(1, 2))
    mean = [ink[labels == digit].mean() for digit in range(10)]
    assert np.argmax(mean) == 8 and np.argmin(mean) == 1  # seven segments and two
    assert np.bincount(labels, minlength=10).min() > 150
    assert len(draw_digits(0, seed=0)[1]) == 0


@pytest.mark.medium
def test_a_small_lstm_reads_the_drawn_digits_by_rows():
    task = PixelImages(data="synthetic", num_images=22_000, num_validation=2000, num_test=1)
    data = task.load()
    cell, optimizer = rec.LSTM(input_size=28, hidden_size=32), optax.adam(5e-3)
    params = (cell.init(KEY), 0.1 * jax.random.normal(KEY, (32, 10)))

    def answer(params, batch):
        return rec.unroll(cell, params[0], batch.inputs)[1][-1] @ params[1]

    def update(state, number):
        params, opt_state = state
        batch = task.batch(data, KEY, number, 64)
        grads = jax.grad(lambda params: losses.mean(task.loss(answer(params, batch), batch)))(params)
        steps, opt_state = optimizer.update(grads, opt_state)
        return (optax.apply_updates(params, steps), opt_state), None

    state = (params, optimizer.init(params))
    with jax.numpy_rank_promotion("allow"):  # the cell adds its bias to a batch
        (params, _), _ = jax.jit(lambda state: jax.lax.scan(update, state, jnp.arange(500)))(state)
        batch = task.evaluation(data, "validation", jnp.array(0), KEY, 2000)
        outputs = answer(params, batch)
    assert float(losses.mean(task.metrics(outputs, batch)["accuracy"])) > 0.9
