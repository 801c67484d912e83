"""The picture of `benchmarks.learning`: of every cell the gradient by lag, before and after, and what it learned.

python -m benchmarks.learning_picture docs/learning.long.json
"""

import argparse
import json
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from recurrent import registry

DECADES = 4  # at either end of the colours; what float32 has lost lies far below
SMALLEST = 1e-38  # of float32
LINE = 0.145  # inches a cell


def relative(gradient: list[float]) -> np.ndarray:
    """Decades above the value at lag 0; NaN throughout where already there nothing is left."""
    if not gradient[0]:
        return np.full(len(gradient), np.nan)
    norms = np.maximum(np.array(gradient), SMALLEST)
    return np.log10(norms) - np.log10(norms[0])


def draw(content: dict[str, Any]) -> Any:
    """A line a cell: two strips of colour by lag, and a dot for its error."""
    rows = {row["cell"]: row for row in content["rows"]}
    about = content["about"]
    names = [entry.name for entries in registry.ENTRIES.values() for entry in entries if entry.name in rows]
    height = LINE * len(names) + 1.6
    figure, (before, after, errors) = plt.subplots(
        1, 3, figsize=(10, height), sharey=True, layout="constrained", width_ratios=(3, 3, 2)
    )
    lags = about["lags"]
    image = None
    for axes, when in ((before, "before"), (after, "after")):
        axes.set_facecolor("0.6")  # seen where there is no gradient at all
        decades = np.stack([relative(rows[name][f"gradient_{when}"]) for name in names])
        image = axes.imshow(
            decades,
            cmap="RdBu_r",
            vmin=-DECADES,
            vmax=DECADES,
            aspect="auto",
            interpolation="nearest",
            extent=(-0.5, len(lags) - 0.5, len(names) - 0.5, -0.5),
        )
        ticks = range(0, len(lags), max(len(lags) // 5, 1))
        axes.set_xticks(list(ticks), [str(lags[tick]) for tick in ticks])
        axes.set(title=f"gradient {when} training", xlabel="lag in steps")
    before.set_yticks(range(len(names)), names, fontsize=7)
    ends = np.cumsum([sum(entry.name in rows for entry in entries) for entries in registry.ENTRIES.values()])
    for axes in (before, after, errors):
        for end in ends[:-1]:
            axes.axhline(end - 0.5, color="black", lw=0.6)
    left = [max(rows[name]["mse_after"], 1e-5) for name in names]
    learned = [value < about["baseline"] / 2 for value in left]
    errors.scatter(left, range(len(names)), c=["C2" if good else "C3" for good in learned], s=12, zorder=3)
    errors.axvline(about["baseline"], color="black", ls="--", lw=0.8)
    errors.set(xscale="log", title="error after training", xlabel="mean square error")
    errors.grid(axis="x", alpha=0.3)
    figure.colorbar(
        image,
        ax=[before, after],
        location="bottom",
        label="decades above the gradient at lag 0 (blue: it vanishes, red: it grows; grey: there is none)",
        aspect=50,
        pad=0.01,
    )
    figure.suptitle(f"{about['task']}: one training of every cell")
    return figure


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("measurements", type=Path, nargs="+")
    for measurement in parser.parse_args().measurements:
        picture = measurement.with_suffix(".png")
        draw(json.loads(measurement.read_text())).savefig(picture, dpi=110, metadata={"Software": None})
        print(picture)
