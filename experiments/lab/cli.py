"""The command line of an experiment: ``[preset | verb] [flags]``, every mistake one line and exit code 2."""

import dataclasses
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import recurrent as rec
from experiments.errors import FAILED, Fault, guarded, nearest, unheard_too
from experiments.lab import arguments, estimates, verbs
from experiments.lab.opened import open_run
from experiments.lab.plan import cell_names, configs, grids, machine
from experiments.lab.plan.configs import Config
from experiments.lab.plan.experiment import Experiment, OfConfig, OfRun
from experiments.lab.run import exit_code, plan, plan_and_carry_out
from experiments.lab.storage import event_files, summaries
from experiments.lab.training.driver import Observer, nobody

EPILOGUE = """
flags of every experiment:
  --cell NAME [NAME ...]   cells, a run each: a name, a name with options such as 'lstm(forget_bias=5)',
                           my_module:MyCell or path/my_module.py:MyCell
                           {cells}
  --out DIR                folder of the table, the pictures and one folder a run; the same command on the
                           same folder goes on where it stopped
                           default: runs/{name}/<preset>-<hash>
  --plan                   print the runs with their estimated minutes, and train nothing
  --device {{auto,cpu,gpu,tpu}}   device that trains (default: auto)
  --on-this-machine        go on although the run was started on another machine; the summary says so
  --no-progress            no progress bar
  --tensorboard            also write event files for TensorBoard, into tensorboard/ of each run
  --compilation-cache DIR  folder where compiled programs are kept, so that the next call starts sooner

Every flag above takes several values: their product is run, in one folder with one table and one picture.
  {command} --cell elman lstm --learning-rate 1e-3 3e-3
"""


@dataclasses.dataclass(frozen=True)
class Request:
    """A command line, understood: what comes first, the configurations of all runs, where, and how."""

    word: str
    configs: tuple[Config, ...]
    out: Path | None
    device: str
    on_this_machine: bool
    progress: bool
    only_plan: bool
    tensorboard: bool
    compilation_cache: Path | None


