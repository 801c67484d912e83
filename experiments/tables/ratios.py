"""The picture of RESULTS.md: what was measured, divided by what was published, every trial a dot."""

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from experiments.lab.pictures.base import literal, save, subplots
from experiments.tables.outcomes import Outcome
from experiments.tables.reproduced import VERDICTS, ratios
from experiments.tables.verdicts import FACTOR

COLOURS = dict(zip(VERDICTS, ("#1b7f3b", "#d98a00", "#c22f2f", "#6b6b6b"), strict=True))
TICKS = (0.01, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 10.0, 100.0)


def draw(outcomes: Sequence[Outcome], path: Path) -> Path | None:
    """One line a run that was measured, in the order given; where the picture is, None where there is none.

    A bar is the mean over the trials that have a number. The band is a factor `FACTOR` either way. Where no trial was
    solved, words stand in the place of dots.
    """
    found = [one for one in outcomes if one.summary is not None]
    if not found:
        return None
    figure, drawn = subplots(1, 1, figsize=(9.5, 1.6 + 0.34 * len(found)), layout="constrained")
    axes: Any = drawn
    axes.axvspan(1 / FACTOR, FACTOR, color="black", alpha=0.08, lw=0, label=f"within a factor {FACTOR:g}")
    axes.axvline(1.0, color="black", lw=0.9)
    seen = set()
    for index, one in enumerate(found):
        verdict, numbers = one.verdict, ratios(one)
        assert verdict is not None, "it was measured"
        name = None if verdict in seen else verdict
        seen.add(verdict)
        shade = COLOURS[verdict]
        if not numbers:
            words = "no trial was solved" if one.counts else "no ratio: a number is not above 0"
            axes.text(
                1.0, index, words, color=shade, ha="center", va="center", fontsize=8, backgroundcolor="white"
            )
            axes.plot([], [], "o", color=shade, ms=6, alpha=0.5, mew=0, label=name)
            continue
        axes.plot(numbers, [index] * len(numbers), "o", color=shade, ms=6, alpha=0.5, mew=0, label=name)
        axes.plot([statistics.fmean(numbers)], [index], "|", color=shade, ms=16, mew=2.5)
    axes.set_xscale("log")
    every = [number for one in found for number in ratios(one)]
    low, high = min([0.4, *every]) / 1.15, max([2.5, *every]) * 1.15
    axes.set_xlim(low, high)
    ticks = [tick for tick in TICKS if low <= tick <= high]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.set_yticks(range(len(found)), [_label(one) for one in found], fontsize=8)
    axes.set_ylim(len(found) - 0.4, -0.6)
    axes.set(xlabel="measured / published", title="a dot a trial that has a number, a bar their mean")
    axes.grid(axis="x", alpha=0.25)
    figure.legend(loc="outside lower center", ncols=5, fontsize=8)
    save(figure, path)
    return path


def _label(one: Outcome) -> str:
    """The run, and how many of its trials were solved where not all were."""
    solved = "" if len(one.numbers) == len(one.trials) else f" [{len(one.numbers)} of {len(one.trials)}]"
    return literal(f"{one.row.name}, {one.run.name}{solved}")
