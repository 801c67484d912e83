"""Diagonal state spaces, S4D: a complex diagonal system of its own for each channel, discretised by zero-order hold.

    u  = x W_x                                   one number for each of h channels
    A  = -exp(log_a_re) + i a_im,  Δ = exp(log_dt)       Re A < 0
    s' = exp(Δ A) ⊙ s + (exp(Δ A) - 1) / A ⊙ u   s complex, n numbers a channel; |exp(Δ A)| in (0, 1)
    y  = 2 Re(Σ_n C ⊙ s') + D ⊙ u                C = c_re + i c_im

The n = state_size / 2 numbers stand for themselves and their conjugates, hence 2 Re. The input matrix of the systems
is 1: only its product with C matters.

Source: Gu, Gupta, Goel & Ré (2022), "On the parameterization and initialization of diagonal state space models"; the
initialisation is the one of the authors' code, whose optimiser takes a learning rate of at most 0.001 and no weight
decay for A and Δ. Differs: this is the recurrence with a projection W_x in front; the nonlinearity, the mixing of
channels behind it and the rest of the block are left out.
"""

import dataclasses
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float

from recurrent import forms, initializers
from recurrent.arrays import Key
from recurrent.cell import Cell
from recurrent.initializers import Spec
from recurrent.sizes import Size

__all__ = ["S4D", "S4DParams", "S4DState", "S4DWeights"]


def _lin(index: Float[Array, " n"], size: int) -> Float[Array, " n"]:
    del size
    return math.pi * index


def _inv(index: Float[Array, " n"], size: int) -> Float[Array, " n"]:
    return size / math.pi * (size / (2.0 * index + 1.0) - 1.0)


FREQUENCIES = {"lin": _lin, "inv": _inv}
"""Im A at the start, of the indices 0 .. n - 1 and of state_size: S4D-Lin and S4D-Inv."""


class S4DParams(NamedTuple):
    """The parameters of `S4D`; complex ones are two real leaves, n is state_size / 2."""

    w_x: Float[Array, "d h"]
    log_dt: Float[Array, " h"]
    log_a_re: Float[Array, "h n"]
    a_im: Float[Array, "h n"]
    c_re: Float[Array, "h n"]
    c_im: Float[Array, "h n"]
    d: Float[Array, " h"]


class S4DWeights(NamedTuple):
    """What `S4D.prepare` makes: W_x, exp(Δ A), (exp(Δ A) - 1) / A, the parts of 2 C, and D."""

    w_x: Float[Array, "d h"]
    decay: Complex[Array, "h n"]
    write: Complex[Array, "h n"]
    c_re: Float[Array, "h n"]
    c_im: Float[Array, "h n"]
    d: Float[Array, " h"]


class S4DState(NamedTuple):
    """The state of `S4D`, complex; it is not what is emitted."""

    s: Complex[Array, "*b h n"]


