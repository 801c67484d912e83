"""Errors that a person can act on: one line and an exit code, never a traceback; and streams that cannot fail."""

import contextlib
import difflib
import io
import os
import sys
import sysconfig
import traceback
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TextIO, cast

USAGE, FAILED = 2, 1


class Fault(Exception):
    """What went wrong, in one line; ``code`` is the process's exit status.

    2 for what the caller asked (an unknown name, a folder that holds something else, missing data),
    1 for a run that failed (not finite, a full disk).
    """

    def __init__(self, message: str, code: int = USAGE) -> None:
        super().__init__(" ".join(str(message).split()))
        self.code = code


def nearest(name: str, known: Iterable[str], cutoff: float = 0.5) -> str:
    """``; did you mean lstm?`` for the closest known name, or the empty string where none is as near as ``cutoff``.

    >>> nearest("lstn", ["lstm", "gru"])
    '; did you mean lstm?'
    """
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=cutoff)
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


class _Unfailing:
    """A stream that cannot fail: what it cannot spell is escaped, and what nobody takes any more is dropped."""

    def __init__(self, stream: Any) -> None:
        self.inner = stream

    def write(self, text: str) -> int:
        with self._dropping():
            try:
                self.inner.write(text)
            except UnicodeEncodeError:
                encoding = self.inner.encoding or "ascii"
                self.inner.write(text.encode(encoding, "backslashreplace").decode(encoding))
        return len(text)

    def flush(self) -> None:
        with self._dropping():
            self.inner.flush()

    @contextlib.contextmanager
    def _dropping(self) -> Iterator[None]:
        try:
            yield
        except OSError:
            _discard(self.inner)
        except ValueError:
            if not self.inner.closed:
                raise

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


def _discard(stream: Any) -> None:
    """Send what a stream still holds, and all that follows, nowhere: at its end Python writes it, and would fail."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(nowhere, stream.fileno())
        finally:
            os.close(nowhere)


@contextlib.contextmanager
def unheard_too() -> Iterator[None]:
    """Meanwhile stdout and stderr cannot fail: a run trains on when what reads its words has gone."""
    former = sys.stdout, sys.stderr
    # a stream is None where its descriptor was closed before Python started
    ours = [_Unfailing(stream or open(os.devnull, "w", encoding="utf-8")) for stream in former]
    sys.stdout, sys.stderr = cast(list[TextIO], ours)
    try:
        yield
    finally:
        for stream in ours:
            stream.flush()
        for name, stream, before in zip(("stdout", "stderr"), ours, former, strict=True):
            if getattr(sys, name) is stream:  # and not what somebody has put there meanwhile
                setattr(sys, name, before)
            if before is None:
                stream.inner.close()


def guarded(main: Callable[[], int | None]) -> int:
    """Call ``main`` and turn a `Fault` into its line and its exit code.

    Where what reads stdout goes away, a ``main`` that only prints ends, and that is no error; one that trains does so
    within `unheard_too`.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors in ("strict", "surrogateescape"):
            stream.reconfigure(errors="backslashreplace")  # no letter of a path or a table can fail
    try:
        code = main() or 0
        if sys.stdout is not None:
            sys.stdout.flush()  # here, and not at Python's end, where an error has no line
        return code
    except Fault as fault:
        line, code = str(fault), fault.code
    except BrokenPipeError:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None and not _is_heard(stream):
                _discard(stream)
        return 0
    except OSError as error:
        if not _is_of_stdout(error):
            raise
        line, code = f"stdout: {error.strerror}", FAILED
    except KeyboardInterrupt:  # before a run listens, or the second one while it saves
        line, code = "interrupted", 130
    with unheard_too():
        print(end="", flush=True)  # what has been said before stands before the error
        print(f"error: {line}", file=sys.stderr)
    return code


def _is_of_stdout(error: OSError) -> bool:
    """Whether it is stdout that fails: then it still does; what it holds is dropped with the error."""
    if error.filename is not None or sys.stdout is None or _is_heard(sys.stdout):
        return False
    _discard(sys.stdout)
    return True


def _is_heard(stream: TextIO) -> bool:
    try:
        stream.flush()
    except OSError:
        return False
    return True
