"""How experiments are found: those of this package by what their modules declare, others by file or module."""

import contextlib
import importlib
import importlib.util
import re
import sys
import typing
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import experiments
from experiments.errors import Fault, described, nearest
from experiments.lab.plan import foreign
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

    One of this package goes before a module of the same name; the path of its file names the module all the same.

    Raises:
        Fault: nothing of that name is an experiment.
    """
    if name.endswith(".py"):
        return load_file(Path(name))
    known = names()
    if name in known or any(full.rpartition(".")[2] == name for full in known):
        return load_experiment(name)
    foreign.look_in(Path.cwd())  # as `python -m` does
    try:
        is_there = importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        is_there = False
    except Exception as error:  # the package above it, a stranger's, may fail in any way
        raise Fault(f"experiment {name}: cannot be imported: {described(error)}") from error
    if not is_there:
        file = Path(f"{name}.py")
        hint = f"; did you mean {file}?" if file.is_file() else nearest(name, known)
        raise Fault(
            f"unknown experiment {name!r}{hint} (expected a name that python -m experiments lists, the path of a .py "
            "file, or a module that Python can import)"
        )
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
    """The experiment of a run: by its name where it is of this package, else from its file, or by its module.

    Raises:
        Fault: it is not there any more, or has never been in a file.
    """
    if module is None:
        return load_experiment(name)
    if source is None:
        raise Fault(
            f"experiment {name!r} was declared in no file (in a notebook, say): give open_run(..., experiment=...)"
        )
    path = Path(source)
    main = sys.modules.get("__main__")
    if foreign.file_of(main) == path and isinstance(getattr(main, "EXPERIMENT", None), Experiment):
        return _declared(typing.cast(ModuleType, main), name)  # and not its classes a second time
    if path.is_file():
        return _declared(_imported_from(path, module), source)
    with contextlib.suppress(Fault):  # on another machine, or moved: wherever Python finds it now
        found = _declared(_imported(module), name)
        if found.name == name and Path(found.source or source).is_file():
            return found
    raise Fault(
        f"experiment {name!r} was declared in {source}, which is not there any more, and Python finds no {module} "
        "that declares it; put it back, or give open_run(..., experiment=...)"
    )


def load_file(path: Path) -> Experiment:
    """The experiment that a Python file declares. The file is imported under its stem, its folder as in a script.

    Raises:
        Fault: there is no such file, it fails, or it declares no experiment.
    """
    given, path = path, path.resolve()
    if not path.is_file():
        # of the stems: the suffix, which all share, would make any two names alike
        stems = sorted(other.stem for other in path.parent.glob("*.py"))
        hint = nearest(path.stem, stems, 0.7).replace("?", ".py?")
        raise Fault(f"experiment {given}: there is no such file{hint}")
    inside = Path(experiments.__path__[0]).resolve()
    if path.is_relative_to(inside):
        return load_experiment(".".join(path.relative_to(inside).with_suffix("").parts))
    if "." in path.stem:
        raise Fault(f"experiment {given}: the name of a module has no dot; rename the file")
    return _declared(_imported_from(path, path.stem), str(given))


def _imported_from(path: Path, name: str) -> ModuleType:
    """The module of a file, under a name that may be dotted: then its package is imported first."""
    if name not in sys.modules:
        foreign.look_in(path.parents[name.count(".") + (path.name == "__init__.py")])
    loaded = _imported(name)
    if foreign.file_of(loaded) != path:
        raise Fault(f"experiment {path}: another module is called {name}; rename the file")
    return loaded


def _imported(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except SystemExit as error:
        raise Fault(
            f"experiment {name}: cannot be imported: it exits; what runs it belongs behind if __name__ == '__main__'"
        ) from error
    except Exception as error:  # a stranger's module may fail in any way
        raise Fault(f"experiment {name}: cannot be imported: {described(error)}") from error


def _declared(module: ModuleType, name: str) -> Experiment:
    found = getattr(module, "EXPERIMENT", None)
    if not isinstance(found, Experiment):
        raise Fault(f"experiment {name}: {module.__name__} declares no EXPERIMENT = Experiment(...)")
    return found
