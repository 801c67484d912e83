"""The parameters of any cell or layer as a safetensors file: tensors by path (``0/forward/w_x``), and no code.

The file holds no structure: reading asks for a pytree to read into. Needs the extra ``export``.

Source: the format and the Python package of safetensors 0.8.
"""

import importlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from recurrent.interop import named

__all__ = ["from_safetensors", "read_safetensors", "to_safetensors"]


# the package's own reader for numpy knows no bfloat16
_DTYPES = {"F64": np.float64, "F32": np.float32, "F16": np.float16, "BF16": jnp.bfloat16}


def to_safetensors(params: Any) -> bytes:
    """The contents of a safetensors file with one tensor for each leaf of ``params``, bit for bit."""
    # contiguous, because the package writes the memory as it lies
    return _package().numpy.save(
        {name: np.array(leaf, order="C") for name, leaf in named.named(params).items()}
    )


def from_safetensors(data: bytes, like: Any) -> Any:
    """The parameters in ``data``, in the structure, shapes and dtypes of ``like``.

    ``like`` is any pytree of arrays or shapes: ``cell.init(key)``, ``jax.eval_shape(cell.init, key)``. ValueError names
    the first tensor that is missing, not in ``like``, or of another shape or dtype.
    """
    wanted, given = named.named(like), read_safetensors(data)
    read = named.check({name: tuple(np.shape(leaf)) for name, leaf in wanted.items()}, given)
    leaves = []
    for name, array in read.items():
        if array.dtype != wanted[name].dtype:
            raise ValueError(
                f"{name}: expected {wanted[name].dtype} of shape {array.shape}, got {array.dtype} of {array.shape}"
            )
        leaves.append(jnp.array(array, copy=True))
        if leaves[-1].dtype != array.dtype:
            raise ValueError(f"{name}: {array.dtype} needs 64-bit floats of JAX, jax.enable_x64")
    return jax.tree.structure(like).unflatten(leaves)


def read_safetensors(data: bytes) -> dict[str, np.ndarray]:
    """The tensors of any safetensors file by name, such as one that torch wrote, for `from_torch`.

    ValueError where these bytes are no such file, or hold something besides floating numbers.

    >>> import recurrent as rec
    >>> params = rec.GRU(2, 3).init(jax.random.key(0))
    >>> sorted(read_safetensors(to_safetensors(params)))
    ['b', 'b_h', 'w_h', 'w_x']
    """
    package = _package()
    try:
        stored = dict(package.deserialize(data))
    except package.SafetensorError as error:
        raise ValueError(
            f"data: expected a safetensors file, got {len(data)} other bytes: {error}"
        ) from error
    return {name: _array(name, **fields) for name, fields in stored.items()}


def _array(name: str, dtype: str, shape: list[int], data: bytes | bytearray) -> np.ndarray:
    if dtype not in _DTYPES:
        raise ValueError(f"{name}: expected one of {', '.join(_DTYPES)}, got {dtype} of shape {tuple(shape)}")
    return np.frombuffer(data, _DTYPES[dtype]).reshape(shape)


def _package() -> Any:
    try:
        importlib.import_module("safetensors.numpy")
        return importlib.import_module("safetensors")
    except ImportError as error:
        raise ImportError(
            f"safetensors files need the package safetensors ({error}); run pip install 'recurrent-lab[export]'"
        ) from error
