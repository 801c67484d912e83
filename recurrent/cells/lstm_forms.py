"""Long short-term memory with parts taken away, exchanged or added: one cell for all the forms compared in print.

    [i, f, g, o] = x W_x + h W_h + b             blocks in this order, without those of gates that do not exist
    peepholes          i += p_i ⊙ c,  f += p_f ⊙ c,  o += p_o ⊙ c'
    full recurrence    i, f, o += [i, f, o] W_g, of the opened gates of the step before
    c' = f ⊙ c + i ⊙ φ(g)                        gates behind σ; one that does not exist is 1; coupled: f = 1 - i
    h' = o ⊙ ψ(c')                               φ, ψ = tanh or the identity; o behind σ or tanh

`LSTMForm` says which; it is read while the program is traced, so a form costs what it computes and no more.

Source: Greff, Srivastava, Koutník, Steunebrink & Schmidhuber (2017), "LSTM: a search space odyssey"; Jozefowicz,
Zaremba & Sutskever (2015), "An empirical exploration of recurrent network architectures". The forms of both by name:
`recurrent.cells.lstm_studies`.
"""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from recurrent import arrays, initializers
from recurrent.arrays import Key
from recurrent.cell import Cell
from recurrent.cells.lstm import LSTMParams, LSTMState, PeepholeLSTMParams
from recurrent.initializers import Spec
from recurrent.sizes import Size

__all__ = ["FullGateParams", "FullGateState", "LSTMForm", "LSTMVariant"]

ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "tanh": jnp.tanh,
    "sigmoid": jax.nn.sigmoid,
    "identity": lambda z: z,
}


class FullGateParams(NamedTuple):
    """The parameters of `LSTMVariant` with full recurrence; rows and columns of w_g are i, f, o, as are p's rows."""

    w_x: Float[Array, "d gates"]
    w_h: Float[Array, "h gates"]
    b: Float[Array, " gates"]
    p: Float[Array, "3 h"]
    w_g: Float[Array, "opened opened"]


class FullGateState(NamedTuple):
    """The state of `LSTMVariant` with full recurrence: `LSTMState`, and the opened gates."""

    h: Float[Array, "*b h"]
    c: Float[Array, "*b h"]
    i: Float[Array, "*b h"]
    f: Float[Array, "*b h"]
    o: Float[Array, "*b h"]


@dataclasses.dataclass(frozen=True)
class LSTMForm:
    """Which parts an LSTM has, and of what kind.

    ``gates`` names those with parameters, in the order "ifo"; ``coupled`` has no "f", because f = 1 - i.
    ``full_recurrence`` comes with all three gates and with peepholes.

    >>> LSTMForm("io").blocks
    'igo'
    """

    gates: str = "ifo"
    coupled: bool = False
    peepholes: bool = False
    full_recurrence: bool = False
    input_activation: str = "tanh"
    output_activation: str = "tanh"
    output_gate_activation: str = "sigmoid"

    def __post_init__(self) -> None:
        """ValueError, naming the field, where a size or an option is out of its range."""
        if self.gates not in ("ifo", "if", "io", "fo", "i", "f", "o", ""):
            raise ValueError(f"gates: expected some of 'ifo', in this order, got {self.gates!r}")
        if self.coupled and ("f" in self.gates or "i" not in self.gates):
            raise ValueError(f"coupled: expected gates with 'i' and without 'f', got {self.gates!r}")
        if self.full_recurrence and not (self.gates == "ifo" and self.peepholes):
            raise ValueError(
                f"full_recurrence: expected gates 'ifo' and peepholes, got {self.gates!r}, {self.peepholes}"
            )
        for field, known in (
            ("input_activation", ("tanh", "identity")),
            ("output_activation", ("tanh", "identity")),
            ("output_gate_activation", ("sigmoid", "tanh")),
        ):
            if getattr(self, field) not in known:
                raise ValueError(f"{field}: expected {' or '.join(known)}, got {getattr(self, field)!r}")

    @property
    def blocks(self) -> str:
        """The blocks of W_x, W_h and b, in their order."""
        return "".join(name for name in "ifgo" if name == "g" or name in self.gates)


