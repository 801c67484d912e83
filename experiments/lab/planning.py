"""From a configuration to a `Job`: reads folders and traces an update, computes nothing and writes nothing."""

import contextlib
import dataclasses
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import recurrent as rec
from experiments.errors import Fault, described
from experiments.lab import solving
from experiments.lab.plan import configs
from experiments.lab.plan.configs import Config
from experiments.lab.plan.experiment import Experiment, Parts
from experiments.lab.plan.job import Job
from experiments.lab.plan.machine import DECISIVE, compare, setting
from experiments.lab.plan.resolved import Machine, Resolved
from experiments.lab.storage import folders, summaries
from experiments.lab.training import seeds
from experiments.lab.training.driver import trainer_of
from experiments.lab.training.ends import has_ended
from experiments.lab.training.trainer import named_leaves

LARGEST = 0.5  # of the machine's memory: what data may take at most, for training needs room beside them


@dataclasses.dataclass(frozen=True)
class Place:
    """Where a run is to be, or is: its folder, its label, what the folder holds, and whether the run has ended."""

    folder: Path
    label: str
    stored: folders.Stored | None
    ended: bool


def find_places(
    out: Path, experiment: Experiment, requested: Mapping[str, Config], names: list[str]
) -> list[Place]:
    """The folder of each configuration in ``out``: the one that holds it already, or a new one of the given name.

    Args:
        out: the folder of all runs.
        experiment: whose they are.
        requested: the configurations by label.
        names: what their new folders are called.

    Raises:
        Fault: ``out`` holds something else, a folder of that name is another run's, or two of those requested are one.
    """
    folders.check_shared(out, experiment)
    there = folders.runs_by_identity(out, experiment)
    places, taken = [], {}
    for (label, config), name in zip(requested.items(), names, strict=True):
        key = configs.identity_key(config)
        if key in taken:
            raise Fault(
                f"--num-updates: {label} and {taken[key]} are one run, which the longer one continues; give one of them"
            )
        taken[key] = label
        folder = there.get(key, out / name)
        stored = folders.read(folder)
        if stored is not None:
            folders.check_same(folder, stored, experiment, config)
            check_setting(folder, stored)
        places.append(Place(folder, label, stored, has_ended(folder, config)))
    return places


def check_setting(folder: Path, stored: folders.Stored) -> None:
    """Fault where a run was started under the other setting of JAX_ENABLE_X64: its numbers have other types here."""
    then, now = stored.resolved.machine.x64, bool(setting("jax_enable_x64"))
    if then != now:
        raise Fault(
            f"{folder} was started with JAX_ENABLE_X64={then:d}, here it is {now:d}; set it as it was"
        )


def plan(
    config: Config,
    place: Place,
    experiment: Experiment,
    *,
    preset: str,
    machine: Machine,
    data: "DataSets",
    on_this_machine: bool = False,
) -> Job:
    """One run, ready to start.

    Raises:
        Fault: the configuration, the cell, the data, the machine or what the folder holds does not fit.
    """
    parts = build(experiment, config)
    with _blamed(experiment, "the data"):
        arrays = data.of(parts.task)
    stored = None if place.ended else place.stored  # a run that has ended may be looked at on any machine
    mapping = seeds.choose(
        config.num_seeds, config.hidden_size, jax.devices()[0].platform, machine.num_devices
    )
    job = Job(
        place.folder,
        place.label,
        experiment,
        preset,
        config,
        parts,
        arrays,
        Resolved(machine, "", mapping),
    )
    check_shapes(job)
    check_lengths(job)
    check_rest(job)
    solver, notes = None, ()
    changed = _changed_source(place, experiment)
    if stored is not None:
        then = stored.resolved
        found = compare(then.machine, machine, on_this_machine=on_this_machine)
        notes = tuple(dict.fromkeys([*then.notes, *found, *changed]))
        if all(getattr(then.machine, name) == getattr(machine, name) for name in DECISIVE):
            solver, mapping = then.solver, then.seed_mapping
    if solver is None:
        solver = solving.choose(parts, config.batch_size, arrays)
    resolved = Resolved(machine, solver, mapping, notes)
    return dataclasses.replace(job, parts=solving.use(parts, solver), resolved=resolved)


def _changed_source(place: Place, experiment: Experiment) -> list[str]:
    """A note, also warned of, where the file of an experiment of one's own is not the one that started the run."""
    if place.stored is None or place.stored.source_sha256 in (None, experiment.source_sha256):
        return []
    note = f"{experiment.source} has changed"
    so = "its numbers are those of the earlier file" if place.ended else "it may go on as another one"
    print(
        f"warning: {place.label}: {note} since the run was started: {so}; another --out starts anew",
        file=sys.stderr,
    )
    return [note]


def build(experiment: Experiment, config: Config) -> Parts:
    """Task, model and optimizer; Fault, naming the flag, where a size does not fit, or a stranger's code fails."""
    with _blamed(experiment, "build"):
        try:
            return Parts(*experiment.build(config))
        except ValueError as error:
            raise Fault(configs.as_flag(str(error))) from error


