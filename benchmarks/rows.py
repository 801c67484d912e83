"""The rows that a file of measurements has already: a benchmark adds to them what is missing."""

import json
from pathlib import Path
from typing import Any


def kept(out: Path, device: str) -> list[dict[str, Any]]:
    """The rows in ``out``, none where there is no such file; SystemExit where they were measured on another device."""
    if not out.exists():
        return []
    content = json.loads(out.read_text(encoding="utf-8"))
    if content["about"]["device"] != device:
        raise SystemExit(
            f"--out: {out} is of {content['about']['device']}, this is {device}: give another file"
        )
    return content["rows"]
