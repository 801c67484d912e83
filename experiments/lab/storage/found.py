"""All runs below a folder, read from their JSON files alone: no experiment is imported, nothing is computed."""

import dataclasses
import os
import platform
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from experiments.errors import Fault
from experiments.lab.plan import cell_names, configs
from experiments.lab.storage import folders, owner, summaries
from experiments.lab.storage.litter import is_litter
from experiments.lab.storage.records import read_json, read_rows

ENDED, SOLVED, LOST = "ended", "stopped: solved", "lost"
TRAINING, WAITING, INTERRUPTED = "training", "waiting", "interrupted"


@dataclasses.dataclass(frozen=True)
class Found:
    """One run: its folder, its cell's label, its flags, and what its files say. ``summary`` is {} until it has ended.

    ``updates`` are those done; ``progress`` is what a process wrote last while it trained, {} where none has yet.
    """

    folder: Path
    stored: folders.Stored
    cell: str
    flags: dict[str, Any]
    summary: dict[str, Any]
    progress: dict[str, Any]
    rows: list[dict[str, Any]]

    @property
    def updates(self) -> int:
        """Updates done."""
        if self.summary:
            return self.summary["num_updates"]
        return max((row["update"] for row in self.rows), default=self.progress.get("update", 0))

    @property
    def status(self) -> str:
        """State of the whole run: ended, stopped early, training in a process that is alive, or interrupted.

        It waits where a process that is alive has begun with its folder: that compiles, or trains another run.
        """
        if self.summary:
            stopped = self.summary.get("stopped")
            return f"stopped: {stopped}" if stopped else ENDED
        if is_alive(self.progress):
            return TRAINING
        content = owner.read(self.folder.parent)
        waits = is_alive(content) and self.folder.name in content.get("runs", [self.folder.name])
        return WAITING if waits else INTERRUPTED


def below(*paths: Path | str) -> list[Found]:
    """The runs in folders, at any depth, each once. A damaged one is named on stderr and left out.

    Raises:
        Fault: a path is not there, or no run is below it.
    """
    found: dict[Path, Found] = {}
    for path in map(Path, paths):
        if not path.exists():
            raise Fault(f"{path} is not there")
        before, damaged = len(found), 0
        places = list(_places(path))
        for place in places:
            try:
                found.setdefault(place.resolve(), open_json(place))
            except Fault as fault:
                damaged += 1
                print(f"warning: {fault}; {place} is left out", file=sys.stderr)
        if not places:
            raise Fault(f"{path} holds no run (a run has a {folders.CONFIG})")
        if damaged == len(places) and len(found) == before:
            raise Fault(f"{path} holds no run that can be read")
    return list(found.values())


def _places(path: Path) -> Iterator[Path]:
    """The folders that are runs, or were: nothing is looked for inside them."""
    for place, inner, files in os.walk(path):
        if {folders.CONFIG, folders.SUMMARY, folders.METRICS} & set(files):
            inner.clear()
            yield Path(place)
        inner[:] = sorted(name for name in inner if not is_litter(name, is_folder=True))


def open_json(folder: Path) -> Found:
    """One run.

    Raises:
        Fault: a file is damaged.
    """
    stored = folders.read(folder)
    if stored is None:
        raise Fault(f"{folder} is empty")
    summary, path = summaries.read(folder), folder / folders.PROGRESS
    progress = read_json(path) if path.exists() else {}
    if not isinstance(progress, dict):
        raise Fault(f"{path} is not a run's progress")
    flags = {
        **stored.config,
        **{name: stored.config.get(name, value) for name, value in configs.LATER.items()},
    }
    try:
        cell = cell_names.label(cell_names.from_json(flags.pop("cell")))
        asked, several = int(flags["num_updates"]), int(flags["num_seeds"])
        if not _is_whole(summary, asked, flags.get("stop")):
            summary = {}
        if summary and len(summary["seeds"]) != several:
            raise ValueError(f"num_seeds is {several}, its summary has {len(summary['seeds'])}")
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise Fault(
            f"{folder / folders.CONFIG} is not a run's configuration: {type(error).__name__}: {error}"
        ) from error
    flags = {name: _as_tuples(value) for name, value in flags.items()}
    return Found(folder, stored, cell, flags, summary, progress, read_rows(folder / folders.METRICS))


def _is_whole(summary: dict[str, Any], asked: int, stop: Any) -> bool:
    """Whether a summary is of the run as it is asked for now: a longer one may have been started since."""
    stopped = summary.get("stopped")
    return (
        summary.get("num_updates") == asked or stopped == "lost" or (stopped == "solved" and stop == "solved")
    )


def _as_tuples(value: Any) -> Any:
    return tuple(map(_as_tuples, value)) if isinstance(value, list) else value


def is_alive(signed: dict[str, Any]) -> bool:
    """Whether the process that signed a file still runs; of another machine's nobody can say: no."""
    process = signed.get("process")
    if not isinstance(process, int) or process <= 0 or signed.get("host", platform.node()) != platform.node():
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's, hence alive
        return True
    return True
