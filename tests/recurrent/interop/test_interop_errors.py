"""Weights that do not fit: every mismatch is one line that names the tensor and both shapes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import recurrent as rec
from recurrent import interop

KEY, ONES = jax.random.key(0), np.ones
LSTM, GRU = rec.LSTM(3, 4), rec.GRU(3, 4)
GRU_BEFORE = rec.GRU(3, 4, reset="before")
BOTH_WAYS = interop.torch_layer("LSTM", 3, 4, bidirectional=True)


def changed(write, layer, name, array=None):
    """What `interop.to_*` writes, with one tensor replaced or, without an array, taken out."""
    given = dict(write(layer, layer.init(KEY)))
    if array is None:
        del given[name]
    else:
        given[name] = array
    return given


COMPLAINTS = {
    "missing": (
        lambda: interop.from_torch(LSTM, changed(interop.to_torch, LSTM, "weight_hh_l0")),
        "weight_hh_l0: expected shape (16, 4), got no such tensor; unknown names: none",
    ),
    "another layer's name": (
        lambda: interop.from_torch(LSTM, {"rnn.weight_ih_l0": ONES((16, 3))}),
        "weight_ih_l0: expected shape (16, 3), got no such tensor; unknown names: rnn.weight_ih_l0 (16, 3)",
    ),
    "one bias of two": (
        lambda: interop.from_torch(LSTM, changed(interop.to_torch, LSTM, "bias_hh_l0")),
        "bias_hh_l0: expected shape (16,), got no such tensor; unknown names: none",
    ),
    "a projection": (
        lambda: interop.from_torch(LSTM, changed(interop.to_torch, LSTM, "weight_hr_l0", ONES((2, 4)))),
        "weight_hr_l0: expected no such tensor, got shape (2, 4)",
    ),
    "the other direction": (
        lambda: interop.from_torch(LSTM, interop.to_torch(BOTH_WAYS, BOTH_WAYS.init(KEY))),
        "weight_ih_l0_reverse: expected no such tensor, got shape (16, 3)",
    ),
    "another kind of weights": (
        lambda: interop.from_torch(GRU, interop.to_torch(LSTM, LSTM.init(KEY))),
        "weight_ih_l0: expected shape (12, 3), got (16, 3)",
    ),
    "another kind of cell": (
        lambda: interop.from_torch(GRU_BEFORE, {}),
        "cell: expected Elman, LSTM without peepholes and coupled gates, or GRU(reset='after'), "
        f"which is all that torch has, got {GRU_BEFORE}",
    ),
    "a variant of a cell": (
        lambda: interop.from_keras(rec.stack(GRU, rec.LSTM(4, 4, coupled=True)), []),
        "1: expected Elman, LSTM without peepholes and coupled gates, or GRU(reset='after') or GRU(reset='before'), "
        f"which is all that Keras has, got {rec.LSTM(4, 4, coupled=True)}",
    ),
    "sums of directions": (
        lambda: interop.from_torch(rec.Bidirectional(LSTM, LSTM, merge="sum"), {}),
        "layer: expected what torch_layer builds, cells of one kind and size, all in one direction or all in two "
        f"with merge='concat', got {rec.Bidirectional(LSTM, LSTM, merge='sum')}",
    ),
    "two activations": (
        lambda: interop.from_torch(rec.stack(rec.Elman(3, 4), rec.Elman(4, 4, activation="relu")), {}),
        "layer: expected what torch_layer builds",
    ),
    "no numbers": (
        lambda: interop.from_torch(LSTM, changed(interop.to_torch, LSTM, "bias_ih_l0", ONES(16, int))),
        "bias_ih_l0: expected real floating numbers, got int64",
    ),
    "no array": (
        lambda: interop.from_torch(LSTM, changed(interop.to_torch, LSTM, "bias_ih_l0", [[1.0], []])),
        "bias_ih_l0: numpy cannot read this list",
    ),
    "a bias for none": (
        lambda: interop.to_torch(BOTH_WAYS, BOTH_WAYS.init(KEY), bias=False),
        "forward/b: torch has no biases here, expected zeros of shape (16,), got up to 1",
    ),
    "a bias inside the reset": (
        lambda: interop.to_nnx(GRU, GRU.init(KEY)._replace(b_h=jnp.full(4, -0.5))),
        "b_h: flax's GRUCell has no bias inside the reset, expected zeros of shape (4,), got up to 0.5",
    ),
    "parameters of another cell": (
        lambda: interop.to_keras(LSTM, GRU.init(KEY)),
        "w_x: expected shape (3, 16), got (3, 12)",
    ),
    "too few arrays": (
        lambda: interop.from_keras(LSTM, [ONES((3, 16))]),
        "weights: expected 3 arrays for each of 1 cells (2 without biases), of shapes "
        "[((3, 16), (4, 16), (16,))], got 1 of shapes [(3, 16)]",
    ),
    "the reset of the other GRU": (
        lambda: interop.from_keras(GRU, [ONES((3, 12)), ONES((4, 12)), ONES(12)]),
        "bias: expected shape (2, 12), got (12,)",
    ),
    "a layer's second direction": (
        lambda: interop.from_keras(BOTH_WAYS, [*map(ONES, [(3, 16), (4, 16), 16, (3, 16), (3, 16), 16])]),
        "backward/recurrent_kernel: expected shape (4, 16), got (3, 16)",
    ),
    "a flax cell of another kind": (
        lambda: interop.from_nnx(LSTM, nnx.state(nnx.GRUCell(3, 4, rngs=nnx.Rngs(0)), nnx.Param)),
        "dense_i/kernel: expected shape (3, 16), got (3, 12)",
    ),
    "a gate of flax": (
        lambda: interop.from_nnx(LSTM, {"ii": {"kernel": ONES((3, 4))}, "if_": {"kernel": ONES((3, 5))}}),
        "hi/kernel: expected shape (4, 4), got no such tensor",
    ),
    "a mode": (
        lambda: interop.torch_layer("LSTMCell", 3, 4),
        "kind: expected one of RNN_TANH, RNN_RELU, LSTM, GRU, got 'LSTMCell'",
    ),
    "no layers": (
        lambda: interop.torch_layer("GRU", 3, 4, 0),
        "num_layers: expected an integer of at least 1, got 0",
    ),
}


@pytest.mark.parametrize("name", COMPLAINTS)
def test_every_mismatch_is_one_line_that_names_the_tensor(name):
    call, expected = COMPLAINTS[name]
    with pytest.raises(ValueError) as caught:
        call()
    assert str(caught.value).startswith(expected) and "\n" not in str(caught.value)
