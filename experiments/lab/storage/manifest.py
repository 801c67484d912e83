"""The folder of checkpoints as files: which steps are whole, which are damaged, and where those go."""

import os
import shutil
from itertools import count
from pathlib import Path

from experiments.errors import USAGE, Fault
from experiments.lab.storage.hashing import file_sha256
from experiments.lab.storage.litter import is_litter
from experiments.lab.storage.records import fsync

MANIFEST, UNFINISHED, DAMAGED = "manifest.sha256", ".unfinished", "damaged"


def manifest(step: Path) -> str:
    """What a step's manifest has to be, byte for byte: the sha256 and the path of every other file, sorted by path.

    ``sha256sum -c manifest.sha256`` reads it. What other programs have left there is no part of a step.
    """
    files = (path.relative_to(step) for path in step.rglob("*") if not path.is_dir())
    names = (path.as_posix() for path in files if not any(map(is_litter, path.parts)))
    return "".join(f"{file_sha256(step / name)}  {name}\n" for name in sorted(names) if name != MANIFEST)


def seal(step: Path) -> None:
    """Write the manifest of a step, and wait until the disk has it, every other file, and every name."""
    (step / MANIFEST).write_bytes(manifest(step).encode())
    for root, _, names in os.walk(step):
        for name in [*names, "."]:
            fsync(Path(root, name))


def damage(step: Path) -> str | None:
    """What is wrong with a step, or None: any change of any of its files, the manifest too, is found."""
    try:
        stored = (step / MANIFEST).read_bytes()
        expected = manifest(step).encode()
    except FileNotFoundError:
        return f"{MANIFEST} is missing"
    except OSError as error:
        return f"{error.filename} cannot be read: {error.strerror}"
    if stored == expected:
        return None
    listed, present = _digests(stored), _digests(expected)
    missing = [name for name in listed if name not in present]
    strange = [name for name in present if name not in listed]
    changed = [name for name in present if listed.get(name) != present[name]]
    if strange:  # a name that was changed in the manifest is also missing
        return f"{strange[0]} is not in {MANIFEST}"
    if missing:
        return f"{missing[0]} is missing"
    return f"{changed[0]} does not match its sha256" if changed else f"{MANIFEST} was changed"


def _digests(text: bytes) -> dict[str, str]:
    lines = (line.partition("  ") for line in text.decode(errors="replace").split("\n") if line)
    return {name: digest for digest, _, name in lines}


def survey(folder: Path) -> tuple[list[int], dict[int, str]]:
    """The good steps, ascending, and what is wrong with the others. Reads only.

    Raises:
        Fault: there are steps, but no good one.
    """
    names = [entry.name for entry in folder.iterdir()] if folder.is_dir() else []
    steps = sorted(int(name) for name in names if name.isdecimal() and name == str(int(name)))
    found = {step: damage(folder / str(step)) for step in steps}
    damaged = {step: what for step, what in found.items() if what is not None}
    if damaged and len(damaged) == len(steps):
        named = "; ".join(f"{step}: {what}" for step, what in damaged.items())
        raise Fault(f"no checkpoint of {folder} is good ({named}); nothing was changed", USAGE)
    return [step for step in steps if step not in damaged], damaged


def clear(folder: Path) -> None:
    """Remove what an interrupted save left behind, ours or that of an orbax CheckpointManager."""
    for place in [folder / UNFINISHED, *folder.glob("*.orbax-checkpoint-tmp*")]:
        if place.is_dir():
            shutil.rmtree(place)


def move_aside(folder: Path, step: int) -> str:
    """Move a step to ``damaged/`` beside ``folder``, under a name that is not taken; returns where it is now."""
    aside = folder.parent / DAMAGED
    aside.mkdir(exist_ok=True)
    names = (f"{step}-{number}" if number else str(step) for number in count())
    name = next(name for name in names if not os.path.lexists(aside / name))
    os.rename(folder / str(step), aside / name)
    fsync(aside)
    fsync(folder)
    return f"{DAMAGED}/{name}"
