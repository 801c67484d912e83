"""What is kept of a finished run: its summary, with the code that made it and how many settings were tried."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import experiments
from experiments.errors import Fault
from experiments.lab import arguments
from experiments.lab.plan import configs
from experiments.lab.plan.experiment import PACKAGE
from experiments.lab.plan.finding import load_stored
from experiments.lab.storage import folders, found
from experiments.lab.storage.records import read_json, write_json
from experiments.tables import provenance

RESULTS = Path(experiments.__file__).parent / "results"
USAGE = "keep RUN [--as NAME]"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._=-]*")
DEPTHS = ("*", "*/*", "*/*/*")
"""How far below a folder runs are counted: in it, in folders of runs, and in folders of those."""


def main(argv: Sequence[str]) -> int:
    """The command line of ``keep``.

    Raises:
        Fault: there is no such run, it has not ended, or nobody can say which code made it.
    """
    rest = list(argv)
    name = arguments.take(rest, "--as")
    if len(rest) != 1 or rest[0].startswith("--"):
        raise Fault(f"keep: expected the folder of one run (expected {USAGE})")
    print(keep(Path(rest[0]), name[0] if name else None))
    return 0


def keep(run: Path, name: str | None = None, *, below: Path | None = None) -> Path:
    """Copy the summary of a finished run to the committed results; where it is now.

    Args:
        run: its folder, or one that holds no other run.
        name: what it is kept as; None: the name of its folder, which another configuration must not have taken.
        below: where to look for other settings that were tried; None: beside the folder that ``--out`` named.

    Raises:
        Fault: it has not ended, is no experiment of this package, or the code that made it is not known.
    """
    place = folders.find_run(run)
    if name is not None and not NAME.fullmatch(name):
        raise Fault(f"--as: expected letters, digits, _ . = and -, for it names a file, got {name!r}")
    content = found.open_json(place).summary
    if not content:
        raise Fault(f"{place} has not ended: it has no {folders.SUMMARY} of the run as it was asked for")
    stored = folders.read(place)
    assert stored is not None, "find_run saw its config.json"
    experiment = load_stored(stored.experiment, stored.module, stored.source)
    if not experiment.is_ours:
        raise Fault(f"{place} is a run of {experiment.name}, which is no experiment of {PACKAGE.rstrip('.')}")
    config = configs.from_json(experiment.config, content["config"])
    try:
        code = provenance.code(experiment, config, content["environment"].get("commit"))
    except Fault as fault:
        raise Fault(f"{place}: {fault}", fault.code) from fault
    kept = RESULTS / experiment.name / content["preset"] / f"{name or place.name}.json"
    if name is None and kept.exists() and setting(read_json(kept)["config"]) != setting(content["config"]):
        raise Fault(f"{kept} is of another configuration; give keep --as NAME")
    tried = settings_tried(stored, place.resolve().parent.parent if below is None else below)
    kept.parent.mkdir(parents=True, exist_ok=True)
    write_json(kept, {**content, "settings_tried": tried, "code": code})
    return kept


def settings_tried(stored: folders.Stored, below: Path) -> int:
    """How many different configurations of a run's experiment and cell stand below a folder, whatever became of them.

    ``num_updates`` makes no difference, for a run goes on with more of them; an option of the cell does.
    """
    seen = {setting(stored.config)}
    for other in _stored_below(below):
        same_cell = other.config.get("cell", {}).get("cell") == stored.config["cell"]["cell"]
        if other.experiment == stored.experiment and same_cell:
            seen.add(setting(other.config))
    return len(seen)


def _stored_below(folder: Path) -> Iterator[folders.Stored]:
    for path in sorted(path for depth in DEPTHS for path in folder.glob(f"{depth}/{folders.CONFIG}")):
        try:
            yield folders.Stored.from_json(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, TypeError, AttributeError):
            continue  # no run's: something else is called so


def setting(config: Mapping[str, Any]) -> str:
    """What tells one stored configuration from another, as a text.

    >>> setting({"num_updates": 5, "seed": 0}) == setting({"seed": 0, "num_updates": 9})
    True
    """
    return json.dumps(
        {name: value for name, value in config.items() if name != "num_updates"}, sort_keys=True
    )


def kept_summaries() -> dict[Path, dict[str, Any]]:
    """Every committed summary of a run, by its path, in their order; what a suite made of many runs is none."""
    found = {path: read_json(path) for path in sorted(RESULTS.glob("*/*/*.json"))}
    return {path: content for path, content in found.items() if "experiment" in content}
