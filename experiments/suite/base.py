"""What a suite is: tasks, their budget and their scores as values, and the runs that they stand for.

Results carry the digest of their suite: results of another budget, or of other tasks, are never put beside those of
this one. What the digest does not see is a change of an experiment's own defaults or of a task's code.
"""

import dataclasses
import hashlib
import json
import shlex

from experiments.lab import cli
from experiments.lab.plan import configs
from experiments.lab.plan.configs import Config
from experiments.lab.plan.experiment import Experiment
from experiments.lab.plan.finding import load_experiment
from experiments.suite.scores import Score

RATES = (1e-3, 3e-3)
"""Learning rates of Adam; the better one on the validation split is tested."""
NUM_SEEDS = 3


@dataclasses.dataclass(frozen=True)
class Part:
    """One task of a suite: what it is called, what it asks for in a few words, and the runs that it stands for.

    ``flags`` are those of the experiment, but for the cell, the learning rate and what all parts of a suite share.
    ``test_length`` is where the trained networks are tested; None: at the length of their training. ``seconds`` is
    about what a run of an LSTM takes on two cores, its seeds together, compilation apart.
    """

    name: str
    asks: str
    experiment: str
    flags: str
    updates: int
    score: Score
    test_length: int | None = None
    seconds: float = 5.0


@dataclasses.dataclass(frozen=True)
class Suite:
    """Tasks, and what all their runs share."""

    name: str
    parts: tuple[Part, ...]
    shared: str
    rates: tuple[float, ...] = RATES
    num_seeds: int = NUM_SEEDS

    @property
    def digest(self) -> str:
        """Twelve digits of all that a suite fixes: not what a task is said to ask for, nor its seconds."""
        kept = [
            {
                "name": part.name,
                "experiment": part.experiment,
                "flags": part.flags,
                "updates": part.updates,
                "score": [type(part.score).__name__, dataclasses.asdict(part.score)],  # type: ignore[call-overload]
                "test_length": part.test_length,
            }
            for part in self.parts
        ]
        content = {"parts": kept, "shared": self.shared, "rates": self.rates, "num_seeds": self.num_seeds}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]

    @property
    def num_runs(self) -> int:
        """Runs of one cell."""
        return len(self.parts) * len(self.rates)


def words(suite: Suite, part: Part, cell: str) -> list[str]:
    """What stands behind the experiment's name on the command line to make the runs of one cell on one task.

    A run is evaluated and saved at its start and at its end alone: it takes seconds.
    """
    once = [f"--{name}-every={part.updates}" for name in ("eval", "checkpoint")]
    shared = [
        "--num-seeds",
        str(suite.num_seeds),
        f"--num-updates={part.updates}",
        *once,
        *shlex.split(suite.shared),
    ]
    return ["--cell", cell, "--learning-rate", *map(str, suite.rates), *shared, *shlex.split(part.flags)]


def requested(suite: Suite, part: Part, cell: str) -> tuple[Experiment, tuple[Config, ...]]:
    """The experiment of a task, and the configurations of one cell: one for each learning rate.

    Raises:
        Fault: a flag or the cell is unknown, or a value is out of range.
    """
    experiment = load_experiment(part.experiment)
    lengths = (
        () if part.test_length is None else (part.test_length,)
    )  # the experiment's own are not asked for
    found = cli.parse(experiment, words(suite, part, cell)).configs
    return experiment, tuple(configs.changed(config, test_lengths=lengths) for config in found)