@dataclasses.dataclass(frozen=True)
class LSTMVariant(Cell):
    """Long short-term memory in the form that ``form`` says.

    Equations and sources: the head of this module. Every matrix starts as ``input_init`` or ``recurrent_init`` says,
    biases and peepholes as ``bias_init`` says; ``forget_bias`` is added to the biases of the forget gate, or taken from
    those of the input gate where the two are coupled. The defaults are those of Greff et al.; they found the learning
    rate to matter most by far, and little interaction with the size.
    Learning rate: no best one was found in print; at second hand, Greff et al. searched from 1e-6 to 1e-2, and advise
    to start high and to divide by ten. Adam at 3e-2 solves adding of 20 steps here, with the default form.

    >>> cell = LSTMVariant(input_size=2, hidden_size=3, form=LSTMForm("fo"))
    >>> weights = cell.prepare(cell.init(jax.random.key(0)))
    >>> state, y = cell.step(weights, cell.initial_state(weights, ()), cell.project(weights, jnp.ones(2)))
    >>> weights.w_x.shape, bool(jnp.all(jnp.abs(y) < 1))
    ((2, 9), True)
    """

    input_size: Size
    hidden_size: Size
    form: LSTMForm = LSTMForm(peepholes=True)
    forget_bias: float | int = 0.0
    input_init: Spec = ("normal", 0.1)
    recurrent_init: Spec = ("normal", 0.1)
    bias_init: Spec = ("normal", 0.1)

    def __post_init__(self) -> None:
        """ValueError, naming the field, where a size or an option is out of its range."""
        super().__post_init__()
        for field in ("input_init", "recurrent_init", "bias_init"):
            initializers.check(field, getattr(self, field))
        if self.forget_bias and not self.form.coupled and "f" not in self.form.gates:
            raise ValueError(f"forget_bias: expected 0 without a forget gate, got {self.forget_bias}")

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one input, ``(d,)``."""
        return (self.input_size,)

    @property
    def local_fields(self) -> tuple[str, ...]:
        """The fields that recur inside a unit alone: ``c``, for h and opened gates go round by W_h and W_g."""
        return ("c",)

    def init(self, key: Key) -> LSTMParams | PeepholeLSTMParams | FullGateParams:
        """Fresh parameters: each block of each matrix is drawn apart."""
        key_x, key_h, key_b, key_p, key_g = jax.random.split(key, 5)
        h, names = self.hidden_size, self.form.blocks
        b = initializers.initialize(self.bias_init, key_b, (len(names), h))
        if self.form.coupled:
            b = b.at[names.index("i")].add(-self.forget_bias)
        elif "f" in names:
            b = b.at[names.index("f")].add(self.forget_bias)
        params = LSTMParams(
            w_x=initializers.blocks(self.input_init, key_x, (self.input_size, h), len(names)),
            w_h=initializers.blocks(self.recurrent_init, key_h, (h, h), len(names)),
            b=b.reshape(-1),
        )
        if not self.form.peepholes or not self.form.gates:
            return params
        p = initializers.initialize(self.bias_init, key_p, (len(self.form.gates), h))
        if not self.form.full_recurrence:
            return PeepholeLSTMParams(*params, p)
        rows = [
            initializers.blocks(self.recurrent_init, row, (h, h), 3) for row in jax.random.split(key_g, 3)
        ]
        return FullGateParams(*params, p, jnp.concatenate(rows))

    def initial_state(
        self, weights: LSTMParams | PeepholeLSTMParams | FullGateParams, batch_shape: tuple[int, ...]
    ) -> LSTMState | FullGateState:
        """The state before the first step: all 0, the opened gates too."""
        kind = FullGateState if self.form.full_recurrence else LSTMState
        return kind(*arrays.zeros(len(kind._fields), (*batch_shape, self.hidden_size), weights.b.dtype))

    def project(
        self, weights: LSTMParams | PeepholeLSTMParams | FullGateParams, x: Float[Array, "*b d"]
    ) -> Float[Array, "*b gates"]:
        """What does not depend on the state: x W_x + b."""
        return x @ weights.w_x + weights.b

    def next_state(
        self,
        weights: LSTMParams | PeepholeLSTMParams | FullGateParams,
        state: LSTMState | FullGateState,
        u: Float[Array, "*b gates"],
    ) -> LSTMState | FullGateState:
        """The state after one step, by the equations at the head of this module."""
        form = self.form
        parts = jnp.split(u + state.h @ weights.w_h, len(form.blocks), axis=-1)
        z = dict(zip(form.blocks, parts, strict=True))
        if isinstance(weights, FullGateParams) and isinstance(state, FullGateState):
            opened = jnp.concatenate([state.i, state.f, state.o], axis=-1) @ weights.w_g
            for name, part in zip("ifo", jnp.split(opened, 3, axis=-1), strict=True):
                z[name] = z[name] + part
        peepholes = {} if isinstance(weights, LSTMParams) else dict(zip(form.gates, weights.p, strict=True))

        def gate(name: str, seen: Array, activation: str = "sigmoid") -> Array:
            if name not in form.gates:
                return jnp.ones_like(seen)
            return ACTIVATIONS[activation](z[name] + peepholes[name] * seen if peepholes else z[name])

        i = gate("i", state.c)
        f = 1.0 - i if form.coupled else gate("f", state.c)
        c = f * state.c + i * ACTIVATIONS[form.input_activation](z["g"])
        o = gate("o", c, form.output_gate_activation)
        h = o * ACTIVATIONS[form.output_activation](c)
        return FullGateState(h, c, i, f, o) if form.full_recurrence else LSTMState(h, c)
