"""Noise-padded images: rows against a loop, the two conventions of noise, splits, and CIFAR-10 from its folder."""

import math
from importlib.util import find_spec

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from drawn import assert_within, is_solved, mean_loss

from experiments.data import cifar10
from experiments.errors import Fault
from experiments.tasks import noise_padded as module
from experiments.tasks.digits import draw_digits
from experiments.tasks.images import PixelImages
from experiments.tasks.noise_padded import NoisePadded

KEY = jax.random.key(0)
needs_tfds = pytest.mark.skipif(
    not all(map(find_spec, ("tensorflow_datasets", "array_record"))),
    reason="the extra 'data' is not installed",
)


def tiny(num_steps=40, noise="independent", data="synthetic", **options):
    return NoisePadded(num_steps, noise, data, num_images=20, num_validation=6, num_test=5, **options)


def colours(num_images, seed):
    random = np.random.RandomState(seed)
    return random.randint(256, size=(num_images, 32, 32, 3)).astype(np.uint8), random.randint(
        10, size=num_images
    ).astype(np.uint8)


def fake_cifar10(monkeypatch):
    (train_images, train_labels), (test_images, test_labels) = colours(20, 0), colours(5, 1)
    arrays = {
        "train_images": train_images,
        "train_labels": train_labels,
        "test_images": test_images,
        "test_labels": test_labels,
    }
    monkeypatch.setattr(module, "load_cifar10", lambda: arrays)
    return arrays


def evaluated(task, split, batch_size, key=KEY, index=0):
    return jax.tree.map(np.asarray, task.evaluation(task.load(), split, jnp.array(index), key, batch_size))


def test_the_first_steps_are_the_rows_of_the_image():
    batch = evaluated(tiny(), "test", 5)
    images, labels = draw_digits(5, seed=1)
    for sequence in range(5):
        for row in range(28):
            expected = [np.float32(pixel) / np.float32(255) for pixel in images[sequence, row]]
            np.testing.assert_allclose(batch.inputs[row, sequence], expected, rtol=1e-6, atol=0)
    np.testing.assert_array_equal(batch.targets, labels)
    assert batch.inputs.shape == (40, 5, 28)


def test_the_colours_of_a_row_stand_one_behind_the_other(monkeypatch):
    arrays = fake_cifar10(monkeypatch)
    task = tiny(33, data="cifar10")
    batch = evaluated(task, "validation", 6)
    for sequence, image in enumerate(arrays["train_images"][14:]):
        for row in range(32):
            expected = [image[row, column, colour] / 255 for colour in range(3) for column in range(32)]
            np.testing.assert_allclose(batch.inputs[row, sequence], expected, rtol=1e-6, atol=0)
    np.testing.assert_array_equal(batch.targets, arrays["train_labels"][14:])
    assert (batch.inputs.shape, task.input_shape) == ((33, 6, 96), (96,))


def test_the_images_are_split_as_those_of_pixels():
    task, data = tiny(), tiny().load()
    pixels = PixelImages(data="synthetic", num_images=20, num_validation=6, num_test=5).load()
    for split, size in zip(("training", "validation", "test"), (14, 6, 5), strict=True):
        np.testing.assert_array_equal(data[split].images, pixels[split].images)
        assert task.num_examples(split) == size == len(data[split].labels)


def test_independent_noise_is_another_for_each_sequence_each_time_and_each_network():
    task = tiny(200)
    data = task.load()
    batch = jax.jit(lambda key, update: task.batch(data, key, update, 7).inputs[28:])
    shown = [np.asarray(batch(KEY, update)) for update in (0, 1)]
    shown.append(np.asarray(batch(jax.random.key(1), 0)))
    shown += [
        evaluated(task, split, 5, index=index).inputs[28:]
        for split, index in (("validation", 0), ("test", 0))
    ]
    sequences = [each[:, i] for each in shown for i in range(each.shape[1])]
    for number, one in enumerate(sequences):
        for other in sequences[number + 1 :]:
            # of independent normal numbers the product has the mean 0 and the variance 1
            assert_within((one * other).ravel(), 0.0, 1.0)
    values = np.concatenate([each.ravel() for each in shown])
    assert_within(values, 0.0, 1.0)
    assert_within(values**2, 1.0, math.sqrt(2))
    np.testing.assert_array_equal(shown[0], batch(KEY, 0))


def test_validation_noise_stays_the_same_from_pass_to_pass():
    task = tiny()
    first, second = (evaluated(task, "validation", 4, index=1) for _ in range(2))
    np.testing.assert_array_equal(first.inputs, second.inputs)
    np.testing.assert_array_equal(first.weights, [1, 1, 0, 0])


