"""Runs: from configurations to finished folders, and from a folder back to a network."""

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax

from experiments.errors import FAILED, Fault
from experiments.lab import solving
from experiments.lab.job import Job, build, check_shapes, load
from experiments.lab.plan import cell_names, configs
from experiments.lab.plan.configs import Config
from experiments.lab.plan.experiment import Experiment, load_experiment
from experiments.lab.plan.machine import MACHINE, Resolved, compare, start
from experiments.lab.storage import folders, summaries
from experiments.lab.storage.checkpoints import Checkpoints
from experiments.lab.storage.hashing import params_sha256
from experiments.lab.storage.records import read_rows, write_json
from experiments.lab.training import seeds
from experiments.lab.training.driver import drive, has_ended
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
    places = [out / name for name in cell_names.folder_names(specs)]
    folders.check_shared(out, experiment)
    stored = [folders.read(place) for place in places]
    for place, found, config in zip(places, stored, requested, strict=True):
        if found is not None:
            folders.check_same(place, found, experiment, config)
    ended = [has_ended(place, config) for place, config in zip(places, requested, strict=True)]
    # a run that has ended may be looked at on any machine
    going_on = [None if end else found for end, found in zip(ended, stored, strict=True)]
    earlier = next((found.resolved for found in going_on if found is not None), None)
    parts = [build(experiment, config) for config in requested]
    resolved, _ = start(device, earlier, on_this_machine=on_this_machine)
    data = load(parts[0].task)
    jobs = []
    for place, found, config, part in zip(places, going_on, requested, parts, strict=True):
        own: Resolved = {**resolved, "seed_mapping": _seed_mapping(config, resolved), "notes": []}
        job = Job(place, cell_names.label(config.cell), experiment, preset, config, part, data, own)
        check_shapes(job)
        own["solver"] = solving.choose(part, config.batch_size, data)
        if found is not None:
            notes = compare(found.resolved, resolved, on_this_machine=on_this_machine)
            same = all(found.resolved[name] == resolved[name] for name in MACHINE)
            chosen = {name: found.resolved[name] for name in ("solver", "seed_mapping")} if same else {}
            own |= {**chosen, "notes": list(dict.fromkeys([*found.resolved["notes"], *notes]))}
        jobs.append(dataclasses.replace(job, parts=solving.use(part, own["solver"])))
    trained = [drive(job, progress) for job in jobs]
    runs = [open_run(place) for place in places]
    if any(trained) or not summaries.has_rows(out, [one.summary for one in runs]):
        finish(experiment, out)
    return runs


def default_out(experiment: Experiment, preset: str, config: Config) -> Path:
    """``runs/<experiment>/<preset>-<hash>``: the same command finds its folder again."""
    return Path("runs") / experiment.name / f"{preset}-{configs.config_hash(config)}"


def _seed_mapping(config: Config, resolved: Resolved) -> str:
    platform = jax.devices()[0].platform
    return seeds.choose(config.num_seeds, config.hidden_size, platform, resolved["num_devices"])


def finish(experiment: Experiment, out: Path) -> None:
    """The pictures and the table of every run in ``out`` that has ended; one that is damaged is named and left out."""
    ended = []
    for entry in sorted(out.glob(f"*/{folders.SUMMARY}")):
        try:
            ended.append(open_run(entry.parent))
        except Fault as fault:
            print(f"warning: {fault}; left out of the table", file=sys.stderr)
    ended = [one for one in ended if one.summary]
    for draw in experiment.pictures:
        draw(ended, out)
    # last: where the table is, the pictures have been drawn
    write_json(out / summaries.TABLE, [summaries.table_row(one.summary) for one in ended])


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
    parts = solving.use(build(experiment, config), stored.resolved["solver"])
    label = cell_names.label(config.cell)
    job = Job(place, label, experiment, stored.preset, config, parts, (), stored.resolved)
    if not 0 <= seed_index < config.num_seeds:
        raise Fault(f"--seed-index: {place} has networks 0 to {config.num_seeds - 1}, asked for {seed_index}")
    template = jax.eval_shape(
        jax.vmap(job.trainer.init),
        jax.eval_shape(lambda: jax.random.split(jax.random.key(0), config.num_seeds)),
    )
    networks: TrainState = Checkpoints.read(place / folders.CHECKPOINTS, template)
    params = jax.tree.map(lambda leaf: leaf[seed_index], job.trainer.tested_params(networks))
    summary = summaries.read(place)
    if summary and int(networks.update[seed_index]) > summary["num_updates"]:
        summary = {}  # of a shorter run: it has been continued, and has not ended yet
    if summary and summary["seeds"][seed_index]["params_sha256"] != params_sha256(params):
        raise Fault(
            f"{place}: its newest good checkpoint is not the one of its summary; the command that made it mends it"
        )
    return Run(
        place, label, experiment, config, *parts[:2], params, read_rows(place / folders.METRICS), summary
    )
