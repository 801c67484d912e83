"""Whether a machine is quiet enough to time anything on it."""

import os
import time
from pathlib import Path

__all__ = ["busy_share", "wait"]

STAT = Path("/proc/stat")


def busy_share(seconds: float = 5.0) -> float | None:
    """The share of all cores that was busy for ``seconds`` while this process slept; None where it cannot be known."""
    if not STAT.exists():
        return None
    first, own = _ticks(), time.process_time()
    time.sleep(seconds)
    (busy, total), own = _ticks(), time.process_time() - own
    share = (busy - first[0]) / max(1, total - first[1])
    return max(0.0, share - own / (seconds * (os.cpu_count() or 1)))


def _ticks() -> tuple[int, int]:
    numbers = [int(word) for word in STAT.read_text(encoding="utf-8").splitlines()[0].split()[1:]]
    idle = numbers[3] + numbers[4]
    return sum(numbers[:8]) - idle, sum(numbers[:8])


def wait(most: float = 0.05, tries: int = 3) -> float | None:
    """The busy share of a machine that is quiet; SystemExit where others take more than ``most`` of it, each time."""
    share = None
    for _ in range(tries):
        share = busy_share()
        if share is None or share <= most:
            return share
    raise SystemExit(
        f"error: other processes take {share:.0%} of this machine; wait until it is quiet, or give --busy"
    )
