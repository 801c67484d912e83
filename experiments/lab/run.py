"""Runs: from configurations to finished folders, and from a folder back to a network."""

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax

from experiments.errors import FAILED, Fault
from experiments.lab import cells, seeds
from experiments.lab import config as configs
from experiments.lab import folder as folders
from experiments.lab import summary as summaries
from experiments.lab.checkpoint import Checkpoints
from experiments.lab.config import Config
from experiments.lab.driver import drive
from experiments.lab.experiment import Experiment, load_experiment
from experiments.lab.hashing import params_sha256
from experiments.lab.job import Job, build, check_shapes, load
from experiments.lab.machine import Resolved, start
from experiments.lab.model import SOLVERS
from experiments.lab.records import read_rows, write_json
from experiments.lab.training import TrainState


@dataclasses.dataclass(frozen=True)
class Run:
    """A finished or unfinished run, opened: what it was asked, what it is, what it measured.

    ``params`` are those of one network, the ones the test split was measured with. ``metrics`` are the
    lines of ``metrics.jsonl``, ``summary`` is ``summary.json`` ({} until the run has ended).
    """

    folder: Path
    label: str
    experiment: Experiment
    config: Config
    task: Any
    model: Any
    params: Any
    metrics: list[dict[str, Any]]
    summary: dict[str, Any]


def run(
    requested: Sequence[Config],
    *,
    experiment: Experiment | None = None,
    preset: str = "default",
    out: Path | str | None = None,
    device: str = "auto",
    on_this_machine: bool = False,
    progress: bool = True,
) -> list[Run]:
    """Train what is not finished yet, and open all of it.

    Args:
        requested: one configuration a run, of one experiment.
        experiment: whose they are; None: of the module that defines their class.
        preset: its name, for the record and the default of ``out``.
        out: the folder of the table, the pictures and one folder a cell.
        device: ``auto``, ``cpu``, ``gpu`` or ``tpu``.
        on_this_machine: go on where the machine is not the one that the run was started on.
        progress: show a bar.

    Raises:
        Fault: anything that one line can explain; nothing on disk is lost.
    """
    if experiment is None:
        experiment = load_experiment(type(requested[0]).__module__.removeprefix("experiments."))
    out = Path(out) if out is not None else default_out(experiment, preset, requested[0])
    specs = [config.cell for config in requested]
    places = [out / name for name in cells.folder_names(specs)]
    folders.check_shared(out)
    stored = [folders.read(place) for place in places]
    for place, found, config in zip(places, stored, requested, strict=True):
        if found is not None:
            folders.check_same(place, found, experiment, config)
    earlier = next((found.resolved for found in stored if found is not None), None)
    parts = [build(experiment, config) for config in requested]
    resolved, notes = start(device, earlier, on_this_machine=on_this_machine)
    data = load(parts[0].task)
    jobs = []
    for place, found, config, part in zip(places, stored, requested, parts, strict=True):
        own = {**_choose(config, resolved), **(found.resolved if found is not None and not notes else {})}
        label = cells.label(config.cell)
        jobs.append(Job(place, label, experiment, preset, config, part, data, own, tuple(notes)))
        check_shapes(jobs[-1])
    trained = [drive(job, progress) for job in jobs]
    if any(trained) or not (out / summaries.TABLE).exists():
        finish(experiment, out)
    return [open_run(place) for place in places]


def default_out(experiment: Experiment, preset: str, config: Config) -> Path:
    """``runs/<experiment>/<preset>-<hash>``: the same command finds its folder again."""
    return Path("runs") / experiment.name / f"{preset}-{configs.config_hash(config)}"


def _choose(config: Config, resolved: Resolved) -> Resolved:
    platform = jax.devices()[0].platform
    mapping = seeds.choose(config.num_seeds, config.hidden_size, platform, resolved["num_devices"])
    solver = "Sequential()" if config.solver == "auto" else repr(SOLVERS[config.solver])
    return {**resolved, "solver": solver, "seed_mapping": mapping}


def finish(experiment: Experiment, out: Path) -> None:
    """The table and the pictures of every run in ``out`` that has ended."""
    ended = [open_run(entry.parent) for entry in sorted(out.glob(f"*/{folders.SUMMARY}"))]
    write_json(out / summaries.TABLE, [summaries.table_row(one.summary) for one in ended])
    for draw in experiment.pictures:
        draw(ended, out)


def exit_code(runs: Sequence[Run]) -> int:
    """1 where a network was frozen, each named on stderr with its update; else 0."""
    code = 0
    for one in runs:
        for seed in one.summary.get("seeds", []):
            if seed["frozen_at"] is not None:
                code = FAILED
                print(
                    f"error: {one.label}, seed {seed['seed']}: not finite at update {seed['frozen_at']}; "
                    "it stays at its parameters before that update",
                    file=sys.stderr,
                )
    return code


def open_run(path: Path | str, seed_index: int = 0) -> Run:
    """The run in a folder, with the parameters of one of its networks.

    Raises:
        Fault: there is no run, no such network, or no good checkpoint.
    """
    place = folders.find_run(Path(path))
    stored = folders.read(place)
    assert stored is not None, "find_run saw its config.json"
    experiment = load_experiment(stored.experiment)
    config = configs.from_json(experiment.config, stored.config)
    parts = build(experiment, config)
    label = cells.label(config.cell)
    job = Job(place, label, experiment, stored.preset, config, parts, (), stored.resolved, ())
    if not 0 <= seed_index < config.num_seeds:
        raise Fault(f"--seed-index: {place} has networks 0 to {config.num_seeds - 1}, asked for {seed_index}")
    template = jax.eval_shape(
        jax.vmap(job.trainer.init),
        jax.eval_shape(lambda: jax.random.split(jax.random.key(0), job.num_networks)),
    )
    networks: TrainState = Checkpoints.read(place / folders.CHECKPOINTS, template)
    params = jax.tree.map(lambda leaf: leaf[seed_index], job.trainer.tested_params(networks))
    summary = summaries.read(place)
    if summary and summary["seeds"][seed_index]["params_sha256"] != params_sha256(params):
        raise Fault(
            f"{place}: its newest good checkpoint is not the one of its summary; the command that made it mends it"
        )
    return Run(
        place, label, experiment, config, *parts[:2], params, read_rows(place / folders.METRICS), summary
    )
