"""The leaderboard as rows: who is where, what could not be run, and what has not been measured."""

import itertools
from collections.abc import Mapping, Sequence

from experiments.suite.base import Suite
from experiments.suite.ranks import Placed, shown
from experiments.suite.results import Result
from recurrent import registry


def one_of_each_family() -> list[str]:
    """All cells of the library: the first of each family, then the second of each, and so on."""
    families = [[entry.name for entry in entries] for entries in registry.ENTRIES.values()]
    return [name for names in itertools.zip_longest(*families) for name in names if name is not None]


def missing(known: Mapping[str, Result]) -> list[str]:
    """The cells of the library without a result, in the order of `one_of_each_family`."""
    return [name for name in one_of_each_family() if name not in known]


def names_of(suite: Suite) -> list[str]:
    """The names of the tasks of a suite."""
    return [part.name for part in suite.parts]


def spread(placed: Placed) -> str:
    """The mean of the ranks by seed, and their range.

    >>> spread(Placed(None, 0.5, 2.0, (1.0, 3.0, 3.5)))
    '2.5 (1 to 3.5)'
    """
    lowest, highest = min(placed.by_seed), max(placed.by_seed)
    return f"{shown(placed.mean_rank)} ({shown(lowest)} to {shown(highest)})"


def row(placed: Placed, names: Sequence[str]) -> dict[str, str]:
    """A line of the leaderboard: rank, cell, mean score, rank by seed, and the score on each task."""
    scores = {name: placed.result.score_of(name) for name in names}
    return {
        "rank": shown(placed.rank),
        "cell": placed.result.cell,
        "mean": f"{placed.score:.3f}",
        "rank by seed": spread(placed),
        **{name: "-" if score is None else f"{score:.2f}" for name, score in scores.items()},
    }


def reasons(results: Sequence[Result]) -> list[str]:
    """What was not measured, one line a cell and reason."""
    found: dict[tuple[str, str, str], list[str]] = {}
    for result in results:
        for verb, tasks in (("cannot run", result.refused), ("failed at", result.failed)):
            for name, why in tasks.items():
                found.setdefault((result.cell, verb, why), []).append(name)
    return [
        f"{cell} {verb} {', '.join(names)}: {why.removeprefix('--cell: ')}"
        for (cell, verb, why), names in found.items()
    ]
