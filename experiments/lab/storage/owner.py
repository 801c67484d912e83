"""One owner a folder of runs: a lock that dies with its owner, whose process and host are written into it.

The lock is the system's, on the file ``.lock`` in the folder, which is there as long as the lock is held; what a killed
process leaves locks nothing. Who only reads asks for no lock, and learns from the file who trains. On network file
systems (NFS) such a lock is as good as the server makes it: nothing is promised between machines.
"""

import contextlib
import errno
import json
import os
import platform
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from experiments.errors import Fault
from experiments.lab.storage import folders
from experiments.lab.storage.records import reason

PATIENCE = 0.5  # seconds that an owner may take from having the lock to having written its name


class Owner:
    """What has the lock of a folder."""

    def __init__(self) -> None:
        self._descriptor: int | None = None
        self._content: dict[str, Any] = {
            "process": os.getpid(),
            "host": platform.node(),
            "since": time.time(),
        }

    def write(self, descriptor: int) -> None:
        """Write who this is into the file that has just been locked."""
        self._descriptor = descriptor
        text = json.dumps(self._content).encode()
        os.ftruncate(descriptor, 0)
        os.lseek(descriptor, 0, os.SEEK_SET)
        os.write(descriptor, text)

    def trains(self, runs: Iterable[str]) -> None:
        """Say which runs of the folder this is about, by the names of their folders."""
        self._content["runs"] = list(runs)
        if self._descriptor is not None:
            with contextlib.suppress(OSError):  # a full disk is told by what needs it
                self.write(self._descriptor)


def read(out: Path) -> dict[str, Any]:
    """What stands in the lock of a folder; {} where there is none that can be read. Its owner may be dead."""
    try:
        content = json.loads((out / folders.LOCK).read_bytes())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


@contextlib.contextmanager
def owned(out: Path) -> Iterator[Owner]:
    """Own a folder, which is made where it is missing, and goes again where nothing has been put into it.

    Where nobody of this account can write, nothing is locked: what is there may be looked at.

    Raises:
        Fault: somebody else owns it, or it cannot be made or locked.
    """
    import filelock

    owner = Owner()
    lock = filelock.FileLock(
        out / folders.LOCK,
        blocking=False,
        thread_local=False,
        fallback_to_soft=False,  # a file whose being there is the lock would outlive its owner
        preserve_lock_file=True,
        on_acquired=owner.write,
    )
    with contextlib.ExitStack() as held, folders.asked_for(out):
        for place in _missing(out):
            place.mkdir(exist_ok=True)
            held.callback(_remove_if_empty, place)
        was_there = os.path.lexists(out / folders.LOCK)
        try:
            lock.acquire()
        except filelock.Timeout as error:
            complaint = f"--out: {out} is in use by {_named(out)}; wait until it ends, or give another --out"
            raise Fault(complaint) from error
        except OSError as error:
            if not was_there:
                _remove(out / folders.LOCK)
            if was_there or error.errno not in (errno.EACCES, errno.EROFS):
                raise Fault(f"--out: {out} cannot be locked: {reason(error)}") from error
        else:
            held.callback(lock.release)
            # before the release: who has opened the file by then finds it gone, and is refused
            held.callback(_remove, out / folders.LOCK)
        yield owner


def _missing(out: Path) -> list[Path]:
    """The folders that have to be made, the outermost first."""
    absent = [place for place in (out, *out.parents) if not place.is_dir()]
    return absent[::-1]


def _remove_if_empty(place: Path) -> None:
    with contextlib.suppress(OSError):
        place.rmdir()


def _remove(file: Path) -> None:
    with contextlib.suppress(OSError):  # on Windows not while it is open: it stays, and locks nothing
        file.unlink()


def _named(out: Path) -> str:
    """Whose lock it is; it may have been taken a moment ago, and not been signed yet."""
    for _ in range(10):
        content = read(out)
        if content:
            return f"process {content.get('process')} on {content.get('host')}"
        time.sleep(PATIENCE / 10)
    return "another process"
