"""Files that other programs leave wherever they look, and that say nothing about what a folder is."""

import re

SYSTEM = re.compile(r"\..*|Thumbs\.db|desktop\.ini|Icon\r|__MACOSX|lost\+found", re.IGNORECASE)
"""What is hidden, and what systems call theirs."""

OUTPUT = re.compile(r".*~|.*\.(log|out|err)", re.IGNORECASE)
"""Backups of editors, and what shells and schedulers have caught of an output."""


def is_litter(name: str, *, is_folder: bool = False) -> bool:
    """Whether a name is of such a file or folder; a run may be called as only a file of an output would be.

    >>> is_litter(".DS_Store"), is_litter("nohup.out"), is_litter("nohup.out", is_folder=True), is_litter("config.json")
    (True, True, False, False)
    """
    return bool(SYSTEM.fullmatch(name) or (not is_folder and OUTPUT.fullmatch(name)))
