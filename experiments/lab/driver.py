"""The loop of the host: chunks of updates, and between them evaluations, checkpoints and interruptions."""

import time
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from tqdm import tqdm

from experiments.errors import Fault
from experiments.lab import folder as folders
from experiments.lab import seeds
from experiments.lab import summary as summaries
from experiments.lab.checkpoint import Checkpoints
from experiments.lab.job import Job
from experiments.lab.manifest import survey
from experiments.lab.records import Records, write_json
from experiments.lab.signals import Interruption
from experiments.lab.training import lags


def drive(job: Job, progress: bool) -> bool:
    """Train one run to its end, from wherever it stands; False where it had ended already."""
    config, done = job.config, summaries.num_updates(job.folder)
    checkpoints = job.folder / folders.CHECKPOINTS
    if done > config.num_updates:
        raise _fewer(job, done)
    # a summary whose checkpoint is damaged is not the end: the missing updates are computed again
    if done == config.num_updates and survey(checkpoints)[0][-1:] == [done]:
        print(f"{job.label}: finished already, {done} updates in {job.folder}")
        return False
    folders.create(job.folder, job.experiment, job.preset, config, job.resolved)
    write_json(job.folder / folders.ENV, summaries.environment(job.resolved))
    with Interruption() as interruption, Checkpoints(checkpoints) as writer:
        driver = _Driver(job, writer, interruption)
        with driver.records:
            driver.train(progress)
        write_json(job.folder / folders.SUMMARY, driver.summary())
    return True


def _fewer(job: Job, done: int) -> Fault:
    asked = job.config.num_updates
    return Fault(f"--num-updates: {job.folder} has {done} updates already, asked for {asked}")


class _Driver:
    """The networks of one run, what has been saved of them, and what has been written about them."""

    def __init__(self, job: Job, checkpoints: Checkpoints, interruption: Interruption) -> None:
        self.job, self.checkpoints, self.interruption = job, checkpoints, interruption
        self.started = time.monotonic()
        trainer, mapping = job.trainer, job.resolved["seed_mapping"]
        lift = seeds.MAPPINGS[mapping]
        first = job.config.seed
        keys = jax.vmap(jax.random.key)(jnp.arange(first, first + job.num_networks))
        networks = jax.jit(lift(trainer.init))(keys)
        self.update, self.saved_at = 0, checkpoints.latest()
        self.meta: dict[str, Any] = {"wall_seconds": 0.0, "notes": []}
        if self.saved_at is not None:
            networks, self.meta = checkpoints.restore(networks)
            self.update = self.saved_at
            if self.update > job.config.num_updates:
                raise _fewer(job, self.update)
        self.notes = list(dict.fromkeys([*self.meta["notes"], *job.notes]))
        evaluation_key = jax.random.key(job.config.evaluation_seed)
        self.networks, (self.data, self.key) = seeds.place(networks, (job.data, evaluation_key), mapping)
        self._train = jax.jit(lift(trainer.train), donate_argnums=0)
        self._evaluate = jax.jit(lift(trainer.evaluate))
        self._diagnose = jax.jit(lift(trainer.diagnose))
        self._test = jax.jit(lift(trainer.test))
        self.records = Records(job.folder / folders.METRICS, -1 if self.saved_at is None else self.saved_at)

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
        self.checkpoints.save(
            self.update, self.networks, {"wall_seconds": self._seconds(), "notes": self.notes}
        )
        self.saved_at = self.update

    def _seconds(self) -> float:
        return self.meta["wall_seconds"] + time.monotonic() - self.started

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
            self.notes,
        )


def _shown(losses: Any) -> str:
    return " ".join(f"{float(loss):.4g}" for loss in losses)
