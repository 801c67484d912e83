"""``python -m experiments status DIR``: how far each run below a folder is, how fast, and when it will end."""

import collections
import time
from pathlib import Path

from experiments.lab.storage import found
from experiments.lab.storage.found import Found

SILENT = 60.0  # seconds without a word of a run that trains, after which that is said


def text(path: Path, now: float | None = None) -> str:
    """One line a run, then how many there are of each state. ``now``: seconds since the epoch.

    Raises:
        Fault: there is no run below the path.
    """
    now = time.time() if now is None else now
    runs = found.below(path)
    head = ("run", "state", "updates", "updates/s", "ends")
    lines = [head, *(_line(run, path, now) for run in runs)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    rows = ("  ".join(word.ljust(width) for word, width in zip(line, widths, strict=True)) for line in lines)
    counted = collections.Counter(run.status for run in runs)
    total = ", ".join(f"{count} {state}" for state, count in counted.items())
    return "\n".join([*(row.rstrip() for row in rows), "", total])


def _line(run: Found, path: Path, now: float) -> tuple[str, ...]:
    name = "." if run.folder == path else str(run.folder.relative_to(path))
    state, speed, end = run.status, "", ""
    if run.summary:
        seconds = run.summary["wall_seconds"]
        speed = f"{run.updates / seconds:.3g}" if seconds else ""
        lost = sum(seed["frozen_at"] is not None for seed in run.summary["seeds"])
        state += f", {lost} of {len(run.summary['seeds'])} lost" if lost else ""
    elif state == found.TRAINING:
        speed = f"{run.progress.get('updates_per_second') or 0:.3g}"
        silent = max(now - run.progress.get("written_at", now), 0.0)
        left = (run.progress.get("seconds_left") or 0.0) - silent
        words = [f"in {duration(left)}, at {time.strftime('%a %H:%M', time.localtime(now + left))}"] * (
            left > 0
        )
        end = ", ".join([*words, *[f"silent for {duration(silent)}"] * (silent > SILENT)])
    return name, state, f"{run.updates} of {run.flags['num_updates']}", speed, end


def duration(seconds: float) -> str:
    """Seconds for people.

    >>> duration(7), duration(185), duration(9000), duration(200000)
    ('7 s', '3 min', '2.5 h', '2.3 days')
    """
    for unit, size, digits in (("days", 86400, 1), ("h", 3600, 1), ("min", 60, 0)):
        if seconds >= size * (1.5 if unit == "days" else 1):
            return f"{seconds / size:.{digits}f} {unit}"
    return f"{seconds:.0f} s"
