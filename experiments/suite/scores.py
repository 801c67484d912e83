"""What a score is: 0 for the baseline that a task derives, 1 for no error. The one place that says so.

A task that counts right answers: (accuracy - chance) / (1 - chance), where chance is the accuracy of the best answer
that knows no input. A task that measures an error: 1 - mse / baseline, where the baseline is the error of the best
answer that knows no input, in closed form or from long sequences; each task's docstring derives it. What is worse than
the baseline is 0. A network that was lost to numbers that are not finite is 0 too.
"""

import dataclasses
import math
from typing import Protocol


class Score(Protocol):
    """How a metric of a network becomes a number in [0, 1]."""

    @property
    def metric(self) -> str:
        """Its name among the metrics of the task."""
        ...

    def of(self, value: float | None, baseline: float) -> float:
        """The score of a value of the metric, where ``baseline`` is the loss that the task derives."""
        ...


@dataclasses.dataclass(frozen=True)
class Accuracy:
    """A share of right answers, above ``chance``.

    >>> [Accuracy("accuracy", chance=0.5).of(value, 0.0) for value in (0.25, 0.5, 0.75, 1.0)]
    [0.0, 0.0, 0.5, 1.0]
    """

    metric: str
    chance: float

    def of(self, value: float | None, baseline: float) -> float:
        """The score of an accuracy; None, of a network that was lost, is 0."""
        del baseline  # it is the loss of the task, a cross-entropy
        return _clipped(None if value is None else (value - self.chance) / (1 - self.chance))


@dataclasses.dataclass(frozen=True)
class Error:
    """An error, in parts of the baseline.

    >>> [Error("mse").of(value, baseline=0.5) for value in (0.0, 0.125, 0.5, 2.0)]
    [1.0, 0.75, 0.0, 0.0]
    """

    metric: str

    def of(self, value: float | None, baseline: float) -> float:
        """The score of an error; None, of a network that was lost, is 0."""
        return _clipped(None if value is None else 1 - value / baseline)


def _clipped(score: float | None) -> float:
    return min(max(score, 0.0), 1.0) if score is not None and math.isfinite(score) else 0.0
