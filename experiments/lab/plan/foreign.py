"""What a person brings along, named on the command line as ``module:name``."""

import hashlib
import importlib
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

from experiments.errors import Fault, nearest


def load(flag: str, name: str) -> Callable[..., Any]:
    """What ``module:name`` stands for.

    Raises:
        Fault: naming ``flag``: the module cannot be imported, or has nothing of that name that can be called.
    """
    module_name, inner = name.split(":")
    try:
        module = importlib.import_module(module_name)
    except (Exception, SystemExit) as error:  # a stranger's module may fail in any way
        raise Fault(f"{flag}: cannot import {module_name}: {type(error).__name__}: {error}") from error
    found = getattr(module, inner, None)
    if not callable(found):
        raise Fault(f"{flag}: {module_name} has no {inner}{nearest(inner, vars(module))}")
    return found


def source_sha256(flag: str, name: str) -> str:
    """The digest of the file in which ``module:name`` is written; Fault where there is none in Python."""
    found = load(flag, name)
    try:
        path = inspect.getsourcefile(inspect.getmodule(found) or importlib.import_module(name.split(":")[0]))
        return hashlib.sha256(Path(str(path)).read_bytes()).hexdigest()
    except (TypeError, OSError) as error:
        raise Fault(f"{flag}: {name} has no source file in Python") from error
