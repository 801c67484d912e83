"""The command line of an experiment: ``[preset | verb] [flags]``, every mistake one line and exit code 2."""

import contextlib
import dataclasses
import io
import os
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from experiments.errors import Fault, guarded, nearest
from experiments.lab.plan import cell_names, machine
from experiments.lab.plan.configs import Config
from experiments.lab.plan.experiment import Experiment
from experiments.lab.run import exit_code, run
from experiments.lab.storage import summaries

EPILOGUE = """
flags of every experiment:
  --cell NAME [NAME ...]   cells, each a row: a name, a name with options such as 'lstm(forget_bias=5)',
                           or my_module:MyCell (default: {cells})
  --out DIR                folder of the table, the pictures and one run a cell; the same command on the
                           same folder goes on where it stopped (default: runs/{name}/<preset>-<hash>)
  --device {{auto,cpu,gpu,tpu}}   (default: auto)
  --on-this-machine        go on although the run was started on another machine; the summary says so
  --no-progress            no progress bar
"""

COMPLAINTS = {
    r"invalid literal for int\(\) with base 10: (.*)": r"expected an integer, got \1",
    r"could not convert string to float: (.*)": r"expected a number, got \1",
    r"Missing value\. Expected 1 values\.": "expected a value",
    r"^Unrecognized options: (.*)": r"unknown argument \1 (a preset or verb comes first, flags start with --)",
}
"""What tyro says, and how everything else here says it."""


@dataclasses.dataclass(frozen=True)
class Request:
    """A command line, understood: what comes first, whose cells, where, and what tyro made of the rest."""

    word: str
    configs: tuple[Config, ...]
    out: Path | None
    device: str
    on_this_machine: bool
    progress: bool


