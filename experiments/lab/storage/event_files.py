"""``--tensorboard``: the metrics of a run as event files, in ``tensorboard/`` beside its ``metrics.jsonl``.

``metrics.jsonl`` is the record and the event files are a copy of its numbers: whenever a run starts or goes on they are
made anew from it, at the same updates, so that nothing stands there twice, and a run that was begun without them has
all of them. A scalar is called ``<split>/<metric>/seed_<seed>``. What was not finite is NaN.
"""

import contextlib
import importlib.util
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from experiments.errors import Fault
from experiments.lab.storage import folders
from experiments.lab.storage.records import plain, read_rows, unwritten

FOLDER = "tensorboard"
FLUSH = 10  # seconds until a number is on the disk at the latest


def observer() -> Callable[[Path], contextlib.AbstractContextManager[Callable[[dict[str, Any]], None]]]:
    """`observe`, where it can work.

    Raises:
        Fault: tensorboardX is not installed.
    """
    if importlib.util.find_spec("tensorboardX") is None:
        raise Fault("--tensorboard: needs tensorboardX (pip install -e '.[tensorboard]')")
    return observe


@contextlib.contextmanager
def observe(folder: Path) -> Iterator[Callable[[dict[str, Any]], None]]:
    """Event files of all rows that a run has, and of those that follow."""
    from tensorboardX import SummaryWriter

    stored, place = folders.read(folder), folder / FOLDER
    assert stored is not None, "a run has its config.json before it has an observer"
    first = stored.config["seed"]
    try:
        for old in place.glob("events.out.tfevents.*"):
            old.unlink()
        writer = SummaryWriter(str(place), flush_secs=FLUSH)
    except OSError as error:
        raise unwritten(place, error) from error

    def heard(row: dict[str, Any]) -> None:
        for tag, value in scalars(plain(row), first).items():
            writer.add_scalar(tag, value, row["update"])

    with contextlib.closing(writer):
        for row in read_rows(folder / folders.METRICS):
            heard(row)
        yield heard


def scalars(row: dict[str, Any], first_seed: int) -> dict[str, float]:
    """The numbers of a row of metrics by the names of their curves.

    >>> scalars({"update": 20, "seed_index": 1, "split": "validation", "loss": 0.5, "gate": {"lag": [0]}}, 7)
    {'validation/loss/seed_8': 0.5}
    """
    seed = first_seed + row["seed_index"]
    numbers = {name: value for name, value in row.items() if name not in ("update", "seed_index", "split")}
    return {
        f"{row['split']}/{name}/seed_{seed}": float("nan") if value is None else float(value)
        for name, value in numbers.items()
        if value is None or isinstance(value, int | float)
    }
