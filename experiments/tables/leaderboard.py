"""The leaderboard of the docs: the committed results of the suite ``core`` as tables, sentences and a picture."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from experiments.suite import board, picture, ranks, results, sentences, suites
from experiments.suite.base import Part, Suite
from experiments.suite.scores import Accuracy
from experiments.tables.ways import DOCS, markdown

SUITE = suites.SUITES["core"]
PICTURE = DOCS / picture.PICTURE
NOT_YET = "not measured yet"


def cells_table(suite: Suite = SUITE) -> str:
    """Rank, mean score, rank by seed, family and score on each task; then the cells without a result."""
    names = board.names_of(suite)
    known = results.committed(suite)
    placed = ranks.placed(known.values(), names)
    lines = []
    for one in placed:
        entries = board.row(one, names)
        family = sentences.family_of(one.result.cell)
        own = [entries["rank"], f"`{one.result.cell}`", family, entries["mean"], entries["rank by seed"]]
        lines.append([*own, *(entries[name] for name in names)])
    unable = [cell for cell, result in known.items() if not result.measured]
    others = [(cell, "runs none of the tasks") for cell in unable]
    others += [(cell, NOT_YET) for cell in board.missing(known)]
    lines += [
        ["", f"`{cell}`", sentences.family_of(cell), why, "", *("" for _ in names)] for cell, why in others
    ]
    return markdown(("rank", "cell", "family", "mean score", "rank by seed", *names), lines)


def families_list(suite: Suite = SUITE) -> str:
    """What each family learns and does not learn, one item a family; and what could not be run."""
    known = list(results.committed(suite).values())
    told = sentences.of_families(known, board.names_of(suite)) or ["No cell has been measured yet."]
    return "\n".join(f"- {text}" for text in [*told, *board.reasons(known)])


def tasks_table(suite: Suite = SUITE) -> str:
    """What each task asks, with its experiment, its updates, and what scores 0."""
    rows = (
        (part.name, part.asks, f"`{part.experiment} {part.flags}`", f"{part.updates:,}", zero(part))
        for part in suite.parts
    )
    return markdown(("task", "asked for", "experiment and flags", "updates", "score 0"), rows)


def zero(part: Part) -> str:
    """What a score of 0 stands for.

    >>> zero(SUITE.parts[0]), zero(SUITE.parts[1])
    ('mse of the best constant', 'recall accuracy 0.125')
    """
    name = part.score.metric.replace("_", " ")
    if isinstance(part.score, Accuracy):
        return f"{name} {part.score.chance:.3g}"
    return f"{name} of the best constant"


def setting(suite: Suite = SUITE) -> str:
    """What all runs share, and what the committed ones were computed with."""
    known = results.committed(suite).values()
    devices = sorted(
        {
            f"{result.environment['device_kind']} ({result.environment['num_cores']} cores)"
            for result in known
            if result.environment
        }
    )
    rates = " and ".join(f"{rate:g}" for rate in suite.rates)
    count = sum(1 for result in known if result.measured)
    return (
        f"Suite `{suite.name}`, digest `{suite.digest}`: {len(suite.parts)} tasks, `{suite.shared}`, Adam at {rates}, "
        f"{suite.num_seeds} seeds. Cells measured: {count}. Computed on: {', '.join(devices) or 'nothing yet'}."
    )


def draw(path: Path = PICTURE, suite: Suite = SUITE) -> list[Path]:
    """The heat map of the committed results; where it is, or nothing where no cell was measured."""
    names = board.names_of(suite)
    placed = ranks.placed(results.committed(suite).values(), names)
    if not placed:
        return []
    picture.draw(placed, names, path)
    return [path]


def picture_line(suite: Suite = SUITE) -> str:
    """The picture of the page, where there is one."""
    known = results.committed(suite).values()
    if not any(result.measured for result in known):
        return "No cell has been measured yet; the picture comes with the first."
    return f"![Cells against tasks, the best cell first]({picture.PICTURE})"


TABLES: dict[str, Callable[[], str]] = {
    "leaderboard": partial(cells_table, SUITE),
    "leaderboard_families": partial(families_list, SUITE),
    "leaderboard_tasks": partial(tasks_table, SUITE),
    "leaderboard_picture": partial(picture_line, SUITE),
    "leaderboard_setting": partial(setting, SUITE),
}
