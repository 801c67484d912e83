"""Streams that fail as those of a process do."""

import io


class Gone(io.StringIO):
    """A stream whose reader has gone after a few letters."""

    def __init__(self, letters: int = 0) -> None:
        super().__init__()
        self.letters = letters

    def write(self, text: str) -> int:
        self.letters -= len(text)
        if self.letters < 0:
            raise BrokenPipeError(32, "Broken pipe")
        return super().write(text)


def ascii_stream() -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors="strict")
