"""How far and how fast a run is, in ``progress.json``: clocks for people, and no part of its results."""

import contextlib
import os
import platform
import time
from pathlib import Path
from typing import Self

from experiments.errors import Fault
from experiments.lab.storage.records import write_json

SECONDS = 2.0  # between two writings; a look from another terminal needs no more


class Pace:
    """Writes ``progress.json`` at the start of a run, every few seconds while it trains, and where it breaks off."""

    def __init__(self, path: Path, label: str, update: int, num_updates: int) -> None:
        self.path, self.label, self.num_updates = path, label, num_updates
        self.first, self.update, self.started = update, update, time.monotonic()
        self._written = 0.0

    def __enter__(self) -> Self:
        self._write(self.first, os.getpid())
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Whatever broke the run off: its process may live on with other runs, or in a notebook."""
        if kind is not None:
            with contextlib.suppress(Fault):  # the disk may be what broke it
                self._write(self.update, None)

    def at(self, update: int) -> None:
        """The run has reached an update."""
        self.update = update
        now = time.monotonic()
        if now - self._written < SECONDS and update < self.num_updates:
            return
        self._written = now
        self._write(update, os.getpid())

    def _write(self, update: int, process: int | None) -> None:
        speed = (update - self.first) / max(time.monotonic() - self.started, 1e-9)
        content = {
            "label": self.label,
            "update": update,
            "num_updates": self.num_updates,
            "updates_per_second": speed,
            "seconds_left": (self.num_updates - update) / speed if speed else None,
            "written_at": time.time(),
            "process": process,
            "host": platform.node(),
        }
        write_json(self.path, content)