def main(experiment: Experiment, argv: Sequence[str] | None = None) -> int:
    """Run an experiment's command line; returns the exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    return guarded(lambda: _run(experiment, words))


def all_verbs(experiment: Experiment) -> dict[str, OfConfig | OfRun]:
    """The verbs of an experiment: those that it declares, and ``sample``."""
    return {"sample": verbs.sample(experiment), **experiment.verbs}


def _run(experiment: Experiment, argv: list[str]) -> int:
    if "--help" in argv or "-h" in argv:
        print(help_text(experiment))
        return 0
    verb = all_verbs(experiment).get(argv[0]) if argv else None
    if isinstance(verb, OfRun):
        _act_on_run(experiment, argv[0], verb, argv[1:])
        return 0
    request = parse(experiment, argv)
    observe = event_files.observer() if request.tensorboard else nobody
    if isinstance(verb, OfConfig):
        machine.start(request.device)
        verb.act(request.configs[0])
        return 0
    asked: dict[str, Any] = {
        "experiment": experiment,
        "preset": request.word,
        "out": request.out,
        "device": request.device,
        "on_this_machine": request.on_this_machine,
    }
    if request.only_plan:
        print(estimates.text(plan(request.configs, **asked)))
        return 0
    with unheard_too():
        return _train(request, asked, observe)


def _train(request: Request, asked: dict[str, Any], observe: Observer) -> int:
    """All runs and their table; the exit code."""
    planned, runs, failures = plan_and_carry_out(
        request.configs,
        **asked,
        progress=request.progress,
        observe=observe,
        compilation_cache=request.compilation_cache,
    )
    ended = [one.summary for one in runs if one.summary]
    if ended:
        print(f"\n{summaries.render(summaries.table(ended))}\n\nin {planned.out}")
        pictures = sorted(map(str, planned.out.glob("*.png")))
        if pictures:
            print(f"pictures: {', '.join(pictures)}")
    code = exit_code(runs)
    for fault in failures:
        print(f"error: {fault}", file=sys.stderr)
    return failures[0].code if len(planned.jobs) == 1 and failures else FAILED if failures else code


def _act_on_run(experiment: Experiment, word: str, verb: OfRun, rest: list[str]) -> None:
    index = (arguments.take(rest, "--seed-index") or ["0"])[0]
    if not index.isdecimal():
        raise Fault(f"--seed-index: expected a number from 0 on, got {index!r}")
    unknown = [each for each in rest if each.startswith("--")]
    if unknown:
        raise Fault(f"{unknown[0]}: unknown flag (expected {word} RUN [WORD ...] [--seed-index I])")
    if not rest:
        raise Fault(f"{word}: expected the folder of a run")
    machine.start()
    try:
        opened = open_run(rest[0], int(index), experiment=experiment)
    except Fault as fault:
        raise Fault(configs.as_flag(str(fault)), fault.code) from fault
    verb.act(opened, *rest[1:])


def parse(experiment: Experiment, argv: Sequence[str]) -> Request:
    """Split presets, verbs, cells and the flags of every experiment off; the rest are fields of the configuration.

    Raises:
        Fault: whatever is unknown or out of range, with the nearest right name.
    """
    rest = list(argv)
    word = rest.pop(0) if rest and not rest[0].startswith("-") else "default"
    words = (*experiment.presets, *all_verbs(experiment))
    if word not in words:
        raise Fault(f"unknown preset or verb {word!r}{nearest(word, words)} (known: {', '.join(words)})")
    for flag in rest:
        name = flag.partition("=")[0]
        if name in ("--preset", "--verb", *(f"--{each}" for each in words)):
            example = (
                name[2:] if name[2:] in words else next((each for each in rest if each in words), words[0])
            )
            raise Fault(
                f"{name}: unknown flag; a preset or verb comes first, and without dashes, as in: {example}"
            )
    base = experiment.presets.get(word, experiment.presets["default"])
    written = arguments.take(rest, "--cell", many=True)
    out = arguments.take(rest, "--out")
    cache = arguments.take(rest, "--compilation-cache")
    device = (arguments.take(rest, "--device") or ["auto"])[0].lower()
    device = machine.ALIASES.get(device, device)
    if device not in machine.PLATFORMS:
        hint = nearest(device, machine.PLATFORMS)
        raise Fault(f"--device: expected one of {', '.join(machine.PLATFORMS)}, got {device!r}{hint}")
    switches = ("--on-this-machine", "--no-progress", "--plan", "--tensorboard")
    on_this_machine, quiet, only_plan, tensorboard = (arguments.switch(rest, flag) for flag in switches)
    values = arguments.parse_grid(base, rest, switches)
    for name in (each for each in written or () if each in words and each not in rec.CELLS):
        raise Fault(f"--cell: {name} is no cell; a preset or verb comes first, before all flags")
    cells = [cell_names.parse_cell(text) for text in written or experiment.cells]
    requested = grids.grid(base, cell=cells, **values)
    grids.labels(requested)
    place = Path(out[0]) if out else None
    how = (on_this_machine, not quiet, only_plan, tensorboard, Path(cache[0]) if cache else None)
    return Request(word, tuple(requested), place, device, *how)


def help_text(experiment: Experiment) -> str:
    """The docstring, the first words, and every flag with its unit and default."""
    options = arguments.flag_help(experiment.config, experiment.presets["default"], experiment.command)
    cells = " ".join(cell if cell.isidentifier() else f'"{cell}"' for cell in experiment.cells)
    lines = textwrap.wrap(f"default: {cells}", 92, break_long_words=False, break_on_hyphens=False)
    epilogue = EPILOGUE.format(
        cells=f"\n{' ' * 27}".join(lines), name=experiment.name, command=experiment.command
    )
    words = " | ".join([*experiment.presets, *all_verbs(experiment)])
    about = arguments.plain(experiment.doc.strip())
    return f"usage: {experiment.command} [{words}] [flags]\n\n{about}\n\n{options}\n{epilogue}"
