"""Keras 3 on JAX: `SimpleRNN`, `LSTM` and `GRU`; the batch in front, as Keras has it."""

import os
from typing import Any

import jax.numpy as jnp

import recurrent as rec
from benchmarks.peers.contender import Contender, Point, in_jax

os.environ["KERAS_BACKEND"] = "jax"  # read once, when Keras is imported
import keras

LAYERS = {"elman": keras.layers.SimpleRNN, "lstm": keras.layers.LSTM, "gru": keras.layers.GRU}


def contender(kind: str, cell: Any, params: Any, xs: Any, point: Point) -> Contender:
    """The layer of Keras that computes ``cell`` with the parameters ``params`` over ``xs`` ``[t, b, d]``."""
    layer = LAYERS[kind](point.units, return_sequences=True)
    batch_first = jnp.swapaxes(xs, 0, 1)
    layer.build(batch_first.shape)
    layer.set_weights(rec.interop.to_keras(cell, params))
    weights = [variable.value for variable in layer.trainable_variables]
    fixed = [variable.value for variable in layer.non_trainable_variables]

    def unroll(weights: Any, xs: Any) -> Any:
        return layer.stateless_call(weights, fixed, xs)[0]

    def read(gradients: Any) -> dict[str, Any]:
        w_x, w_h, b = gradients
        if kind == "gru":  # z, r, n; two rows of biases
            z, r, n = (slice(k * point.units, (k + 1) * point.units) for k in range(3))
            w_x, w_h, rows = (jnp.concatenate([a[..., r], a[..., z], a[..., n]], -1) for a in (w_x, w_h, b))
            return {"w_x": w_x, "w_h": w_h, "b": rows[0], "b_h": rows[1][n]}
        return {"w_x": w_x, "w_h": w_h, "b": b}

    found = in_jax(unroll, weights, batch_first, read)

    def gradients() -> Any:
        named = found.gradients()
        return named | {"ys": named["ys"].swapaxes(0, 1)}

    return found._replace(gradients=gradients)
