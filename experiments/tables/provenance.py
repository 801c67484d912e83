"""Which modules decide the numbers of a run, by digest: so that a page can say whether they have changed since.

They are the modules of the run's task, model and cell and of its experiment, and what those import, as far as it lies
in `ROOMS`. The laboratory and the solvers are not among them: they promise the same numbers, and tests hold them to it.
"""

import ast
import dataclasses
import hashlib
import io
import subprocess
import tokenize
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from experiments.errors import Fault
from experiments.lab import planning
from experiments.lab.plan.configs import Config
from experiments.lab.plan.experiment import PACKAGE, Experiment

ROOT = Path(__file__).resolve().parents[2]
ROOMS = (
    "experiments.tasks",
    "experiments.models",
    "recurrent.cells",
    "recurrent.forms",
    "recurrent.wrappers",
    "recurrent.initializers",
    "recurrent.losses",
)
"""Where a module may decide a number; the folder of the experiment's family is one more."""
DIRTY = "-dirty"


def code(experiment: Experiment, config: Config, commit: str | None) -> dict[str, str]:
    """The `digest` of each module that decides the numbers of a run, by path, as it was at ``commit``.

    Raises:
        Fault: the commit is none of this repository, or has changes that were not committed.
    """
    tree = Tree.at(commit)
    parts = planning.build(experiment, config)
    module = PACKAGE + experiment.name
    starts = [module, *classes(parts.task), *classes(parts.model)]
    family = module.rpartition(".")[0]
    rooms = ROOMS if family == PACKAGE.rstrip(".") else (*ROOMS, family)
    kept = sorted(tree.closure(starts, (module, *rooms)))
    return {tree.path(name): digest(tree.source(name)) for name in kept}


def stale(summary: Mapping[str, Any]) -> list[str] | None:
    """The modules of a kept summary that are not any more what they were, or are gone; None where it names none."""
    recorded = summary.get("code")
    if recorded is None:
        return None
    return [path for path, then in recorded.items() if _now(ROOT / path) != then]


def told(summary: Mapping[str, Any]) -> str:
    """What a page says of the code of a kept summary.

    >>> told({})
    'before this was recorded'
    """
    changed = stale(summary)
    if changed is None:
        return "before this was recorded"
    return f"stale: {', '.join(changed)} changed since" if changed else "as now"


def _now(path: Path) -> str | None:
    return digest(path.read_bytes()) if path.is_file() else None


def digest(source: bytes) -> str:
    """The sha256 of a module without its docstrings, comments and blank lines: words change no number.

    >>> digest(b"x = 1") == digest(b"# one\\nx = 1  # two\\n\\n'three'\\n") != digest(b"x = 2")
    True
    """
    text = source.decode()
    lines = text.splitlines()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column]
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            for row in range(node.lineno, (node.end_lineno or node.lineno) + 1):
                lines[row - 1] = ""
    kept = (line.rstrip() for line in lines)
    return hashlib.sha256("\n".join(line for line in kept if line).encode()).hexdigest()


def classes(value: Any) -> list[str]:
    """The modules of the classes of a dataclass and of those that it holds, at any depth.

    >>> from experiments.tasks.adding import Adding
    >>> classes(Adding())
    ['experiments.tasks.adding']
    """
    if not dataclasses.is_dataclass(value) or isinstance(value, type):
        return [name for each in value for name in classes(each)] if isinstance(value, tuple | list) else []
    inner = [classes(getattr(value, field.name)) for field in dataclasses.fields(value)]
    return list(dict.fromkeys([type(value).__module__, *(name for names in inner for name in names)]))


@dataclasses.dataclass(frozen=True)
class Tree:
    """The project's modules at one commit: ``files`` are their paths."""

    commit: str
    files: frozenset[str]

    @classmethod
    def at(cls, commit: str | None) -> "Tree":
        """The tree of a commit.

        Raises:
            Fault: a summary names no commit, one with changes, or one that is not of this repository.
        """
        again = "commit what there is and run it again"
        if not commit:
            raise Fault(f"its summary names no commit, so nobody can say which code made it; {again}")
        if commit.endswith(DIRTY):
            raise Fault(f"it was made with changes that were not committed ({commit}); {again}")
        try:
            listed = _git("ls-tree", "-r", "--name-only", commit, "--", "experiments", "recurrent")
        except (OSError, subprocess.SubprocessError) as error:
            raise Fault(
                f"this repository has no commit {commit}, which made it; fetch that commit, or {again}"
            ) from error
        return cls(commit, frozenset(listed.decode().splitlines()))

    def path(self, module: str) -> str:
        """The path of a module; Fault where there is none at this commit."""
        found = self._path(module)
        if found is None:
            raise Fault(
                f"commit {self.commit} has no module {module}; check that commit out, and keep it there"
            )
        return found

    def _path(self, module: str) -> str | None:
        place = module.replace(".", "/")
        return next((path for path in (f"{place}.py", f"{place}/__init__.py") if path in self.files), None)

    def source(self, module: str) -> bytes:
        """The content of a module."""
        return _git("show", f"{self.commit}:{self.path(module)}")

    def closure(self, starts: Iterable[str], rooms: Iterable[str]) -> set[str]:
        """The modules among ``starts`` and below them by import that lie in ``rooms``, at any depth."""
        rooms = tuple(rooms)
        found: set[str] = set()
        todo = list(starts)
        while todo:
            module = todo.pop()
            if module not in found and any(module == room or module.startswith(f"{room}.") for room in rooms):
                found.add(module)
                todo += self._imports(module)
        return found

    def _imports(self, module: str) -> Iterator[str]:
        for node in ast.walk(ast.parse(self.source(module))):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                inner = [f"{node.module}.{alias.name}" for alias in node.names]
                yield from (name if self._path(name) else str(node.module) for name in inner)


def _git(*words: str) -> bytes:
    return subprocess.run(
        ["git", "-C", str(ROOT), *words], capture_output=True, timeout=60, check=True
    ).stdout
