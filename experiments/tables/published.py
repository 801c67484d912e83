"""The literature's numbers as data, one TOML file a paper in `experiments/published`, and the runs that make them.

A file has a table ``[paper]`` and one ``[[row]]`` a number, each with a ``[[row.run]]`` for every way in which it is
made again here; the fields are those of `Paper`, `Row` and `Run`. Which cell a published model is stands in
``models.toml``, which is no paper.
"""

import dataclasses
import re
import shlex
import tomllib
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import experiments
from experiments.errors import Fault, nearest
from experiments.lab import cli
from experiments.lab.cli import Request
from experiments.lab.plan.experiment import Experiment
from experiments.lab.plan.finding import load_experiment, names
from experiments.tables.verdicts import Score, Solving

FOLDER = Path(experiments.__file__).parent / "published"
OTHERS = ("models.toml",)
"""Files of the folder that are no papers."""
SOLVING = {"sequences": "sequences_to_solve", "updates": "updates_to_solve"}
"""The metrics that count until a trial is solved, and what a summary calls them."""
OVER_LENGTHS = " over lengths"
"""Ends the name of a metric that is averaged over the further lengths of a run (``--test-lengths``)."""
BETWEEN = "--"
"""Stands between the name of a row and that of its run in the name of what is kept."""
NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


def is_of_a_row(stem: str) -> bool:
    """Whether a kept summary is called as that of a row and its run are, and not after a cell.

    >>> is_of_a_row("hs97-adding-100--linear-output"), is_of_a_row("hs97_cut-input_gate_bias=--3---6--")
    (True, False)
    """
    return bool(re.fullmatch(f"{NAME.pattern}{BETWEEN}{NAME.pattern}", stem))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Run:
    """One way to make a number again. ``command`` is what stands behind ``python -m experiments.``

    ``differs`` says what differs from the paper, and why. ``reduced``: at a smaller setting than the paper's.
    ``not_counted``: sequences that our count includes and the paper's does not.
    """

    name: str
    command: str
    differs: str
    reduced: bool = False
    not_counted: int = 0

    @property
    def slug(self) -> str:
        """The name of its folder, and of what is kept of it.

        >>> Run(name="linear output", command="hs97.adding", differs="").slug
        'linear-output'
        """
        return re.sub(r"[^a-z0-9]+", "-", self.name.lower()).strip("-")

    @property
    def words(self) -> list[str]:
        """The words and flags behind the name of the experiment."""
        return shlex.split(self.command)[1:]

    @property
    def experiment(self) -> Experiment:
        """Whose run it is."""
        return load_experiment(shlex.split(self.command)[0])

    def request(self) -> Request:
        """What the command asks for; Fault where it cannot be, or where it is not one run."""
        found = cli.parse(self.experiment, self.words)
        if len(found.configs) != 1:
            raise Fault(f"{self.command}: expected one run, it makes {len(found.configs)}; name one cell")
        return found


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
    """One published number.

    ``metric`` is ``sequences`` or ``updates`` until a trial is solved, of which ``share`` is the published part; or a
    test metric of our summaries, ``accuracy`` say, with the ``baseline`` of what has learned nothing, in the unit of
    ``value``. With `OVER_LENGTHS` behind it a metric is the mean over the further lengths of a run. ``verified``: the
    number was read in the source, at ``where``. ``parameters`` are those that the source prints.
    """

    name: str
    benchmark: str
    setting: str
    model: str
    protocol: str
    metric: str
    value: float
    unit: str
    where: str
    verified: bool
    parameters: int | None = None
    share: float | None = None
    baseline: float | None = None
    note: str = ""
    runs: tuple[Run, ...] = ()

    @property
    def rule(self) -> Solving | Score:
        """What judges a run."""
        if self.baseline is None:
            return Solving(self.value, 1.0 if self.share is None else self.share)
        return Score(self.value, self.baseline)

    def kept_as(self, run: Run) -> str:
        """The name under which a run's summary is kept."""
        return f"{self.name}{BETWEEN}{run.slug}"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Paper:
    """A publication and its numbers; ``source`` is an arXiv identifier or a venue, ``stem`` the name of the file."""

    stem: str
    title: str
    authors: str
    year: int
    source: str
    rows: tuple[Row, ...] = ()


def load(folder: Path | None = None) -> list[Paper]:
    """All papers, in the order of their years and files.

    Raises:
        Fault: a file has a wrong key or value, names an experiment that there is not, or has a name twice.
    """
    place = FOLDER if folder is None else folder
    found = [read(path) for path in sorted(place.glob("*.toml")) if path.name not in OTHERS]
    taken: dict[str, str] = {}
    for paper in found:
        for row in paper.rows:
            if row.name in taken:
                raise Fault(
                    f"{paper.stem}.toml: row {row.name}: the name is taken, by {taken[row.name]}.toml"
                )
            taken[row.name] = paper.stem
    return sorted(found, key=lambda paper: (paper.year, paper.stem))


