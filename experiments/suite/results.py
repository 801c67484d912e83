"""What a cell scored in a suite: made of the summaries of its runs, one small JSON file a cell."""

import dataclasses
import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import experiments
from experiments.errors import Fault
from experiments.lab.plan import cell_names, grids
from experiments.lab.plan.cell_names import CellSpec
from experiments.lab.storage.records import read_json, write_json
from experiments.suite.base import Part, Suite

COMMITTED = Path(experiments.__file__).parent / "results" / "suite"
"""One folder a suite, one file a cell."""
RESULT = "result.json"


@dataclasses.dataclass(frozen=True)
class Measured:
    """A cell on one task: per learning rate the scores of all seeds, on validation and test, and which rate counts.

    ``losses`` are the mean validation losses by rate, None where one is not finite. ``updates``, ``seconds`` (of the
    runs of both rates, compilation included) and ``parameters`` are numbers of the runs.
    """

    rate: float
    test: dict[float, list[float]]
    validation: dict[float, list[float]]
    losses: dict[float, float | None]
    updates: int
    seconds: float
    parameters: int

    @property
    def scores(self) -> list[float]:
        """The test scores of all seeds at the rate that validation chose."""
        return self.test[self.rate]

    @property
    def score(self) -> float:
        """Their mean."""
        return statistics.fmean(self.scores)


@dataclasses.dataclass(frozen=True)
class Result:
    """A cell in a suite, task by task: measured, or why it was not.

    ``refused`` tasks cannot be run by the cell; ``failed`` ones ended with an error, and are run again by the next
    call. Both count 0. ``environment`` says with what the runs were computed.
    """

    cell: str
    suite: str
    digest: str
    num_seeds: int
    measured: dict[str, Measured]
    refused: dict[str, str]
    failed: dict[str, str]
    environment: dict[str, Any]
    source_sha256: str | None = None

    def scores_of(self, name: str) -> list[float]:
        """One number a seed for a task; 0 where it was not measured."""
        found = self.measured.get(name)
        return [0.0] * self.num_seeds if found is None else found.scores

    def score_of(self, name: str) -> float | None:
        """The mean over seeds; None where the task was not measured."""
        return self.measured[name].score if name in self.measured else None

    def means(self, names: Sequence[str]) -> list[float]:
        """The mean over all tasks, for each seed."""
        columns = [self.scores_of(name) for name in names]
        return [statistics.fmean(column[seed] for column in columns) for seed in range(self.num_seeds)]

    @property
    def seconds(self) -> float:
        """All runs together."""
        return sum(one.seconds for one in self.measured.values())


def measure(
    part: Part,
    summaries: Sequence[Mapping[str, Any]],
    rows: Sequence[Sequence[Mapping[str, Any]]],
) -> Measured:
    """What the runs of one cell on one task say; one run a learning rate.

    Args:
        part: the task.
        summaries: those of the runs.
        rows: the lines of metrics of each run; the last of the validation split are those of its end.

    Raises:
        Fault: a run is longer than the suite asks for, such as one of an earlier budget in the same folder.
    """
    test, validation, losses = {}, {}, {}
    for summary in summaries:
        if summary["num_updates"] > part.updates:  # fewer are those of a run that ended because all was lost
            raise Fault(f"--out: a run has {summary['num_updates']} updates, {part.name} has {part.updates}")
    for summary, lines in zip(summaries, rows, strict=True):
        rate, baseline = float(summary["config"]["learning_rate"]), summary["baseline"]
        of_test = summary["test"] if part.test_length is None else summary["lengths"][str(part.test_length)]
        test[rate] = [part.score.of(value, baseline) for value in of_test[part.score.metric]["seeds"]]
        ends = [
            [row for row in lines if row["split"] == "validation" and row["seed_index"] == index][-1]
            for index in range(len(test[rate]))
        ]
        validation[rate] = [part.score.of(row[part.score.metric], baseline) for row in ends]
        known = [row["loss"] for row in ends]
        losses[rate] = None if None in known else statistics.fmean(known)
    return Measured(
        choose(validation, losses),
        test,
        validation,
        losses,
        max(summary["num_updates"] for summary in summaries),
        round(sum(summary["wall_seconds"] for summary in summaries), 1),
        summaries[0]["num_parameters"],
    )