def test_shared_noise_is_one_tensor_behind_all_images():
    task = tiny(noise="shared")
    data = task.load()
    shown = [np.asarray(task.batch(data, jax.random.key(seed), jnp.array(seed), 3).inputs) for seed in (0, 1)]
    shown += [evaluated(task, split, 5, jax.random.key(2)).inputs for split in ("validation", "test")]
    for inputs in shown:
        for sequence in range(inputs.shape[1]):
            np.testing.assert_array_equal(inputs[28:, sequence], shown[0][28:, 0])
    assert not np.array_equal(shown[0][:28], shown[1][:28])
    other = evaluated(tiny(noise="shared", noise_seed=1), "test", 5).inputs[28:]
    assert not np.array_equal(other, shown[-1][28:])
    assert_within(evaluated(tiny(1028, noise="shared"), "test", 1).inputs[28:] ** 2, 1.0, math.sqrt(2))


def test_without_noise_the_rows_are_left():
    np.testing.assert_array_equal(
        evaluated(tiny(28), "test", 5).inputs, evaluated(tiny(40), "test", 5).inputs[:28]
    )


def test_facts_follow_the_images():
    tasks = [tiny(data="synthetic"), NoisePadded(), NoisePadded(data="cifar10")]
    assert [task.lag for task in tasks] == [39, 999, 999]
    assert [task.criterion.threshold for task in tasks] == [0.9, 0.955, 0.5]
    assert [task.num_noise for task in tasks] == [12, 972, 968]
    assert tasks[1].num_examples("training") == 48_000
    batch = evaluated(tasks[0], "test", 5)
    assert mean_loss(tasks[0], np.zeros((5, 10)), batch) == pytest.approx(tasks[0].baseline, rel=1e-6)
    sure = 50.0 * np.eye(10)[batch.targets]
    assert is_solved(tasks[0].criterion, (sure, batch)) and not is_solved(tasks[0].criterion, (-sure, batch))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"noise": "fixed"}, "noise: expected one of independent, shared, got 'fixed'"),
        ({"num_steps": 27}, r"num_steps: expected at least 28 \(the rows of mnist\), got 27"),
        (
            {"data": "cifar10", "num_steps": 31},
            r"num_steps: expected at least 32 \(the rows of cifar10\), got 31",
        ),
        ({"data": "cifar10", "num_images": 60_000}, "num_images: cifar10 has 50000, got 60000"),
        ({"num_validation": 50_000}, "num_images: expected at least 50001"),
    ],
)
def test_what_is_out_of_range_is_named(options, message):
    with pytest.raises(ValueError, match=message):
        NoisePadded(**options)


def prepared(folder, images, labels):
    """A data set of CIFAR-10's features, small, where tensorflow-datasets puts it."""
    import tensorflow_datasets as tfds

    with tfds.core.registered.skip_registration():

        class Cifar10(tfds.core.GeneratorBasedBuilder):
            """A few random images."""

            VERSION = tfds.core.Version("3.0.2")

            def _info(self):
                features = {
                    "image": tfds.features.Tensor(shape=(32, 32, 3), dtype=np.uint8),
                    "label": tfds.features.ClassLabel(num_classes=10),
                }
                return tfds.core.DatasetInfo(
                    builder=self, features=tfds.features.FeaturesDict(features), disable_shuffling=True
                )

            def _split_generators(self, dl_manager):
                return {"train": self._examples(slice(0, 4)), "test": self._examples(slice(4, 6))}

            def _generate_examples(self):
                raise NotImplementedError

            def _examples(self, part):
                for index, (image, label) in enumerate(zip(images[part], labels[part], strict=True)):
                    yield index, {"image": image, "label": int(label)}

    Cifar10(data_dir=folder, file_format="array_record").download_and_prepare()


@needs_tfds
@pytest.mark.medium
def test_cifar10_is_read_from_where_it_was_prepared(tmp_path):
    images, labels = colours(6, 3)
    prepared(tmp_path, images, labels)
    arrays = cifar10.load_cifar10(tmp_path, {"train": 4, "test": 2})
    np.testing.assert_array_equal(arrays["train_images"], images[:4])
    np.testing.assert_array_equal(arrays["test_images"], images[4:])
    np.testing.assert_array_equal(arrays["test_labels"], labels[4:])
    with pytest.raises(
        Fault, match=r"cifar10: .*3.0.2: train: expected images \[50000, 32, 32, 3\], got \[4, 32"
    ):
        cifar10.load_cifar10(tmp_path)


def test_cifar10_that_is_not_there_or_damaged_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setenv("RECURRENT_DATA", str(tmp_path))
    with pytest.raises(Fault, match=r"cifar10: not in .*; with TensorFlow installed, once, run python -c"):
        NoisePadded(data="cifar10").load()
    if find_spec("tensorflow_datasets") and find_spec("array_record"):
        (tmp_path / "cifar10" / "3.0.2").mkdir(parents=True)
        (tmp_path / "cifar10" / "3.0.2" / "dataset_info.json").write_text("{")
        with pytest.raises(Fault, match=r"cifar10: .*3.0.2 is unreadable"):
            cifar10.load_cifar10(tmp_path)
