"""The table of all cells, made from their code: parameters as a formula, states, linear form, solvers."""

import functools
import inspect
import sys
import tomllib
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import experiments
import recurrent as rec
from experiments.lab.plan import cell_names
from experiments.models.counts import first_state, num_parameters, num_state
from experiments.tables.ways import markdown
from recurrent import arrays, registry

MODELS = Path(experiments.__file__).parent / "published" / "models.toml"
HEAD = ("cell", "source", "what sets it apart", "parameters", "state", "linear form", "solvers")
SOLVERS = {
    "S": rec.Sequential(),
    "F": rec.Fused(),
    "C": rec.Checkpointed(),
    "A": rec.Associative(),
    "N": rec.Newton(),
}
# Monomials d^i h^j, the largest degree first, and sizes at which all coefficients of a polynomial show: sixteenths are
# whole there, and no d is h, because some cells differ where x and h have one size.
MONOMIALS = {"dh": (1, 1), "h²": (0, 2), "d²": (2, 0), "h": (0, 1), "d": (1, 0), "": (0, 0)}
SIZES = ((16, 32), (32, 16), (16, 48), (48, 16), (16, 64), (64, 80))
OTHERS = ((80, 96), (112, 48), (32, 128))


class Row(NamedTuple):
    """What the table says about a cell."""

    cell: str
    source: str
    about: str
    parameters: str
    state: str
    linear_form: str
    solvers: str


def formula(count: Callable[[int, int], int]) -> str:
    """The quadratic polynomial in the sizes d and h of input and hidden state that ``count(d, h)`` is.

    Its six coefficients follow from six pairs of sizes, all of them multiples of 16; ValueError where other pairs
    disagree.

    >>> formula(lambda d, h: 4 * h * (d + h + 1))
    '4dh + 4h² + 4h'
    >>> formula(lambda d, h: d * h + h * (h - 1) // 2)
    'dh + h²/2 - h/2'
    """
    matrix = [[d**i * h**j for i, j in MONOMIALS.values()] for d, h in SIZES]
    solved = np.linalg.solve(np.array(matrix, float), [float(count(*pair)) for pair in SIZES])
    numbers = [Fraction(value).limit_denominator(64) for value in solved.tolist()]
    for d, h in OTHERS:
        value = sum(number * d**i * h**j for number, (i, j) in zip(numbers, MONOMIALS.values(), strict=True))
        if value != count(d, h):
            raise ValueError(f"no quadratic polynomial: {value} for d = {d} and h = {h}, not {count(d, h)}")
    text = "".join(_term(number, name) for number, name in zip(numbers, MONOMIALS, strict=True) if number)
    return text.removeprefix(" + ") or "0"


def _term(number: Fraction, name: str) -> str:
    size = abs(number)
    factor = "" if size.numerator == 1 and name else f"{size.numerator:,}"
    below = "" if size.denominator == 1 else f"/{size.denominator}"
    return f" {'-' if number < 0 else '+'} {factor}{name}{below}"


def linear_form(cell: Any) -> str:
    """The name of the linear form of the state map, empty where it is not linear."""
    if not (isinstance(cell, rec.Cell) and cell.has_linear_form):
        return ""

    def form(key: Any) -> Any:
        weights = cell.prepare(cell.init(key))
        x = jax.tree.map(jnp.zeros, cell.input_shape, is_leaf=arrays.is_shape)
        return cell.linear(weights, cell.project(weights, x))

    return type(jax.eval_shape(form, jax.random.key(0))).__name__


def solvers(cell: Any) -> str:
    """The letters of the solvers that run a cell of 4 units; a layer hands its solver on to its cells."""
    if not isinstance(cell, rec.Cell):
        return "those of its cells"
    return "".join(letter for letter, solver in SOLVERS.items() if rec.refusal(cell, solver, (16,)) is None)


def row(name: str, build: cell_names.Builder, source: str = "", about: str = "") -> Row:
    """All about one cell, with the options at their defaults."""
    small = build(input_size=2, hidden_size=4)
    state = first_state(small)
    fields = ", ".join(state._fields) if hasattr(state, "_fields") else f"{len(state)} layers"
    return Row(
        f"`{name}`",
        source,
        about,
        formula(lambda d, h: num_parameters(build(input_size=d, hidden_size=h))),
        f"{fields}: {formula(lambda d, h: num_state(build(input_size=d, hidden_size=h)))}",
        linear_form(small),
        solvers(small),
    )


def table() -> str:
    """All cells, one table a family."""
    parts = []
    for family, entries in registry.ENTRIES.items():
        rows = [row(entry.name, entry.build, entry.source, entry.about) for entry in entries]
        parts.append(f"### {family}\n\n{markdown(HEAD, rows)}")
    return "\n\n".join(parts)


def families() -> str:
    """The names of all cells, one row a family."""
    rows = (
        (family, ", ".join(f"`{entry.name}`" for entry in entries))
        for family, entries in registry.ENTRIES.items()
    )
    return markdown(("family", "cells"), rows)


def not_implemented() -> str:
    """Published models that no cell of the library is, by reason."""
    content = tomllib.loads(MODELS.read_text(encoding="utf-8"))
    rows = ((part["reason"], ", ".join(part["models"])) for part in content["not_implemented"])
    return markdown(("reason", "models"), rows)


def _sized(spec: cell_names.CellSpec, input_size: int, hidden_size: int) -> Any:
    return cell_names.build(spec, input_size, hidden_size)


def _about(spec: cell_names.CellSpec) -> str:
    return (inspect.getdoc(cell_names.builder(spec)) or "").partition("\n")[0].rstrip(".")


def text(names: list[str]) -> Iterator[str]:
    """The rows of cells by name, ``module:Class`` among them, as lines; without names those of all cells.

    Raises:
        Fault: a name that is none.
    """
    entries = {entry.name: entry for entry in registry.entries()}
    specs = [cell_names.parse_cell(name) for name in names or entries]
    rows = []
    for spec in specs:
        known = entries.get(spec.name)
        source, about = (known.source, known.about) if known else ("", "")
        rows.append(
            row(cell_names.label(spec), functools.partial(_sized, spec), source, about or _about(spec))
        )
    widths = [max(map(len, column)) for column in zip(HEAD, *rows, strict=True)]
    for line in (HEAD, *rows):
        yield "  ".join(
            entry.strip("`").ljust(width) for entry, width in zip(line, widths, strict=True)
        ).rstrip()
    for spec in specs if names else ():
        options = ", ".join(f"{key}={value!r}" for key, value in cell_names.defaults(spec).items())
        yield f"\n{spec.name}({options})"
        yield (sys.modules[cell_names.builder(spec).__module__].__doc__ or "").strip()
