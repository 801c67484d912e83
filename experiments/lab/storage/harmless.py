"""Paths that mean themselves to orbax and tensorstore.

Orbax looks for its files by patterns that begin with the path of the folder; tensorstore takes a backslash for a slash,
and some names for the beginning of a URL. So neither gets to see a path that a person chose, unless it is harmless.
"""

import re
import tempfile
from pathlib import Path

HARMLESS = re.compile(r"[\w/.=+,@~ -]{,1000}")


class Harmless:
    """``path`` is a harmless path of a folder: its own or, until `close`, a link in the folder for temporary files.

    Raises:
        OSError: a link is needed, and there can be none.
    """

    def __init__(self, folder: Path) -> None:
        self.path, self._room = folder.absolute(), None
        if is_harmless(self.path):
            return
        self._room = tempfile.TemporaryDirectory(prefix="checkpoints-", ignore_cleanup_errors=True)
        link = Path(self._room.name).absolute() / "link"
        if not is_harmless(link):
            raise OSError(f"its path needs a link, and that of the link is no better: {link}")
        link.symlink_to(self.path, target_is_directory=True)
        self.path = link

    def close(self) -> None:
        """Remove the link; a second time does nothing."""
        if self._room is not None:
            self._room.cleanup()


def is_harmless(path: Path) -> bool:
    """Whether letters, digits and a few signs are all that an absolute path has.

    >>> is_harmless(Path("/runs/été 1")), is_harmless(Path("/runs[1]")), is_harmless(Path("/gs:/runs"))
    (True, False, False)
    """
    return HARMLESS.fullmatch(path.relative_to(path.anchor).as_posix()) is not None
