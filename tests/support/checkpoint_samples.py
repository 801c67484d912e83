"""States to save, a run with three good steps, and how two folders or two trees are compared bit by bit."""

import functools
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from experiments.lab.storage.checkpoint import Checkpoints


class State(NamedTuple):
    update: Any
    params: Any
    opt_state: Any
    key: Any
    carry: Any


def state(step: int) -> State:
    """Different numbers in every leaf for every step."""
    params = {"w": jnp.arange(12.0).reshape(3, 4) / 7 + step, "dense/kernel": jnp.array([0.1, -0.0]) * step}
    optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(1e-3))
    grads = jax.tree.map(lambda leaf: leaf * 0.3, params)
    opt_state = optimizer.update(grads, optimizer.init(params), params)[1]
    return State(jnp.array(step, jnp.int32), params, opt_state, jax.random.key(step), ())


def raw(leaf: Any) -> tuple[str, tuple[int, ...], bytes]:
    data = jax.random.key_data(leaf) if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key) else leaf
    return leaf.dtype.name, leaf.shape, np.asarray(data).tobytes()


def assert_same_bits(tree: Any, expected: Any) -> None:
    assert jax.tree.structure(tree) == jax.tree.structure(expected)
    for leaf, other in zip(jax.tree.leaves(tree), jax.tree.leaves(expected), strict=True):
        assert raw(leaf) == raw(other)


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


@functools.cache
def _three_steps() -> dict[str, bytes]:
    with tempfile.TemporaryDirectory() as folder:
        with Checkpoints(Path(folder)) as checkpoints:
            for step in (10, 20, 30):
                checkpoints.save(step, state(step), {"wall_seconds": step / 8})
        return files(Path(folder))


def three_steps(run: Path) -> Path:
    """The checkpoints of a run that has saved the states 10, 20 and 30."""
    for name, content in _three_steps().items():
        path = run / "checkpoints" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return run / "checkpoints"
