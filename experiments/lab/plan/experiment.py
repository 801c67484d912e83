"""What an experiment module declares, and how the modules are found."""

import dataclasses
import importlib
import pkgutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import experiments
from experiments.errors import Fault, nearest
from experiments.lab.plan.configs import Config
from experiments.models.base import Model
from experiments.tasks.base import Task

NOT_EXPERIMENTS = ("__main__", "errors", "lab", "models", "tasks", "data", "tables", "published", "results")


class Parts(NamedTuple):
    """What a configuration stands for; the optimizer is one of optax."""

    task: Task
    model: Model
    optimizer: Any


@dataclasses.dataclass(frozen=True)
class Experiment:
    """One claim. ``doc`` is the module's docstring: Question, Source, Run, Expect, Deviations.

    ``presets`` holds ``smoke``, ``default`` and ``paper``; ``minutes`` is what the default takes on two
    cores; ``cells`` are the default of ``--cell``; ``pictures`` are drawn from all runs of a folder when
    the last has ended; ``verbs`` are further first words, each ``(config) -> None``.
    """

    name: str
    doc: str
    config: type[Config]
    presets: Mapping[str, Config]
    build: Callable[[Any], Parts]
    minutes: float
    cells: tuple[str, ...] = ("elman", "lstm")
    pictures: tuple[Callable[[Sequence[Any], Path], None], ...] = ()
    verbs: Mapping[str, Callable[[Any], None]] = dataclasses.field(default_factory=dict)
    facts: Callable[[Any], Mapping[str, Any]] = lambda config: {}
    """Of a configuration, what the summary and the table show beside its results, such as another baseline."""

    @property
    def question(self) -> str:
        """The paragraph after ``Question`` in the docstring."""
        return section(self.doc, "Question")

    @property
    def command(self) -> str:
        """How to run it."""
        return f"python -m experiments.{self.name}"


def section(doc: str, title: str) -> str:
    """The text of one heading of an experiment's docstring, in one line."""
    for paragraph in doc.split("\n\n"):
        head, _, body = paragraph.strip().partition(":")
        if head == title:
            return " ".join(body.split())
    return ""


def names() -> list[str]:
    """The dotted names of all experiment modules, below ``experiments``."""
    return sorted(_walk(Path(experiments.__path__[0]), ""))


def _walk(folder: Path, prefix: str) -> Iterator[str]:
    for info in pkgutil.iter_modules([str(folder)]):
        if not prefix and info.name in NOT_EXPERIMENTS:
            continue
        if info.ispkg:
            yield from _walk(folder / info.name, f"{prefix}{info.name}.")
        else:
            yield prefix + info.name


def load_experiment(name: str) -> Experiment:
    """The experiment called ``name``; Fault with the nearest name where there is none."""
    if name not in names():
        raise Fault(f"unknown experiment {name!r}{nearest(name, names())} (python -m experiments lists them)")
    return importlib.import_module(f"experiments.{name}").EXPERIMENT
