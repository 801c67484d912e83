"""Whether a run has ended, from its files: at its last update, or before it where all is solved or lost."""

from pathlib import Path

from experiments.errors import Fault
from experiments.lab.plan.configs import Config
from experiments.lab.storage import folders, summaries
from experiments.lab.storage.manifest import survey
from experiments.lab.storage.records import read_rows

SOLVED, LOST = "solved", "lost"
"""Why a run stopped before its last update: every network is solved, or none is finite any more."""


def has_ended(folder: Path, config: Config) -> bool:
    """Whether no update of a run is missing. Reads only.

    Raises:
        Fault: there are more updates than asked for, no checkpoint is good, or the metrics are not rows.
    """
    done, asked = summaries.num_updates(folder), config.num_updates
    saved = max(survey(folder / folders.CHECKPOINTS)[0], default=0)
    read_rows(folder / folders.METRICS)
    if max(done, saved) > asked:
        raise Fault(f"--num-updates: {folder} has {max(done, saved)} updates already, asked for {asked}")
    # a summary whose checkpoint is damaged is not the end: the missing updates are computed again
    return done == saved and (done == asked or _stops(config, summaries.read(folder).get("stopped")))


def _stops(config: Config, reason: str | None) -> bool:
    """Whether a run that stopped for this reason has ended, as its configuration is now."""
    return reason == LOST or (reason == SOLVED and config.stop == "solved")


def has_checkpoint(folder: Path) -> bool:
    """Whether a run has been saved at all."""
    return bool(survey(folder / folders.CHECKPOINTS)[0])
