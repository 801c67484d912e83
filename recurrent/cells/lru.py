"""The linear recurrent unit: a complex diagonal recurrence between two dense maps.

    λ  = exp(-exp(ν) + i exp(θ))                 ν = nu_log, θ = theta_log; |λ| in (0, 1)
    h' = λ ⊙ h + exp(γ) ⊙ (x B)                  h complex, γ = gamma_log, B = b_re + i b_im
    y  = Re(h' C) + x D                          C = c_re + i c_im

Source: Orvieto, Smith, Gu, Fernando, Gulcehre, Pascanu & De (2023), "Resurrecting recurrent neural networks for long
sequences"; the initialisation is the one of the pseudocode in its appendix. Differs: x and y may differ in size, so D
is a matrix where the paper has a vector; its entries are N(0, 1/d) for N(0, 1), which keeps the variance of x D.
"""

import dataclasses
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from recurrent.arrays import Key
from recurrent.cells.complex_diagonal import ComplexDiagonal, ComplexDiagonalWeights
from recurrent.sizes import Size

__all__ = ["LRU", "LRUParams"]


class LRUParams(NamedTuple):
    """The parameters of `LRU`; complex ones are two real leaves."""

    nu_log: Float[Array, " n"]
    theta_log: Float[Array, " n"]
    gamma_log: Float[Array, " n"]
    b_re: Float[Array, "d n"]
    b_im: Float[Array, "d n"]
    c_re: Float[Array, "n k"]
    c_im: Float[Array, "n k"]
    d: Float[Array, "d k"]


@dataclasses.dataclass(frozen=True)
class LRU(ComplexDiagonal):
    """Linear recurrent unit.

    Equations and source: the head of this module. ``hidden_size`` is the number of complex units, ``output_size``
    None: as many outputs. At the start λ is uniform on the ring r_min <= |λ| <= r_max with phases in
    [0, max_phase] (radians); memory of many steps needs ``r_min`` near 1, and then small phases.
    Initialisation: the paper tunes the ring for each task, from [0.5, 0.9] on Text to [0.999, 0.9999] on PathX (its
    Table 8), where ``max_phase`` is π/10.
    Learning rate: AdamW with warmup and cosine decay in the paper, tuned in powers of 2, 0.004 in its study of the ring
    on sequential CIFAR; for λ, B and γ 0.1 to 0.5 of that (Table 9) and no weight decay.

    >>> cell = LRU(input_size=2, hidden_size=3, output_size=1)
    >>> weights = cell.prepare(cell.init(jax.random.key(0)))
    >>> state, y = cell.step(weights, cell.initial_state(weights, ()), cell.project(weights, jnp.zeros(2)))
    >>> y.tolist()
    [0.0]
    """

    input_size: Size
    hidden_size: Size
    output_size: Size | None = None
    r_min: float | int = 0.0
    r_max: float | int = 1.0
    max_phase: float | int = 2.0 * math.pi

    def __post_init__(self) -> None:
        """ValueError, naming the field, where a size or an option is out of its range."""
        super().__post_init__()
        if not 0.0 <= self.r_min < 1.0:
            raise ValueError(f"r_min: expected a number in [0, 1), got {self.r_min}")
        if not (self.r_min <= self.r_max <= 1.0 and self.r_max > 0.0):
            raise ValueError(f"r_max: expected a number above 0 in [r_min, 1], got {self.r_max}")
        if not 0.0 < self.max_phase <= 2.0 * math.pi:
            raise ValueError(f"max_phase: expected a number in (0, 2π], got {self.max_phase}")

    def init(self, key: Key) -> LRUParams:
        """Fresh parameters: |λ|² uniform in [r_min², r_max²], uniform phases, γ = log √(1 - |λ|²); B, C, D Gaussian."""
        keys = jax.random.split(key, 7)
        d, n = self.input_size, self.hidden_size
        k = n if self.output_size is None else self.output_size
        nu_log, gamma_log = self._init_modulus(keys[0])
        return LRUParams(
            nu_log=nu_log,
            theta_log=jnp.log(self.max_phase * _above_zero(keys[1], n)),
            gamma_log=gamma_log,
            b_re=jax.random.normal(keys[2], (d, n)) / (2 * d) ** 0.5,
            b_im=jax.random.normal(keys[3], (d, n)) / (2 * d) ** 0.5,
            c_re=jax.random.normal(keys[4], (n, k)) / n**0.5,
            c_im=jax.random.normal(keys[5], (n, k)) / n**0.5,
            d=jax.random.normal(keys[6], (d, k)) / d**0.5,
        )

    def _init_modulus(self, key: Key) -> tuple[Float[Array, " n"], Float[Array, " n"]]:
        uniform = _above_zero(key, self.hidden_size)
        width = self.r_max**2 - self.r_min**2
        squared = self.r_min**2 + width * uniform
        # 1 - |λ|², which would round to 0 from |λ|² near 1: nu_log and gamma_log have to be finite for every draw
        rest = (1.0 - self.r_max**2) + width * (1.0 - uniform)
        log_squared = jnp.where(rest < 0.5, jnp.log1p(-rest), jnp.log(squared))
        return jnp.log(-0.5 * log_squared), 0.5 * jnp.log(rest)

    def prepare(self, params: LRUParams) -> ComplexDiagonalWeights:
        """The weights that each step reads: λ, and B with its normalisation."""
        gamma = jnp.exp(params.gamma_log)
        return ComplexDiagonalWeights(
            decay=jnp.exp(jax.lax.complex(-jnp.exp(params.nu_log), jnp.exp(params.theta_log))),
            b_re=params.b_re * gamma,
            b_im=params.b_im * gamma,
            c_re=params.c_re,
            c_im=params.c_im,
            d=params.d,
        )


def _above_zero(key: Key, size: int) -> Float[Array, " n"]:
    """Numbers drawn uniformly from (0, 1), never 0: their logarithm has to be finite."""
    return jax.random.uniform(key, (size,), minval=jnp.finfo(jnp.float32).eps)
