"""``python -m experiments suite NAME``: run a cell through a suite, and place it among those that were."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from experiments.errors import FAILED, Fault, nearest, unheard_too
from experiments.lab import arguments
from experiments.lab.plan import cell_names, machine
from experiments.lab.storage import summaries
from experiments.suite import board, picture, ranks, results, suites
from experiments.suite.base import Suite
from experiments.suite.results import Result
from experiments.suite.run import How, run_cell
from experiments.suite.sentences import family_of

USAGE = "suite {core, all, smoke} [--cell NAME ...] [--out DIR] [--plan] [--keep] [--device DEVICE] [--no-progress]"
SWITCHES = ("--plan", "--keep", "--no-progress", "--on-this-machine")
COMPILING = 23.0
"""Seconds a task of an LSTM beside its updates, mostly compilation: measured on one core, for the compiler uses one."""


@dataclasses.dataclass(frozen=True)
class Request:
    """A command line, understood. ``words`` are the cells as they were typed, by their labels."""

    suite: Suite
    words: dict[str, str]
    how: How
    only_plan: bool
    keep: bool


def main(argv: Sequence[str]) -> int:
    """The command line; 1 where runs have failed.

    Raises:
        Fault: a word is unknown, or a signal has ended a run.
    """
    request = parse(argv)
    if request.only_plan:
        print(plan(request))
        return 0
    machine.start(request.how.device)  # what is refused, is refused before the first cell
    with unheard_too():
        return _run(request)


def parse(argv: Sequence[str]) -> Request:
    """The words of a command line.

    Raises:
        Fault: one is unknown, or a cell is.
    """
    rest = list(argv)
    if not rest or rest[0].startswith("-"):
        raise Fault(f"suite: expected one of {', '.join(suites.SUITES)} (expected {USAGE})")
    suite = suites.find(rest.pop(0))
    written = arguments.take(rest, "--cell", many=True)
    out = arguments.take(rest, "--out")
    device = (arguments.take(rest, "--device") or ["auto"])[0].lower()
    device = machine.ALIASES.get(device, device)
    if device not in machine.PLATFORMS:
        raise Fault(f"--device: expected one of {', '.join(machine.PLATFORMS)}, got {device!r}")
    only_plan, keep, quiet, on_this_machine = (arguments.switch(rest, flag) for flag in SWITCHES)
    if rest:
        hint = nearest(rest[0], ["--cell", "--out", "--device", *SWITCHES])
        raise Fault(f"{rest[0]}: unknown argument{hint} (expected {USAGE})")
    words: dict[str, str] = {}
    for word in written or board.missing(results.committed(suite)):
        label = cell_names.label(cell_names.parse_cell(word))
        if label in words:
            raise Fault(f"--cell: {label} is given twice")
        words[label] = word
        if keep and cell_names.parse_cell(word).is_foreign:
            raise Fault(f"--keep: {label} is no cell of the library; its result stays below --out")
    place = Path(out[0]) if out else Path("runs") / "suite" / suite.name
    return Request(suite, words, How(place, device, on_this_machine, not quiet), only_plan, keep)


def _stored(request: Request, word: str) -> Result | None:
    """The result of a cell below the folder of the suite; None where runs are missing or have failed."""
    path = request.how.out / results.folder_name(cell_names.parse_cell(word)) / results.RESULT
    if not path.exists():
        return None
    found = results.read(path)
    return found if found.digest == request.suite.digest and not found.failed else None


def _run(request: Request) -> int:
    made: dict[str, Result] = {}
    for number, (label, word) in enumerate(request.words.items(), start=1):
        found = _stored(request, word)
        print(
            f"{label} ({number} of {len(request.words)}){'' if found is None else ': measured already'}",
            flush=True,
        )
        made[label] = found or run_cell(request.suite, word, request.how)
        if request.keep and not made[label].failed:
            kept = results.keep(made[label], results.folder_name(cell_names.parse_cell(word)))
            print(f"kept: {kept}")
    print(*report(request, made), sep="\n")
    return FAILED if any(result.failed for result in made.values()) else 0


def report(request: Request, made: dict[str, Result]) -> list[str]:
    """The leaderboard as lines, with the cells of this call marked; the picture is written beside the runs."""
    suite, out = request.suite, request.how.out
    known = {**results.committed(suite), **results.in_folder(out, suite), **made}
    names = board.names_of(suite)
    placed = ranks.placed(known.values(), names)
    lines = [""]
    if placed:
        rows = [board.row(one, names) for one in placed]
        lines += [summaries.render([{**one, "cell": _marked(one["cell"], made)} for one in rows]), ""]
        lines += (
            [f"* of this call; {len(placed)} cells were measured at this budget (suite {suite.digest})"]
            if made
            else []
        )
    lines += [
        f"{one.result.cell}: rank {ranks.shown(one.rank)} of {len(placed)}, mean score {one.score:.3f}, "
        f"rank by seed {board.spread(one)}"
        for one in placed
        if one.result.cell in made
    ]
    lines += board.reasons(list(made.values()))
    if placed and out.is_dir():
        picture.draw(placed, names, out / picture.PICTURE, list(made))
        lines += [f"picture: {out / picture.PICTURE}"]
    if not request.words:
        lines += [f"every cell of the library has a committed result of suite {suite.name}"]
    return lines


def _marked(cell: str, made: dict[str, Result]) -> str:
    return f"{cell} *" if cell in made else cell


def plan(request: Request) -> str:
    """One line a cell: its family, its runs that are missing, and the minutes that an LSTM would need for them."""
    suite, rows, total = request.suite, [], 0.0
    per_run = sum(part.seconds for part in suite.parts) / len(suite.parts)
    for label, word in request.words.items():
        place = request.how.out / results.folder_name(cell_names.parse_cell(word))
        ended = suite.num_runs if _stored(request, word) else len(list(place.glob("*/*/summary.json")))
        left = max(suite.num_runs - ended, 0)
        minutes = left * (per_run + COMPILING / len(suite.rates)) / 60
        total += minutes
        rows.append(
            {
                "cell": label,
                "family": family_of(label),
                "runs": f"{left} of {suite.num_runs}",
                "minutes": f"{minutes:.1f}",
            }
        )
    table = (
        summaries.render(rows)
        if rows
        else f"every cell of the library has a committed result of suite {suite.name}"
    )
    tasks = ", ".join(f"{part.name} ({part.updates} updates)" for part in suite.parts)
    rates = ", ".join(map(str, suite.rates))
    cells = "1 cell" if len(rows) == 1 else f"{len(rows)} cells"
    return (
        f"{table}\n\ntasks: {tasks}\nlearning rates: {rates}; {suite.num_seeds} seeds in one program\n"
        f"{cells}, about {total:.0f} minutes on two cores if each is as fast as an LSTM; nothing was trained"
    )
