"""What a person brings along, named on the command line as ``module:name`` or ``path/of/module.py:name``."""

import hashlib
import importlib
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from experiments.errors import Fault, nearest


def by_path(flag: str, written: str) -> tuple[str, str | None]:
    """``module:name`` of what is written, and the file where that is a path; Python finds its module from then on.

    Raises:
        Fault: naming ``flag``: there is no such file, or another module has its name.
    """
    place, _, inner = written.partition(":")
    if not place.endswith(".py"):
        return written, None
    path = Path(place).resolve()
    if not path.is_file():
        raise Fault(f"{flag}: {place}: there is no such file")
    if not path.stem.isidentifier():
        raise Fault(f"{flag}: {place}: {path.stem} is no name of a module; rename the file")
    look_in(path.parent)
    name = f"{path.stem}:{inner}"
    load(flag, name)
    if file_of(sys.modules[path.stem]) != path:
        raise Fault(f"{flag}: {place}: another module is called {path.stem}; rename the file")
    return name, str(path)


def look_in(folder: Path) -> None:
    """Let Python find a stranger's module, its helpers, and its cells by module:Class."""
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    importlib.invalidate_caches()  # a file may have been written since the folder was listed


def file_of(module: ModuleType | None) -> Path | None:
    """The file of a module; None where it has none."""
    found = getattr(module, "__file__", None)
    return Path(found).resolve() if found else None


def load(flag: str, name: str, path: str | None = None) -> Callable[..., Any]:
    """What ``module:name`` stands for; ``path`` is the file that it was once found in, if that is known.

    Raises:
        Fault: naming ``flag``: the module cannot be imported, or has nothing of that name that can be called.
    """
    module_name, inner = name.split(":")
    if path is not None and module_name not in sys.modules and Path(path).is_file():
        look_in(Path(path).parent)
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        where = " (give the path of its file, stand in its folder, or set PYTHONPATH)"
        own = error.name is not None and f"{module_name}.".startswith(f"{error.name}.")
        raise Fault(
            f"{flag}: cannot import {module_name}: {type(error).__name__}: {error}{where if own else ''}"
        ) from error
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
