"""From the folder of a run back to a network."""

import dataclasses
from pathlib import Path
from typing import Any

import jax

from experiments.errors import Fault
from experiments.lab import planning, solving
from experiments.lab.pictures import notebook
from experiments.lab.plan import cell_names, configs
from experiments.lab.plan.configs import Config
from experiments.lab.plan.experiment import Experiment
from experiments.lab.plan.finding import load_stored
from experiments.lab.plan.job import Job
from experiments.lab.storage import folders, summaries
from experiments.lab.storage.checkpoint import Checkpoints
from experiments.lab.storage.hashing import params_sha256
from experiments.lab.storage.records import read_rows
from experiments.lab.training.driver import trainer_of
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
        raise Fault(f"seed_index: {place} has networks 0 to {config.num_seeds - 1}, asked for {seed_index}")
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