def main(experiment: Experiment, argv: Sequence[str] | None = None) -> int:
    """Run an experiment's command line; returns the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    return guarded(lambda: _run(experiment, arguments))


def _run(experiment: Experiment, argv: list[str]) -> int:
    if "--help" in argv or "-h" in argv:
        print(help_text(experiment))
        return 0
    request = parse(experiment, argv)
    if request.word in experiment.verbs:
        machine.start(request.device)
        experiment.verbs[request.word](request.configs[0])
        return 0
    runs = run(
        request.configs,
        experiment=experiment,
        preset=request.word,
        out=request.out,
        device=request.device,
        on_this_machine=request.on_this_machine,
        progress=request.progress,
    )
    print(
        f"\n{summaries.render([summaries.table_row(one.summary) for one in runs])}\n\nin {runs[0].folder.parent}"
    )
    return exit_code(runs)


def parse(experiment: Experiment, argv: Sequence[str]) -> Request:
    """Split presets, verbs, cells and the flags of every experiment off; the rest is the configuration's.

    Raises:
        Fault: whatever is unknown or out of range, with the nearest right name.
    """
    rest = list(argv)
    word = rest.pop(0) if rest and not rest[0].startswith("-") else "default"
    words = (*experiment.presets, *experiment.verbs)
    if word not in words:
        raise Fault(f"unknown preset or verb {word!r}{nearest(word, words)} (known: {', '.join(words)})")
    base = experiment.presets.get(word, experiment.presets["default"])
    written = _take(rest, "--cell", many=True)
    out = _take(rest, "--out")
    device = (_take(rest, "--device") or ["auto"])[0]
    if device not in machine.PLATFORMS:
        hint = nearest(device, machine.PLATFORMS)
        raise Fault(f"--device: expected one of {', '.join(machine.PLATFORMS)}, got {device!r}{hint}")
    on_this_machine, quiet = _switch(rest, "--on-this-machine"), _switch(rest, "--no-progress")
    config = _configure(experiment, base, rest)
    specs = [cell_names.parse_cell(text) for text in written or experiment.cells]
    cell_names.folder_names(specs)
    return Request(
        word,
        tuple(config.with_cell(spec) for spec in specs),
        Path(out[0]) if out else None,
        device,
        on_this_machine,
        not quiet,
    )


def _take(rest: list[str], flag: str, *, many: bool = False) -> list[str] | None:
    """Remove ``flag`` and its values from ``rest``; the values, or None where it is absent."""
    values: list[str] = []
    found = False
    while any(word == flag or word.startswith(f"{flag}=") for word in rest):
        found = True
        at = next(i for i, word in enumerate(rest) if word == flag or word.startswith(f"{flag}="))
        word = rest.pop(at)
        taken = [word.partition("=")[2]] if "=" in word else []
        while at < len(rest) and not rest[at].startswith("--") and (many or not taken):
            taken.append(rest.pop(at))
        if not any(taken):
            raise Fault(f"{flag}: expected a value")
        if values and not many:
            raise Fault(f"{flag}: given twice")
        values += taken
    return values if found else None


def _switch(rest: list[str], flag: str) -> bool:
    present = flag in rest
    rest[:] = [word for word in rest if word != flag]
    return present


def _configure(experiment: Experiment, base: Config, rest: list[str]) -> Config:
    flags = [f"--{name.name.replace('_', '-')}" for name in dataclasses.fields(base) if name.name != "cell"]
    switches = ["--on-this-machine", "--no-progress"]
    for word in rest:
        flag = word.partition("=")[0].replace("_", "-")
        if flag in switches:
            raise Fault(f"{flag}: takes no value")
        if flag.startswith("--") and flag not in flags:
            known = [*flags, "--cell", "--out", "--device", *switches]
            raise Fault(f"{word.partition('=')[0]}: unknown flag{nearest(flag, known)}")
    import tyro

    complaint = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaint), contextlib.redirect_stdout(complaint), _wide():
            return tyro.cli(experiment.config, args=rest, default=base)
    except SystemExit as error:
        raise Fault(_one_line(complaint.getvalue())) from error


@contextlib.contextmanager
def _wide() -> Iterator[None]:
    """A terminal so wide that tyro breaks no line of its complaint."""
    before = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = "2000"
    try:
        yield
    finally:
        del os.environ["COLUMNS"]
        if before is not None:
            os.environ["COLUMNS"] = before


def _one_line(complaint: str) -> str:
    """What tyro says about one mistake, without its frame and its help."""
    lines = [line.strip(" │") for line in complaint.splitlines()]
    rules = [i for i, line in enumerate(lines) if re.fullmatch(r"[-─╭╮╰╯]{3,}.*", line)]
    body = lines[rules[0] + 1 : rules[1]] if len(rules) > 1 else lines
    text = " ".join(" ".join(body).split())
    field = re.search(
        r"validation errors? for \w+ (?:Value error, (.*?)|(\w+) (.*?)) \[type=\w+, input_value=(.*?), input_type",
        text,
    )
    if field is not None:
        both, name, message, value = field.groups()
        return both or f"--{name.replace('_', '-')}: {message[0].lower()}{message[1:]}, got {value}"
    text = re.sub(r"^Error parsing (--[\w-]+)(?: \(.*?\))?:", r"\1:", text)
    text = re.sub(r"^(.*?) for argument '(--[\w-]+)'\.?", r"\2: \1.", text)
    choice = re.match(r"(--[\w-]+): invalid choice '(.*?)'\. Expected one of \((.*?)\)", text)
    if choice is not None:
        flag, got, listed = choice.groups()
        known = re.findall(r"'([^']*)'", listed)
        return f"{flag}: expected one of {', '.join(known)}, got {got!r}{nearest(got, known)}"
    for complaint, expected in COMPLAINTS.items():
        text = re.sub(complaint, expected, text)
    return text


def help_text(experiment: Experiment) -> str:
    """The docstring, the first words, and every flag with its unit and default."""
    import tyro

    flags = io.StringIO()
    with contextlib.redirect_stdout(flags), contextlib.suppress(SystemExit):
        tyro.cli(
            experiment.config, args=["--help"], default=experiment.presets["default"], prog=experiment.command
        )
    options = flags.getvalue().partition("\n\n")[2]
    epilogue = EPILOGUE.format(cells=" ".join(experiment.cells), name=experiment.name)
    verbs = f" | {' | '.join(experiment.verbs)}" if experiment.verbs else ""
    usage = f"usage: {experiment.command} [{' | '.join(experiment.presets)}{verbs}] [flags]"
    return f"{usage}\n\n{experiment.doc.strip()}\n\n{options.strip()}\n{epilogue}"
