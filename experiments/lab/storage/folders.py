"""The folder of a run: whether it is new, goes on, or holds something else. Everything reads only, until `create`."""

import contextlib
import dataclasses
import errno
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

from experiments.errors import FAILED, USAGE, Fault
from experiments.lab.plan import cell_names, configs
from experiments.lab.plan.configs import Config
from experiments.lab.plan.experiment import Experiment
from experiments.lab.plan.job import Job
from experiments.lab.plan.resolved import Resolved
from experiments.lab.storage.litter import is_litter
from experiments.lab.storage.records import reason, write_json

CONFIG, ENV, METRICS, SUMMARY, PROGRESS, CHECKPOINTS = (
    "config.json",
    "env.json",
    "metrics.jsonl",
    "summary.json",
    "progress.json",
    "checkpoints",
)
TABLE, LOCK = "table.json", ".lock"


@dataclasses.dataclass(frozen=True)
class Stored:
    """What ``config.json`` holds: the experiment, the preset, the configuration, and what was resolved.

    ``module`` and ``source`` say where an experiment of one's own was declared, ``source_sha256`` is the digest of that
    file; None for those of this package.
    """

    experiment: str
    preset: str
    config: dict[str, Any]
    resolved: Resolved
    module: str | None = None
    source: str | None = None
    source_sha256: str | None = None

    @classmethod
    def from_json(cls, text: str) -> Self:
        """What a file says that anybody may have edited; ValueError or TypeError where it cannot be."""
        content = json.loads(text)
        for name, kind in {"experiment": str, "preset": str, "config": dict, "resolved": dict}.items():
            if type(content.get(name)) is not kind:
                raise ValueError(f"{name} is not a {kind.__name__}")
        return cls(**{**content, "resolved": Resolved.from_json(content["resolved"])})

    def as_json(self) -> dict[str, Any]:
        """The inverse of `from_json`, without what is None."""
        content = {**vars(self), "resolved": self.resolved.as_json()}
        return {name: value for name, value in content.items() if value is not None}


@contextlib.contextmanager
def asked_for(folder: Path) -> Iterator[None]:
    """Turns an error of the file system into a fault: of the caller, unless the disk is full."""
    try:
        yield
    except OSError as error:
        code = FAILED if error.errno in (errno.ENOSPC, errno.EDQUOT) else USAGE
        raise Fault(f"--out: {folder}: {reason(error)}", code) from error


def check_link(place: Path) -> None:
    """Fault where a path is a link that leads nowhere, or in a circle: it is not there, and cannot be made either."""
    if place.is_symlink() and not place.exists():
        raise Fault(f"--out: {place} is a link that leads nowhere")


def read(folder: Path) -> Stored | None:
    """What a folder holds; None where it is absent, empty, or holds only temporary files and litter.

    Raises:
        Fault: it holds anything else without a valid ``config.json``.
    """
    path = folder / CONFIG
    with asked_for(folder):
        check_link(folder)
        if folder.exists() and not folder.is_dir():
            raise Fault(f"--out: {folder} is not a folder")
        if not path.exists():
            others = [entry.name for entry in folder.iterdir()] if folder.exists() else []
            kept = [name for name in others if not (is_temporary(name) or is_litter(name))]
            if kept:
                raise Fault(
                    f"--out: {folder} holds {sorted(kept)[0]} but no {CONFIG}: not a run; it is left as it is"
                )
            return None
    try:
        return Stored.from_json(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, ValueError, TypeError, AttributeError) as error:
        raise Fault(f"{path} is not a run's configuration: {error}") from error


def is_temporary(name: str) -> bool:
    """Whether a file of this name is what an interrupted atomic write leaves."""
    return name.endswith(".tmp") or ".tmp-" in name or ".orbax-checkpoint-tmp" in name


def check_shared(out: Path, experiment: Experiment) -> None:
    """Fault where ``out`` holds something that is neither a run of the experiment, nor a table or a picture."""
    with asked_for(out):
        existing = next(place for place in (out, *out.parents) if os.path.lexists(place))
        check_link(existing)
        if not existing.is_dir():
            raise Fault(f"--out: {existing} is not a folder")
        for entry in sorted(out.iterdir()) if out.exists() else []:
            if is_litter(entry.name, is_folder=entry.is_dir()):
                continue
            ours = entry.is_dir() or entry.suffix == ".png" or entry.name == TABLE
            if not (ours or is_temporary(entry.name)):
                raise Fault(f"--out: {out} holds {entry.name}, which is not of a run; give another folder")
            stored = read(entry) if entry.is_dir() else None
            if stored is not None and stored.experiment != experiment.name:
                raise Fault(f"--out: {entry} holds a run of {stored.experiment}, not of {experiment.name}")


def runs_by_identity(out: Path, experiment: Experiment) -> dict[str, Path]:
    """The folders in ``out`` by `configs.identity_key`: a run is found by what it is, whatever its folder is called."""
    found = {}
    for entry in sorted(out.iterdir()) if out.is_dir() else []:
        if not is_litter(entry.name, is_folder=True) and (entry / CONFIG).exists():
            with contextlib.suppress(Fault):
                stored = read(entry)
                config = configs.from_json(experiment.config, stored.config if stored else {})
                found.setdefault(configs.identity_key(config), entry)
    return found


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


def create(job: Job) -> None:
    """Write ``config.json``, first of all files and at one stroke."""
    with asked_for(job.folder):
        job.folder.mkdir(parents=True, exist_ok=True)
    experiment = job.experiment
    names = () if experiment.is_ours else ("module", "source", "source_sha256")
    own = {name: getattr(experiment, name) for name in names}
    stored = Stored(experiment.name, job.preset, configs.as_json(job.config), job.resolved, **own)
    write_json(job.folder / CONFIG, stored.as_json())


def find_run(path: Path) -> Path:
    """The run that ``path`` is, or the only one that it holds; Fault otherwise."""
    if (path / CONFIG).exists():
        return path
    inside = (
        sorted(
            entry
            for entry in path.iterdir()
            if not is_litter(entry.name, is_folder=True) and (entry / CONFIG).exists()
        )
        if path.is_dir()
        else []
    )
    if len(inside) == 1:
        return inside[0]
    if inside:
        raise Fault(
            f"{path} holds several runs: {', '.join(entry.name for entry in inside)}; name one of them"
        )
    raise Fault(f"{path} holds no run (a run has a {CONFIG})")
