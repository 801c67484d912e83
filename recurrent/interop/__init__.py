"""Weights to and from torch, Keras 3, flax and safetensors: bit for bit, or one line that says why not.

No framework is imported: torch is a mapping of names to arrays, Keras a list of arrays, flax a module's state.
Weights do not say everything: that activations and gate functions agree (``tanh`` or ``relu``, a residual) is for the
caller to see to. A bias that the other side splits in two is one of ours, so theirs -> ours adds and ours -> theirs
puts all of it into the first.

>>> import jax, numpy as np
>>> from recurrent import interop
>>> layer = interop.torch_layer("LSTM", input_size=2, hidden_size=3, num_layers=2, bidirectional=True)
>>> params = layer.init(jax.random.key(0))
>>> state_dict = interop.to_torch(layer, params)
>>> state_dict["weight_ih_l1_reverse"].shape
(12, 6)
>>> interop.from_torch(layer, state_dict | {"weight_ih_l0": np.zeros((9, 2))})
Traceback (most recent call last):
ValueError: weight_ih_l0: expected shape (12, 2), got (9, 2)
"""

from recurrent.interop.keras_weights import from_keras, to_keras
from recurrent.interop.nnx_weights import from_nnx, to_nnx
from recurrent.interop.safetensors_bytes import from_safetensors, read_safetensors, to_safetensors
from recurrent.interop.torch_weights import from_torch, to_torch, torch_layer

__all__ = [
    "from_keras",
    "from_nnx",
    "from_safetensors",
    "from_torch",
    "read_safetensors",
    "to_keras",
    "to_nnx",
    "to_safetensors",
    "to_torch",
    "torch_layer",
]
