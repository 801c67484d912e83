"""What an experiment module declares: its claim, its configuration, its presets, what it builds and draws."""

import dataclasses
import hashlib
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from experiments.lab.plan import configs
from experiments.lab.plan.configs import Config
from experiments.models.base import Model
from experiments.tasks.base import Task

PACKAGE = "experiments."

SMOKE: Mapping[str, Any] = {
    "hidden_size": 16,
    "num_updates": 40,
    "log_every": 10,
    "eval_every": 20,
    "checkpoint_every": 20,
    "batch_size": 16,
    "learning_rate": 5e-3,
    "evaluation_batch_size": 128,
}
"""What every preset ``smoke`` has in common: it ends within seconds on two cores."""


class Parts(NamedTuple):
    """What a configuration stands for; ``optimizer`` is of optax, or a value that makes one of a learning rate."""

    task: Task
    model: Model
    optimizer: Any


@dataclasses.dataclass(frozen=True)
class OfConfig:
    """A first word that takes a configuration: ``python -m experiments.NAME sample --num-steps 20``."""

    act: Callable[[Any], None]
    """``(config) -> None``; it prints."""


@dataclasses.dataclass(frozen=True)
class OfRun:
    """A first word that takes a run: ``python -m experiments.NAME predict RUN [WORD ...] [--seed-index I]``."""

    act: Callable[..., None]
    """``(run, *words) -> None``; ``run`` is what `experiments.lab.open_run` returns."""


@dataclasses.dataclass(frozen=True)
class Experiment:
    """One claim. ``doc`` is the module's docstring: Question, Source, Run, Expect, Deviations.

    ``build(config)`` makes task, model and optimizer. ``presets`` holds ``smoke``, ``default`` and others, see
    `presets`; ``minutes`` is what the default takes on two cores; ``cells`` are the default of ``--cell``; ``pictures``
    are drawn from all runs of a folder when the last has ended; ``verbs`` are further first words beside ``sample``,
    which every experiment has.
    """

    name: str
    doc: str
    config: type[Config]
    presets: Mapping[str, Config]
    build: Callable[[Any], Parts]
    minutes: float
    cells: tuple[str, ...] = ("elman", "lstm")
    pictures: tuple[Callable[[Sequence[Any], Path], None], ...] = ()
    verbs: Mapping[str, OfConfig | OfRun] = dataclasses.field(default_factory=dict)
    facts: Callable[[Any], Mapping[str, Any]] = lambda config: {}
    """What the summary and the table show beside a run's results, such as another baseline; of its configuration."""

    def __post_init__(self) -> None:
        """ValueError or TypeError where a later step would stumble over what is declared."""
        if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", self.name):
            raise ValueError(
                f"name: expected letters, digits, _ . and -, for it names a folder, got {self.name!r}"
            )
        if not (isinstance(self.config, type) and issubclass(self.config, Config)):
            raise TypeError(f"config: expected a subclass of Config, got {self.config!r}")
        if "default" not in self.presets:
            raise ValueError("presets: expected one called default; presets(...) makes it")
        for name, preset in self.presets.items():
            if type(preset) is not self.config:
                raise TypeError(f"presets: {name} is a {type(preset).__name__}, not a {self.config.__name__}")

    @property
    def question(self) -> str:
        """The paragraph after ``Question`` in the docstring."""
        return section(self.doc, "Question")

    @property
    def is_ours(self) -> bool:
        """Whether the module stands in this package."""
        return self.module == PACKAGE + self.name

    @property
    def source(self) -> str | None:
        """The file that declares an experiment of one's own; None for those of this package, or without a file."""
        path = getattr(sys.modules.get(self.config.__module__), "__file__", None)
        return None if self.is_ours or path is None else str(Path(path).resolve())

    @property
    def source_sha256(self) -> str | None:
        """The digest of `source`, as it is now; None where it is."""
        try:
            return hashlib.sha256(Path(self.source).read_bytes()).hexdigest() if self.source else None
        except OSError:  # gone since it was imported
            return None

    @property
    def module(self) -> str:
        """The name under which the declaring module can be imported again."""
        name = self.config.__module__
        if name != "__main__":
            return name
        main = sys.modules[name]  # as `python -m` or as a script
        spec, path = getattr(main, "__spec__", None), getattr(main, "__file__", None)
        return spec.name if spec is not None else Path(path).stem if path else name

    @property
    def command(self) -> str:
        """How to run it."""
        if self.is_ours:
            return f"python -m {PACKAGE}{self.name}"
        return f"python -m experiments run {self.source or self.name}"


def presets(
    kind: type[Config], *, smoke: Mapping[str, Any], **others: Mapping[str, Any]
) -> dict[str, Config]:
    """The presets of an experiment, by name: ``default`` is ``kind()``, the others are changes of it.

    Args:
        kind: the experiment's configuration.
        smoke: what differs from `SMOKE`, such as the task's length.
        others: further presets; ``paper``, which every experiment of this package has, is the published protocol.

    Raises:
        Fault: a value is out of range.
    """
    changes = {"smoke": {**SMOKE, **smoke}, **others}
    made = {name: configs.changed(kind(), **values) for name, values in changes.items()}
    return {"default": kind(), **made}


def section(doc: str, title: str) -> str:
    """The text of one heading of an experiment's docstring, in one line."""
    for paragraph in doc.split("\n\n"):
        head, _, body = paragraph.strip().partition(":")
        if head == title:
            return " ".join(body.split())
    return ""
