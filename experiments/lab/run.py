"""Runs: from configurations to finished folders."""

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
from tqdm import tqdm

from experiments.errors import FAILED, Fault, unheard_too
from experiments.lab import matching, planning
from experiments.lab.opened import Run, open_run
from experiments.lab.pictures import grid, lengths
from experiments.lab.plan import configs, grids
from experiments.lab.plan.configs import Config
from experiments.lab.plan.experiment import Experiment
from experiments.lab.plan.finding import declared_with
from experiments.lab.plan.job import Job
from experiments.lab.plan.machine import start
from experiments.lab.storage import compiled, folders, summaries
from experiments.lab.storage.litter import is_litter
from experiments.lab.storage.owner import owned
from experiments.lab.storage.records import write_json
from experiments.lab.training.driver import Interrupted, Observer, drive, nobody
from experiments.lab.training.ends import has_checkpoint
from experiments.lab.training.programs import ProgramCache


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
    experiment, out = _place(requested, experiment, preset, out)
    labels = grids.labels(requested)
    asked = dict(zip(labels, requested, strict=True))
    places = planning.find_places(out, experiment, asked, grids.folder_names(labels))
    for config in requested:
        if (
            not config.match
        ):  # else its size is not known yet, and the cell may refuse the one that stands there
            planning.build(experiment, config)
    unfinished = (place.stored for place in places if place.stored is not None and not place.ended)
    earlier = next((stored.resolved.machine for stored in unfinished), None)
    machine, _ = start(device, earlier, on_this_machine=on_this_machine)
    sized = [
        matching.sized(experiment, config, place.stored)
        for config, place in zip(requested, places, strict=True)
    ]
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
        for config, place in zip(sized, places, strict=True)
    ]
    return Plan(out, tuple(_with_initial(job) if job.config.start_from else job for job in jobs))


def _place(
    requested: Sequence[Config], experiment: Experiment | None, preset: str, out: Path | str | None
) -> tuple[Experiment, Path]:
    """Whose the runs are, and the folder of all of them."""
    if not requested:
        raise Fault("expected at least one configuration, got none")
    if experiment is None:
        experiment = declared_with(type(requested[0]))
    return experiment, Path(out) if out is not None else default_out(experiment, preset, requested)


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
    compilation_cache: Path | str | None = None,
) -> list[Run]:
    """Train what is not finished yet, and open all of it.

    A run that fails does not stop the others: the first failure is raised at the end. Meanwhile nobody else can train
    in ``out``: one process owns it, and one call in that process.

    Args:
        requested: one configuration a run, of one experiment; `grid` makes many.
        experiment: whose they are; None: of the module that defines their class.
        preset: its name, for the record and the default of ``out``.
        out: the folder of the table, the pictures and one folder a run.
        device: ``auto``, ``cpu``, ``gpu`` or ``tpu``.
        on_this_machine: go on where the machine is not the one that the run was started on.
        progress: show a bar.
        observe: hears every row of metrics, such as `experiments.lab.storage.event_files.observe`.
        compilation_cache: a folder where compiled programs are kept for the next call; None: as JAX is set.

    Raises:
        Fault: anything that one line can explain; nothing on disk is lost.
    """
    _, runs, failures = plan_and_carry_out(
        requested,
        experiment=experiment,
        preset=preset,
        out=out,
        device=device,
        on_this_machine=on_this_machine,
        progress=progress,
        observe=observe,
        compilation_cache=compilation_cache,
    )
    if failures:
        raise failures[0]
    return runs


def plan_and_carry_out(
    requested: Sequence[Config],
    *,
    experiment: Experiment | None = None,
    preset: str = "default",
    out: Path | str | None = None,
    device: str = "auto",
    on_this_machine: bool = False,
    progress: bool = True,
    observe: Observer = nobody,
    compilation_cache: Path | str | None = None,
) -> tuple[Plan, list[Run], list[Fault]]:
    """What `run` does, in a folder that nobody else has meanwhile; every failure beside the runs that can be opened.

    Raises:
        Fault: whatever can be refused before the first update.
    """
    experiment, out = _place(requested, experiment, preset, out)
    folders.check_shared(out, experiment)  # what is somebody else's gets no lock either
    cache = None if compilation_cache is None else Path(compilation_cache)
    with unheard_too(), owned(out) as owner, compiled.kept(cache):
        planned = plan(
            requested,
            experiment=experiment,
            preset=preset,
            out=out,
            device=device,
            on_this_machine=on_this_machine,
        )
        owner.trains(job.folder.name for job in planned.jobs)
        return planned, *carry_out(planned, progress=progress, observe=observe)


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
        if is_litter(entry.parent.name, is_folder=True):
            continue
        try:
            ended.append(open_run(entry.parent, experiment=experiment))
        except Fault as fault:
            print(f"warning: {fault}; left out of the table", file=sys.stderr)
    ended = [one for one in ended if one.summary]
    labels = grids.names_of([one.config for one in ended])
    ended = [dataclasses.replace(one, label=label) for one, label in zip(ended, labels, strict=True)]
    for draw in (*experiment.pictures, lengths.draw):
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
                told = summaries.lost(one.label, seed["seed"], seed["frozen_at"], seed.get("not_finite"))
                print(f"error: {told}", file=sys.stderr)
    return code
