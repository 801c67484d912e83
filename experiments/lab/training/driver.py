"""The loop of the host: chunks of updates, and between them evaluations, checkpoints and interruptions."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from tqdm import tqdm

from experiments.errors import Fault
from experiments.lab.job import Job
from experiments.lab.plan.configs import Config
from experiments.lab.storage import folders, summaries
from experiments.lab.storage.checkpoints import Checkpoints
from experiments.lab.storage.manifest import survey
from experiments.lab.storage.records import Records, read_rows, write_json
from experiments.lab.training import seeds
from experiments.lab.training.signals import Interruption
from experiments.lab.training.trainer import lags


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
    return done == saved == asked


def drive(job: Job, progress: bool) -> bool:
    """Train one run to its end, from wherever it stands; False where it had ended already."""
    if has_ended(job.folder, job.config):
        print(f"{job.label}: finished already, {job.config.num_updates} updates in {job.folder}")
        return False
    folders.create(job.folder, job.experiment, job.preset, job.config, job.resolved)
    write_json(job.folder / folders.ENV, summaries.environment(job.resolved))
    with Interruption() as interruption, Checkpoints(job.folder / folders.CHECKPOINTS) as writer:
        driver = _Driver(job, writer, interruption)
        with driver.records:
            driver.train(progress)
        write_json(job.folder / folders.SUMMARY, driver.summary())
    if interruption.requested is not None:  # too late to stop this run, but not the next one
        raise Fault(f"interrupted; {job.folder} has ended, the same command goes on", interruption.exit_code)
    return True


class _Driver:
    """The networks of one run, what has been saved of them, and what has been written about them."""

    def __init__(self, job: Job, checkpoints: Checkpoints, interruption: Interruption) -> None:
        self.job, self.checkpoints, self.interruption = job, checkpoints, interruption
        self.started = time.monotonic()
        trainer, mapping = job.trainer, job.resolved["seed_mapping"]
        lift = seeds.MAPPINGS[mapping]
        first = job.config.seed
        keys = jax.vmap(jax.random.key)(jnp.arange(first, first + job.num_networks))
        self._kept, self._filled = _fillers(job.config.num_seeds, job.num_networks)
        networks, self.wall_seconds = self._restored(jax.jit(lift(trainer.init))(keys))
        self.saved_at = checkpoints.latest()
        self.update = self.saved_at or 0
        evaluation_key = jax.random.key(job.config.evaluation_seed)
        self.networks, (self.data, self.key) = seeds.place(networks, (job.data, evaluation_key), mapping)
        self._train = jax.jit(lift(trainer.train), donate_argnums=0)
        self._evaluate = jax.jit(lift(trainer.evaluate))
        self._diagnose = jax.jit(lift(trainer.diagnose))
        self._test = jax.jit(lift(trainer.test))
        self.records = Records(job.folder / folders.METRICS, -1 if self.saved_at is None else self.saved_at)

    def _restored(self, networks: Any) -> tuple[Any, float]:
        """The newest networks that an unbroken run of this length meets, and their seconds; else those given."""
        config, template = self.job.config, self._kept(networks)
        while (step := self.checkpoints.latest()) is not None:
            found, meta = self.checkpoints.restore(template)
            # the end is evaluated even where no multiple of eval_every is: a longer run does not meet it
            if step % config.eval_every == 0 or meta["is_end"] == (step == config.num_updates):
                return self._filled(found, networks), meta["wall_seconds"]
            self.checkpoints.discard()
        return networks, 0.0

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
                is_end = stop == config.num_updates
                if self.update and is_end and stop % config.eval_every:
                    self.save()  # from where a longer run goes on
                self.networks, metrics = self._train(self.networks, self.data, stop - self.update)
                metrics = self._write("training", stop, metrics)
                bar.update(stop - self.update)
                self.update = stop
                bar.set_postfix(loss=_shown(metrics["loss"][: config.num_seeds]))
                if stop % config.eval_every == 0 or is_end:
                    self.evaluate()
                if stop % config.checkpoint_every == 0 or is_end:
                    self.save()

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
            {
                "state_gradient": {
                    "lag": lags(num_steps),
                    **{name: norms[i] for name, norms in diagnosed.items()},
                }
            }
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

    def _write(
        self, split: str, update: int, metrics: Any, extra: Sequence[dict[str, Any]] | None = None
    ) -> Any:
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
        is_end = self.update == self.job.config.num_updates
        meta = {"wall_seconds": self._seconds(), "is_end": is_end}
        self.checkpoints.save(self.update, self._kept(self.networks), meta)
        self.saved_at = self.update

    def _seconds(self) -> float:
        return self.wall_seconds + time.monotonic() - self.started

    def summary(self) -> dict[str, Any]:
        """The test split, read once; and what the records of each network say."""
        job = self.job
        test = jax.device_get(self._test(self.networks, self.data, self.key))
        tested = jax.vmap(job.trainer.tested_params)(self.networks)
        return summaries.make(
            job,
            jax.device_get(self.networks.records),
            jax.device_get(tested),
            test,
            self._seconds(),
        )


def _fillers(num_seeds: int, num_networks: int) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """How fillers, whose number depends on the devices, leave a checkpoint and come back: from other networks."""
    if num_seeds == num_networks:
        return lambda networks: networks, lambda kept, others: kept

    def filled(kept: Any, others: Any) -> Any:
        return jax.tree.map(lambda leaf, other: jnp.concatenate([leaf, other[num_seeds:]]), kept, others)

    return jax.jit(lambda networks: jax.tree.map(lambda leaf: leaf[:num_seeds], networks)), jax.jit(filled)


def _shown(losses: Any) -> str:
    return " ".join(f"{float(loss):.4g}" for loss in losses)
