"""CIFAR-10 for those who have it: the data set of tensorflow-datasets, prepared as array_record files, read without it.

No package of a registry holds these images, and the builder of tensorflow-datasets needs TensorFlow to prepare them,
once; to read them it does not.
"""

import importlib
from pathlib import Path
from types import ModuleType

import numpy as np

from experiments.data import fetch
from experiments.errors import Fault

SIZES = {"train": 50_000, "test": 10_000}
SHAPE = (32, 32, 3)


def load_cifar10(data_dir: Path | str | None = None, sizes: dict[str, int] = SIZES) -> dict[str, np.ndarray]:
    """The prepared images and labels, in the order in which they were written; their contents are not verified.

    ``train_images`` uint8 [50000, 32, 32, 3] (row, column, red green blue), ``train_labels`` uint8 [50000],
    ``test_images`` and ``test_labels`` of 10,000. They lie in ``cifar10/VERSION`` below ``data_dir``, of which the
    newest is read; None: `fetch.default_data_dir`. `Fault` where they are missing or unreadable, with what makes them.
    """
    base = fetch.default_data_dir() if data_dir is None else Path(data_dir).expanduser()
    folders = sorted(path.parent for path in base.glob("cifar10/*/dataset_info.json"))
    if not folders:
        raise Fault(f"cifar10: not in {base}; with TensorFlow installed, once, run {_command(base)}")
    tfds = _import_tfds()
    try:
        arrays = _read(tfds, folders[-1])
    except Exception as error:  # whatever a damaged file, or one of another format, makes of the readers
        raise Fault(
            f"cifar10: {folders[-1]} is unreadable ({error}); move it away and run {_command(base)}"
        ) from error
    for split, size in sizes.items():
        if arrays[f"{split}_images"].shape != (size, *SHAPE):
            found = list(arrays[f"{split}_images"].shape)
            raise Fault(f"cifar10: {folders[-1]}: {split}: expected images {[size, *SHAPE]}, got {found}")
    return arrays


def _command(base: Path) -> str:
    options = f"data_dir={str(base)!r}, file_format='array_record'"
    return (
        'python -c "import tensorflow_datasets as tfds; '
        f"tfds.builder('cifar10', {options}).download_and_prepare()\""
    )


def _import_tfds() -> ModuleType:
    try:
        importlib.import_module("array_record")
        return importlib.import_module("tensorflow_datasets")
    except ImportError as error:
        raise Fault(f"cifar10 needs tensorflow-datasets ({error}); run pip install -e '.[data]'") from None


def _read(tfds: ModuleType, folder: Path) -> dict[str, np.ndarray]:
    builder, arrays = tfds.builder_from_directory(folder), {}
    for split in SIZES:
        source = builder.as_data_source(split)
        examples = source.__getitems__(range(len(source)))
        arrays[f"{split}_images"] = np.stack([np.asarray(example["image"], np.uint8) for example in examples])
        arrays[f"{split}_labels"] = np.array([int(example["label"]) for example in examples], np.uint8)
    return arrays
