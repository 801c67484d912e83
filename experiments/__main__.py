"""The commands of the package; each experiment has its own: ``python -m experiments.NAME --help``.

usage: python -m experiments [COMMAND ...]

  list                   what there is: question, command and minutes of every experiment (the default)
  run NAME ...           one experiment, or one of your own by its .py file or its module, with its words and flags
  cells [CELL ...]       a table of what --cell may name; of the cells given, options and equations too
  compare RUN [RUN ...]  finished runs from anywhere in one table and one picture, compare.png
                         (--out DIR: where the picture goes; --csv FILE: the numbers of every network)
  status DIR             how far each run below DIR is, how fast, and when it will end
  reproduce [NAME ...]   published numbers again, each by the command that stands beside it in RESULTS.md: a number, a
                         paper, or nothing for all; finished runs are kept, not trained again (--plan: only what would
                         run; --out DIR: where; --preset smoke: every experiment at its smallest, --keep: kept too)
  suite NAME             run cells through ten small tasks (core) or all of them (all), and place them among others
                         (--cell NAME ...: default those not measured yet; --out DIR; --plan; --keep)
  keep RUN               copy the summary of a finished run, and which code made it, to the committed results
                         (--as NAME: what it is kept as; else the name of its folder)
  report                 make the tables of README and docs anew from code and results
"""

import re
import sys
import textwrap
from pathlib import Path

from experiments import reproduce
from experiments.errors import Fault, guarded, nearest
from experiments.lab import arguments, cli, compare, status
from experiments.lab.plan.finding import find, load_experiment, names
from experiments.suite import command as suite_command
from experiments.tables import catalogue, keeping, report

VERBS = ("list", "run", "cells", "compare", "status", "reproduce", "suite", "keep", "report")
OTHERS = (
    "more commands: run NAME or FILE.py, cells, compare, status, reproduce, suite; "
    "python -m experiments --help says what each does"
)


def listing() -> str:
    """Question, command and expected minutes of every experiment."""
    parts = []
    for name in names():
        experiment = load_experiment(name)
        question = textwrap.indent(textwrap.fill(experiment.question, 96), "    ")
        parts.append(f"{experiment.command}    ({minutes(experiment.minutes)} on two cores)\n{question}")
    return "\n\n".join([*parts, OTHERS])


def help_of(verb: str) -> str:
    """The lines of one command in the help of the package.

    >>> print(help_of("status"))
    usage: python -m experiments status DIR
    <BLANKLINE>
    how far each run below DIR is, how fast, and when it will end
    <BLANKLINE>
    all commands: python -m experiments --help
    """
    found = re.search(rf"^  {verb}\b(.*?)  +(\S.*(?:\n {{6,}}.*)*)", str(__doc__), re.MULTILINE)
    assert found is not None, verb
    about = "\n".join(line.strip() for line in found[2].splitlines())
    usage = f"usage: python -m experiments {verb}{found[1]}".rstrip()
    return f"{usage}\n\n{about}\n\nall commands: python -m experiments --help"


def minutes(count: float) -> str:
    """A number of minutes in words.

    >>> minutes(1), minutes(2.5)
    ('1 minute', '2.5 minutes')
    """
    return f"{count:g} minute{'' if count == 1 else 's'}"


def main(argv: list[str]) -> int:
    """The command line of the package."""
    verb, *rest = argv or ["list"]
    if verb in ("-h", "--help"):
        print(arguments.plain(str(__doc__)))
        return 0
    if verb in VERBS and rest and rest[0] in ("-h", "--help"):
        print(help_of(verb))
        return 0
    if verb in ("list", "report") and rest:
        raise Fault(f"{verb}: unknown argument {rest[0]}")
    if verb == "list":
        print(listing())
        return 0
    if verb == "cells":
        print(*catalogue.text(rest), sep="\n")
        return 0
    if verb == "run":
        if not rest:
            raise Fault(
                f"run: expected a .py file, a module, or the name of an experiment ({', '.join(names())})"
            )
        return cli.main(find(rest[0]), rest[1:])
    if verb == "compare":
        return compare.main(rest)
    if verb == "status":
        if len(rest) != 1:
            raise Fault("status: expected one folder")
        print(status.text(Path(rest[0])))
        return 0
    if verb == "reproduce":
        return reproduce.main(rest)
    if verb == "keep":
        return keeping.main(rest)
    if verb == "suite":
        return suite_command.main(rest)
    if verb == "report":
        print(*report.write(), sep="\n")
        return 0
    hint = nearest(verb, [*VERBS, *(f"run {name}" for name in names())])
    raise Fault(f"unknown command {verb!r}{hint} (known: {', '.join(VERBS)})")


if __name__ == "__main__":
    sys.exit(guarded(lambda: main(sys.argv[1:])))