def read(path: Path) -> Paper:
    """The paper of one file.

    Raises:
        Fault: it is not such a file; the line names the file, the row and the key.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise Fault(f"{path.name}: {error}") from error
    for key in content:
        if key not in ("paper", "row"):
            raise Fault(f"{path.name}: unknown key {key!r}{nearest(key, ['paper', 'row'])}")
    rows = tuple(_rows(path.name, _tables(path.name, content, "row"), names()))
    return _made(Paper, path.name, content.get("paper", {}), stem=path.stem, rows=rows)


def _rows(file: str, tables: list[dict[str, Any]], known: list[str]) -> Iterator[Row]:
    seen: set[str] = set()
    for index, table in enumerate(tables):
        where = f"{file}: row {table.get('name', index + 1)}"
        content = {key: value for key, value in table.items() if key != "run"}
        runs = tuple(_made(Run, where, run) for run in _tables(where, table, "run"))
        row = _made(Row, where, content, runs=runs)
        if not NAME.fullmatch(row.name):
            raise Fault(f"{where}: name: expected small letters and digits with - between, got {row.name!r}")
        if row.name in seen:
            raise Fault(f"{where}: the name is given twice")
        seen.add(row.name)
        _check(where, row, known)
        yield row


def _check(where: str, row: Row, known: list[str]) -> None:
    """Fault where two values of a row do not go together, or a run is of none of the ``known`` experiments."""
    if (row.metric in SOLVING) == (row.baseline is not None):
        need = "takes a share, and no baseline" if row.metric in SOLVING else "needs a baseline"
        raise Fault(f"{where}: baseline: {row.metric} {need}")
    if row.share is not None and (row.metric not in SOLVING or not 0 <= row.share <= 1):
        raise Fault(f"{where}: share: expected a number from 0 to 1, of {' or '.join(SOLVING)}")
    if row.metric in SOLVING and row.value <= 0:
        raise Fault(f"{where}: value: expected a number of {row.metric} above 0, got {row.value}")
    slugs = [run.slug for run in row.runs]
    for run in row.runs:
        if not run.slug or slugs.count(run.slug) > 1:
            raise Fault(f"{where}: run {run.name!r}: expected a name of letters that no other run has")
        if run.not_counted < 0 or (run.not_counted and row.metric != "sequences"):
            raise Fault(f"{where}: run {run.name!r}: not_counted: expected a number of sequences")
        try:
            first = shlex.split(run.command)[:1]
        except ValueError as error:
            raise Fault(f"{where}: run {run.name!r}: command: {error}") from error
        if not first or first[0] not in known:
            name = "".join(first)
            raise Fault(
                f"{where}: run {run.name!r}: unknown experiment {name!r}{nearest(name, known)} "
                "(python -m experiments lists them)"
            )


def _tables(where: str, content: dict[str, Any], key: str) -> list[dict[str, Any]]:
    """The tables of a ``[[key]]``; none where there is no such key."""
    found = content.get(key, [])
    if not isinstance(found, list) or not all(isinstance(table, dict) for table in found):
        raise Fault(f"{where}: {key}: expected tables, each below a [[...{key}]]")
    return found


Kind = typing.TypeVar("Kind", Paper, Row, Run)


def _made(kind: type[Kind], where: str, content: Any, **known: Any) -> Kind:
    """A dataclass of a table of a file, every key and type checked; ``known`` are fields that stand elsewhere."""
    if not isinstance(content, dict):
        raise Fault(f"{where}: expected a table [{kind.__name__.lower()}]")
    fields = {field.name: field for field in dataclasses.fields(kind) if field.name not in known}
    values: dict[str, Any] = {}
    for key, value in content.items():
        if key not in fields:
            raise Fault(f"{where}: unknown key {key!r}{nearest(key, fields)}")
        values[key] = _typed(f"{where}: {key}", fields[key].type, value)
    for name, field in fields.items():
        if field.default is dataclasses.MISSING and name not in values:
            raise Fault(f"{where}: {name} is missing")
    return kind(**values, **known)


def _typed(where: str, hint: Any, value: Any) -> Any:
    kinds = [one for one in typing.get_args(hint) or (hint,) if one is not type(None)]
    kind = kinds[0]
    if kind is float and type(value) is int:  # TOML writes 74000 as people do
        return float(value)
    if type(value) is not kind:
        raise Fault(f"{where}: expected {KINDS[kind]}, got {value!r}")
    if kind is str and not value.strip():
        raise Fault(f"{where}: expected words, got none")
    return value


KINDS = {str: "a text", int: "a whole number", float: "a number", bool: "true or false"}
