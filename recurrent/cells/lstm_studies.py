"""The forms of long short-term memory that two studies compared, by their names there.

Greff, Srivastava, Koutník, Steunebrink & Schmidhuber (2017), "LSTM: a search space odyssey": V, the vanilla LSTM, with
peepholes, and eight variants that differ from it in one point each. All starts at N(0, 0.1²).

Jozefowicz, Zaremba & Sutskever (2015), "An empirical exploration of recurrent network architectures": their LSTM has no
peepholes, and o = tanh(...) where others have σ; -f, -i and -o lack a gate, -b adds 1 to the biases of the forget gate.
All starts at U(±1/√h).

Learning rate: no best one was found in print for either study; at second hand, Greff et al. searched from 1e-6 to 1e-2.
With Adam, adding of 20 steps is learned here at 3e-2 by v, niaf and np, and at 1e-2 by the others. fgr needs Glorot and
orthogonal matrices for it; nig and nog hardly learn it.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

from recurrent.cells.lstm_forms import LSTMForm, LSTMVariant
from recurrent.initializers import Spec
from recurrent.sizes import Size

__all__ = [
    "lstm_b",
    "lstm_cifg",
    "lstm_f",
    "lstm_fgr",
    "lstm_i",
    "lstm_nfg",
    "lstm_niaf",
    "lstm_nig",
    "lstm_noaf",
    "lstm_nog",
    "lstm_np",
    "lstm_o",
    "lstm_v",
]


def _builder(
    name: str, form: LSTMForm, difference: str, init: Spec, bias: float = 0.0
) -> Callable[..., LSTMVariant]:
    """A builder of one form; it takes the options of `LSTMVariant` but for the form."""

    def build(
        input_size: Size,
        hidden_size: Size,
        forget_bias: float | int = bias,
        input_init: Spec = init,
        recurrent_init: Spec = init,
        bias_init: Spec = init,
    ) -> LSTMVariant:
        return LSTMVariant(input_size, hidden_size, form, forget_bias, input_init, recurrent_init, bias_init)

    build.__name__ = build.__qualname__ = name
    build.__doc__ = difference
    return build


def _greff(name: str, difference: str, **changes: Any) -> Callable[..., LSTMVariant]:
    form = dataclasses.replace(LSTMForm(peepholes=True), **changes)
    return _builder(name, form, f"{difference}: Greff et al. (2017).", ("normal", 0.1))


def _jozefowicz(
    name: str, difference: str, gates: str = "ifo", bias: float = 0.0
) -> Callable[..., LSTMVariant]:
    form = LSTMForm(gates, output_gate_activation="tanh")
    return _builder(
        name, form, f"{difference}: Jozefowicz et al. (2015); starts at U(±1/√h).", "uniform", bias
    )


lstm_v = _greff("lstm_v", "The vanilla LSTM, with peepholes")
lstm_nig = _greff("lstm_nig", "No input gate", gates="fo")
lstm_nfg = _greff("lstm_nfg", "No forget gate", gates="io")
lstm_nog = _greff("lstm_nog", "No output gate", gates="if")
lstm_niaf = _greff("lstm_niaf", "No input activation function", input_activation="identity")
lstm_noaf = _greff("lstm_noaf", "No output activation function", output_activation="identity")
lstm_cifg = _greff("lstm_cifg", "Coupled input and forget gate", gates="io", coupled=True)
lstm_np = _greff("lstm_np", "No peepholes", peepholes=False)
lstm_fgr = _greff("lstm_fgr", "Full gate recurrence", full_recurrence=True)

lstm_f = _jozefowicz("lstm_f", "No forget gate", "io")
lstm_i = _jozefowicz("lstm_i", "No input gate", "fo")
lstm_o = _jozefowicz("lstm_o", "No output gate", "if")
lstm_b = _jozefowicz("lstm_b", "1 added to the biases of the forget gate", bias=1.0)
