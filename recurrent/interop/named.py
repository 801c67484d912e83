"""What every exchange shares: arrays with names, checked against names and shapes, and the cells inside a layer."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from recurrent.cell import Cell, Layer
from recurrent.cells.elman import Elman
from recurrent.cells.gru import GRU, GRUAfterParams
from recurrent.cells.lstm import LSTM
from recurrent.layers.bidirectional import Bidirectional
from recurrent.layers.stack import Stack

__all__ = [
    "Part",
    "below",
    "check",
    "check_cell",
    "check_no_bias",
    "has_two_biases",
    "join",
    "merge_biases",
    "named",
    "parts",
    "read_params",
    "shapes_of",
    "split_biases",
]


def named(tree: Any) -> dict[str, Any]:
    """The leaves of a pytree by path, in tree order: ``0/forward/w_x``. ValueError where two paths read the same."""
    leaves = jax.tree.leaves_with_path(tree)
    found = {jax.tree_util.keystr(path, simple=True, separator="/"): leaf for path, leaf in leaves}
    if len(found) < len(leaves):
        raise ValueError(f"params: {len(leaves)} tensors have only {len(found)} names: {', '.join(found)}")
    return found


def to_numpy(name: str, value: Any) -> np.ndarray:
    """``value`` on the host: whatever numpy can read, and torch tensors on any device, with or without gradients."""
    if hasattr(value, "detach") and hasattr(value, "cpu"):
        value = value.detach().cpu()
    try:
        array = np.asarray(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"{name}: numpy cannot read this {type(value).__name__}: {error}") from error
    if not jnp.issubdtype(array.dtype, jnp.floating):
        raise ValueError(f"{name}: expected real floating numbers, got {array.dtype}")
    return array


def below(prefix: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """What begins with ``prefix``, without it; ValueError where nothing does, or where a dot follows it."""
    found = {name.removeprefix(prefix): value for name, value in given.items() if name.startswith(prefix)}
    if prefix and not found:
        others = sorted({name.rpartition(".")[0] + "." for name in given})
        raise ValueError(f"prefix: no tensor begins with {prefix!r}; there are {', '.join(others[:5])}")
    if prefix and any(name.startswith(".") for name in found):
        raise ValueError(f"prefix: expected {prefix + '.'!r}, with its dot, got {prefix!r}")
    return found


def check(expected: Mapping[str, tuple[int, ...]], given: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """``given`` as arrays of numpy, in the order of ``expected``; ValueError at the first that differs."""
    unknown = [name for name in given if name not in expected]
    read = {}
    for name, shape in expected.items():
        if name not in given:
            others = ", ".join(f"{other} {tuple(np.shape(given[other]))}" for other in unknown) or "none"
            raise ValueError(f"{name}: expected shape {shape}, got no such tensor; unknown names: {others}")
        read[name] = to_numpy(name, given[name])
        if read[name].shape != shape:
            raise ValueError(f"{name}: expected shape {shape}, got {read[name].shape}")
    if unknown:
        shape = tuple(np.shape(given[unknown[0]]))
        raise ValueError(f"{unknown[0]}: expected no such tensor, got shape {shape}")
    return read


def shapes_of(layer: Cell | Layer) -> Any:
    """The parameters of ``layer`` as shapes and dtypes; nothing is computed."""
    return jax.eval_shape(lambda: layer.init(jax.random.key(0)))


def read_params(layer: Cell | Layer, params: Any) -> Any:
    """``params`` as arrays of numpy in the structure that ``layer`` draws; ValueError where they are not its own."""
    like = shapes_of(layer)
    expected = {name: leaf.shape for name, leaf in named(like).items()}
    return jax.tree.structure(like).unflatten(check(expected, named(params)).values())


class Part(NamedTuple):
    """A cell inside a layer, and its parameters; ``path`` is empty or ends in a slash: ``0/forward/``."""

    path: str
    cell: Cell
    params: Any


def parts(layer: Cell | Layer, params: Any, path: str = "") -> list[Part]:
    """The cells of a cell, a `Bidirectional` or a `Stack`, nested anyhow, in the order of the parameters' leaves."""
    if isinstance(layer, Cell):
        return [Part(path, layer, params)]
    if isinstance(layer, Stack):
        inner = [(str(index), *part) for index, part in enumerate(zip(layer.parts, params, strict=True))]
    elif isinstance(layer, Bidirectional):
        inner = [
            ("forward", layer.forward, params.forward),
            ("backward", layer.backward, params.backward),
        ]
    else:
        raise ValueError(f"layer: expected a cell, Bidirectional or stack, got {layer}")
    return [part for name, own, leaf in inner for part in parts(own, leaf, f"{path}{name}/")]


def join(like: Any, fields: Sequence[Mapping[str, np.ndarray]], found: Sequence[Part]) -> Any:
    """The parameters of a layer from the ``fields`` of each cell inside it, as copies on the device."""
    made = [type(part.params)(**own) for part, own in zip(found, fields, strict=True)]
    # copies: on a CPU an array of JAX may be the very memory that a framework goes on training in
    return jax.tree.structure(like).unflatten([jnp.array(leaf, copy=True) for leaf in jax.tree.leaves(made)])


def check_cell(part: Part, framework: str, resets: tuple[str, ...] = ("after",)) -> None:
    """ValueError unless ``framework`` has the very same cell; ``resets`` are the forms of its GRU."""
    cell = part.cell
    if type(cell) is Elman:
        return
    if type(cell) is LSTM and not (cell.peepholes or cell.coupled):
        return
    if type(cell) is GRU and cell.reset in resets:
        return
    gru = " or ".join(f"GRU(reset={reset!r})" for reset in resets)
    raise ValueError(
        f"{part.path.rstrip('/') or 'cell'}: expected Elman, LSTM without peepholes and coupled gates, or {gru}, "
        f"which is all that {framework} has, got {cell}"
    )


def has_two_biases(params: Any) -> bool:
    """Whether a cell is a GRU whose candidate has one bias outside the reset and one inside."""
    return isinstance(params, GRUAfterParams)


def merge_biases(part: Part, b_x: np.ndarray, b_h: np.ndarray) -> dict[str, np.ndarray]:
    """Our bias fields from a bias beside x W_x and one beside h W_h: their sum, except inside a GRU's reset, where they
    stay apart.
    """
    # -0.0 + 0.0 is +0.0: where nothing is added, the number is kept as it is
    b = np.where(b_h == 0, b_x, b_x + b_h)
    if not has_two_biases(part.params):
        return {"b": b}
    inside = len(b) - len(part.params.b_h)  # r and z
    return {"b": np.concatenate([b[:inside], b_x[inside:]]), "b_h": b_h[inside:]}


def split_biases(params: Any) -> tuple[np.ndarray, np.ndarray]:
    """``(b_x, b_h)`` from our bias fields, the reverse of `merge_biases`: b_h is zero except inside a GRU's reset."""
    b_h = np.zeros_like(params.b)
    if has_two_biases(params):
        b_h[len(b_h) - len(params.b_h) :] = params.b_h
    return params.b, b_h


def check_no_bias(name: str, b: np.ndarray, why: str) -> None:
    """ValueError unless a bias that the other framework's layer lacks is zero throughout."""
    if np.any(b != 0):
        raise ValueError(f"{name}: {why}, expected zeros of shape {b.shape}, got up to {np.max(np.abs(b)):g}")
