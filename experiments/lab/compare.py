"""``python -m experiments compare RUN [RUN ...]``: runs from anywhere in one table and one picture."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from experiments.errors import Fault
from experiments.lab import arguments
from experiments.lab.frames import frame, labels
from experiments.lab.pictures import comparison
from experiments.lab.plan import configs
from experiments.lab.storage import found, summaries
from experiments.lab.storage.found import Found
from experiments.lab.storage.records import unwritten

USAGE = "compare RUN [RUN ...] [--out DIR] [--csv FILE]"


def main(argv: Sequence[str]) -> int:
    """The command line.

    Raises:
        Fault: a path is no run, none has ended, or a file cannot be written.
    """
    rest = list(argv)
    out = Path((arguments.take(rest, "--out") or ["."])[0])
    csv = arguments.take(rest, "--csv")
    unknown = [word for word in rest if word.startswith("--")]
    if unknown:
        raise Fault(f"{unknown[0]}: unknown flag (expected {USAGE})")
    if not rest:
        raise Fault(f"compare: expected the folder of a run (expected {USAGE})")
    runs = found.below(*rest)
    if out.exists() and not out.is_dir():
        raise Fault(f"--out: {out} is not a folder")
    ended = [run for run in runs if run.summary]
    for run in runs:
        if not run.summary:
            state = f"{run.status}, update {run.updates} of {run.flags['num_updates']}"
            print(
                f"note: {run.folder} has not ended ({state}); left out of table and picture", file=sys.stderr
            )
    if csv:
        _write_csv(rest, Path(csv[0]))
    if not ended:
        raise Fault("compare: none of these runs has ended")
    print(summaries.render(table(ended)))
    picture = comparison.draw(ended, labels(ended), out)
    print(f"\nthe picture is {picture}" + (f", the data of all networks {csv[0]}" if csv else ""))
    return 0


def table(runs: Sequence[Found]) -> list[dict[str, Any]]:
    """One line a run that has ended, as in the table of a folder; with the experiment where there are several."""
    rows = summaries.table(
        [{**run.summary, "config": {**configs.LATER, **run.stored.config}} for run in runs]
    )
    experiments = [run.stored.experiment for run in runs]
    if len(set(experiments)) > 1:
        rows = [{"experiment": name, **row} for name, row in zip(experiments, rows, strict=True)]
    return rows


def _write_csv(paths: Sequence[str], file: Path) -> None:
    try:
        frame(*paths).to_csv(file, index=False)
    except OSError as error:
        raise unwritten(f"--csv: {file}", error) from error
