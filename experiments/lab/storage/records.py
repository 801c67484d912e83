"""Files that a crash leaves whole: JSON written at one stroke, and ``metrics.jsonl``, one object a line.

JSON has no NaN and no infinity: both are written as null.
"""

import contextlib
import errno
import json
import math
import os
import sys
from collections.abc import Callable, Iterator
from io import FileIO
from pathlib import Path
from typing import Any, NoReturn, Self

import numpy as np

from experiments.errors import FAILED, Fault


def plain(value: Any) -> Any:
    """Arrays, NumPy and JAX numbers and tuples as what JSON has; what is not finite as None.

    >>> plain({"loss": np.float32(0.5), "norms": np.array([1.0, np.nan]), "lag": (0, 1)})
    {'loss': 0.5, 'norms': [1.0, None], 'lag': [0, 1]}
    """
    if isinstance(value, dict):
        return {name: plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    if hasattr(value, "dtype"):
        array = np.asarray(value)
        # bfloat16 and its like become floats of Python's by way of a type that NumPy knows
        return plain((array.astype(np.float32) if array.dtype.kind == "V" else array).tolist())
    return None if isinstance(value, float) and not math.isfinite(value) else value


def write_json(path: Path, obj: Any) -> None:
    """Write ``obj`` (through `plain`) at one stroke: a reader finds the old file or the new one, never a part.

    Raises:
        Fault: the disk is full or cannot be written; the old file stands.
    """
    text = json.dumps(plain(obj), indent=2, ensure_ascii=False, allow_nan=False)
    _replace(path, (text + "\n").encode())


def read_json(path: Path) -> Any:
    """What a JSON file holds; Fault where it is missing, unreadable or not JSON."""
    try:
        return _decode(path.read_bytes())
    except OSError as error:
        raise Fault(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise Fault(f"{path} is not valid JSON: {error}") from error


def unwritten(what: Path | str, error: BaseException) -> Fault:
    """The fault, with code 1, for a file or folder that the disk did not take."""
    return Fault(f"{what} was not written: {reason(error)}", FAILED)


def reason(error: BaseException) -> str:
    """Why the disk refused, in one line. A full disk is known by its number or, from a library, by its text."""
    full = getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT)
    texts = "No space left", "Disk quota exceeded", "RESOURCE_EXHAUSTED"
    if full or any(text in str(error) for text in texts):
        return "no space left on the disk"
    lines = str(error).strip().splitlines()
    return getattr(error, "strerror", None) or (lines[0] if lines else type(error).__name__)


def fsync(path: Path) -> None:
    """Wait until the disk has a file, or the names in a folder."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a metrics file, without a last line that is cut; [] where there is no file yet.

    Raises:
        Fault: a line is not a row, named by its number.
    """
    return _parse(path)[1]


class Records:
    """The writer of a metrics file: every row is in the file when `append` returns.

    Opening trims a last line that is cut (a killed process or lost power) and says so in ``notices`` and on
    stderr; given ``last_update`` it drops the rows of later updates.

    Raises:
        Fault: some other line is not a row (code 2; the file is left as it is), or the disk is full (code 1).
    """

    def __init__(self, path: Path, last_update: int | None = None) -> None:
        self.path = path
        lines, _, cut = _parse(path)
        self.notices = (f"{path}: line {len(lines) + 1} was cut and is trimmed",) if cut else ()
        with _writing(path):
            if cut:
                os.truncate(path, sum(map(len, lines)))
        for notice in self.notices:
            print(notice, file=sys.stderr)
        if last_update is not None:
            _drop(path, last_update)
        with _writing(path):
            self._file = _open(path)
            fsync(path.parent)

    def append(self, row: dict[str, Any]) -> None:
        """Add one row; it has an integer ``update``. NaN and infinities become null.

        Raises:
            Fault: the disk is full; nothing of the row stays in the file.
        """
        row = plain(row)
        _update_of(row)
        line = json.dumps(row, allow_nan=False).encode() + b"\n"
        end = os.fstat(self._file.fileno()).st_size
        with _writing(self.path, otherwise=lambda: os.truncate(self.path, end)):
            while line:
                line = line[self._file.write(line) :]

    def drop_rows_after(self, update: int) -> int:
        """Remove the rows of later updates, at one stroke; how many there were."""
        dropped = _drop(self.path, update)
        if dropped:
            self._file.close()
            self._file = _open(self.path)
        return dropped

    def sync(self) -> None:
        """Wait until all rows would survive a loss of power: before every checkpoint that counts on them."""
        with _writing(self.path):
            os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close the file; a second time does nothing."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _open(path: Path) -> FileIO:
    # unbuffered: a row that does not fit is noticed now, and nothing of it is left to be flushed later
    return path.open("ab", buffering=0)


def _drop(path: Path, update: int) -> int:
    """Remove the rows of updates after ``update``, at one stroke; how many there were."""
    lines, rows, _ = _parse(path)
    kept = [line for line, row in zip(lines, rows, strict=True) if _update_of(row) <= update]
    if len(kept) < len(lines):
        _replace(path, b"".join(kept))
    return len(lines) - len(kept)


def _parse(path: Path) -> tuple[list[bytes], list[dict[str, Any]], bool]:
    """The lines, each with its end; their rows; and whether a last line without an end was left out."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return [], [], False
    except OSError as error:
        raise Fault(f"{path} cannot be read: {error.strerror}") from error
    *whole, rest = content.split(b"\n")
    rows = []
    for number, line in enumerate(whole, start=1):
        try:
            row = _decode(line)
            _update_of(row)
        except (ValueError, TypeError) as error:
            raise Fault(f"{path}, line {number}: not a row of metrics ({error}); left as it is") from error
        rows.append(row)
    return [line + b"\n" for line in whole], rows, bool(rest)


def _update_of(row: Any) -> int:
    if not isinstance(row, dict) or type(row.get("update")) is not int:
        raise TypeError("a row is an object with an integer update")
    return row["update"]


def _decode(text: bytes) -> Any:
    return json.loads(text.decode(), parse_constant=_not_json)


def _not_json(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _replace(path: Path, content: bytes) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with _writing(path, otherwise=lambda: temporary.unlink(missing_ok=True)):
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        fsync(path.parent)


@contextlib.contextmanager
def _writing(path: Path, otherwise: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Turns an error of the disk into a fault, after having tried to leave nothing half done."""
    try:
        yield
    except OSError as error:
        with contextlib.suppress(OSError):
            otherwise()
        raise unwritten(path, error) from error
