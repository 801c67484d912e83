"""Who may import whom: the two chains, held over every module by reading its syntax tree."""

import ast
import subprocess
import sys
from collections.abc import Iterator, Mapping

import pytest
from places import ROOT

# Each room imports only what stands to its right; names joined by a comma may import one another, without cycles.
# The suite runs experiments through the laboratory; the tables show what it measured.
HOUSE = """notebooks, benchmarks -> experiments -> experiments.tables -> experiments.suite -> experiments.lab
-> experiments.models -> experiments.tasks, experiments.data -> experiments.errors -> recurrent"""
LIBRARY = """testing, nnx, interop -> diagnostics -> online -> registry -> recipes -> layers, explain, streaming
-> unroll -> solvers -> wrappers, penalties, losses -> cells -> cell, forms, initializers -> arrays, sizes"""


def rooms() -> dict[str, int]:
    """The rank of every room: an import goes to a higher rank, or stays."""
    inner = [[f"recurrent.{name}" for name in names] for names in _chain(LIBRARY)]
    return {name: rank for rank, names in enumerate([["tests"], *_chain(HOUSE), *inner]) for name in names}


def _chain(text: str) -> list[list[str]]:
    return [[name.strip() for name in names.split(",")] for names in text.split("->")]


def room(module: str) -> str | None:
    """The room with the longest name that ``module`` lies in.

    >>> room("experiments.lab.cli"), room("experiments.hs97.long_lags"), room("jax.numpy")
    ('experiments.lab', 'experiments', None)
    """
    parts = module.split(".")
    names = (".".join(parts[:n]) for n in range(len(parts), 0, -1))
    return next((name for name in names if name in rooms()), None)


def imports(module: str, sources: Mapping[str, str]) -> Iterator[str]:
    """The project's modules that ``module`` imports, at any depth of its code; a package of names alone is nothing."""
    for node in ast.walk(ast.parse(sources[module])):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}:{node.lineno}: relative import; write the room's name"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [name if name in sources else str(node.module) for name in names]
        else:
            continue
        for name in names:
            empty = name in sources and not any(
                isinstance(inner, ast.Import | ast.ImportFrom) for inner in ast.walk(ast.parse(sources[name]))
            )
            if room(name) and not (empty and any(other.startswith(f"{name}.") for other in sources)):
                yield name


def violations(sources: Mapping[str, str]) -> list[str]:
    """Every import against the chains, every library module without a room, every cycle."""
    rank, found, level = rooms(), [], {}
    for module in sources:
        if module.startswith("recurrent.") and room(module) == "recurrent":
            found.append(f"{module} has no room in the chain of recurrent")
            continue
        here, targets = rank[str(room(module))], set(imports(module, sources))
        found += [f"{module} imports {name}" for name in sorted(targets) if rank[str(room(name))] < here]
        level[module] = {name for name in targets if rank[str(room(name))] == here}
    return found + [f"{module} imports itself by way of {name}" for module, name in _cycles(level)]


def _cycles(edges: Mapping[str, set[str]]) -> Iterator[tuple[str, str]]:
    for module, targets in edges.items():
        for name in sorted(targets):
            reached, todo = set(), [name]
            while todo:
                current = todo.pop()
                if current not in reached:
                    reached.add(current)
                    todo += edges.get(current, ())
            if module in reached:
                yield module, name


def tree() -> dict[str, str]:
    """The source of every module, by dotted name."""
    found = {}
    for folder in ("recurrent", "experiments", "notebooks", "benchmarks"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path.read_text()
    return found


def test_every_module_imports_only_what_stands_to_its_right():
    assert violations(tree()) == []


@pytest.mark.parametrize(
    ("module", "source", "complaint"),
    [
        ("recurrent.arrays", "from recurrent.cell import Cell", "recurrent.arrays imports recurrent.cell"),
        ("recurrent.arrays", "def f():\n    import recurrent as rec", "recurrent.arrays imports recurrent"),
        ("recurrent.unroll", "from recurrent import layers", "recurrent.unroll imports recurrent.layers"),
        (
            "recurrent.cells.lstm",
            "import recurrent.wrappers",
            "recurrent.cells.lstm imports recurrent.wrappers",
        ),
        ("recurrent.cell", "from experiments import errors", "recurrent.cell imports experiments.errors"),
        (
            "experiments.tasks.adding",
            "import experiments.lab.cli",
            "experiments.tasks.adding imports experiments.lab.cli",
        ),
        (
            "experiments.errors",
            "from experiments.tasks import base",
            "experiments.errors imports experiments.tasks.base",
        ),
        (
            "experiments.lab.cli",
            "from experiments import adding",
            "experiments.lab.cli imports experiments.adding",
        ),
        ("experiments.adding", "import tests.contract", "experiments.adding imports tests.contract"),
        ("recurrent.helpers", "", "recurrent.helpers has no room in the chain of recurrent"),
        (
            "recurrent.forms",
            "import recurrent.forms",
            "recurrent.forms imports itself by way of recurrent.forms",
        ),
    ],
)
def test_a_wrong_import_is_named(module, source, complaint):
    library = "recurrent.cell recurrent.layers recurrent.wrappers".split()
    others = "experiments experiments.errors experiments.adding experiments.tasks.base".split()
    sources = dict.fromkeys(library + others, "") | {"recurrent": "import recurrent.cell"}
    assert violations(sources | {module: source}) == [complaint]


def test_neighbours_may_import_one_another_but_not_in_a_circle():
    line = {
        "recurrent.penalties": "from recurrent import wrappers",
        "recurrent.wrappers": "import recurrent.losses",
    }
    assert violations(line | {"recurrent.losses": ""}) == []
    circle = violations(line | {"recurrent.losses": "def late():\n    from recurrent.penalties import a"})
    assert sorted(complaint.split()[0] for complaint in circle) == sorted([*line, "recurrent.losses"])


def outside(source: str) -> set[str]:
    """The top-level packages that a module imports, at any depth of its code."""
    nodes = list(ast.walk(ast.parse(source)))
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [str(node.module) for node in nodes if isinstance(node, ast.ImportFrom)]
    return {name.partition(".")[0] for name in names}


def test_the_library_needs_jax_alone_and_nobody_needs_tensorflow():
    forbidden = {"flax", "optax", "orbax", "tensorflow_datasets", "experiments"}
    for module, source in tree().items():
        found = outside(source)
        assert "tensorflow" not in found, module
        if module.partition(".")[0] == "recurrent":
            allowed = {"flax"} if module == "recurrent.nnx" else set()
            assert found & forbidden <= allowed, module


PROBE = """
import importlib, sys
from jax._src import xla_bridge  # no public name tells whether a backend exists
import recurrent
heavy = {"flax", "optax", "orbax", "tensorflow_datasets", "matplotlib", "beartype"} & set(sys.modules)
assert not heavy, f"import recurrent loads {sorted(heavy)}"
for name in sys.argv[1:]:
    importlib.import_module(name)
    assert not xla_bridge.backends_are_initialized(), f"importing {name} starts a JAX backend"
    assert "tensorflow" not in sys.modules, f"importing {name} loads TensorFlow"
for name, build in recurrent.CELLS.items():
    build(2, 4)
    assert not xla_bridge.backends_are_initialized(), f"building {name} starts a JAX backend"
print(len(sys.argv) - 1)
"""


def test_neither_importing_nor_building_a_cell_starts_a_backend():
    names = [name for name in tree() if name.partition(".")[0] in ("recurrent", "experiments")]
    names = [name for name in names if not name.endswith("__main__")]
    done = subprocess.run([sys.executable, "-c", PROBE, *names], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[-1]) == len(names)
