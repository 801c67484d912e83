"""Compiled programs kept for the next call: JAX's compilation cache, in a folder that a kill cannot spoil.

JAX writes an entry where the next process reads it, and one that was cut off stays there for good, with a warning at
every call. So a process works on a folder of its own inside, with links to what is there already, and hands over whole
entries when it ends; what a killed process leaves is removed by the next one.
"""

import contextlib
import os
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import jax
from jax.experimental.compilation_cache import compilation_cache

from experiments.errors import Fault
from experiments.lab.storage.records import reason

WORTH_KEEPING = 0.1  # seconds of compiling
_PREFIX = ".of-"


@contextlib.contextmanager
def kept(folder: Path | None) -> Iterator[None]:
    """Programs are read from ``folder`` and added to it; None: as JAX is set.

    Another version of JAX, device or processor has entries of its own.

    Raises:
        Fault: the folder cannot be made.
    """
    if folder is None:
        yield
        return
    own = _own(folder.absolute())
    options = {
        "jax_compilation_cache_dir": str(own),
        "jax_persistent_cache_min_compile_time_secs": WORTH_KEEPING,
        "jax_persistent_cache_min_entry_size_bytes": -1,
        # XLA's own caches put the folder, another one for each process, among the options that an entry is found by
        "jax_persistent_cache_enable_xla_caches": "none",
    }
    former = {name: getattr(jax.config, name) for name in options}
    try:
        _set(options)
        yield
    finally:
        _set(former)
        _hand_over(own)


def _set(options: dict[str, object]) -> None:
    for name, value in options.items():
        jax.config.update(name, value)
    compilation_cache.reset_cache()  # it is bound to its folder at the first program


def _own(folder: Path) -> Path:
    """The folder of this process, with every entry that is there; those of processes that are gone are removed."""
    own = folder / f"{_PREFIX}{socket.gethostname()}-{os.getpid()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for other in folder.glob(f"{_PREFIX}{socket.gethostname()}-*"):
            if not _lives(int(other.name.rpartition("-")[2])) or other == own:
                shutil.rmtree(other, ignore_errors=True)
        own.mkdir()
        for entry in folder.glob("*-cache"):
            _link(entry, own / entry.name)
    except OSError as error:
        raise Fault(f"--compilation-cache: {folder} cannot be used: {reason(error)}") from error
    return own


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _link(entry: Path, place: Path) -> None:
    try:
        os.link(entry, place)
    except FileNotFoundError:
        return
    except OSError:  # no hard links here
        shutil.copyfile(entry, place)


def _hand_over(own: Path) -> None:
    """Move whole entries to where others read them, each at one stroke; a disk that refuses keeps none."""
    with contextlib.suppress(OSError):
        for entry in own.glob("*-cache"):
            if not (own.parent / entry.name).exists():
                os.replace(entry, own.parent / entry.name)
    shutil.rmtree(own, ignore_errors=True)
