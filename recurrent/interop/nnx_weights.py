"""Weights of flax's cells: `nnx.SimpleCell`, `LSTMCell`, `OptimizedLSTMCell` and `GRUCell`.

    SimpleCell, GRUCell       dense_i/kernel = W_x    dense_i/bias = b    dense_h/kernel = W_h
    OptimizedLSTMCell         dense_i/kernel = W_x    dense_h/bias = b    dense_h/kernel = W_h
    LSTMCell                  one ``i?/kernel``, ``h?/kernel`` and ``h?/bias`` for each gate ? = i, f, g, o

flax's `GRUCell` has no bias inside the reset: it is ours with b_h = 0. `SimpleCell(residual=True)` is none of ours.

Source: flax 0.12, `flax/nnx/nn/recurrent.py`.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from recurrent.cell import Cell
from recurrent.cells.lstm import LSTM
from recurrent.interop import named

__all__ = ["from_nnx", "to_nnx"]

_GATES = (("ii", "hi"), ("if_", "hf"), ("ig", "hg"), ("io", "ho"))


def from_nnx(cell: Cell, state: Mapping[str, Any]) -> Any:
    """The parameters of ``cell`` from ``nnx.state(module, nnx.Param)``; an LSTM reads either of flax's two.

    ValueError names the first tensor that does not fit: ``dense_i/kernel``.
    """
    like = named.shapes_of(cell)
    part = _part(cell, like)
    given = _flatten(state)
    per_gate = isinstance(cell, LSTM) and "ii/kernel" in given
    sample = jax.tree.map(lambda leaf: np.zeros(leaf.shape), like)
    read = named.check({name: array.shape for name, array in _write(cell, sample, per_gate).items()}, given)
    if per_gate:
        names = [(f"{x}/kernel", f"{h}/kernel", f"{h}/bias") for x, h in _GATES]
        w_x, w_h, b = (
            np.concatenate([read[name] for name in gates], -1) for gates in zip(*names, strict=True)
        )
    else:
        w_x, w_h, b = read["dense_i/kernel"], read["dense_h/kernel"], read[_bias_name(cell)]
    fields = {"w_x": w_x, "w_h": w_h, **named.merge_biases(part, b, np.zeros_like(b))}
    return named.join(like, [fields], [part])


def to_nnx(cell: Cell, params: Any, optimized: bool = True) -> dict[str, Any]:
    """The nested mapping that ``nnx.update(module, ...)`` takes; `from_nnx` gives back every bit.

    ``optimized`` chooses between `OptimizedLSTMCell` and `LSTMCell`. ValueError where a GRU has b_h other than zero.
    """
    part = _part(cell, named.read_params(cell, params))
    if named.has_two_biases(part.params):
        named.check_no_bias("b_h", part.params.b_h, "flax's GRUCell has no bias inside the reset")
    nested: dict[str, Any] = {}
    for name, array in _write(cell, part.params, isinstance(cell, LSTM) and not optimized).items():
        module, _, leaf = name.partition("/")
        nested.setdefault(module, {})[leaf] = jnp.array(array, copy=True)
    return nested


def _part(cell: Cell, params: Any) -> named.Part:
    part = named.Part("", cell, params)
    named.check_cell(part, "flax")
    return part


def _write(cell: Cell, params: Any, per_gate: bool) -> dict[str, np.ndarray]:
    if not per_gate:
        kernels = {"dense_i/kernel": params.w_x, "dense_h/kernel": params.w_h}
        return kernels | {_bias_name(cell): params.b}
    written = {}
    blocks = (np.split(array, len(_GATES), axis=-1) for array in (params.w_x, params.w_h, params.b))
    for (x, h), w_x, w_h, b in zip(_GATES, *blocks, strict=True):
        written |= {f"{x}/kernel": w_x, f"{h}/kernel": w_h, f"{h}/bias": b}
    return written


def _bias_name(cell: Cell) -> str:
    return "dense_h/bias" if isinstance(cell, LSTM) else "dense_i/bias"


def _flatten(state: Mapping[str, Any], path: str = "") -> dict[str, Any]:
    flat = {}
    for name, value in state.items():
        inner = f"{path}{name}"
        flat |= _flatten(value, f"{inner}/") if isinstance(value, Mapping) else {inner: value}
    return flat
