"""A run that is ready to start: everything that can be refused has been checked before the first step."""

import dataclasses
import re
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from experiments.errors import Fault
from experiments.lab.plan import rules
from experiments.lab.plan.configs import Config
from experiments.lab.plan.experiment import Experiment, Parts
from experiments.lab.plan.machine import Resolved
from experiments.lab.training import gradient_rules, seeds
from experiments.lab.training.trainer import Trainer
from experiments.tasks.base import Task


@dataclasses.dataclass(frozen=True)
class Job:
    """One run: its place, its configuration and what that stands for, its data, and what was resolved."""

    folder: Path
    label: str
    experiment: Experiment
    preset: str
    config: Config
    parts: Parts
    data: Any
    resolved: Resolved

    @property
    def trainer(self) -> Trainer:
        """The functions of one network."""
        config = self.config
        return Trainer(
            *self.parts,
            batch_size=config.batch_size,
            evaluation_batch_size=config.evaluation_batch_size,
            keeps_best=config.select == "validation",
            gradient=gradient_rules.through(rules.parse(config.gradient)),
        )

    @property
    def num_networks(self) -> int:
        """The seeds and the fillers."""
        return seeds.padded(
            self.config.num_seeds, self.resolved["seed_mapping"], self.resolved["num_devices"]
        )


def build(experiment: Experiment, config: Config) -> Parts:
    """Task, model and optimizer; Fault, naming the flag, where a size does not fit."""
    try:
        return Parts(*experiment.build(config))
    except ValueError as error:
        message = re.sub(r"^(\w+):", lambda found: f"--{found[1].replace('_', '-')}:", str(error))
        raise Fault(message) from error


def load(task: Task) -> Any:
    """The data of a task, in memory."""
    return jax.tree.map(jnp.asarray, task.load())


def check_shapes(job: Job) -> None:
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
