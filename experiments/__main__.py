"""``python -m experiments``: what there is. ``run NAME ...``: one of them. ``cells``: what ``--cell`` may name."""

import inspect
import sys
import textwrap

import recurrent as rec
from experiments.errors import Fault, guarded, nearest
from experiments.lab import cli
from experiments.lab.experiment import load_experiment, names


def listing() -> str:
    """Question, command and expected minutes of every experiment."""
    parts = []
    for name in names():
        experiment = load_experiment(name)
        question = textwrap.indent(textwrap.fill(experiment.question, 96), "    ")
        parts.append(f"{experiment.command}    ({experiment.minutes:g} minutes on two cores)\n{question}")
    return "\n\n".join(parts)


def cells() -> str:
    """Every cell of the library with its options and their defaults."""
    return "\n".join(f"{name}{inspect.signature(builder)}" for name, builder in sorted(rec.CELLS.items()))


def main(argv: list[str]) -> int:
    """The command line of the package."""
    verb, *rest = argv or ["list"]
    if verb in ("-h", "--help"):
        print(__doc__)
        return 0
    if verb == "list":
        print(listing())
        return 0
    if verb == "cells":
        print(cells())
        return 0
    if verb == "run":
        if not rest:
            raise Fault(f"run: expected the name of an experiment ({', '.join(names())})")
        return cli.main(load_experiment(rest[0]), rest[1:])
    known = ("list", "run", "cells")
    raise Fault(f"unknown command {verb!r}{nearest(verb, known)} (known: {', '.join(known)})")


if __name__ == "__main__":
    sys.exit(guarded(lambda: main(sys.argv[1:])))
