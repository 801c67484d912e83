"""How far and how fast a run is, in ``progress.json``: clocks for people, and no part of its results."""

import os
import time
from pathlib import Path

from experiments.lab.storage.records import write_json

SECONDS = 2.0  # between two writings; a look from another terminal needs no more


class Pace:
    """Writes ``progress.json`` every few seconds while a run trains."""

    def __init__(self, path: Path, label: str, update: int, num_updates: int) -> None:
        self.path, self.label, self.num_updates = path, label, num_updates
        self.first, self.started = update, time.monotonic()
        self._written = -SECONDS

    def at(self, update: int) -> None:
        """The run has reached an update."""
        now = time.monotonic()
        if now - self._written < SECONDS and update < self.num_updates:
            return
        self._written = now
        speed = (update - self.first) / max(now - self.started, 1e-9)
        content = {
            "label": self.label,
            "update": update,
            "num_updates": self.num_updates,
            "updates_per_second": speed,
            "seconds_left": (self.num_updates - update) / speed if speed else None,
            "written_at": time.time(),
            "process": os.getpid(),
        }
        write_json(self.path, content)
