"""Equinox: `LSTMCell` and `GRUCell`, scanned over one sequence and mapped over the batch; it has no simple cell."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from benchmarks.peers.contender import Contender, Point, in_jax

CELLS = {"lstm": eqx.nn.LSTMCell, "gru": eqx.nn.GRUCell}


def contender(kind: str, cell: Any, params: Any, xs: Any, point: Point) -> Contender:
    """The cell of Equinox that computes ``cell`` with the parameters ``params`` over ``xs`` ``[t, b, d]``."""
    module = CELLS[kind](point.inputs, point.units, key=jax.random.key(0))

    def fields(module: Any) -> tuple[Any, ...]:
        found = (module.weight_ih, module.weight_hh, module.bias)
        return (*found, module.bias_n) if kind == "gru" else found

    values = (params.w_x.T, params.w_h.T, params.b)
    module = eqx.tree_at(fields, module, (*values, params.b_h) if kind == "gru" else values)
    weights, rest = eqx.partition(module, eqx.is_inexact_array)

    def unroll(weights: Any, xs: Any) -> Any:
        combined = eqx.combine(weights, rest)

        def one(xs: Any) -> Any:
            zeros = jnp.zeros(point.units)

            def step(state: Any, x: Any) -> Any:
                state = combined(x, state)
                return state, state[0] if kind == "lstm" else state

            return jax.lax.scan(step, (zeros, zeros) if kind == "lstm" else zeros, xs)[1]

        return jax.vmap(one, in_axes=1, out_axes=1)(xs)

    def read(gradients: Any) -> dict[str, Any]:
        named = {"w_x": gradients.weight_ih.T, "w_h": gradients.weight_hh.T, "b": gradients.bias}
        return named | ({"b_h": gradients.bias_n} if kind == "gru" else {})

    return in_jax(unroll, weights, xs, read)