@contextlib.contextmanager
def _blamed(experiment: Experiment, doing: str) -> Iterator[None]:
    """An error of code that is not ours is one line, with its place; of ours, it is a defect and stays what it is."""
    try:
        yield
    except Fault:
        raise
    except Exception as error:
        if experiment.is_ours:
            raise
        raise Fault(f"experiment {experiment.name}: {doing}: {described(error)}") from error


class DataSets:
    """The data of tasks, each loaded once for all runs of a call."""

    def __init__(self) -> None:
        self._loaded: dict[Any, Any] = {}

    def of(self, task: Any) -> Any:
        """The arrays of a task.

        Raises:
            Fault: they are missing, or larger than what this machine can hold.
        """
        try:
            is_new = task not in self._loaded
        except TypeError as error:
            raise Fault(
                f"{type(task).__name__} cannot be hashed: a task is a @dataclasses.dataclass(frozen=True) of sizes, "
                "and holds no arrays"
            ) from error
        if is_new:
            found = task.load()
            size = sum(np.asarray(leaf).nbytes for leaf in jax.tree.leaves(found))
            limit = LARGEST * memory_bytes()
            if size > limit:
                raise Fault(
                    f"the data of {type(task).__name__} take {_shown(size)}, this machine holds at most "
                    f"{_shown(limit)} of them; take fewer, or shorter sequences"
                )
            self._loaded[task] = jax.tree.map(jnp.asarray, found)
        return self._loaded[task]


def _shown(size: float) -> str:
    """A number of bytes in GiB, or in MiB where that says more."""
    return f"{size / 2**30:.1f} GiB" if size >= 2**30 else f"{size / 2**20:.1f} MiB"


def memory_bytes() -> float:
    """The memory of this machine; infinite where it does not tell."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return float("inf")


def check_shapes(job: Job) -> None:
    """Trace one update without computing it: a cell that does not fit is refused before the first step."""
    trainer, rate = trainer_of(job), job.config.learning_rate
    try:
        state = jax.eval_shape(trainer.init, jax.random.key(0), rate)
        after, _ = jax.eval_shape(trainer.update, state, job.data, rate)
        check_kept(job.label, "an update", state, after)
    except Fault:
        raise
    except rec.Unsupported as error:
        raise Fault(f"--solver: {error.solver} cannot run {job.label}: {error.option}") from error
    except Exception as error:  # a stranger's cell may fail in any way
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        first = lines[0] if lines else type(error).__name__
        if not job.experiment.is_ours:
            raise Fault(
                f"experiment {job.experiment.name}: an update of {job.label}: {described(error)}"
            ) from error
        raise Fault(f"--cell: {job.label}: {type(error).__name__}: {first}") from error


def check_lengths(job: Job) -> None:
    """Fault where the task cannot be had at one of ``test_lengths``, or is then another one for the model."""
    task = job.parts.task
    for length in job.config.test_lengths:
        at_length = getattr(task, "at_length", None)
        if at_length is None:
            raise Fault(f"--test-lengths: {job.experiment.name} has sequences of one length")
        try:
            other = at_length(length)
        except ValueError as error:
            raise Fault(f"--test-lengths: {length}: {error}") from error
        if (other.input_shape, other.output_shape) != (task.input_shape, task.output_shape):
            raise Fault(f"--test-lengths: at {length} the task has other inputs or outputs than the network")


def check_kept(label: str, doing: str, before: Any, after: Any) -> None:
    """Fault where something that a run remembers changes its shape or its type: it could not be trained, nor saved."""
    for (path, old), (_, new) in zip(named_leaves(before), named_leaves(after), strict=False):
        if (old.shape, old.dtype) != (new.shape, new.dtype):
            raise Fault(f"{label}: {path} is {_kind(old)} before {doing}, {_kind(new)} after it")


def _kind(leaf: Any) -> str:
    return f"{leaf.dtype.name}[{','.join(map(str, leaf.shape))}]"


def check_rest(job: Job) -> None:
    """Whatever a run of one's own experiment or cell asks for after its first update, asked once before it.

    Traced, not computed: evaluations, the state gradients, the test. Ours have tests for that.
    """
    if job.experiment.is_ours and not job.config.cell.is_foreign:
        return
    trainer, config, task = trainer_of(job), job.config, job.parts.task
    with _blamed(job.experiment, "the task"):
        summaries.facts_of(job)
        key = jax.random.key(0)
        state = jax.eval_shape(trainer.init, key, config.learning_rate)
        evaluated, _ = jax.eval_shape(trainer.evaluate, state, job.data, key)
        check_kept(job.label, "an evaluation", state, evaluated)
        for name in ("diagnose", "test"):
            jax.eval_shape(getattr(trainer, name), state, job.data, key)
        for split in ("validation", "test"):
            if task.num_batches(split, config.evaluation_batch_size) < 1:
                raise ValueError(f"num_batches({split!r}): expected at least one, got none")
