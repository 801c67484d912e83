"""Cells by name: what ``--cell`` takes, what a configuration stores, and what a run folder is called."""

import ast
import dataclasses
import inspect
import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import recurrent as rec
from experiments.errors import Fault, nearest
from experiments.lab.plan import foreign

Builder = Callable[..., Any]
CONSTANTS = ("True", "False", "None")
SIZES = ("input_size", "hidden_size")
SOURCE = ("source_sha256", "source_path")


@dataclasses.dataclass(frozen=True)
class CellSpec:
    """A cell by name: a key of ``rec.CELLS`` or ``module:Class``, and its options that are not defaults.

    ``source_sha256`` is the digest of the file of a ``module:Class``, None for a cell of the library. ``source_path``
    is that file where it was named by its path: where to look for it again, and no part of what the cell is.
    """

    name: str
    options: tuple[tuple[str, Any], ...] = ()
    source_sha256: str | None = None
    source_path: str | None = dataclasses.field(default=None, compare=False)

    @property
    def is_foreign(self) -> bool:
        """Whether the cell comes from a module outside the library."""
        return ":" in self.name

    def as_json(self) -> dict[str, Any]:
        """``{"cell": name, option: value, ...}``."""
        source = {name: getattr(self, name) for name in SOURCE if getattr(self, name) is not None}
        return {"cell": self.name, **source, **dict(self.options)}


def from_json(stored: Mapping[str, Any]) -> CellSpec:
    """The inverse of `CellSpec.as_json`; lists are tuples that went through JSON."""
    options = {key: _as_tuples(value) for key, value in stored.items() if key not in ("cell", *SOURCE)}
    return CellSpec(str(stored["cell"]), tuple(options.items()), *map(stored.get, SOURCE))


def _as_tuples(value: Any) -> Any:
    return tuple(map(_as_tuples, value)) if isinstance(value, (list, tuple)) else value


def parse_cell(text: str) -> CellSpec:
    """``lstm``, ``lstm(forget_bias=5)`` or ``my_module:MyCell(option=1)``; options are Python literals.

    The path of a file may stand for its module: ``path/of/my_module.py:MyCell``. In the name of a cell of the library
    ``-`` is read as ``_``, and capitals as small letters.

    Raises:
        Fault: no such cell, no such option, or an option that is not a literal.

    >>> parse_cell("lstm(peepholes=False, forget_bias=5)").options
    (('forget_bias', 5),)
    """
    match = re.fullmatch(r"\s*((?:[^:(),]+\.py|[\w.-]+)(?::\w+)?)\s*(\(.*\))?\s*", text, re.DOTALL)
    if match is None:
        several = _split(text)
        if len(several) > 1:
            raise Fault(
                f"--cell: expected one cell a word, got {text!r}; several stand behind one flag: {' '.join(several)}"
            )
        raise Fault(f"--cell: expected name, name(option=value) or module:Class, got {text!r}")
    name, arguments = match.groups()
    if ":" not in name and not name.endswith(".py"):
        name = name.replace("-", "_")
        name = name.lower() if name.lower() in rec.CELLS else name
    written = _literals(text, arguments or "()")
    spec = CellSpec(name)
    if spec.is_foreign:
        name, path = foreign.by_path("--cell", name)
        spec = CellSpec(name, source_sha256=foreign.source_sha256("--cell", name), source_path=path)
    known = defaults(spec)
    for option in written:
        if option not in known and option != "hidden_size":
            raise Fault(
                f"--cell: {name} has no option {option!r}{nearest(option, [*known, 'hidden_size'])} "
                f"(its options: {', '.join(known)})"
            )
    # the order of the builder and no defaults, so that the same cell always is the same run
    ordered = [key for key in ("hidden_size", *known) if key in written]
    changed = [key for key in ordered if key not in known or known[key] != written[key]]
    return dataclasses.replace(spec, options=tuple((key, written[key]) for key in changed))


def _split(text: str) -> list[str]:
    """The parts of a text between the commas that stand outside brackets and quotes.

    >>> _split("lstm(forget_bias=1, peepholes=True),gru")
    ['lstm(forget_bias=1, peepholes=True)', 'gru']
    """
    parts = re.findall(r"(?:\([^()]*(?:\([^()]*\)[^()]*)*\)|[^,()])+", text)
    return [part.strip() for part in parts if part.strip()]


