"""SIGTERM and Ctrl-C as a flag: the run saves between two chunks, and then ends."""

import signal
import threading
from types import FrameType
from typing import Any, Self


class Interruption:
    """While it is open, the first SIGTERM or SIGINT only sets ``requested``; a second SIGINT is a `KeyboardInterrupt`.

    The former handlers are put back at the end. Python delivers signals to the main thread alone: in any
    other thread nothing is ever requested.
    """

    def __init__(self) -> None:
        self.requested: int | None = None
        self._keyboard = 0
        self._former: dict[int, Any] = {}

    @property
    def exit_code(self) -> int:
        """143 after SIGTERM, 130 after SIGINT, 0 after neither."""
        return 0 if self.requested is None else 128 + self.requested

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                self._former[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._former.items():
            # None stands for a handler that was not installed from Python, and cannot be put back from here
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        self._former.clear()

    def _handle(self, number: int, frame: FrameType | None) -> None:
        del frame
        if self.requested is None:
            self.requested = int(number)
        if number == signal.SIGINT:
            self._keyboard += 1
            if self._keyboard > 1:
                raise KeyboardInterrupt
