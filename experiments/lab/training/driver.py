"""The loop of the host: chunks of updates, and between them evaluations, checkpoints and interruptions."""

import dataclasses
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from tqdm import tqdm

from experiments.errors import Fault
from experiments.lab.plan import rules
from experiments.lab.plan.job import Job
from experiments.lab.storage import folders, summaries
from experiments.lab.storage.checkpoint import Checkpoints
from experiments.lab.storage.records import Records, write_json
from experiments.lab.training import gradient_rules, seeds
from experiments.lab.training.ends import LOST, SOLVED, has_ended
from experiments.lab.training.pace import Pace
from experiments.lab.training.programs import ProgramCache, compile_programs
from experiments.lab.training.signals import Interruption
from experiments.lab.training.trainer import CAUSES, Trainer, lags

Observer = Callable[[Path], AbstractContextManager[Callable[[dict[str, Any]], None]]]
"""Given the folder of a run, a context whose value is called with every row of metrics that is added from then on."""


def nobody(folder: Path) -> AbstractContextManager[Callable[[dict[str, Any]], None]]:
    """The observer that hears nothing."""
    return nullcontext(lambda row: None)


class Interrupted(Fault):
    """A signal ended the run after it had been saved; what comes after it is not started."""


def drive(job: Job, programs: ProgramCache, bar: tqdm, observe: Observer = nobody) -> bool:
    """Train one run to its end, from wherever it stands; False where it had ended already.

    ``bar`` moves by one for each update. ``observe`` hears each row of metrics after it has been written.
    """
    if has_ended(job.folder, job.config):
        done = summaries.num_updates(job.folder)
        tqdm.write(f"{job.label}: finished already, {done} updates in {job.folder}")
        _skip(bar, job.config.num_updates)
        with observe(job.folder):  # who comes late hears what the metrics file holds
            return False
    folders.create(job)
    write_json(job.folder / folders.ENV, summaries.environment(job.resolved))
    with Interruption() as interruption, Checkpoints(job.folder / folders.CHECKPOINTS) as writer:
        driver = _Driver(job, programs, writer, interruption)
        with driver.pace, driver.records, observe(job.folder) as driver.heard:
            driver.train(bar)
        write_json(job.folder / folders.SUMMARY, driver.summary())
    if interruption.requested is not None:  # too late to stop this run, but not the next one
        raise Interrupted(
            f"interrupted; {job.folder} has ended, the same command goes on", interruption.exit_code
        )
    return True


def trainer_of(job: Job) -> Trainer:
    """The functions of one network of a run."""
    config = job.config
    return Trainer(
        *job.parts,
        batch_size=config.batch_size,
        evaluation_batch_size=config.evaluation_batch_size,
        select=config.select,
        gradient=gradient_rules.through(rules.parse(config.gradient)),
    )