def _literals(text: str, arguments: str) -> dict[str, Any]:
    try:
        call = ast.parse(f"f{arguments}", mode="eval").body
        if not isinstance(call, ast.Call) or call.args or any(word.arg is None for word in call.keywords):
            raise ValueError
        written = {str(word.arg): _as_tuples(ast.literal_eval(word.value)) for word in call.keywords}
        if len(written) < len(call.keywords) or not all(map(_is_storable, written.values())):
            raise ValueError
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError) as error:
        raise Fault(
            f"--cell: expected options such as (forget_bias=5), each once, got {text!r}{_unquoted(arguments)}"
        ) from error
    return written


def _unquoted(arguments: str) -> str:
    """What was meant by the first option whose value is a bare name; the empty string where none is."""
    found = re.search(r"(\w+)\s*=\s*([A-Za-z_]\w*)\s*[,)]", arguments)
    if found is None or found[2] in CONSTANTS:
        return ""
    option, word = found.groups()
    if word.capitalize() in CONSTANTS:
        return f"; did you mean {option}={word.capitalize()}?"
    return f"; a text has quotes: {option}={word!r}"


def _is_storable(value: Any) -> bool:
    """Whether JSON gives the value back as it is."""
    if isinstance(value, tuple):
        return all(map(_is_storable, value))
    return (
        value is None or isinstance(value, str | int) or (isinstance(value, float) and math.isfinite(value))
    )


def builder(spec: CellSpec) -> Builder:
    """What makes the cell of its two sizes and its options.

    Raises:
        Fault: there is no such cell.
    """
    if not spec.is_foreign:
        if spec.name not in rec.CELLS:
            hint = _of_file(spec.name) or nearest(spec.name, rec.CELLS)
            known = "python -m experiments cells lists them" if hint else f"known: {', '.join(rec.CELLS)}"
            raise Fault(f"--cell: unknown cell {spec.name!r}{hint} ({known}, or module:Class)")
        return rec.CELLS[spec.name]
    return foreign.load("--cell", spec.name, spec.source_path)


def _of_file(name: str) -> str:
    """What to write for a cell in the file of that name, where there is such a file; its only class, or an example."""
    file = Path(name if name.endswith(".py") else f"{name}.py")
    try:
        declared = re.findall(r"^class (\w+)", file.read_text(encoding="utf-8"), re.MULTILINE)
    except (OSError, ValueError):
        return ""
    if len(declared) == 1:
        return f"; {file} is here: did you mean {name}:{declared[0]}?"
    return f"; {file} is here: name its class, as in {name}:MyCell"


def check_source(spec: CellSpec, stored: CellSpec) -> None:
    """Fault where the file of a ``module:Class`` is no longer the one a run was started with."""
    if spec.name == stored.name and spec.source_sha256 != stored.source_sha256:
        raise Fault(
            f"--cell: the source of {spec.name} has changed since the run was started; give another --out"
        )


def defaults(spec: CellSpec) -> dict[str, Any]:
    """The options of a cell and their defaults, without its two sizes."""
    try:
        parameters = inspect.signature(builder(spec)).parameters
    except (TypeError, ValueError) as error:
        raise Fault(f"--cell: {spec.name} cannot be called: {error}") from error
    for size in SIZES:
        if size not in parameters:
            raise Fault(f"--cell: {spec.name} takes no argument {size}")
    return {key: value.default for key, value in parameters.items() if key not in SIZES}


def build(spec: CellSpec, input_size: int, hidden_size: int) -> Any:
    """The cell. ``hidden_size`` among the options wins over the argument.

    Raises:
        Fault: the cell refuses its options, or is no cell.
    """
    options = {"hidden_size": hidden_size, **dict(spec.options)}
    size = options["hidden_size"]
    if type(size) is not int or size < 1:
        raise Fault(f"--cell: {label(spec)}: hidden_size: expected a positive integer, got {size!r}")
    try:
        cell = builder(spec)(input_size=input_size, **options)
    except Exception as error:  # a stranger's cell may fail in any way
        raise Fault(f"--cell: {label(spec)}: {type(error).__name__}: {error}") from error
    if not isinstance(cell, (rec.Cell, rec.Layer)):
        raise Fault(f"--cell: {spec.name} made a {type(cell).__name__}, expected a recurrent.Cell")
    return cell


def label(spec: CellSpec) -> str:
    """The name with its options.

    >>> label(parse_cell("lstm(peepholes=False, forget_bias=5)"))
    'lstm(forget_bias=5)'
    """
    options = ",".join(f"{key}={value!r}" for key, value in spec.options)
    return f"{spec.name}({options})" if options else spec.name
