"""``python -m experiments.data NAME``: fetch a real data set and prepare it, once."""

import argparse
import sys
from collections.abc import Sequence
from typing import NoReturn

from experiments.data import fetch
from experiments.data.mnist import prepare_mnist
from experiments.errors import FAILED, Fault, guarded, nearest, unheard_too

DATA_SETS = {"mnist": "60,000 + 10,000 handwritten digits, 28 x 28 pixels"}
OPTIONS = ("--manual-dir", "--data-dir", "--help")


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise Fault(message)


def _known() -> str:
    return "; ".join(f"{name}: {what}" for name, what in DATA_SETS.items())


def main(arguments: Sequence[str] | None = None) -> int:
    """Prepare the named data set; `Fault` says in one line what hinders it."""
    parser = _Parser(prog="python -m experiments.data", description=__doc__, allow_abbrev=False)
    parser.add_argument("name", nargs="?", help=_known())
    parser.add_argument("--manual-dir", metavar="DIR", help="a folder that already holds the original files")
    parser.add_argument(
        "--data-dir", metavar="DIR", help=f"where to keep the data set (default {fetch.default_data_dir()})"
    )
    options, others = parser.parse_known_args(arguments)
    if others:
        raise Fault(f"{others[0]}: unknown argument{nearest(others[0], OPTIONS)}")
    if options.name is None:
        raise Fault(f"name a data set ({_known()})")
    if options.name not in DATA_SETS:
        raise Fault(f"{options.name}: unknown data set ({_known()}){nearest(options.name, DATA_SETS)}")
    try:
        with unheard_too():
            prepare_mnist(options.data_dir, options.manual_dir, report=lambda line: print(line, flush=True))
    except OSError as error:
        raise Fault(f"{error.filename or options.name}: {error.strerror or error}", FAILED) from error
    return 0


if __name__ == "__main__":
    sys.exit(guarded(main))
