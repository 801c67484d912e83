"""Runs: from configurations to finished folders, and from a folder back to a network."""

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from tqdm import tqdm

from experiments.errors import FAILED, Fault
from experiments.lab import planning, solving
from experiments.lab.pictures import grid, notebook
from experiments.lab.plan import cell_names, configs, grids
from experiments.lab.plan.configs import Config
from experiments.lab.plan.experiment import Experiment
from experiments.lab.plan.finding import declared_with, load_stored
from experiments.lab.plan.job import Job
from experiments.lab.plan.machine import start
from experiments.lab.storage import folders, summaries
from experiments.lab.storage.checkpoints import Checkpoints
from experiments.lab.storage.hashing import params_sha256
from experiments.lab.storage.records import read_rows, write_json
from experiments.lab.training.driver import Interrupted, Observer, drive, has_checkpoint, nobody, trainer_of
from experiments.lab.training.programs import ProgramCache
from experiments.lab.training.trainer import TrainState


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

    def _repr_html_(self) -> str:
        return notebook.page(self)


@dataclasses.dataclass(frozen=True)
class Plan:
    """All runs of one call, in their order, and the folder of their table and pictures."""

    out: Path
    jobs: tuple[Job, ...]


def plan(
    requested: Sequence[Config],
    *,
    experiment: Experiment | None = None,
    preset: str = "default",
    out: Path | str | None = None,
    device: str = "auto",
    on_this_machine: bool = False,
) -> Plan:
    """Everything that `run` does before its first update: JAX is started, nothing is computed or written.

    Args: as for `run`.

    Raises:
        Fault: whatever can be refused.
    """
    if not requested:
        raise Fault("expected at least one configuration, got none")
    if experiment is None:
        experiment = declared_with(type(requested[0]))
    labels = grids.labels(requested)
    out = Path(out) if out is not None else default_out(experiment, preset, requested)
    asked = dict(zip(labels, requested, strict=True))
    places = planning.find_places(out, experiment, asked, grids.folder_names(labels))
    for config in requested:
        planning.build(experiment, config)
    unfinished = (place.stored for place in places if place.stored is not None and not place.ended)
    earlier = next((stored.resolved.machine for stored in unfinished), None)
    machine, _ = start(device, earlier, on_this_machine=on_this_machine)
    data = planning.DataSets()
    jobs = [
        planning.plan(
            config,
            place,
            experiment,
            preset=preset,
            machine=machine,
            data=data,
            on_this_machine=on_this_machine,
        )
        for config, place in zip(requested, places, strict=True)
    ]
    return Plan(out, tuple(_with_initial(job) if job.config.start_from else job for job in jobs))


def _with_initial(job: Job) -> Job:
    """The job with the parameters of the run that its configuration starts from; Fault where they do not fit."""
    path = job.config.start_from
    if folders.read(job.folder) is not None:  # it has started, and goes on from its own checkpoints
        return job
    try:
        networks = [open_run(path, index).params for index in range(job.config.num_seeds)]
    except Fault as fault:
        raise Fault(f"--start-from: {fault}") from fault
    expected = jax.eval_shape(job.parts.model.init, jax.random.key(0))
    found = jax.eval_shape(lambda: networks[0])
    if jax.tree.structure(found) != jax.tree.structure(expected) or found != expected:
        raise Fault(
            f"--start-from: {path} has other parameters than {job.label}; give a run of the same cell and sizes"
        )
    return dataclasses.replace(job, initial=jax.tree.map(lambda *leaves: jnp.stack(leaves), *networks))


def run(
    requested: Sequence[Config],
    *,
    experiment: Experiment | None = None,
    preset: str = "default",
    out: Path | str | None = None,
    device: str = "auto",
    on_this_machine: bool = False,
    progress: bool = True,
    observe: Observer = nobody,
) -> list[Run]:
    """Train what is not finished yet, and open all of it.

    A run that fails does not stop the others: the first failure is raised at the end.

    Args:
        requested: one configuration a run, of one experiment; `grid` makes many.
        experiment: whose they are; None: of the module that defines their class.
        preset: its name, for the record and the default of ``out``.
        out: the folder of the table, the pictures and one folder a run.
        device: ``auto``, ``cpu``, ``gpu`` or ``tpu``.
        on_this_machine: go on where the machine is not the one that the run was started on.
        progress: show a bar.
        observe: hears every row of metrics, such as `experiments.lab.storage.event_files.observe`.

    Raises:
        Fault: anything that one line can explain; nothing on disk is lost.
    """
    planned = plan(
        requested,
        experiment=experiment,
        preset=preset,
        out=out,
        device=device,
        on_this_machine=on_this_machine,
    )
    runs, failures = carry_out(planned, progress=progress, observe=observe)
    if failures:
        raise failures[0]
    return runs