@dataclasses.dataclass(frozen=True)
class S4D(Cell):
    """Diagonal state space, ``hidden_size`` channels of ``state_size`` / 2 complex numbers.

    Equations and source: the head of this module. ``eigenvalues`` is where A starts: "lin", -1/2 + i π k, or "inv",
    -1/2 + i N/π (N / (2k + 1) - 1), for k = 0 .. N/2 - 1 and N = ``state_size``. Δ starts log-uniform in
    [``dt_min``, ``dt_max``]: a channel remembers about 2/Δ steps. The authors take N = 64.
    Learning rate: AdamW at 0.01 with cosine decay in the authors' CIFAR example; for A and Δ 0.001, no weight decay.

    >>> cell = S4D(input_size=2, hidden_size=3, state_size=4)
    >>> weights = cell.prepare(cell.init(jax.random.key(0)))
    >>> state, y = cell.step(weights, cell.initial_state(weights, ()), cell.project(weights, jnp.zeros(2)))
    >>> state.s.shape, y.tolist()
    ((3, 2), [0.0, 0.0, 0.0])
    """

    input_size: Size
    hidden_size: Size
    state_size: Size = 16
    eigenvalues: str = "lin"
    dt_min: float | int = 0.001
    dt_max: float | int = 0.1
    input_init: Spec = "glorot"

    def __post_init__(self) -> None:
        """ValueError, naming the field, where a size or an option is out of its range."""
        super().__post_init__()
        if self.state_size < 2 or self.state_size % 2:
            raise ValueError(f"state_size: expected an even number of at least 2, got {self.state_size}")
        if self.eigenvalues not in FREQUENCIES:
            raise ValueError(f"eigenvalues: expected {' or '.join(FREQUENCIES)}, got {self.eigenvalues!r}")
        if not 0.0 < self.dt_min <= self.dt_max:
            raise ValueError(f"dt_min: expected a number in (0, dt_max = {self.dt_max}], got {self.dt_min}")
        initializers.check("input_init", self.input_init)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one input, ``(d,)``."""
        return (self.input_size,)

    def init(self, key: Key) -> S4DParams:
        """Fresh parameters: W_x as ``input_init`` says, A and Δ as the class says, C complex Gaussian of variance 1, D
        Gaussian.
        """
        key_x, key_dt, key_re, key_im, key_d = jax.random.split(key, 5)
        h, n = self.hidden_size, self.state_size // 2
        log_dt = jax.random.uniform(key_dt, (h,), minval=math.log(self.dt_min), maxval=math.log(self.dt_max))
        frequencies = FREQUENCIES[self.eigenvalues](jnp.arange(n) * 1.0, self.state_size)
        return S4DParams(
            w_x=initializers.initialize(self.input_init, key_x, (self.input_size, h)),
            log_dt=log_dt,
            log_a_re=jnp.full((h, n), math.log(0.5)),
            a_im=jnp.tile(frequencies, (h, 1)),
            c_re=jax.random.normal(key_re, (h, n)) / 2.0**0.5,
            c_im=jax.random.normal(key_im, (h, n)) / 2.0**0.5,
            d=jax.random.normal(key_d, (h,)),
        )

    def prepare(self, params: S4DParams) -> S4DWeights:
        """The weights that each step reads: the system discretised by a zero-order hold."""
        a = jax.lax.complex(-jnp.exp(params.log_a_re), params.a_im)
        exponent = jnp.exp(params.log_dt)[:, None] * a
        return S4DWeights(
            w_x=params.w_x,
            decay=jnp.exp(exponent),
            write=jnp.expm1(exponent) / a,
            c_re=2.0 * params.c_re,
            c_im=2.0 * params.c_im,
            d=params.d,
        )

    def initial_state(self, weights: S4DWeights, batch_shape: tuple[int, ...]) -> S4DState:
        """The state before the first step: s = 0."""
        return S4DState(jnp.zeros((*batch_shape, *weights.decay.shape), weights.decay.dtype))

    def project(self, weights: S4DWeights, x: Float[Array, "*b d"]) -> Float[Array, "*b h"]:
        """What does not depend on the state: x W_x."""
        return x @ weights.w_x

    def linear(self, weights: S4DWeights, u: Float[Array, "*b h"]) -> forms.Diagonal:
        """The state map as a linear form: s' = exp(Δ A) ⊙ s + (exp(Δ A) - 1) / A ⊙ u."""
        drive = weights.write * u[..., None]
        return forms.Diagonal(S4DState(jnp.broadcast_to(weights.decay, drive.shape)), S4DState(drive))

    def output(self, weights: S4DWeights, state: S4DState, u: Float[Array, "*b h"]) -> Float[Array, "*b h"]:
        """What is emitted: 2 Re(Σ C ⊙ s) + D ⊙ u."""
        read = weights.c_re * state.s.real - weights.c_im * state.s.imag
        return jnp.sum(read, axis=-1) + weights.d * u
