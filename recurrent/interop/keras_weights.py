"""Weights of the layers `SimpleRNN`, `LSTM` and `GRU` of Keras 3, alone, bidirectional, or one after the other.

    kernel = W_x    recurrent_kernel = W_h    bias = b    GRU(reset_after=True): bias[0] + bias[1] = b, and b_h in n

Keras names the LSTM's gates i, f, c, o, where c is our g, and stores the GRU's as z, r, h, where h is our n. Its GRU is
h' = z ⊙ h + (1 - z) ⊙ n, as ours. ``reset_after`` True and False are our ``reset`` 'after' and 'before'.

Source: `keras.layers.GRU` and `keras.layers.LSTM` of Keras 3.15, their code.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from recurrent.cell import Cell, Layer
from recurrent.cells.gru import GRU
from recurrent.interop import named

__all__ = ["from_keras", "to_keras"]

_NAMES = ("kernel", "recurrent_kernel", "bias")


def from_keras(layer: Cell | Layer, weights: Sequence[Any]) -> Any:
    """The parameters of ``layer`` from ``get_weights()`` of a layer of Keras, or of a model of such layers alone.

    A `Bidirectional` reads the forward arrays, then the backward ones; a stack reads part by part. Layers without
    biases (two arrays a cell) get b = 0. ValueError names the first array that does not fit: ``0/forward/kernel``.
    """
    like = named.shapes_of(layer)
    found = _parts(layer, like)
    names = _NAMES[: len(weights) // len(found)]
    expected = {
        part.path + name: shape
        for part in found
        for name, shape in zip(_NAMES, _shapes(part), strict=True)
        if name in names
    }
    if len(weights) != len(expected) or len(names) < 2:
        raise ValueError(
            f"weights: expected 3 arrays for each of {len(found)} cells (2 without biases), of shapes "
            f"{list(map(_shapes, found))}, got {len(weights)} of shapes {[np.shape(array) for array in weights]}"
        )
    read = named.check(expected, dict(zip(expected, weights, strict=True)))
    fields = []
    for part in found:
        w_x, w_h = (_reorder(part, read[part.path + name]) for name in names[:2])
        zeros = np.zeros(_shapes(part)[2], w_x.dtype)
        bias = _reorder(part, read.get(part.path + "bias", zeros))
        biases = named.merge_biases(part, *bias) if bias.ndim == 2 else {"b": bias}
        fields.append({"w_x": w_x, "w_h": w_h, **biases})
    return named.join(like, fields, found)


def to_keras(layer: Cell | Layer, params: Any, bias: bool = True) -> list[np.ndarray]:
    """The arrays for ``set_weights``, in the order of `from_keras`, which gives back every bit.

    ``bias=False`` is for layers with ``use_bias=False``: ValueError where one of ours is not zero.
    """
    written = []
    for part in _parts(layer, named.read_params(layer, params)):
        b_x, b_h = named.split_biases(part.params)
        arrays = [part.params.w_x, part.params.w_h]
        if bias:
            arrays.append(np.stack([b_x, b_h]) if named.has_two_biases(part.params) else b_x)
        else:
            for name, own in (("b", b_x), ("b_h", b_h)):
                named.check_no_bias(part.path + name, own, "Keras has no biases here")
        written += [np.array(_reorder(part, array), order="C") for array in arrays]
    return written


def _parts(layer: Cell | Layer, params: Any) -> list[named.Part]:
    found = named.parts(layer, params)
    for part in found:
        named.check_cell(part, "Keras", resets=("after", "before"))
    return found


def _shapes(part: named.Part) -> tuple[tuple[int, ...], ...]:
    b = part.params.b.shape
    return part.params.w_x.shape, part.params.w_h.shape, (2, *b) if named.has_two_biases(part.params) else b


def _reorder(part: named.Part, array: np.ndarray) -> np.ndarray:
    """r, z, n from z, r, n or the other way around; the gates of the other cells stand as they are."""
    if not isinstance(part.cell, GRU):
        return array
    first, second, third = np.split(array, 3, axis=-1)
    return np.concatenate([second, first, third], axis=-1)
