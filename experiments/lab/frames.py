"""Results as data: runs as pandas data frames, read from their JSON files; no JAX backend starts."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.lab.plan import grids
from experiments.lab.storage import found
from experiments.lab.storage.found import Found

if TYPE_CHECKING:
    import pandas

NAN = float("nan")
LENGTHS = "test_lengths"  # a flag, though it begins like the tests


def frame(*paths: Path | str) -> "pandas.DataFrame":
    """One row a network of every run below the paths, at any depth.

    Columns: ``experiment``, ``preset``, ``cell`` (its label), every flag by its name (of the runs of several
    experiments, those that a run has not are NaN), ``seed`` and ``seed_index`` of the network, ``test_*`` (this
    network's; ``test_*_at_N`` at a further length N), ``baseline``, ``lag``, ``solved``, ``updates_to_solve``,
    ``num_updates`` (asked for), ``updates`` (done), ``status``, ``seconds`` (of the run, all its networks side by
    side), ``num_parameters``, ``num_state`` (real numbers in the state of one sequence), ``params_sha256``, what the
    experiment adds as its facts, and ``folder``.

    ``status`` is ``ended``, ``stopped: solved``, ``lost`` (the network is not finite), ``training`` (by a process that
    is alive), ``waiting`` (until such a process has compiled, or trained another run) or ``interrupted``. Of a run that
    has not ended what only its end tells is missing: NaN, or NA in ``solved``. A damaged folder is named on stderr and
    left out.

    Raises:
        Fault: a path is not there, or there is no run below it.
    """
    import pandas as pd

    runs = found.below(*paths)
    rows = [_network(run, index) for run in runs for index in range(int(run.flags["num_seeds"]))]
    numbers = sorted({name for row in rows for name in row if name.startswith("test_") and name != LENGTHS})
    made = pd.DataFrame(rows)
    names = dict.fromkeys(name for row in rows for name in row)
    first = [name for name in names if name not in numbers and name not in LAST]
    made = made.reindex(columns=[*first, *numbers, *LAST])
    made["solved"] = made["solved"].astype("boolean")
    made[FLOATS] = made[FLOATS].astype(float)
    return made


LAST = [
    "baseline",
    "lag",
    "solved",
    "updates_to_solve",
    "num_updates",
    "updates",
    "status",
    "seconds",
    "num_parameters",
    "num_state",
    "params_sha256",
    "folder",
]
"""The columns after the test metrics."""

FLOATS = ["baseline", "lag", "updates_to_solve", "seconds"]
"""Numbers that are NaN where they are not known."""


def _network(run: Found, index: int) -> dict[str, Any]:
    own = {
        "experiment": run.stored.experiment,
        "preset": run.stored.preset,
        "cell": run.cell,
        **run.flags,
        "seed": int(run.flags["seed"]) + index,
        "seed_index": index,
        "updates": run.updates,
        "status": run.status,
        "solved": None,
        "params_sha256": None,
        "folder": str(run.folder),
    }
    if not run.summary:
        return own
    summary, seed = run.summary, run.summary["seeds"][index]
    tests = {f"test_{name}": _number(value["seeds"][index]) for name, value in summary["test"].items()}
    tests |= {
        f"test_{name}_at_{length}": _number(value["seeds"][index])
        for length, metrics in summary.get("lengths", {}).items()
        for name, value in metrics.items()
    }
    facts = {name.replace(" ", "_"): value for name, value in summary["facts"].items()}
    return {
        **facts,
        **own,
        **tests,
        "baseline": summary["baseline"],
        "lag": summary.get("lag"),
        "solved": seed["solved"],
        "updates_to_solve": seed["updates_to_solve"],
        "status": run.status if seed["frozen_at"] is None else found.LOST,
        "seconds": summary["wall_seconds"],
        "num_parameters": summary.get("num_parameters"),
        "num_state": summary.get("num_state"),
        "params_sha256": seed["params_sha256"],
    }


def metrics(*paths: Path | str) -> "pandas.DataFrame":
    """One row a line of ``metrics.jsonl`` of every run below the paths, at any depth, in the order of the files.

    Columns: ``experiment``, ``label`` (the cell and what varies among these runs, as pictures call it), ``cell``, the
    flags that vary, ``seed``, ``seed_index``, ``update``, ``split``, the numbers (NaN where one was not finite), and
    ``folder``. What is no number, such as ``state_gradient``, is left out; `open_run(folder).metrics` has it.

    Raises:
        Fault: a path is not there, or there is no run below it.
    """
    import pandas as pd

    runs = found.below(*paths)
    varying = [name for name in grids.varying([run.flags for run in runs]) if name != "seed"]
    rows, numbers = [], {}
    for run, label in zip(runs, labels(runs), strict=True):
        shared = {"experiment": run.stored.experiment, "label": label, "cell": run.cell}
        shared |= {name: run.flags.get(name) for name in varying}
        for line in run.rows:
            known = {name: _number(line[name]) for name in line if _is_number(line[name])}
            numbers |= dict.fromkeys(name for name in known if name not in KEYS)
            seed = int(run.flags["seed"]) + line.get("seed_index", 0)
            own = {"seed": seed, **known, "split": line.get("split"), "folder": str(run.folder)}
            rows.append({**shared, **own})
    keys = ["experiment", "label", "cell", *varying, "seed", *KEYS, "split"]
    return pd.DataFrame(rows, columns=list(dict.fromkeys([*keys, *numbers, "folder"])))


KEYS = ("seed_index", "update")


def labels(runs: list[Found]) -> list[str]:
    """What each run is called among others: its cell and what varies, the folder too where that is not enough."""
    fields = grids.varying([run.flags for run in runs])
    several = len({run.stored.experiment for run in runs}) > 1
    names = []
    for run in runs:
        own = [name for name in fields if name in run.flags] if several else fields
        name = grids.label(run.cell, run.flags, own)
        names.append(f"{run.stored.experiment}: {name}" if several else name)
    return [
        name if names.count(name) == 1 else f"{name} ({run.folder})"
        for name, run in zip(names, runs, strict=True)
    ]


def _is_number(value: Any) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def _number(value: Any) -> Any:
    return NAN if value is None else value
