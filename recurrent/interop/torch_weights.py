"""Weights of `torch.nn.RNN`, `LSTM` and `GRU`: any number of layers, one direction or two, with or without biases.

    weight_ih = W_xᵀ    weight_hh = W_hᵀ    bias_ih + bias_hh = b    GRU, third block: bias_ih = b, bias_hh = b_h

The gates stand in our order: i, f, g, o and r, z, n. Not covered: ``proj_size``. Ours is ``batch_first=False``.

Source: the documentation of `torch.nn.LSTM`, `torch.nn.GRU` and `torch.nn.RNN`, "Variables".
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from recurrent.cell import Cell, Layer
from recurrent.cells.elman import Elman
from recurrent.cells.gru import GRU
from recurrent.cells.lstm import LSTM
from recurrent.interop import named
from recurrent.layers.bidirectional import Bidirectional
from recurrent.layers.stack import Stack, stack
from recurrent.sizes import Size, integer

__all__ = ["from_torch", "to_torch", "torch_layer"]

_MODES = {
    "RNN_TANH": lambda input_size, hidden_size: Elman(input_size, hidden_size),
    "RNN_RELU": lambda input_size, hidden_size: Elman(input_size, hidden_size, activation="relu"),
    "LSTM": lambda input_size, hidden_size: LSTM(input_size, hidden_size),
    "GRU": lambda input_size, hidden_size: GRU(input_size, hidden_size),
}


def torch_layer(
    kind: str,
    input_size: Size,
    hidden_size: Size,
    num_layers: Size = 1,
    bidirectional: bool = False,
    dropout: float | int = 0.0,
) -> Cell | Layer:
    """The layer that computes what a module of torch computes; ``kind`` is the module's ``mode``.

    One of ``'RNN_TANH'``, ``'RNN_RELU'``, ``'LSTM'`` and ``'GRU'``; ValueError for any other. ``dropout`` acts between
    layers, as in torch, wherever `recurrent.unroll` is given a key.

    >>> torch_layer("GRU", input_size=2, hidden_size=3, bidirectional=True).output_shape
    (6,)
    """
    if kind not in _MODES:
        raise ValueError(f"kind: expected one of {', '.join(_MODES)}, got {kind!r}")
    num_layers = integer("num_layers", num_layers, 1)
    sizes = [input_size] + [hidden_size * (1 + bidirectional)] * (num_layers - 1)
    cells = [_MODES[kind](size, hidden_size) for size in sizes]
    rows = [Bidirectional(cell, cell) for cell in cells] if bidirectional else cells
    return rows[0] if num_layers == 1 else stack(*rows, dropout=dropout)


def from_torch(layer: Cell | Layer, state_dict: Mapping[str, Any], prefix: str = "") -> Any:
    """The parameters of ``layer`` from ``module.state_dict()``: tensors, or any arrays that numpy reads.

    ``layer`` has the structure that `torch_layer` builds. A network without biases gets b = 0. The result keeps the
    dtypes, as far as JAX has 64-bit floats enabled. ``prefix`` is the module's name in a checkpoint that holds more,
    with its dot: ``"encoder.rnn."`` reads ``encoder.rnn.weight_ih_l0``, and leaves all that begins otherwise alone.
    ValueError names the first tensor that does not fit.

    >>> import jax
    >>> layer = torch_layer("GRU", input_size=2, hidden_size=3)
    >>> params = layer.init(jax.random.key(0))
    >>> whole = to_torch(layer, params, prefix="rnn.") | {"head.weight": np.zeros((5, 3))}
    >>> bool((from_torch(layer, whole, prefix="rnn.").w_h == params.w_h).all())
    True
    """
    state_dict = named.below(prefix, state_dict)
    like = named.shapes_of(layer)
    found = _parts(layer, like)
    with_bias = any(name.startswith("bias") for name in state_dict)
    expected = {
        name: shape for suffix, part in found.items() for name, shape in _shapes(suffix, part, with_bias)
    }
    read = named.check(expected, state_dict)
    fields = []
    for suffix, part in found.items():
        w_x, w_h = read["weight_ih" + suffix].T, read["weight_hh" + suffix].T
        zeros = np.zeros(part.params.b.shape, w_x.dtype)
        biases = (read.get(bias + suffix, zeros) for bias in ("bias_ih", "bias_hh"))
        fields.append({"w_x": w_x, "w_h": w_h, **named.merge_biases(part, *biases)})
    return named.join(like, fields, list(found.values()))


def to_torch(layer: Cell | Layer, params: Any, bias: bool = True, prefix: str = "") -> dict[str, np.ndarray]:
    """The tensors of a module of torch, as arrays of numpy: for ``load_state_dict`` by way of ``torch.from_numpy``.

    b stands in ``bias_ih``, and ``bias_hh`` is zero, but for the GRU's b_h; `from_torch` gives back every bit.
    ``bias=False`` is for modules without biases: ValueError where one of ours is not zero. ``prefix`` stands before
    each name, as in `from_torch`.
    """
    written = {}
    for suffix, part in _parts(layer, named.read_params(layer, params)).items():
        b_ih, b_hh = named.split_biases(part.params)
        arrays = {"weight_ih": part.params.w_x.T, "weight_hh": part.params.w_h.T}
        if bias:
            arrays |= {"bias_ih": b_ih, "bias_hh": b_hh}
        else:
            for name, own in (("b", b_ih), ("b_h", b_hh)):
                named.check_no_bias(part.path + name, own, "torch has no biases here")
        # writable copies of their own, which is what torch wants of memory that it shares
        written |= {prefix + name + suffix: np.array(array, order="C") for name, array in arrays.items()}
    return written


def _shapes(suffix: str, part: named.Part, with_bias: bool) -> list[tuple[str, tuple[int, ...]]]:
    weights = [("weight_ih", part.params.w_x.shape[::-1]), ("weight_hh", part.params.w_h.shape[::-1])]
    biases = [(name, part.params.b.shape) for name in ("bias_ih", "bias_hh")] if with_bias else []
    return [(name + suffix, shape) for name, shape in weights + biases]


def _parts(layer: Cell | Layer, params: Any) -> dict[str, named.Part]:
    """The cells by the end of their names in torch; ValueError for networks that torch cannot build."""
    rows = layer.parts if isinstance(layer, Stack) else (layer,)
    two_ways = isinstance(rows[0], Bidirectional)
    regular = all(
        isinstance(row, Bidirectional) == two_ways
        and (row.merge == "concat" if isinstance(row, Bidirectional) else isinstance(row, Cell))
        for row in rows
    )
    found = named.parts(layer, params)
    for part in found:
        named.check_cell(part, "torch")
    kinds = {
        (type(part.params), part.params.w_h.shape, getattr(part.cell, "activation", None)) for part in found
    }
    suffixes = [f"_l{index}{way}" for index in range(len(rows)) for way in ("", "_reverse")[: 1 + two_ways]]
    if not regular or len(kinds) > 1 or len(found) != len(suffixes):
        raise ValueError(
            "layer: expected what torch_layer builds, cells of one kind and size, all in one direction or all in two "
            f"with merge='concat', got {layer}"
        )
    return dict(zip(suffixes, found, strict=True))
