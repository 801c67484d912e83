"""Runs from anywhere beside one another."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from experiments.lab.pictures.base import colours, literal, save, subplots
from experiments.lab.pictures.grid import metrics
from experiments.lab.storage.found import Found
from experiments.lab.storage.records import unwritten


def draw(runs: Sequence[Found], labels: Sequence[str], out: Path) -> Path:
    """``compare.png``: the validation loss over the updates, and the test result of every network; where it is.

    Losses of runs whose baselines differ are divided by them: 1 is what needs no memory.
    """
    baselines = [run.summary["baseline"] for run in runs]
    relative = len(set(baselines)) > 1 and all(baselines)
    names = [metrics([run.summary])[0] for run in runs]
    name = names[0] if len(set(names)) == 1 else "loss"
    height = max(4.2, 1.2 + 0.3 * len(runs))
    figure, (left, right) = subplots(1, 2, figsize=(12, height), layout="constrained")
    shades = colours([run.cell for run in runs])
    for index, (run, shade) in enumerate(zip(runs, shades, strict=True)):
        scale = baselines[index] if relative else 1.0
        means = validation(run)
        left.plot(list(means), [value / scale or np.nan for value in means.values()], color=shade, lw=1.4)
        seeds = np.array(run.summary["test"][name]["seeds"], float) / (scale if name == "loss" else 1.0)
        right.plot(seeds, [index] * len(seeds), "o", color=shade, ms=5, alpha=0.6, mew=0)
        if np.isfinite(seeds).any():
            right.plot([np.nanmean(seeds)], [index], "|", color=shade, ms=14, mew=2)
    by = "loss / baseline" if relative else "loss"
    left.set(title="validation, mean over networks", xlabel="update", ylabel=by, yscale="log")
    right.set(
        title="test: a dot a network, a bar their mean",
        xlabel=by if name == "loss" else name.replace("_", " "),
    )
    right.set_yticks(range(len(runs)), [literal(label) for label in labels], fontsize=8)
    for tick, shade in zip(right.get_yticklabels(), shades, strict=True):
        tick.set_color(shade)  # the labels are the legend of both sides
    right.set_ylim(len(runs) - 0.5, -0.5)
    line = 1.0 if relative else baselines[0]
    if line and (relative or len(set(baselines)) == 1):
        left.axhline(line, color="black", ls="--", lw=0.9, label="baseline: no memory")
        left.legend(fontsize=8)
        if name == "loss":
            right.axvline(line, color="black", ls="--", lw=0.9)
    for axes in (left, right):
        axes.grid(alpha=0.25)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritten(out, error) from error
    save(figure, out / "compare.png")
    return out / "compare.png"


def validation(run: Found) -> dict[int, float]:
    """The mean of the validation loss over the networks, by update; NaN where one is not finite."""
    found: dict[int, list[float]] = {}
    for row in run.rows:
        if row.get("split") == "validation":
            loss = row.get("loss")
            found.setdefault(row["update"], []).append(np.nan if loss is None else loss)
    return {update: float(np.mean(losses)) for update, losses in found.items()}
