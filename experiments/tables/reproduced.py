"""The tables of RESULTS.md: published numbers, what was measured beside each, and the verdict; failures too."""

import statistics
from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial
from typing import get_args

from experiments.tables import provenance, published
from experiments.tables.outcomes import Outcome, outcome, outcomes
from experiments.tables.published import Paper, Row
from experiments.tables.verdicts import Verdict
from experiments.tables.ways import markdown

VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
PICTURE = "docs/reproduced.png"
NOT_YET = "not measured yet"
DIGITS = 12  # of a difference: what lies behind them is rounding
HEAD = ("number", "published", "run", "measured", "solved", "ratio or difference", "verdict")


def verdicts_table() -> str:
    """How many runs have which verdict, and the picture of them where there is one."""
    papers = published.load()
    found = outcomes(papers)
    counted = Counter(one.verdict for one in found if one.verdict is not None)
    stale = sum(bool(provenance.stale(one.summary)) for one in found if one.summary is not None)
    rows = [row for paper in papers for row in paper.rows]
    measured = sum(counted.values())
    line = ", ".join(f"{counted[verdict]} {verdict}" for verdict in VERDICTS)
    lines = [
        f"**Measured runs: {measured}, {line}.** Stale among them, for code that decides their numbers has changed "
        f"since: {stale}. Runs not measured yet: {len(found) - measured}. Published numbers here: {len(rows)}, "
        f"without a run: {sum(not row.runs for row in rows)}."
    ]
    if measured:
        lines.append(f"\n![Measured divided by published, every trial a dot]({PICTURE})")
    return "\n".join(lines)


def paper_table(stem: str) -> str:
    """All rows of one paper in a table, then how each of its runs was made."""
    paper = published.read(published.FOLDER / f"{stem}.toml")
    rows = [line for row in paper.rows for line in paper_lines(row)]
    details = [_details(one) for row in paper.rows for one in map(partial(outcome, row), row.runs)]
    parts = [_cited(paper), markdown(HEAD, rows), *_notes(paper), *details]
    return "\n\n".join(part for part in parts if part)


def _cited(paper: Paper) -> str:
    return f"{paper.authors} ({paper.year}): {paper.title}. {paper.source}."


def paper_lines(row: Row) -> list[tuple[str, ...]]:
    """A row of the table for each run of a number, or one where there is none."""
    read = "" if row.verified else "; **from memory, not read in the source**"
    parameters = "" if row.parameters is None else f", {row.parameters:,} parameters"
    name = f"`{row.name}`: {row.benchmark}, {row.setting}; {row.model}{parameters}"
    number = f"{shown(row.value)} {row.unit}{_share(row)} ({row.where}{read})"
    if not row.runs:
        return [(name, number, "not run here", "", "", "", "")]
    found = [outcome(row, run) for run in row.runs]
    return [
        (name if index == 0 else "", number if index == 0 else "", one.run.name, *_measured(one))
        for index, one in enumerate(found)
    ]


def _share(row: Row) -> str:
    return "" if row.share in (None, 1.0) else f", {row.share:.0%} of the trials solved"


def _measured(one: Outcome) -> tuple[str, ...]:
    if one.summary is None:
        return NOT_YET, "", "", ""
    solved = f"{len(one.numbers)} of {len(one.trials)}" if one.counts else ""
    stale = " (stale)" if provenance.stale(one.summary) else ""
    return _mean(one), solved, compared(one), f"**{one.verdict}**{stale}"


def _mean(one: Outcome) -> str:
    return "none" if one.mean is None else shown(one.mean)


def compared(one: Outcome) -> str:
    """The mean divided by the published count, or its distance from the published score."""
    if one.mean is None:
        return ""
    if one.counts:
        return f"x {one.mean / one.row.value:.2f}"
    difference = round(one.mean - one.row.value, DIGITS) + 0.0  # so that there is no -0
    return f"{difference:+.3g}"


