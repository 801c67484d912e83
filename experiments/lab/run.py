"""Runs: from configurations to finished folders, and from a folder back to a network."""

import dataclasses
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from tqdm import tqdm

from experiments.errors import FAILED, Fault
from experiments.lab import cells, config as configs, folder as folders, seeds, summary as summaries
from experiments.lab.checkpoint import Checkpoints
from experiments.lab.config import Config
from experiments.lab.experiment import Experiment, Parts, load_experiment
from experiments.lab.machine import Resolved, start
from experiments.lab.model import SOLVERS
from experiments.lab.records import Records, read_rows, write_json
from experiments.lab.signals import Interruption
from experiments.lab.training import Trainer, TrainState, lags


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


@dataclasses.dataclass(frozen=True)
class Job:
    """A run that is ready to start: everything that can be refused has been checked."""

    folder: Path
    label: str
    experiment: Experiment
    preset: str
    config: Config
    parts: Parts
    data: Any
    resolved: Resolved
    notes: tuple[str, ...]

    @property
    def trainer(self) -> Trainer:
        """The functions of one network."""
        config = self.config
        return Trainer(
            *self.parts,
            batch_size=config.batch_size,
            evaluation_batch_size=config.evaluation_batch_size,
            keeps_best=config.select == "validation",
        )

    @property
    def num_networks(self) -> int:
        """The seeds and the fillers."""
        return seeds.padded(self.config.num_seeds, self.resolved["seed_mapping"], self.resolved["num_devices"])


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
        _check_shapes(jobs[-1])
    trained = [drive(job, progress) for job in jobs]
    if any(trained) or not (out / summaries.TABLE).exists():
        finish(experiment, out)
    return [open_run(place) for place in places]


def default_out(experiment: Experiment, preset: str, config: Config) -> Path:
    """``runs/<experiment>/<preset>-<hash>``: the same command finds its folder again."""
    return Path("runs") / experiment.name / f"{preset}-{configs.config_hash(config)}"


def build(experiment: Experiment, config: Config) -> Parts:
    """Task, model and optimizer; Fault, naming the flag, where a size does not fit."""
    try:
        return Parts(*experiment.build(config))
    except ValueError as error:
        message = re.sub(r"^(\w+):", lambda found: f"--{found[1].replace('_', '-')}:", str(error))
        raise Fault(message) from error


def load(task: Any) -> Any:
    """The data of a task, in memory."""
    return jax.tree.map(jnp.asarray, task.load())


def _choose(config: Config, resolved: Resolved) -> Resolved:
    platform = jax.devices()[0].platform
    mapping = seeds.choose(config.num_seeds, config.hidden_size, platform, resolved["num_devices"])
    solver = "Sequential()" if config.solver == "auto" else repr(SOLVERS[config.solver])
    return {**resolved, "solver": solver, "seed_mapping": mapping}


def _check_shapes(job: Job) -> None:
    """Trace one update without computing it: a cell that does not fit is refused before the first step."""
    trainer = job.trainer
    try:
        state = jax.eval_shape(trainer.init, jax.random.key(0))
        jax.eval_shape(trainer.update, state, job.data)
    except Fault:
        raise
    except Exception as error:  # a stranger's cell may fail in any way
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        first = lines[0] if lines else type(error).__name__
        raise Fault(f"--cell: {job.label}: {type(error).__name__}: {first}") from error


def drive(job: Job, progress: bool) -> bool:
    """Train one run to its end, from wherever it stands; False where it had ended already."""
    config, done = job.config, summaries.num_updates(job.folder)
    if done == config.num_updates:
        print(f"{job.label}: finished already, {done} updates in {job.folder}")
        return False
    _refuse_fewer(job, done)
    folders.create(job.folder, job.experiment, job.preset, config, job.resolved)
    write_json(job.folder / folders.ENV, summaries.environment(job.resolved))
    with Interruption() as interruption, Checkpoints(job.folder / folders.CHECKPOINTS) as checkpoints:
        driver = _Driver(job, checkpoints, interruption)
        driver.train(progress)
        write_json(job.folder / folders.SUMMARY, driver.summary())
    return True


def _refuse_fewer(job: Job, done: int) -> None:
    if done > job.config.num_updates:
        raise Fault(f"--num-updates: {job.folder} has {done} updates already, asked for {job.config.num_updates}")


