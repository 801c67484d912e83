"""Errors that a person can act on: one line on stderr and an exit code, never a traceback."""

import difflib
import os
import sysconfig
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path

USAGE, FAILED = 2, 1


class Fault(Exception):
    """What went wrong, in one line; ``code`` is the process's exit status.

    2 for what the caller asked (an unknown name, a folder that holds something else, missing data),
    1 for a run that failed (not finite, a full disk).
    """

    def __init__(self, message: str, code: int = USAGE) -> None:
        super().__init__(" ".join(str(message).split()))
        self.code = code


def nearest(name: str, known: Iterable[str]) -> str:
    """``; did you mean lstm?`` for the closest known name, or the empty string.

    >>> nearest("lstn", ["lstm", "gru"])
    '; did you mean lstm?'
    """
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"; did you mean {close[0]}?" if close else ""


def described(error: Exception) -> str:
    """The kind and the first line of an error in code that is not ours, with the place of that code where it has one.

    >>> described(KeyError("inputs"))
    "KeyError: 'inputs'"
    """
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if _is_a_strangers(frame.filename)]
    place = f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else ""
    if isinstance(error, SyntaxError):
        place = ""  # it says so itself
    return f"{type(error).__name__}{': ' if lines else ''}{lines[0] if lines else ''}{place}"


def _is_a_strangers(filename: str) -> bool:
    installed = [sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")]
    here = Path(__file__).parent
    ours = [*installed, str(here), str(here.parent / "recurrent")]
    return not filename.startswith(("<", *(f"{folder}{os.sep}" for folder in ours)))


def guarded(main: Callable[[], int | None]) -> int:
    """Call ``main`` and turn a `Fault` into its line and its exit code."""
    import sys

    try:
        return main() or 0
    except Fault as fault:
        sys.stdout.flush()
        print(f"error: {fault}", file=sys.stderr)
        return fault.code
    except (
        BrokenPipeError
    ):  # what reads our words has heard enough; at exit Python would write the rest, and complain
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:  # before a run listens, or the second one while it saves
        print("error: interrupted", file=sys.stderr)
        return 130
