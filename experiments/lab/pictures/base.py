"""What pictures share: how they are drawn, saved, coloured."""

import os
from pathlib import Path
from typing import Any

from experiments.lab.run import Run
from experiments.lab.storage.records import unwritten


def pyplot() -> Any:
    """matplotlib's, with a backend that needs no screen."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    return plt


def save(figure: Any, path: Path) -> None:
    """Write a figure at one stroke, and close it."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        figure.savefig(temporary, format="png", dpi=130, metadata={"Software": None})
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise unwritten(path, error) from error
    finally:
        pyplot().close(figure)


def colour(index: int) -> str:
    """The colour of the run with this index."""
    return f"C{index % 10}"


def rows_of(run: Run, split: str, seed_index: int) -> list[dict[str, Any]]:
    """The lines of metrics of one network."""
    return [row for row in run.metrics if row["split"] == split and row["seed_index"] == seed_index]