class _Driver:
    """The loop of the host: chunks of updates, and between them evaluations, checkpoints and interruptions."""

    def __init__(self, job: Job, checkpoints: Checkpoints, interruption: Interruption) -> None:
        self.job, self.checkpoints, self.interruption = job, checkpoints, interruption
        self.started = time.monotonic()
        trainer, mapping = job.trainer, job.resolved["seed_mapping"]
        lift = seeds.MAPPINGS[mapping]
        first = job.config.seed
        keys = jax.vmap(jax.random.key)(jnp.arange(first, first + job.num_networks))
        evaluation_key = jax.random.key(job.config.evaluation_seed)
        networks = jax.jit(lift(trainer.init))(keys)
        self.update, self.saved_at = 0, None
        self.meta: dict[str, Any] = {"wall_seconds": 0.0, "notes": []}
        restored = checkpoints.latest()
        if restored is not None:
            networks, self.meta = checkpoints.restore(networks)
            self.update = self.saved_at = restored
            _refuse_fewer(job, restored)
        self.meta["notes"] = [*self.meta["notes"], *(note for note in job.notes if note not in self.meta["notes"])]
        self.records = Records(job.folder / folders.METRICS, last_update=self.update if self.saved_at is not None else -1)
        self.networks, (self.data, self.key) = seeds.place(networks, (job.data, evaluation_key), mapping)
        self._train = jax.jit(lift(trainer.train), donate_argnums=0)
        self._evaluate = jax.jit(lift(trainer.evaluate))
        self._diagnose = jax.jit(lift(trainer.diagnose))
        self._test = jax.jit(lift(trainer.test))

    def train(self, progress: bool) -> None:
        """All updates that are missing."""
        config = self.job.config
        bar = tqdm(total=config.num_updates, initial=self.update, desc=self.job.label, disable=not progress)
        with bar:
            if self.saved_at is None:
                self.evaluate()
            while self.update < config.num_updates:
                self._stop_if_asked()
                stop = min(config.num_updates, (self.update // config.log_every + 1) * config.log_every)
                self.networks, metrics = self._train(self.networks, self.data, stop - self.update)
                metrics = self._write("training", stop, metrics)
                bar.update(stop - self.update)
                self.update = stop
                bar.set_postfix(loss=_shown(metrics["loss"][: config.num_seeds]))
                if stop % config.eval_every == 0:
                    self.evaluate()
                if stop % config.checkpoint_every == 0:
                    self.save()
            self.save()
            if self.update % config.eval_every:
                # after the save: a run that is continued has to meet what an unbroken one would
                self.evaluate()

    def _stop_if_asked(self) -> None:
        if self.interruption.requested is not None:
            self.save()
            raise Fault(
                f"interrupted; {self.job.folder} is saved at update {self.update}, the same command goes on",
                self.interruption.exit_code,
            )

    def evaluate(self) -> None:
        """Metrics of the validation split, and the state gradients."""
        self.networks, metrics = self._evaluate(self.networks, self.data, self.key)
        diagnosed = jax.device_get(self._diagnose(self.networks, self.data, self.key))
        num_steps = self._num_steps() if diagnosed else 0
        extra = [
            {"state_gradient": {"lag": lags(num_steps), **{name: norms[i] for name, norms in diagnosed.items()}}}
            if diagnosed
            else {}
            for i in range(self.job.num_networks)
        ]
        self._write("validation", self.update, metrics, extra)

    def _num_steps(self) -> int:
        job = self.job
        batch = jax.eval_shape(
            lambda: job.parts.task.evaluation(job.data, "validation", jnp.array(0), jax.random.key(0), 1)
        )
        return jax.tree.leaves(batch.inputs)[0].shape[0]

    def _write(self, split: str, update: int, metrics: Any, extra: Sequence[dict[str, Any]] | None = None) -> Any:
        metrics = jax.device_get(metrics)
        for index in range(self.job.config.num_seeds):
            numbers = {name: values[index] for name, values in metrics.items()}
            row = {"update": update, "seed_index": index, "split": split, **numbers}
            self.records.append({**row, **(extra[index] if extra else {})})
        return metrics

    def save(self) -> None:
        """A checkpoint of where the run stands, after its metrics are on the disk."""
        if self.saved_at == self.update:
            return
        self.records.sync()
        self.checkpoints.save(self.update, self.networks, {**self.meta, "wall_seconds": self._seconds()})
        self.saved_at = self.update

    def _seconds(self) -> float:
        return self.meta["wall_seconds"] + time.monotonic() - self.started

    def summary(self) -> dict[str, Any]:
        """The test split, read once; and what the records of each network say."""
        job = self.job
        test = jax.device_get(self._test(self.networks, self.data, self.key))
        tested = jax.vmap(job.trainer.tested_params)(self.networks)
        return summaries.make(
            job, jax.device_get(self.networks.records), jax.device_get(tested), test, self._seconds(), self.meta["notes"]
        )


def _shown(losses: Any) -> str:
    return " ".join(f"{float(loss):.4g}" for loss in losses)


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
        jax.vmap(job.trainer.init), jax.eval_shape(lambda: jax.random.split(jax.random.key(0), job.num_networks))
    )
    networks: TrainState = Checkpoints.read(place / folders.CHECKPOINTS, template)
    params = jax.tree.map(lambda leaf: leaf[seed_index], job.trainer.tested_params(networks))
    summary = summaries.read(place)
    return Run(place, label, experiment, config, *parts[:2], params, read_rows(place / folders.METRICS), summary)
