"""The pictures of `benchmarks.ways`: time and memory against the number of steps.

python -m benchmarks.curves docs/ways.cpu.json docs/ways.h100.json
"""

import argparse
import json
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt


def draw(path: Path) -> Path:
    """One column a cell; above milliseconds, below MiB of temporaries."""
    content = json.loads(path.read_text())
    rows: list[dict[str, Any]] = content["rows"]
    cells, solvers = (list(dict.fromkeys(row[key] for row in rows)) for key in ("cell", "solver"))
    figure, axes = plt.subplots(
        2, len(cells), figsize=(4 * len(cells), 6), sharex=True, layout="constrained", squeeze=False
    )
    for column, cell in enumerate(cells):
        for color, solver in enumerate(solvers):
            chosen = [row for row in rows if (row["cell"], row["solver"]) == (cell, solver)]
            timed = [row for row in chosen if "milliseconds" in row]
            label = solver.partition(", max_iters")[0] + (")" if ", max_iters" in solver else "")
            style = {"marker": "o", "markersize": 3, "color": f"C{color}", "label": label}
            axes[0, column].loglog(
                [row["steps"] for row in timed], [row["milliseconds"] for row in timed], **style
            )
            axes[1, column].loglog(
                [row["steps"] for row in chosen], [row["bytes"] / 2**20 for row in chosen], **style
            )
        axes[0, column].set_title(f"{cell}, batch {rows[0]['batch']}")
        axes[1, column].set_xlabel("steps")
    axes[0, 0].set_ylabel("milliseconds a training step")
    axes[1, 0].set_ylabel("MiB of temporaries")
    handles = {
        label: line
        for panel in axes[0]
        for line, label in zip(*panel.get_legend_handles_labels(), strict=True)
        if len(line.get_xdata())
    }
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncol=3, fontsize=8)
    figure.suptitle(content["about"]["device"])
    out = path.with_suffix(".png")
    figure.savefig(out, dpi=130)
    return out


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("measurements", type=Path, nargs="+")
    for measurement in parser.parse_args().measurements:
        print(draw(measurement))
