"""Haiku: `LSTM` under `dynamic_unroll`. Its GRU resets before the product, its simple cell is a ReLU: not compared."""

from typing import Any

import haiku as hk
import jax
import jax.numpy as jnp

from benchmarks.peers.contender import Contender, Point, in_jax


def contender(kind: str, cell: Any, params: Any, xs: Any, point: Point) -> Contender:
    """The core of Haiku that computes ``cell`` with the parameters ``params`` over ``xs`` ``[t, b, d]``."""
    if kind != "lstm":
        raise LookupError(f"Haiku has no {kind} that computes the same function")

    def run(xs: Any) -> Any:
        core = hk.LSTM(point.units)
        return hk.dynamic_unroll(core, xs, core.initial_state(xs.shape[1]))[0]

    def turned(array: Any) -> Any:
        """i, f, g, o as Haiku's i, g, f, o; its own inverse."""
        i, f, g, o = jnp.split(array, 4, axis=-1)
        return jnp.concatenate([i, g, f, o], -1)

    transformed = hk.without_apply_rng(hk.transform(run))
    like = jax.eval_shape(transformed.init, jax.random.key(0), xs)
    name = next(iter(like))
    ones = jnp.repeat(jnp.array([0.0, 1.0, 0.0, 0.0]), point.units)  # Haiku adds 1 to f
    weights = {name: {"w": turned(jnp.concatenate([params.w_x, params.w_h])), "b": turned(params.b - ones)}}

    def read(gradients: Any) -> dict[str, Any]:
        w, b = turned(gradients[name]["w"]), turned(gradients[name]["b"])
        return {"w_x": w[: point.inputs], "w_h": w[point.inputs :], "b": b}

    return in_jax(lambda weights, xs: transformed.apply(weights, xs), weights, xs, read)
