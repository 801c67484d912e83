"""What a plan would take: minutes a run, from the experiment's own minutes or from runs of the folder that ended."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from experiments.lab.plan.configs import Config
from experiments.lab.plan.experiment import Experiment
from experiments.lab.plan.job import Job
from experiments.lab.run import Plan
from experiments.lab.storage import folders, summaries
from experiments.models import counts
from experiments.models.base import HasState

SIZES = ("hidden size", "parameters", "numbers of state")


class Line(NamedTuple):
    """One run of a plan: its label, whether it is new, its estimated minutes, its folder, and matched `SIZES`."""

    label: str
    state: str
    minutes: float
    folder: Path
    sizes: tuple[str, ...] = ()


def work(config: Config) -> float:
    """What the time of a run is about proportional to: sequences times steps, and units where they are many.

    Small networks take the time of their operations' dispatch, whatever their size: below 64 units none is counted.
    """
    task = config.task
    steps = getattr(task, "num_steps", None) or (task.lag or 0) + 1
    units = max(config.hidden_size / 64, 1.0)
    return config.num_updates * config.num_seeds * steps * max(config.batch_size / 32, 1.0) * units


def minutes(experiment: Experiment, config: Config) -> float:
    """Estimated minutes of one run on two cores: the experiment's, in proportion to `work`."""
    default = experiment.presets["default"]
    return experiment.minutes / len(experiment.cells) * work(config) / work(default)


def line(label: str, experiment: Experiment, config: Config, folder: Path) -> Line:
    """One run, with the minutes that are left of it."""
    left = 1.0 - min(summaries.num_updates(folder) / config.num_updates, 1.0)
    state = "has ended" if not left else "goes on" if (folder / folders.CONFIG).exists() else "new"
    return Line(label, state, minutes(experiment, config) * left, folder)


def table(lines: Sequence[Line]) -> str:
    """One line a run: its label, its state, its estimated minutes; then their sum."""
    matched = any(each.sizes for each in lines)
    head = ("run", *(SIZES if matched else ()), "state", "minutes", "folder")
    shown = [
        (
            each.label,
            *((each.sizes or ("-",) * len(SIZES)) if matched else ()),
            each.state,
            _minutes(each),
            str(each.folder),
        )
        for each in lines
    ]
    widths = [max(len(row[column]) for row in (head, *shown)) for column in range(len(head))]
    rows = (
        "  ".join(word.ljust(width) for word, width in zip(row, widths, strict=True)).rstrip()
        for row in (head, *shown)
    )
    total = sum(each.minutes for each in lines)
    return (
        "\n".join(rows)
        + f"\n\n{len(lines)} runs, about {total:.1f} minutes on two cores; nothing was trained"
    )


def _minutes(each: Line) -> str:
    return f"{each.minutes:.1f}" if each.minutes > 0.05 or each.state == "has ended" else "< 0.1"


def _sizes(job: Job) -> tuple[str, ...]:
    """What `SIZES` are for one run."""
    model = job.parts.model
    num_state = str(model.num_state()) if isinstance(model, HasState) else "-"
    return str(job.config.hidden_size), str(counts.num_parameters(model)), num_state


def text(planned: Plan) -> str:
    """The table of a plan; matched sizes stand there too."""
    return table([_of_job(job) for job in planned.jobs])


def _of_job(job: Job) -> Line:
    found = line(job.label, job.experiment, job.config, job.folder)
    return found._replace(sizes=_sizes(job)) if job.config.match else found
