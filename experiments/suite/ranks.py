"""Ranks of cells by their mean score, seed by seed: a rank, and how far it moves from seed to seed."""

import dataclasses
import statistics
from collections.abc import Iterable, Sequence

from experiments.suite.results import Result

DIGITS = 6  # scores that agree so far are a tie: what is left is rounding


@dataclasses.dataclass(frozen=True)
class Placed:
    """A cell among others: its mean score, its rank by that, and its rank by the scores of each seed alone."""

    result: Result
    score: float
    rank: float
    by_seed: tuple[float, ...]

    @property
    def mean_rank(self) -> float:
        """The mean of the ranks by seed."""
        return statistics.fmean(self.by_seed)


def ranks(scores: Sequence[float]) -> list[float]:
    """The rank of each score, 1 for the largest; equal ones share the mean of their places.

    >>> ranks([0.5, 0.9, 0.5, 0.1])
    [2.5, 1.0, 2.5, 4.0]
    """
    rounded = [round(score, DIGITS) for score in scores]
    ordered = sorted(rounded, reverse=True)
    return [
        statistics.fmean(place for place, other in enumerate(ordered, start=1) if other == score)
        for score in rounded
    ]


def placed(results: Iterable[Result], names: Sequence[str]) -> list[Placed]:
    """All cells that ran at least one of the tasks ``names``, the best first; equal ones by their names.

    A task that a cell does not run counts 0.
    """
    ran = [result for result in results if result.measured]
    means = [result.means(names) for result in ran]
    scores = [statistics.fmean(of_seeds) for of_seeds in means]
    overall = ranks(scores)
    of_seeds = [ranks(column) for column in zip(*means, strict=True)]
    found = [
        Placed(result, score, rank, tuple(column[index] for column in of_seeds))
        for index, (result, score, rank) in enumerate(zip(ran, scores, overall, strict=True))
    ]
    return sorted(found, key=lambda one: (one.rank, one.result.cell))


def shown(rank: float) -> str:
    """A rank as a text.

    >>> shown(2.0), shown(2.5)
    ('2', '2.5')
    """
    return f"{rank:.1f}".removesuffix(".0")
