"""Digests against ones computed by hand with hashlib."""

import hashlib
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.lab.storage.hashing import file_sha256, params_sha256


class Params(NamedTuple):
    w: jax.Array
    b: jax.Array


# 1.0 and -2.0 as float32, 3 as int16 and 1.5 as bfloat16, written out: little-endian
B_LINE, B_BYTES = b"['cell'].b float32 2\n", bytes.fromhex("0000803f 000000c0")
W_LINE, W_BYTES = b"['cell'].w int16 1,2\n", bytes.fromhex("0300 0100")
OUT_LINE, OUT_BYTES = b"['out'] bfloat16 \n", bytes.fromhex("c03f")
KNOWN = hashlib.sha256(B_LINE + B_BYTES + W_LINE + W_BYTES + OUT_LINE + OUT_BYTES).hexdigest()


def params():
    # .w stands before .b in the tuple: the order is that of the paths
    cell = Params(jnp.array([[3, 1]], jnp.int16), jnp.array([1.0, -2.0]))
    return {"out": jnp.array(1.5, jnp.bfloat16), "cell": cell}


def test_the_digest_is_that_of_the_bytes_in_path_order():
    assert params_sha256(params()) == KNOWN


def test_neither_library_nor_byte_order_nor_memory_order_nor_compilation_matters():
    swapped = np.array([[3, 1]], ">i2"), np.array([1.0, -2.0], ">f4")
    assert params_sha256({**params(), "cell": Params(*swapped)}) == KNOWN
    strided = np.array([[3, 9, 1, 9]], np.int16)[:, ::2]
    assert params_sha256({**params(), "cell": params()["cell"]._replace(w=strided)}) == KNOWN
    assert params_sha256(jax.jit(lambda tree: tree)(params())) == KNOWN
    matrix = np.arange(6.0).reshape(2, 3)
    assert params_sha256(np.asfortranarray(matrix)) == params_sha256(matrix)


@pytest.mark.parametrize(
    "change",
    [
        lambda cell: cell._replace(b=jnp.array([1.0, np.nextafter(np.float32(-2), np.float32(0))])),
        lambda cell: cell._replace(b=jnp.array([-2.0, 1.0])),
        lambda cell: cell._replace(b=jnp.array([[1.0, -2.0]])),
        lambda cell: cell._replace(w=jnp.array([[3, 1]], jnp.uint16)),
        lambda cell: Params(cell.b, cell.w),
        lambda cell: tuple(cell),
    ],
    ids=["one bit", "order", "shape", "dtype", "path", "container"],
)
def test_every_difference_changes_the_digest(change):
    assert params_sha256({**params(), "cell": change(params()["cell"])}) != KNOWN


def test_the_sign_of_zero_counts():
    assert params_sha256(jnp.array(0.0)) != params_sha256(jnp.array(-0.0))


def test_a_files_digest(tmp_path):
    content = bytes(range(256)) * 5000
    (tmp_path / "file").write_bytes(content)
    assert file_sha256(tmp_path / "file") == hashlib.sha256(content).hexdigest()
    (tmp_path / "empty").write_bytes(b"")
    assert (
        file_sha256(tmp_path / "empty") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    )
