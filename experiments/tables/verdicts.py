"""Whether a published number was reproduced: a rule on numbers, fixed before the runs that it judges."""

import dataclasses
import math
import statistics
from collections.abc import Sequence
from typing import Literal

from scipy import stats

__all__ = ["FACTOR", "MIN_SCORES", "MIN_TRIALS", "Score", "Solving", "Verdict"]

Verdict = Literal["reproduced", "partly", "not reproduced", "undecided"]

MIN_TRIALS = 10
"""Fewer trials say nothing about a share of solved ones."""
MIN_SCORES = 5
"""Fewer seeds say nothing about a mean score."""
FACTOR = 2.0
"""How far a mean number of sequences or updates may be from the published one, either way."""
PART = 0.1
"""How far a mean score may be from the published one, as a part of that one's distance from the baseline."""
CONFIDENCE = 0.95


@dataclasses.dataclass(frozen=True)
class Solving:
    """A published number of sequences or updates until the paper's own criterion held.

    ``published`` is its mean over solved trials, ``share`` the part of the trials that were solved.
    """

    published: float
    share: float = 1.0

    def verdict(self, trials: Sequence[float | None], *, is_reduced: bool = False) -> Verdict:
        """The verdict on one number a trial, None where a trial was not solved.

        reproduced: the exact 95 % interval of the share of solved trials holds the published share or lies above it,
        and the mean over solved trials is within a factor 2 of the published one. partly: the first alone, or both at a
        reduced setting. undecided: fewer than ten trials.

        >>> Solving(1000).verdict([900.0] * 10), Solving(1000).verdict([900.0] * 5 + [None] * 5)
        ('reproduced', 'not reproduced')
        >>> Solving(1000).verdict([100.0] * 10), Solving(1000).verdict([900.0] * 9)
        ('partly', 'undecided')
        """
        if len(trials) < MIN_TRIALS:
            return "undecided"
        solved = [number for number in trials if number is not None]
        if not solved or self.interval(len(solved), len(trials))[1] < self.share:
            return "not reproduced"
        ratio = statistics.fmean(solved) / self.published
        return "reproduced" if 1 / FACTOR <= ratio <= FACTOR and not is_reduced else "partly"

    @staticmethod
    def interval(solved: int, trials: int) -> tuple[float, float]:
        """The exact interval of a share (Clopper & Pearson, 1934), at 95 %.

        >>> [round(end, 3) for end in Solving.interval(9, 10)]
        [0.555, 0.997]
        """
        found = stats.binomtest(solved, trials).proportion_ci(CONFIDENCE, method="exact")
        return float(found.low), float(found.high)


@dataclasses.dataclass(frozen=True)
class Score:
    """A published score, and that of a predictor which learned nothing, in the same unit."""

    published: float
    baseline: float

    def verdict(self, trials: Sequence[float | None], *, is_reduced: bool = False) -> Verdict:
        """The verdict on one score a seed, None where a network was lost.

        reproduced: the mean is within two standard errors of the published one, or within a tenth of the published
        one's distance from the baseline. partly: that, at a reduced setting. undecided: fewer than five seeds.

        >>> Score(0.90, 0.10).verdict([0.83, 0.84, 0.85, 0.84, 0.83])
        'reproduced'
        >>> Score(0.90, 0.10).verdict([0.5] * 5), Score(0.90, 0.10).verdict([0.9] * 4)
        ('not reproduced', 'undecided')
        """
        if len(trials) < MIN_SCORES:
            return "undecided"
        scores = [score for score in trials if score is not None and math.isfinite(score)]
        if len(scores) < len(trials):
            return "not reproduced"
        error = statistics.stdev(scores) / len(scores) ** 0.5
        allowed = max(2 * error, PART * abs(self.published - self.baseline))
        if abs(statistics.fmean(scores) - self.published) > allowed:
            return "not reproduced"
        return "partly" if is_reduced else "reproduced"
