"""``python -m experiments reproduce``: the published numbers again, each by its command, and what came of each kept."""

import dataclasses
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from experiments.errors import FAILED, Fault, nearest
from experiments.lab import arguments, cli, estimates, planning
from experiments.lab.cli import Request
from experiments.lab.plan import configs, grids
from experiments.lab.plan.experiment import Experiment
from experiments.lab.plan.finding import load_experiment, names
from experiments.lab.storage import folders, summaries
from experiments.tables import keeping, provenance, published

USAGE = "reproduce [NAME ...] [--preset smoke] [--out DIR] [--plan] [--keep]"
OUT = Path("runs") / "reproduce"
SMOKE = "smoke"
SIGNALS = 128
"""An exit code above it is that of a signal."""


@dataclasses.dataclass(frozen=True)
class Chosen:
    """One run to be made: its label, the words behind its experiment's command, and its place below the folder of all.

    ``name`` is what its summary is kept as: None for the name of its folder; ``keeps`` says whether it is kept at all.
    """

    label: str
    experiment: str
    words: tuple[str, ...]
    place: Path
    name: str | None
    keeps: bool

    def load(self) -> tuple[Experiment, Request]:
        """Its experiment, and what it asks for; Fault where that cannot be."""
        experiment = load_experiment(self.experiment)
        return experiment, cli.parse(experiment, self.words)


def main(argv: Sequence[str]) -> int:
    """The command line; the exit code is 1 where a run failed, which stops no other.

    Raises:
        Fault: a name or a flag is not known.
    """
    rest = list(argv)
    out = Path((arguments.take(rest, "--out") or [str(OUT)])[0])
    preset = arguments.take(rest, "--preset")
    only_plan, keep = (arguments.switch(rest, flag) for flag in ("--plan", "--keep"))
    unknown = [word for word in rest if word.startswith("--")]
    if unknown:
        raise Fault(f"{unknown[0]}: unknown flag (expected {USAGE})")
    if preset is not None and preset != [SMOKE]:
        raise Fault(
            f"--preset: expected {SMOKE}, got {preset[0]!r}; without it every row runs as its file says"
        )
    chosen = of_experiments(rest, keep) if preset else of_rows(rest, published.load())
    if only_plan:
        return plan(chosen, out)
    if any(one.keeps for one in chosen):
        _warn_of_changes()
    return carry_out(chosen, out)


def of_rows(asked: Sequence[str], papers: Sequence[published.Paper]) -> list[Chosen]:
    """The runs of rows and papers by name; without a name, of all that have some.

    Raises:
        Fault: a name is neither, or there is no run of it.
    """
    known = {row.name: [row] for paper in papers for row in paper.rows}
    known |= {paper.stem: list(paper.rows) for paper in papers}
    for name in asked:
        if name not in known:
            raise Fault(
                f"reproduce: no published number and no paper is called {name!r}{nearest(name, known)} "
                "(RESULTS.md names them)"
            )
        if not any(row.runs for row in known[name]):
            raise Fault(f"reproduce: {name} has no run here; its file says which numbers there are")
    rows = [row for name in asked or [paper.stem for paper in papers] for row in known[name]]
    return [
        Chosen(
            label=f"{row.name}, {run.name}",
            experiment=run.experiment.name,
            words=tuple(run.words),
            place=Path(row.name) / run.slug,
            name=row.kept_as(run),
            keeps=True,
        )
        for row in dict.fromkeys(rows)
        for run in row.runs
    ]


def of_experiments(asked: Sequence[str], keep: bool) -> list[Chosen]:
    """The smallest run of experiments by name, with their first cell; without a name, of every experiment."""
    return [
        Chosen(
            label=experiment.name,
            experiment=experiment.name,
            words=(SMOKE, "--cell", experiment.cells[0]),
            place=Path(SMOKE) / experiment.name,
            name=None,
            keeps=keep,
        )
        for experiment in map(load_experiment, asked or names())
    ]


def plan(chosen: Iterable[Chosen], out: Path) -> int:
    """Print what would run, and for how many minutes; the exit code."""
    lines, code = [], 0
    for one in chosen:
        try:
            experiment, request = one.load()
            for config, folder in _places(experiment, request, out / one.place):
                lines.append(estimates.line(one.label, experiment, config, folder))
        except Fault as fault:
            code = _failed(one, fault)
    print(estimates.table(lines))
    return code


def _places(experiment: Experiment, request: Request, out: Path) -> list[tuple[configs.Config, Path]]:
    labels = grids.labels(request.configs)
    asked = dict(zip(labels, request.configs, strict=True))
    places = planning.find_places(out, experiment, asked, grids.folder_names(labels))
    return [(config, place.folder) for config, place in zip(request.configs, places, strict=True)]


def carry_out(chosen: Sequence[Chosen], out: Path) -> int:
    """Make one run after another and keep what ended; the exit code. What has ended is not trained again."""
    failed = []
    for number, one in enumerate(chosen, 1):
        print(
            f"\n[{number} of {len(chosen)}] {one.label}: {one.experiment} {' '.join(one.words)}", flush=True
        )
        try:
            experiment, request = one.load()
            code = cli.main(experiment, [*one.words, "--out", str(out / one.place)])
            if code > SIGNALS:
                return code
            if code:
                failed.append(one.label)
            if one.keeps:
                for _, folder in _places(experiment, request, out / one.place):
                    if (folder / folders.SUMMARY).exists():  # a lost network has one, too, and it is told
                        print(f"kept: {keeping.keep(folder, one.name, below=out)}")
        except Fault as fault:
            _failed(one, fault)
            failed.append(one.label)
    failed = list(dict.fromkeys(failed))
    print(f"\n{len(chosen) - len(failed)} of {len(chosen)} runs are as asked for, below {out}")
    if failed:
        print(f"error: reproduce: {len(failed)} failed: {'; '.join(failed)}", file=sys.stderr)
    return FAILED if failed else 0


def _failed(one: Chosen, fault: Fault) -> int:
    print(f"error: {one.label}: {fault}", file=sys.stderr)
    return FAILED


def _warn_of_changes() -> None:
    """Say before hours of training, and not behind them, that nothing of it can be kept."""
    try:
        provenance.Tree.at(summaries.commit())
    except Fault as fault:
        print(f"warning: what is run now cannot be kept: {fault}", file=sys.stderr)
