"""How experiments are found: those of this package by what their modules declare, others by file or module."""

import contextlib
import importlib
import importlib.util
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import experiments
from experiments.errors import Fault, nearest
from experiments.lab.plan.experiment import PACKAGE, Experiment

DECLARES = re.compile(r"^EXPERIMENT\b.*=", re.MULTILINE)
"""What makes a module an experiment; a helper beside it has no such line."""


def names() -> list[str]:
    """The dotted names of all experiment modules, below ``experiments``."""
    return sorted(_walk(Path(experiments.__path__[0]), ""))


def _walk(folder: Path, prefix: str) -> Iterator[str]:
    for path in folder.iterdir():
        if path.is_dir() and (path / "__init__.py").exists():
            yield from _walk(path, f"{prefix}{path.name}.")
        elif path.suffix == ".py" and DECLARES.search(path.read_text(encoding="utf-8")):
            yield prefix + path.stem


def load_experiment(name: str) -> Experiment:
    """The experiment called ``name``: the dotted name of one of this package, or the last part where it is unique.

    Raises:
        Fault: there is no such experiment, or there are several.
    """
    known = names()
    found = [name] if name in known else [full for full in known if full.rpartition(".")[2] == name]
    if len(found) > 1:
        raise Fault(f"experiment {name!r}: expected one of {', '.join(found)}, which all end so")
    if not found:
        raise Fault(f"unknown experiment {name!r}{nearest(name, known)} (python -m experiments lists them)")
    return _declared(importlib.import_module(PACKAGE + found[0]), name)


def find(name: str) -> Experiment:
    """The experiment that a command names: a ``.py`` file, one of this package, or a module that Python can import.

    Raises:
        Fault: nothing of that name is an experiment.
    """
    if name.endswith(".py"):
        return load_file(Path(name))
    known = names()
    if name in known or any(full.rpartition(".")[2] == name for full in known):
        return load_experiment(name)
    sys.path.insert(0, "")  # a module in the folder of the command, as `python -m` finds it
    try:
        if importlib.util.find_spec(name) is None:
            raise ModuleNotFoundError(name)
    except (ImportError, ValueError) as error:
        hint = nearest(name, known)
        raise Fault(
            f"unknown experiment {name!r}{hint}; expected a name that python -m experiments lists, the path of a .py "
            "file, or a module that Python can import"
        ) from error
    finally:
        sys.path.remove("")
    return _declared(_imported(name), name)


def declared_with(kind: type) -> Experiment:
    """The experiment of the module that defines a kind of configuration.

    Raises:
        Fault: that module declares none.
    """
    found = getattr(sys.modules.get(kind.__module__), "EXPERIMENT", None)
    if not isinstance(found, Experiment) or found.config is not kind:
        raise Fault(
            f"{kind.__name__}: {kind.__module__} declares no EXPERIMENT of this configuration; give experiment=..."
        )
    return found


def load_stored(name: str, module: str | None, source: str | None) -> Experiment:
    """The experiment of a run: by its name where it is of this package, else by its module or its file.

    Raises:
        Fault: it is not there any more.
    """
    if module is None:
        return load_experiment(name)
    with contextlib.suppress(ImportError, ValueError):
        spec = importlib.util.find_spec(module)
        if spec is not None and spec.origin is not None and str(Path(spec.origin).resolve()) == source:
            return _declared(_imported(module), name)
    if source is None or not Path(source).exists():
        raise Fault(f"experiment {name!r} was declared in {source or module}, which is not there any more")
    return load_file(Path(source))


def load_file(path: Path) -> Experiment:
    """The experiment that a Python file declares. The file is imported under its stem, its folder as in a script.

    Raises:
        Fault: there is no such file, it fails, or it declares no experiment.
    """
    path = path.resolve()
    if not path.is_file():
        raise Fault(f"experiment {path} is not a file")
    inside = Path(experiments.__path__[0]).resolve()
    if path.is_relative_to(inside):
        return load_experiment(".".join(path.relative_to(inside).with_suffix("").parts))
    loaded = sys.modules.get(path.stem)
    if loaded is None or Path(getattr(loaded, "__file__", None) or ".").resolve() != path:
        if str(path.parent) not in sys.path:
            sys.path.insert(0, str(path.parent))  # its helpers, and its cells by module:Class
        loaded = _imported(path.stem)
        if Path(getattr(loaded, "__file__", None) or ".").resolve() != path:
            raise Fault(f"experiment {path}: another module is called {path.stem}; rename the file")
    return _declared(loaded, str(path))


def _imported(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except (Exception, SystemExit) as error:  # a stranger's module may fail in any way
        raise Fault(f"experiment {name}: cannot be imported: {type(error).__name__}: {error}") from error


def _declared(module: ModuleType, name: str) -> Experiment:
    found = getattr(module, "EXPERIMENT", None)
    if not isinstance(found, Experiment):
        raise Fault(f"experiment {name}: {module.__name__} declares no EXPERIMENT = Experiment(...)")
    return found
