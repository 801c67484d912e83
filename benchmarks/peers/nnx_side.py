"""flax.nnx: `OptimizedLSTMCell`, `GRUCell` and `SimpleCell` under `nnx.RNN`."""

from typing import Any

from flax import nnx

import recurrent as rec
from benchmarks.peers.contender import Contender, Point, in_jax

CELLS = {"elman": nnx.SimpleCell, "lstm": nnx.OptimizedLSTMCell, "gru": nnx.GRUCell}


def contender(kind: str, cell: Any, params: Any, xs: Any, point: Point) -> Contender:
    """The module of flax that computes ``cell`` with the parameters ``params`` over ``xs`` ``[t, b, d]``."""
    module = nnx.RNN(CELLS[kind](point.inputs, point.units, rngs=nnx.Rngs(0)), time_major=True)
    nnx.update(module.cell, rec.interop.to_nnx(cell, params))
    graph, weights, rest = nnx.split(module, nnx.Param, ...)

    def unroll(weights: Any, xs: Any) -> Any:
        return nnx.merge(graph, weights, rest)(xs, rngs=nnx.Rngs(0))

    def read(gradients: Any) -> dict[str, Any]:
        leaves = gradients["cell"]
        bias = leaves["dense_h" if kind == "lstm" else "dense_i"]["bias"]
        kernels = {"w_x": leaves["dense_i"]["kernel"], "w_h": leaves["dense_h"]["kernel"]}
        return {name: leaf[...] for name, leaf in {**kernels, "b": bias}.items()}

    return in_jax(unroll, weights, xs, read)
