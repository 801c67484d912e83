"""Fair sizes: what ``--match`` takes, and the search for the hidden size that it asks for."""

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

KINDS = ("parameters", "state")
LARGEST = 8192
"""The largest hidden size that is tried."""

EXAMPLE = "parameters=50000 or state=128"


class Goal(NamedTuple):
    """What is counted, one of `KINDS`, and how many there may be."""

    kind: str
    number: int


class Size(NamedTuple):
    """A hidden size, and the count that it comes to."""

    hidden_size: int
    count: int


class Search(NamedTuple):
    """What a search found; None where no size is accepted. ``exceeded``: some larger size has more than the goal."""

    size: Size | None
    exceeded: bool


def parse(text: str) -> Goal:
    """What ``parameters=50000`` stands for.

    Raises:
        ValueError: it is no such word, or the number is not positive.

    >>> parse("state=1_000")
    Goal(kind='state', number=1000)
    """
    found = re.fullmatch(r"\s*(\w+)\s*=\s*(\d[\d_]*)\s*", text, re.ASCII)
    if found is None or found[1] not in KINDS or int(found[2].replace("_", "")) < 1:
        raise ValueError(f"--match: expected {EXAMPLE}, with a positive integer, got {text!r}")
    return Goal(found[1], int(found[2].replace("_", "")))


def label(goal: Goal) -> str:
    """How a configuration spells a goal; the inverse of `parse`.

    >>> label(parse("parameters=50_000"))
    'parameters=50000'
    """
    return f"{goal.kind}={goal.number}"


def search(count: Callable[[int], int | None], goal: int) -> Search:
    """The largest hidden size in 1..`LARGEST` whose count is at most ``goal``, or the smallest where all have more.

    ``count(hidden_size)`` is None where that size is refused (heads must divide it, say), and otherwise grows with the
    size. Sizes are doubled until one has too much, then halved in between, so that few of them are counted, and none
    that is much larger than the answer. Next to a size that is refused, the nearest one below it is tried.

    >>> search(lambda size: size * size if size % 4 == 0 else None, 150)
    Search(size=Size(hidden_size=12, count=144), exceeded=True)
    """
    known: dict[int, int | None] = {}

    def first(sizes: Iterator[int]) -> Size | None:
        """The first of these that is accepted."""
        for size in sizes:
            if size not in known:
                known[size] = count(size)
            found = known[size]
            if found is not None:
                return Size(size, found)
        return None

    best = first(iter(range(1, LARGEST + 1)))
    if best is None or best.count > goal:
        return Search(best, best is not None)
    bound, exceeded = LARGEST + 1, False
    while True:
        low = best.hidden_size
        target = (low + bound) // 2 if exceeded else min(2 * low, bound - 1)
        tried = first(_from(target, low, bound))
        if tried is None:
            return Search(best, exceeded)
        if tried.count <= goal:
            best = tried
        else:
            bound, exceeded = tried.hidden_size, True


def _from(target: int, low: int, bound: int) -> Iterator[int]:
    """All sizes between ``low`` and ``bound``, both exclusive: from ``target`` down, then up."""
    yield from range(target, low, -1)
    yield from range(target + 1, bound)
