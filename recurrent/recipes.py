"""Builders of cells that a wrapper, a layer or an option makes of another, under the names that papers use.

Each takes ``(input_size, hidden_size, **options)`` like a cell; what they build is documented where it is defined.
"""

from typing import Any

from recurrent.cell import Cell
from recurrent.cells.delta_net import DeltaNet
from recurrent.cells.elman import Elman
from recurrent.cells.gru import GRU
from recurrent.cells.hs97 import HS97
from recurrent.cells.lstm import LSTM
from recurrent.initializers import ForgetBias, Spec
from recurrent.layers.dilated import Dilated
from recurrent.layers.stack import Stack, stack
from recurrent.layers.weight_drop import WeightDrop
from recurrent.sizes import Size, integer
from recurrent.wrappers.cut import Cut, cut
from recurrent.wrappers.dropout import VariationalDropout, variational_dropout
from recurrent.wrappers.recurrent_dropout import RecurrentDropout, recurrent_dropout
from recurrent.wrappers.zoneout import Zoneout, zoneout

__all__ = [
    "dilated_gru",
    "dilated_lstm",
    "dilated_rnn",
    "gated_delta_net",
    "hs97_cut",
    "recurrent_dropout_lstm",
    "variational_lstm",
    "weight_drop_lstm",
    "zoneout_lstm",
]


def zoneout_lstm(
    input_size: Size,
    hidden_size: Size,
    h: float | int = 0.05,
    c: float | int = 0.5,
    forget_bias: ForgetBias = 1.0,
) -> Zoneout:
    """An `LSTM` with `zoneout` of its output and of its memory; the rates are those that Krueger et al. (2017) advise.

    Learning rate: Adam in the paper, at 2e-3 for characters of Penn Treebank and at 1e-3 for text8, RMSprop at 1e-3
    (decay 0.5) for permuted MNIST, each with gradients clipped to norm 1; for words 1 by gradient descent, clipped to
    10, divided by 1.15 an epoch after 14 of them.

    >>> zoneout_lstm(2, 3, h=0.1).rates
    (('h', 0.1), ('c', 0.5))
    """
    return zoneout(LSTM(input_size, hidden_size, forget_bias), h=h, c=c)


def variational_lstm(
    input_size: Size,
    hidden_size: Size,
    inputs: float | int = 0.25,
    state: float | int = 0.25,
    forget_bias: ForgetBias = 1.0,
) -> VariationalDropout:
    """An `LSTM` with `variational_dropout`, Gal & Ghahramani (2016).

    Learning rate: for words of Penn Treebank 1 by plain gradient descent in Gal's code, gradients clipped to norm 10,
    divided by 1.15 an epoch after ten of them.
    """
    return variational_dropout(LSTM(input_size, hidden_size, forget_bias), inputs=inputs, state=state)


def recurrent_dropout_lstm(
    input_size: Size,
    hidden_size: Size,
    rate: float | int = 0.25,
    per_sequence: bool = False,
    forget_bias: ForgetBias = 1.0,
) -> RecurrentDropout:
    """An `LSTM` with `recurrent_dropout`, Semeniuta, Severyn & Barth (2016).

    Learning rate: for words of Penn Treebank 1 by plain gradient descent in the authors' code, gradients clipped to
    norm 10, divided by 1.5 after an epoch without progress.
    """
    return recurrent_dropout(LSTM(input_size, hidden_size, forget_bias), rate, per_sequence)


def weight_drop_lstm(
    input_size: Size,
    hidden_size: Size,
    rate: float | int = 0.5,
    forget_bias: ForgetBias = 1.0,
) -> WeightDrop:
    """An `LSTM` in a `WeightDrop` layer: the recurrence of the AWD-LSTM of Merity, Keskar & Socher (2018).

    The default rate is the one of the authors' code.
    Learning rate: in the authors' code 30 by plain gradient descent, averaged in the end, gradients clipped to norm
    0.25, for words of Penn Treebank and WikiText-2.

    >>> weight_drop_lstm(2, 3).rate
    0.5
    """
    return WeightDrop(LSTM(input_size, hidden_size, forget_bias), rate)


def hs97_cut(
    input_size: Size,
    hidden_size: Size,
    block_size: Size = 1,
    bias: str = "none",
    input_gate_bias: tuple[float | int, ...] = (),
    output_gate_bias: tuple[float | int, ...] = (),
    init_range: float | int = 0.1,
) -> Cut:
    """`HS97` with the gradient of its paper: errors flow back through c alone.

    Learning rate: the paper's is 0.1, 0.2 or 0.5 for the embedded Reber grammar, 0.5 for adding and for the order of
    two symbols, 0.1 for multiplication and for the order of three.
    """
    cell = HS97(
        input_size, hidden_size, block_size, bias, input_gate_bias, output_gate_bias, init_range=init_range
    )
    return cut(cell, ("h", "i", "o"))


def gated_delta_net(
    input_size: Size,
    hidden_size: Size,
    num_heads: Size = 1,
    negative_eigenvalues: bool = False,
    input_init: Spec = "glorot",
) -> DeltaNet:
    """`DeltaNet` with a decay from the input, Yang, Kautz & Hatamizadeh (2024).

    Learning rate: AdamW at 4e-4 in the paper, for language models of 1.3 billion parameters, with weight decay 0.1,
    gradients clipped at 1, a warm-up and a cosine; Adam at 1e-2 solves adding of 20 steps here with 4 heads.
    """
    return DeltaNet(input_size, hidden_size, num_heads, True, negative_eigenvalues, input_init)


def _dilated(cell: Any, input_size: Size, hidden_size: Size, num_layers: Size, base: Size) -> Stack:
    """Layers whose dilations are 1, base, base², ..."""
    num_layers, base = integer("num_layers", num_layers, 1), integer("base", base, 1)
    cells: list[Cell] = [
        cell(hidden_size if layer else input_size, hidden_size) for layer in range(num_layers)
    ]
    return stack(*(Dilated(own, base**layer) for layer, own in enumerate(cells)))


def dilated_rnn(input_size: Size, hidden_size: Size, num_layers: Size = 3, base: Size = 2) -> Stack:
    """A stack of `Dilated` Elman layers, Chang et al. (2017); the dilations are 1, base, base², ...

    Learning rate: RMSprop at 1e-3 in the authors' code, see `Dilated`; Adam at 3e-3 learns adding of 20 steps here.

    >>> [layer.dilation for layer in dilated_rnn(2, 3).parts]
    [1, 2, 4]
    """
    return _dilated(Elman, input_size, hidden_size, num_layers, base)


def dilated_gru(input_size: Size, hidden_size: Size, num_layers: Size = 3, base: Size = 2) -> Stack:
    """A stack of `Dilated` GRU layers, Chang et al. (2017); the dilations are 1, base, base², ...

    Learning rate: RMSprop at 1e-3 in the authors' code, see `Dilated`; Adam at 1e-2 solves adding of 20 steps here.
    """
    return _dilated(GRU, input_size, hidden_size, num_layers, base)


def dilated_lstm(input_size: Size, hidden_size: Size, num_layers: Size = 3, base: Size = 2) -> Stack:
    """A stack of `Dilated` LSTM layers, Chang et al. (2017); the dilations are 1, base, base², ...

    Learning rate: RMSprop at 1e-3 in the authors' code, see `Dilated`; Adam at 1e-2 learns adding of 20 steps here.
    """
    return _dilated(LSTM, input_size, hidden_size, num_layers, base)
