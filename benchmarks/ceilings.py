"""What no training step can be faster than: its matrix products alone, and the rate of a large one."""

import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from benchmarks.peers.contender import Point

__all__ = ["peak", "products", "seconds"]


def products(gates: int, point: Point) -> Callable[[], Any]:
    """The matrix products of a training step and nothing else: two loops of T products, and one over all steps."""
    width = gates * point.units
    w = jnp.ones((point.inputs + point.units, width)) / width
    h = jnp.ones((point.batch, point.inputs + point.units))

    def run(w: Any, h: Any) -> Any:
        def forward(h: Any, _: Any) -> Any:
            z = h @ w
            return jnp.concatenate([z[:, : point.units], h[:, : point.inputs]], -1), None

        def backward(z: Any, _: Any) -> Any:
            h = z @ w[: point.units].T
            return jnp.tile(h, (1, gates)), None

        h, _ = jax.lax.scan(forward, h, length=point.steps)
        z, _ = jax.lax.scan(backward, h @ w, length=point.steps)
        rows = point.batch * point.steps
        large = jnp.broadcast_to(h[:1], (rows, h.shape[1])), jnp.broadcast_to(z[:1], (rows, width))
        first, second = jax.lax.optimization_barrier(large)
        return z, first.T @ second

    compiled = jax.jit(run)
    return lambda: jax.block_until_ready(compiled(w, h))


def peak() -> float:
    """GFLOP/s of a product of two 2048 x 2048 matrices, the best of ten."""
    a = jnp.ones((2048, 2048))
    product = jax.jit(lambda a: a @ a)
    times = [seconds(lambda: jax.block_until_ready(product(a))) for _ in range(11)]
    return 2 * 2048**3 / min(times[1:]) / 1e9


def seconds(call: Callable[[], Any], calls: int = 1) -> float:
    """The wall time of one of ``calls`` calls."""
    started = time.perf_counter()
    for _ in range(calls):
        call()
    return (time.perf_counter() - started) / calls