def ratios(one: Outcome) -> list[float]:
    """Every trial's number divided by the published one, where both are above 0."""
    return [number / one.row.value for number in one.numbers if number > 0 and one.row.value > 0]


def _notes(paper: Paper) -> Iterable[str]:
    notes = dict.fromkeys(row.note for row in paper.rows if row.note)
    by_note = {note: [f"`{row.name}`" for row in paper.rows if row.note == note] for note in notes}
    lines = [f"- {', '.join(names)}: {note}" for note, names in by_note.items()]
    return [f"About the published numbers:\n\n{chr(10).join(lines)}"] if lines else []


def _details(one: Outcome) -> str:
    """How a run was made, trial by trial."""
    lines = [f"**`{one.row.name}`, {one.run.name}.** Protocol of the paper: {one.row.protocol}."]
    lines.append(f"- command: `python -m experiments.{one.run.command}`")
    lines.append(f"- differs: {one.run.differs}")
    if one.run.reduced:
        lines.append("- at a smaller setting than the paper's")
    if one.summary is None:
        return "\n".join([f"{lines[0]}\n", *lines[1:], f"- {NOT_YET}"])
    summary, environment = one.summary, one.summary["environment"]
    each = ", ".join("-" if number is None else shown(number) for number in one.trials)
    lines.append(f"- every trial: {each}{_uncounted(one)}")
    lines += [f"- {line}" for line in milestones(one)]
    lines.append(
        f"- {len(one.trials)} trials from seed {summary['config']['seed']}; {summary['num_updates']:,} updates made, "
        f"{summary['config']['num_updates']:,} allowed; {summary['num_parameters']:,} parameters"
    )
    lines.append(
        f"- {summary['wall_seconds']:,.0f} seconds for all trials on {environment['device_kind']}, "
        f"{_cores(environment['num_cores'])}; {_tried(summary.get('settings_tried'))}; code: {provenance.told(summary)}"
    )
    return "\n".join([f"{lines[0]}\n", *lines[1:]])


def _uncounted(one: Outcome) -> str:
    return f" (without {one.run.not_counted:,} sequences each)" if one.run.not_counted else ""


def _cores(count: int) -> str:
    return f"{count} core{'' if count == 1 else 's'}"


def _tried(count: int | None) -> str:
    return "settings tried: not recorded" if count is None else f"settings tried: {count}"


def milestones(one: Outcome) -> list[str]:
    """After how many sequences the parts of a rule first held, where a summary says so."""
    seeds = [seed["milestones"] for seed in (one.summary or {}).get("seeds", []) if seed.get("milestones")]
    lines = []
    for name in dict.fromkeys(name for seed in seeds for name in seed):
        reached = [seed[name] for seed in seeds if seed.get(name) is not None]
        mean = f", after {shown(statistics.fmean(reached))} sequences on average" if reached else ""
        lines.append(f"{MILESTONES.get(name, name)}: {len(reached)} of {len(one.trials)} trials{mean}")
    return lines


MILESTONES = {
    "mean_error": "the mean error of the last sequences was below the rule's",
    "nearly_all": "99 % of the last sequences were right",
}


def shown(number: float) -> str:
    """A number to four digits, a large one in full.

    >>> shown(74000.0), shown(80738.6), shown(0.01234567), shown(5.3e-05)
    ('74,000', '80,739', '0.01235', '5.3e-05')
    """
    return f"{number:,.0f}" if abs(number) >= 1000 else f"{number:.4g}"


def tables() -> dict[str, Callable[[], str]]:
    """The tables by name: one of all verdicts, and one a paper."""
    stems = sorted(path.stem for path in published.FOLDER.glob("*.toml") if path.name not in published.OTHERS)
    return {
        "verdicts": verdicts_table,
        **{f"reproduced_{stem}": partial(paper_table, stem) for stem in stems},
    }