def carry_out(
    planned: Plan, *, progress: bool = True, observe: Observer = nobody
) -> tuple[list[Run], list[Fault]]:
    """Train, one job after another, then draw; the runs that can be opened, and what went wrong with others."""
    programs, failures, trained = ProgramCache(), [], False
    total = sum(job.config.num_updates for job in planned.jobs)
    with tqdm(total=total, disable=not progress) as bar:
        for job in planned.jobs:
            bar.set_description(job.label)
            try:
                trained = drive(job, programs, bar, observe) or trained
            except Interrupted:
                raise
            except Fault as fault:  # the others go on
                failures.append(fault if len(planned.jobs) == 1 else Fault(f"{job.label}: {fault}", FAILED))
    runs = [
        dataclasses.replace(open_run(job.folder, experiment=job.experiment), label=job.label)
        for job in planned.jobs
        if has_checkpoint(job.folder)
    ]
    ended = [one.summary for one in runs if one.summary]
    if planned.out.is_dir() and (trained or not summaries.has_rows(planned.out, ended)):
        try:
            finish(planned.jobs[0].experiment, planned.out)
        except Fault as fault:
            if not failures:  # a disk that took no checkpoint takes no table either; the next call makes it
                failures.append(fault)
    return runs, failures


def default_out(experiment: Experiment, preset: str, requested: Sequence[Config]) -> Path:
    """``runs/<experiment>/<preset>-<hash>``: the same command finds its folder again."""
    varying = grids.varying([configs.flat(config) for config in requested])
    return Path("runs") / experiment.name / f"{preset}-{configs.config_hash(requested[0], varying)}"


def finish(experiment: Experiment, out: Path) -> None:
    """The pictures and the table of every run in ``out`` that has ended; one that is damaged is named and left out."""
    ended = []
    for entry in sorted(out.glob(f"*/{folders.SUMMARY}")):
        try:
            ended.append(open_run(entry.parent, experiment=experiment))
        except Fault as fault:
            print(f"warning: {fault}; left out of the table", file=sys.stderr)
    ended = [one for one in ended if one.summary]
    labels = grids.names_of([one.config for one in ended])
    ended = [dataclasses.replace(one, label=label) for one, label in zip(ended, labels, strict=True)]
    for draw in experiment.pictures:
        draw(ended, out)
    grid.draw(ended, out)
    # last: where the table is, the pictures have been drawn
    write_json(out / folders.TABLE, summaries.table([one.summary for one in ended]))


def exit_code(runs: Sequence[Run]) -> int:
    """1 where a network met numbers that are not finite, each named on stderr with its update; else 0."""
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


def open_run(path: Path | str, seed_index: int = 0, *, experiment: Experiment | None = None) -> Run:
    """The run in a folder, with the parameters of one of its networks.

    Args:
        path: the folder of the run, or one that holds no other run.
        seed_index: which network.
        experiment: whose run it is; None: the one that its ``config.json`` names.

    Raises:
        Fault: there is no run, no such network, or no good checkpoint.
    """
    place = folders.find_run(Path(path))
    stored = folders.read(place)
    assert stored is not None, "find_run saw its config.json"
    planning.check_setting(place, stored)
    if experiment is None:
        experiment = load_stored(stored.experiment, stored.module, stored.source)
    config = configs.from_json(experiment.config, stored.config)
    parts = solving.use(planning.build(experiment, config), stored.resolved.solver)
    label = cell_names.label(config.cell)
    job = Job(place, label, experiment, stored.preset, config, parts, (), stored.resolved)
    if not 0 <= seed_index < config.num_seeds:
        raise Fault(f"--seed-index: {place} has networks 0 to {config.num_seeds - 1}, asked for {seed_index}")
    trainer = trainer_of(job)
    template = jax.eval_shape(
        jax.vmap(lambda key: trainer.init(key, config.learning_rate)),
        jax.eval_shape(lambda: jax.random.split(jax.random.key(0), config.num_seeds)),
    )
    networks: TrainState = Checkpoints.read(place / folders.CHECKPOINTS, template)
    params = jax.tree.map(lambda leaf: leaf[seed_index], trainer.tested_params(networks))
    summary = summaries.read(place)
    if summary and int(networks.update[seed_index]) > summary["num_updates"]:
        summary = {}  # of a shorter run: it has been continued, and has not ended yet
    if summary and summary["seeds"][seed_index]["params_sha256"] != params_sha256(params):
        raise Fault(
            f"{place}: its newest good checkpoint has other parameters than its {folders.SUMMARY} says: a "
            "checkpoint is damaged or gone; run the command that made it again"
        )
    rows = read_rows(place / folders.METRICS)
    return Run(place, label, experiment, config, *parts[:2], params, rows, summary)
