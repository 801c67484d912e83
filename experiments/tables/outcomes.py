"""What was measured beside what was published: each run of a published number, its kept summary, and the verdict."""

import dataclasses
import math
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments.errors import Fault
from experiments.lab.plan import configs
from experiments.lab.storage.records import read_json
from experiments.tables import keeping
from experiments.tables.published import OVER_LENGTHS, SOLVING, Paper, Row, Run
from experiments.tables.verdicts import Verdict


@dataclasses.dataclass(frozen=True)
class Outcome:
    """One run of a published number; ``summary`` is None where nothing was measured yet.

    ``trials`` is one number a trial, in the unit of the published one: None where a trial was not solved, or lost.
    """

    row: Row
    run: Run
    summary: Mapping[str, Any] | None = None
    trials: tuple[float | None, ...] = ()

    @property
    def numbers(self) -> list[float]:
        """Those of the trials that have one."""
        return [number for number in self.trials if number is not None and math.isfinite(number)]

    @property
    def mean(self) -> float | None:
        """Their mean; None where there is none."""
        return statistics.fmean(self.numbers) if self.numbers else None

    @property
    def verdict(self) -> Verdict | None:
        """By the rule of `experiments.tables.verdicts`; None where nothing was measured."""
        if self.summary is None:
            return None
        return self.row.rule.verdict(self.trials, is_reduced=self.run.reduced)

    @property
    def counts(self) -> bool:
        """Whether the number is a count until a trial is solved."""
        return self.row.metric in SOLVING


def outcomes(papers: Sequence[Paper]) -> list[Outcome]:
    """Every run of every row, in their order.

    Raises:
        Fault: a kept summary is not of the run whose name it has.
    """
    return [outcome(row, run) for paper in papers for row in paper.rows for run in row.runs]


def outcome(row: Row, run: Run) -> Outcome:
    """One run with its kept summary, where there is one."""
    summary = kept(row, run)
    return Outcome(row, run) if summary is None else Outcome(row, run, summary, trials(row, run, summary))


def kept(row: Row, run: Run) -> Mapping[str, Any] | None:
    """The kept summary of a run, found by its name and compared with what its command asks for; None without one.

    Raises:
        Fault: it is of another experiment or configuration, had fewer updates, or there are several of that name.
    """
    name = row.kept_as(run)
    paths = sorted(keeping.RESULTS.rglob(f"{name}.json"))
    if not paths:
        return None
    if len(paths) > 1:
        raise Fault(f"{name}: kept twice, as {' and '.join(map(_shown, paths))}; delete one")
    summary = read_json(paths[0])
    difference = _difference(run, summary)
    if difference:
        again = f"run python -m experiments reproduce {row.name}, or change the row"
        raise Fault(f"{_shown(paths[0])} is not what {run.command} makes: {difference}; {again}")
    return summary


def _difference(run: Run, summary: Mapping[str, Any]) -> str | None:
    """What a summary has otherwise than a command asks for; None where they agree. More updates are no difference."""
    experiment, request = run.experiment, run.request()
    if summary["experiment"] != experiment.name:
        return f"its experiment is {summary['experiment']}"
    asked, made = request.configs[0], configs.from_json(experiment.config, summary["config"])
    before, after = configs.identity(asked), configs.identity(made)
    for name in {**before, **after}:
        if before.get(name) != after.get(name):
            flag = name.replace("_", "-")
            return f"--{flag} is {after.get(name)!r} there, {before.get(name)!r} in the command"
    if made.num_updates < asked.num_updates:
        return f"--num-updates is {made.num_updates} there, {asked.num_updates} in the command"
    return None


def _shown(path: Path) -> str:
    return path.relative_to(keeping.RESULTS.parent.parent).as_posix() if path.is_absolute() else str(path)


def trials(row: Row, run: Run, summary: Mapping[str, Any]) -> tuple[float | None, ...]:
    """One number a trial, without what only our count includes.

    Raises:
        Fault: the summary has no such metric.
    """
    if row.metric in SOLVING:
        counts = [seed[SOLVING[row.metric]] for seed in summary["seeds"]]
        return tuple(None if count is None else count - run.not_counted for count in counts)
    name = row.metric.removesuffix(OVER_LENGTHS)
    tests = list(summary.get("lengths", {}).values()) if row.metric != name else [summary["test"]]
    if not tests or not all(name in test for test in tests):
        known = ", ".join(summary["test"])
        raise Fault(f"row {row.name}: {run.command} has no test metric {row.metric!r} (it has {known})")
    by_seed = zip(*(test[name]["seeds"] for test in tests), strict=True)
    return tuple(
        None
        if seed["frozen_at"] is not None or any(number is None for number in numbers)
        else statistics.fmean(numbers)
        for seed, numbers in zip(summary["seeds"], by_seed, strict=True)
    )
