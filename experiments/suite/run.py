"""The runs of one cell in a suite: task after task, each in a folder of its own, and the result of them all."""

import contextlib
import dataclasses
import gc
import sys
from pathlib import Path
from typing import Any

import jax

from experiments.errors import Fault, described
from experiments.lab.opened import Run
from experiments.lab.plan import cell_names
from experiments.lab.run import plan_and_carry_out
from experiments.lab.training.driver import Interrupted
from experiments.suite import results
from experiments.suite.base import Part, Suite, requested
from experiments.suite.results import Measured, Result

SHOWN = ("device_kind", "num_cores", "num_devices", "versions", "cpu", "platform", "commit")


@dataclasses.dataclass(frozen=True)
class How:
    """What all runs of a call share: the folder of the suite, the device, and what is shown meanwhile."""

    out: Path
    device: str = "auto"
    on_this_machine: bool = False
    progress: bool = True


def folder_of(part: Part) -> str:
    """A task as the name of a folder.

    >>> folder_of(Part("copying, 100 steps", "", "", "", 1, None))
    'copying-100-steps'
    """
    return part.name.replace(",", "").replace(" ", "-")


def run_cell(suite: Suite, word: str, how: How) -> Result:
    """All runs of a cell that have not ended yet, and its result, which is also written beside them.

    A task that the cell cannot run, or whose runs fail, stops no other.

    Raises:
        Fault: the word names no cell; a signal has ended a run.
    """
    spec = cell_names.parse_cell(word)
    label, place = cell_names.label(spec), how.out / results.folder_name(spec)
    measured: dict[str, Measured] = {}
    refused: dict[str, str] = {}
    failed: dict[str, str] = {}
    environment: dict[str, Any] = {}
    for part in suite.parts:
        try:
            measured[part.name], environment = _run_part(suite, part, word, place / folder_of(part), how)
        except Interrupted:
            raise
        except Fault as fault:
            (refused if str(fault).startswith("--cell") else failed)[part.name] = str(fault)
        except Exception as error:  # a cell may fail in any way, and the others go on
            failed[part.name] = described(error)
        why = refused.get(part.name, failed.get(part.name))
        if why:
            print(f"{label}, {part.name}: {why}", file=sys.stderr)
    _forget()
    own = {"num_seeds": suite.num_seeds, "source_sha256": spec.source_sha256}
    made = Result(
        label,
        suite.name,
        suite.digest,
        **own,
        measured=measured,
        refused=refused,
        failed=failed,
        environment=environment,
    )
    results.write(made, place / results.RESULT)
    return made


def _run_part(suite: Suite, part: Part, word: str, out: Path, how: How) -> tuple[Measured, dict[str, Any]]:
    """The runs of a cell on one task: what they measured, and with what they were computed."""
    experiment, configs = requested(suite, part, word)
    # the pictures of an experiment take as long as a run, and nobody looks at hundreds
    experiment = dataclasses.replace(experiment, pictures=())
    _, runs, failures = plan_and_carry_out(
        configs,
        experiment=experiment,
        out=out,
        device=how.device,
        on_this_machine=how.on_this_machine,
        progress=how.progress,
    )
    if failures:
        raise failures[0]
    ended: list[Run] = [one for one in runs if one.summary]
    found = ended[0].summary["environment"]
    shown = {name: found[name] for name in SHOWN if name in found}
    return results.measure(part, [one.summary for one in ended], [one.metrics for one in ended]), shown


def _forget() -> None:
    """Give back what the programs of a cell hold: forty cells would not fit into a small memory together."""
    with contextlib.suppress(Exception):
        jax.clear_caches()
    gc.collect()
