"""What each family of cells can do and cannot, in sentences made from the scores."""

import dataclasses
import statistics
from collections.abc import Iterable, Mapping, Sequence

from experiments.suite.results import Result
from recurrent import registry

LEARNED = 0.9
"""Score from which on a task counts as learned."""
NOT_LEARNED = 0.05
"""Score up to which a task counts as not learned at all."""


@dataclasses.dataclass(frozen=True)
class Range:
    """The scores of the cells of a family on one task."""

    lowest: float
    mean: float
    highest: float


def family_of(cell: str) -> str:
    """The family of a cell by its label; ``One's own`` for those that the library has not.

    >>> family_of("lstm(forget_bias=5)"), family_of("my_module:MyCell")
    ('Long short-term memory', "One's own")
    """
    name = cell.partition("(")[0]
    found = (
        family for family, entries in registry.ENTRIES.items() if name in [entry.name for entry in entries]
    )
    return next(found, "One's own")


def ranges(results: Sequence[Result], names: Iterable[str]) -> dict[str, Range]:
    """For each task that some of the cells ran, the range of their scores."""
    found = {}
    for name in names:
        scores = [score for result in results if (score := result.score_of(name)) is not None]
        if scores:
            found[name] = Range(min(scores), statistics.fmean(scores), max(scores))
    return found


def sentence(family: str, count: int, found: Mapping[str, Range]) -> str:
    """One family: its mean scores, what all its cells learn, what none of them learns, and what tells them apart.

    >>> found = {"adding": Range(0.95, 0.97, 0.99), "parity": Range(0.0, 0.02, 0.04)}
    >>> print(sentence("Linear", 2, found))
    Linear (2 cells): adding 0.97, parity 0.02. All learn adding (at least 0.95). None learns parity (at most 0.04).
    """
    cells = "1 cell" if count == 1 else f"{count} cells"
    if not found:
        return f"{family} ({cells}): none of the tasks could be run."
    means = ", ".join(f"{name} {one.mean:.2f}" for name, one in found.items())
    learned = [f"{name} (at least {one.lowest:.2f})" for name, one in found.items() if one.lowest >= LEARNED]
    never = [
        f"{name} (at most {one.highest:.2f})" for name, one in found.items() if one.highest <= NOT_LEARNED
    ]
    apart = [
        f"{name} ({one.lowest:.2f} to {one.highest:.2f})"
        for name, one in found.items()
        if one.highest >= LEARNED and one.lowest <= LEARNED / 2
    ]
    who, nobody = ("It learns", "It does not learn") if count == 1 else ("All learn", "None learns")
    parts = [f"{family} ({cells}): {means}."]
    parts += [f"{who} {_listed(learned)}."] if learned else []
    parts += [f"{nobody} {_listed(never)}."] if never else []
    parts += [f"Some learn and others do not: {_listed(apart)}."] if apart else []
    return " ".join(parts)


def _listed(texts: Sequence[str]) -> str:
    """Texts in a row.

    >>> _listed(["a"]), _listed(["a", "b", "c"])
    ('a', 'a, b and c')
    """
    return " and ".join(filter(None, [", ".join(texts[:-1]), texts[-1]]))


def of_families(results: Iterable[Result], names: Sequence[str]) -> list[str]:
    """One sentence or a few for each family of which a cell was measured, in the order of the tables of cells."""
    by_family: dict[str, list[Result]] = {family: [] for family in registry.ENTRIES}
    for result in results:
        by_family.setdefault(family_of(result.cell), []).append(result)
    return [sentence(family, len(own), ranges(own, names)) for family, own in by_family.items() if own]
