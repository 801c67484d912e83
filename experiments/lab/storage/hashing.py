"""Digests: of parameters, so that two runs can be compared by one line, and of files."""

import hashlib
from pathlib import Path
from typing import Any

import jax
import numpy as np


def params_sha256(params: Any) -> str:
    """The sha256 of a pytree of arrays, independent of device, sharding, memory order and byte order.

    Leaves are sorted by path (`jax.tree_util.keystr`); each adds the line ``<path> <dtype> <shape>``, its sizes
    separated by commas, and then its elements, row-major and little-endian.
    """
    leaves, _ = jax.tree_util.tree_flatten_with_path(params)
    digest = hashlib.sha256()
    for path, leaf in sorted((jax.tree_util.keystr(path), leaf) for path, leaf in leaves):
        array = np.asarray(leaf)
        sizes = ",".join(map(str, array.shape))
        digest.update(f"{path} {array.dtype.name} {sizes}\n".encode())
        digest.update(array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes())
    return digest.hexdigest()


def file_sha256(path: Path) -> str:
    """The sha256 of a file's bytes, as ``sha256sum`` prints it."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
