"""What a plan would take: minutes a run, from the experiment's own minutes or from runs of the folder that ended."""

from experiments.lab.plan.configs import Config
from experiments.lab.plan.job import Job
from experiments.lab.run import Plan
from experiments.lab.storage import folders, summaries
from experiments.models import counts
from experiments.models.base import HasState


def work(config: Config) -> float:
    """What the time of a run is about proportional to: sequences times steps, and units where they are many.

    Small networks take the time of their operations' dispatch, whatever their size: below 64 units none is counted.
    """
    task = config.task
    steps = getattr(task, "num_steps", None) or (task.lag or 0) + 1
    units = max(config.hidden_size / 64, 1.0)
    return config.num_updates * config.num_seeds * steps * max(config.batch_size / 32, 1.0) * units


def minutes(job: Job) -> float:
    """Estimated minutes of one run on two cores: the experiment's, in proportion to `work`."""
    default = job.experiment.presets["default"]
    return job.experiment.minutes / len(job.experiment.cells) * work(job.config) / work(default)


SIZES = ("hidden size", "parameters", "numbers of state")


def _sizes(job: Job) -> tuple[str, ...]:
    """What `SIZES` are for one run."""
    model = job.parts.model
    num_state = str(model.num_state()) if isinstance(model, HasState) else "-"
    return str(job.config.hidden_size), str(counts.num_parameters(model)), num_state


def text(planned: Plan) -> str:
    """One line a run: its label, its state, its estimated minutes; then their sum. Matched sizes stand there too."""
    lines, total = [], 0.0
    matched = any(job.config.match for job in planned.jobs)
    for job in planned.jobs:
        done = summaries.num_updates(job.folder)
        left = 1.0 - min(done / job.config.num_updates, 1.0)
        needed = minutes(job) * left
        total += needed
        state = "has ended" if not left else "goes on" if (job.folder / folders.CONFIG).exists() else "new"
        shown = f"{needed:.1f}" if needed > 0.05 or not left else "< 0.1"
        lines.append((job.label, *(_sizes(job) if matched else ()), state, shown, str(job.folder)))
    head = ("run", *(SIZES if matched else ()), "state", "minutes", "folder")
    widths = [max(len(line[column]) for line in (head, *lines)) for column in range(len(head))]
    rows = (
        "  ".join(word.ljust(width) for word, width in zip(line, widths, strict=True))
        for line in (head, *lines)
    )
    table = "\n".join(row.rstrip() for row in rows)
    return f"{table}\n\n{len(lines)} runs, about {total:.1f} minutes on two cores; nothing was trained"