def choose(validation: Mapping[float, Sequence[float]], losses: Mapping[float, float | None]) -> float:
    """The learning rate of the best mean validation score; of equal ones that of the smallest loss.

    >>> choose({1e-3: [0.5, 0.7], 3e-3: [0.9, 0.1]}, {1e-3: 1.0, 3e-3: 0.1})
    0.001
    >>> choose({1e-3: [0.0, 0.0], 3e-3: [0.0, 0.0]}, {1e-3: 1.0, 3e-3: 0.1})
    0.003
    """

    def goodness(rate: float) -> tuple[float, float]:
        loss = losses[rate]
        return statistics.fmean(validation[rate]), float("-inf") if loss is None else -loss

    return max(validation, key=goodness)


def as_json(result: Result) -> dict[str, Any]:
    """A result as plain values; a learning rate is a text there."""

    def by_rate(values: Mapping[float, Any]) -> dict[str, Any]:
        return {str(rate): value for rate, value in values.items()}

    tasks: dict[str, Any] = {
        name: {
            **dataclasses.asdict(one),
            **{field: by_rate(getattr(one, field)) for field in ("test", "validation", "losses")},
        }
        for name, one in result.measured.items()
    }
    tasks |= {name: {"refused": why} for name, why in result.refused.items()}
    tasks |= {name: {"failed": why} for name, why in result.failed.items()}
    own = {"cell": result.cell, "suite": result.suite, "digest": result.digest, "num_seeds": result.num_seeds}
    source = {} if result.source_sha256 is None else {"source_sha256": result.source_sha256}
    return {**own, **source, "tasks": tasks, "environment": result.environment}


def from_json(content: Mapping[str, Any]) -> Result:
    """The inverse of `as_json`; KeyError, TypeError, AttributeError or ValueError where it is none."""
    measured, refused, failed = {}, {}, {}
    for name, one in content["tasks"].items():
        if "refused" in one or "failed" in one:
            (refused if "refused" in one else failed)[name] = one.get("refused", one.get("failed"))
            continue
        tables = {
            field: {float(rate): value for rate, value in one[field].items()}
            for field in ("test", "validation", "losses")
        }
        measured[name] = Measured(**{**one, **tables})
    known = {name: content[name] for name in ("cell", "suite", "digest", "num_seeds", "environment")}
    return Result(
        **known, measured=measured, refused=refused, failed=failed, source_sha256=content.get("source_sha256")
    )


def read(path: Path) -> Result:
    """The result in a file; Fault where it is none."""
    content = read_json(path)
    try:
        return from_json(content)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise Fault(f"{path} is not the result of a suite: {type(error).__name__}: {error}") from error


def below(folder: Path, pattern: str, suite: Suite) -> dict[str, Result]:
    """The results in files that match, by cell: those of this very suite, whatever else lies there."""
    found = [read(path) for path in sorted(folder.glob(pattern))]
    return {result.cell: result for result in found if result.digest == suite.digest}


def committed(suite: Suite) -> dict[str, Result]:
    """The committed results by cell."""
    return below(COMMITTED / suite.name, "*.json", suite)


def in_folder(out: Path, suite: Suite) -> dict[str, Result]:
    """The results below the folder of a suite's runs, by cell."""
    return below(out, f"*/{RESULT}", suite)


def folder_name(spec: CellSpec) -> str:
    """A cell as the name of a folder or a file; a cell of one's own that was edited is another one."""
    name = grids.folder_names([cell_names.label(spec)])[0]
    return name if spec.source_sha256 is None else f"{name}-{spec.source_sha256[:8]}"


def write(result: Result, path: Path) -> None:
    """Write a result at one stroke."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, as_json(result))


def keep(result: Result, name: str) -> Path:
    """Put a result among the committed ones, in a file of the given name; where it is now."""
    path = COMMITTED / result.suite / f"{name}.json"
    write(result, path)
    json.loads(path.read_text(encoding="utf-8"))
    return path