class _Driver:
    """The networks of one run, what has been saved of them, and what has been written about them."""

    def __init__(
        self, job: Job, programs: ProgramCache, checkpoints: Checkpoints, interruption: Interruption
    ) -> None:
        self.job, self.checkpoints, self.interruption = job, checkpoints, interruption
        self.started = time.monotonic()
        self.stopped: str | None = None
        self.lost_to: dict[str, str] = {}  # what was not finite, by the index of the network
        self.heard: Callable[[dict[str, Any]], None] = lambda row: None
        self.trainer, mapping = trainer_of(job), job.resolved.seed_mapping
        self.programs = programs.of(self.trainer, mapping)
        self.num_networks = seeds.padded(job.config.num_seeds, mapping, job.resolved.machine.num_devices)
        first = job.config.seed
        keys = jax.vmap(jax.random.key)(jnp.arange(first, first + self.num_networks))
        self._kept, self._filled = _fillers(job.config.num_seeds, self.num_networks)
        networks = self._started(self.programs.init(keys, job.config.learning_rate))
        # what an opened or resumed run asks a checkpoint for; None once a save has been read back as that
        self._asked: Any = jax.eval_shape(lambda: self._kept(networks))
        networks, self.wall_seconds = self._restored(networks)
        self.saved_at = checkpoints.latest()
        self.update = self.saved_at or 0
        evaluation_key = jax.random.key(job.config.evaluation_seed)
        self.networks, (self.data, self.key) = seeds.place(networks, (job.data, evaluation_key), mapping)
        self.records = Records(job.folder / folders.METRICS, -1 if self.saved_at is None else self.saved_at)
        self.pace = Pace(job.folder / folders.PROGRESS, job.label, self.update, job.config.num_updates)

    def _started(self, networks: Any) -> Any:
        """New networks, with the parameters of another run where the run starts from one."""
        if self.job.initial is None:
            return networks
        params = self._filled(self.job.initial, networks.params)
        records = networks.records
        if self.trainer.select != "last":
            records = records._replace(best_params=jax.tree.map(jnp.copy, params))
        # copies, for training gives the memory of its networks away
        return networks._replace(params=jax.tree.map(jnp.copy, params), records=records)

    def _restored(self, networks: Any) -> tuple[Any, float]:
        """The newest networks that an unbroken run of this length meets, and their seconds; else those given."""
        config, template = self.job.config, self._kept(networks)
        while (step := self.checkpoints.latest()) is not None:
            found, meta = self.checkpoints.restore(template)
            # the end is evaluated even where no multiple of eval_every is: a longer run does not meet it
            if step % config.eval_every == 0 or meta["is_end"] == (step == config.num_updates):
                self.lost_to = meta.get("lost_to", {})  # runs were saved without
                return self._filled(found, networks), meta["wall_seconds"]
            self.checkpoints.discard()
        return networks, 0.0

    def train(self, bar: tqdm) -> None:
        """All updates that are missing."""
        config = self.job.config
        _skip(bar, self.update)
        if self.saved_at is None:
            self.evaluate()
        while self.update < config.num_updates and not self._is_over():
            self._stop_if_asked()
            stop = min(config.num_updates, (self.update // config.log_every + 1) * config.log_every)
            is_end = stop == config.num_updates
            if self.update and is_end and stop % config.eval_every:
                self.save()  # from where a longer run goes on
            self.networks, metrics = self.programs.train(
                self.networks, self.data, stop - self.update, config.learning_rate
            )
            lost_to = jax.device_get(metrics.pop("lost_to"))
            metrics = self._write("training", stop, metrics)
            self._tell(lost_to)
            bar.update(stop - self.update)
            self.update = stop
            self.pace.at(stop)
            bar.set_postfix(loss=_shown(metrics["loss"][: config.num_seeds]))
            if stop % config.eval_every == 0 or is_end:
                self.evaluate()
            if stop % config.checkpoint_every == 0 or is_end:
                self.save()

    def _tell(self, lost_to: Any) -> None:
        """Say which networks were lost in a chunk, each once."""
        if not lost_to.any():
            return
        frozen_at = jax.device_get(self.networks.records.frozen_at)
        for index in (index for index in range(self.job.config.num_seeds) if lost_to[index]):
            self.lost_to[str(index)] = CAUSES[lost_to[index]]
            seed, update = self.job.config.seed + index, int(frozen_at[index])
            tqdm.write(summaries.lost(self.job.label, seed, update, self.lost_to[str(index)]))

    def _is_over(self) -> bool:
        """Whether nothing is left to train: all is lost or, where that is to be the end, all is solved.

        Asked at evaluations only: a run that goes on after all meets the same state there.
        """
        config = self.job.config
        if self.update == 0 or self.update % config.eval_every:
            return False
        history = jax.device_get(self.networks.records)
        if not history.finite[: config.num_seeds].any():
            self.stopped = LOST
        elif config.stop == "solved" and (history.solved_at[: config.num_seeds] >= 0).all():
            self.stopped = SOLVED
        if self.stopped:
            self.save()
        return self.stopped is not None

    def _stop_if_asked(self) -> None:
        if self.interruption.requested is not None:
            self.save()
            raise Interrupted(
                f"interrupted; {self.job.folder} is saved at update {self.update}, the same command goes on",
                self.interruption.exit_code,
            )

    def evaluate(self) -> None:
        """Metrics of the validation split, and the state gradients."""
        self.networks, metrics = self.programs.evaluate(self.networks, self.data, self.key)
        diagnosed = jax.device_get(self.programs.diagnose(self.networks, self.data, self.key))
        num_steps = self._num_steps() if diagnosed else 0
        extra = [
            {
                "state_gradient": {
                    "lag": lags(num_steps),
                    **{name: norms[i] for name, norms in diagnosed.items()},
                }
            }
            if diagnosed
            else {}
            for i in range(self.num_networks)
        ]
        self._write("validation", self.update, metrics, extra)

    def _num_steps(self) -> int:
        job = self.job
        batch = jax.eval_shape(
            lambda: job.parts.task.evaluation(job.data, "validation", jnp.array(0), jax.random.key(0), 1)
        )
        return jax.tree.leaves(batch.inputs)[0].shape[0]

    def _write(
        self, split: str, update: int, metrics: Any, extra: Sequence[dict[str, Any]] | None = None
    ) -> Any:
        metrics = jax.device_get(metrics)
        for index in range(self.job.config.num_seeds):
            numbers = {name: values[index] for name, values in metrics.items()}
            row = {"update": update, "seed_index": index, "split": split, **numbers}
            row |= extra[index] if extra else {}
            self.records.append(row)
            self.heard(row)
        return metrics

    def save(self) -> None:
        """A checkpoint of where the run stands, after its metrics are on the disk."""
        if self.saved_at == self.update:
            return
        self.records.sync()
        is_end = self.update == self.job.config.num_updates
        meta = {"wall_seconds": self._seconds(), "is_end": is_end, "lost_to": self.lost_to}
        self.checkpoints.save(self.update, self._kept(self.networks), meta, self._asked)
        self._asked = None
        self.saved_at = self.update

    def _seconds(self) -> float:
        return self.wall_seconds + time.monotonic() - self.started

    def summary(self) -> dict[str, Any]:
        """The test split, read once; and what the records of each network say."""
        job = self.job
        test = jax.device_get(self.programs.test(self.networks, self.data, self.key))
        lengths = {length: self._tested_at(length) for length in job.config.test_lengths}
        tested = jax.vmap(self.trainer.tested_params)(self.networks)
        made = summaries.make(
            job,
            self.update,
            jax.device_get(self.networks.records),
            jax.device_get(tested),
            test,
            self._seconds(),
            self.lost_to,
        )
        if lengths:
            num_seeds = job.config.num_seeds
            made["lengths"] = {
                str(length): summaries.over_seeds(found, num_seeds) for length, found in lengths.items()
            }
        return {**made, "stopped": self.stopped} if self.stopped else made

    def _tested_at(self, length: int) -> dict[str, Any]:
        """The test metrics on sequences of another length."""
        task: Any = self.trainer.task
        trainer = dataclasses.replace(self.trainer, task=task.at_length(length))
        test = compile_programs(trainer, self.job.resolved.seed_mapping).test
        return jax.device_get(test(self.networks, self.data, self.key))


def _skip(bar: tqdm, count: int) -> None:
    """Updates that are done already move the bar, and count for nothing in its speed."""
    if not bar.disable:
        bar.initial += count
        bar.update(count)


def _fillers(num_seeds: int, num_networks: int) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """How fillers, whose number depends on the devices, leave a checkpoint and come back: from other networks."""
    if num_seeds == num_networks:
        return lambda networks: networks, lambda kept, others: kept

    def filled(kept: Any, others: Any) -> Any:
        return jax.tree.map(lambda leaf, other: jnp.concatenate([leaf, other[num_seeds:]]), kept, others)

    return jax.jit(lambda networks: jax.tree.map(lambda leaf: leaf[:num_seeds], networks)), jax.jit(filled)


def _shown(losses: Any) -> str:
    return " ".join(f"{float(loss):.4g}" for loss in losses)
