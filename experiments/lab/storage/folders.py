"""The folder of a run: whether it is new, goes on, or belongs to something else. Reads only, until `create`."""

import contextlib
import dataclasses
import errno
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from experiments.errors import FAILED, USAGE, Fault
from experiments.lab.plan import cell_names, configs
from experiments.lab.plan.configs import Config
from experiments.lab.plan.experiment import Experiment
from experiments.lab.storage.records import reason, write_json
from experiments.lab.training.seeds import MAPPINGS

CONFIG, ENV, METRICS, SUMMARY, CHECKPOINTS = (
    "config.json",
    "env.json",
    "metrics.jsonl",
    "summary.json",
    "checkpoints",
)

STORED = {"experiment": str, "preset": str, "config": dict, "resolved": dict}
RESOLVED = {
    "device_kind": str,
    "num_cores": int,
    "num_devices": int,
    "versions": dict,
    "solver": str,
    "seed_mapping": str,
    "notes": list,
}
"""What ``config.json`` has to have, and ``resolved`` in it."""


@dataclasses.dataclass(frozen=True)
class Stored:
    """What ``config.json`` holds: the experiment, the preset, the configuration, and what was resolved."""

    experiment: str
    preset: str
    config: dict[str, Any]
    resolved: dict[str, Any]

    def __post_init__(self) -> None:
        """Check what comes from a file that anybody may have edited."""
        for values, kinds in ((vars(self), STORED), (self.resolved, RESOLVED)):
            for name, kind in kinds.items():
                if type(values.get(name)) is not kind:
                    raise ValueError(f"{name} is not a {kind.__name__}")
        if min(self.resolved["num_cores"], self.resolved["num_devices"]) < 1:
            raise ValueError("num_cores and num_devices are not positive")
        if self.resolved["seed_mapping"] not in MAPPINGS:
            raise ValueError(f"resolved.seed_mapping is not one of {', '.join(MAPPINGS)}")


@contextlib.contextmanager
def _asked_for(folder: Path) -> Iterator[None]:
    """Turns an error of the file system into a fault: of the caller, unless the disk is full."""
    try:
        yield
    except OSError as error:
        code = FAILED if error.errno in (errno.ENOSPC, errno.EDQUOT) else USAGE
        raise Fault(f"--out: {folder}: {reason(error)}", code) from error


def read(folder: Path) -> Stored | None:
    """What a folder holds; None where it is absent, empty, or holds only temporary files.

    Raises:
        Fault: it holds anything else without a valid ``config.json``.
    """
    path = folder / CONFIG
    with _asked_for(folder):
        if folder.exists() and not folder.is_dir():
            raise Fault(f"--out: {folder} is not a folder")
        if not path.exists():
            others = [entry.name for entry in folder.iterdir()] if folder.exists() else []
            kept = [name for name in others if not is_temporary(name)]
            if kept:
                raise Fault(
                    f"--out: {folder} holds {sorted(kept)[0]} but no {CONFIG}: not a run; it is left as it is"
                )
            return None
    try:
        return Stored(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, ValueError, TypeError) as error:
        raise Fault(f"{path} is not a run's configuration: {error}") from error


def is_temporary(name: str) -> bool:
    """Whether a file of this name is what an interrupted atomic write leaves."""
    return name.endswith(".tmp") or ".tmp-" in name or ".orbax-checkpoint-tmp" in name


def check_shared(out: Path, experiment: Experiment) -> None:
    """Fault where ``out`` holds something that is neither a run of the experiment, nor a table or a picture."""
    with _asked_for(out):
        existing = next(place for place in (out, *out.parents) if place.exists())
        if not existing.is_dir():
            raise Fault(f"--out: {existing} is not a folder")
        for entry in sorted(out.iterdir()) if out.exists() else []:
            ours = entry.is_dir() or entry.suffix == ".png" or entry.name == "table.json"
            if not (ours or is_temporary(entry.name)):
                raise Fault(f"--out: {out} holds {entry.name}, which is not of a run; give another folder")
            stored = read(entry) if entry.is_dir() else None
            if stored is not None and stored.experiment != experiment.name:
                raise Fault(f"--out: {entry} holds a run of {stored.experiment}, not of {experiment.name}")


def check_same(folder: Path, stored: Stored, experiment: Experiment, config: Config) -> None:
    """Fault where the folder's run is another one than asked for."""
    try:
        earlier = configs.from_json(experiment.config, stored.config)
    except Fault as fault:
        raise Fault(f"--out: {folder} holds another configuration: {fault}") from fault
    cell_names.check_source(config.cell, earlier.cell)
    old, new = configs.identity(earlier), configs.identity(config)
    changed = [name for name in {**old, **new} if old.get(name) != new.get(name)]
    if changed:
        name = changed[0]
        flag = f"--{name.replace('_', '-')}"
        raise Fault(
            f"--out: {folder} holds another configuration: {flag} is {old.get(name)!r} there, {new.get(name)!r} here"
        )


def create(
    folder: Path, experiment: Experiment, preset: str, config: Config, resolved: dict[str, Any]
) -> None:
    """Write ``config.json``, first of all files and at one stroke."""
    with _asked_for(folder):
        folder.mkdir(parents=True, exist_ok=True)
    stored = Stored(experiment.name, preset, configs.as_json(config), resolved)
    write_json(folder / CONFIG, dataclasses.asdict(stored))


def find_run(path: Path) -> Path:
    """The run that ``path`` is, or the only one that it holds; Fault otherwise."""
    if (path / CONFIG).exists():
        return path
    inside = sorted(entry for entry in path.iterdir() if (entry / CONFIG).exists()) if path.is_dir() else []
    if len(inside) == 1:
        return inside[0]
    if inside:
        raise Fault(
            f"{path} holds several runs: {', '.join(entry.name for entry in inside)}; name one of them"
        )
    raise Fault(f"{path} holds no run (a run has a {CONFIG})")
