"""The simplified state space, S5: one complex diagonal system for all inputs and outputs.

    Λ  = lambda_re + i lambda_im,  Δ = exp(log_dt)       n numbers each
    h' = exp(Δ Λ) ⊙ h + (exp(Δ Λ) - 1) / Λ ⊙ (x B)       h complex; |exp(Δ Λ)| < 1 where Re Λ < 0
    y  = 2 Re(h' C) + x D                        B = b_re + i b_im, C = c_re + i c_im

The n numbers stand for themselves and their conjugates, hence 2 Re: the state space of the paper has 2n dimensions.

Source: Smith, Warrington & Linderman (2023), "Simplified state space layers for sequence modeling"; the initialisation
is the one of the authors' code.
Differs: x and y may differ in size, so D is a matrix where the paper has a vector, its entries N(0, 1/d); the
nonlinearity and the gate behind the recurrence are left out.
"""

import dataclasses
import functools
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from recurrent.arrays import Key
from recurrent.cells.complex_diagonal import ComplexDiagonal, ComplexDiagonalWeights
from recurrent.sizes import Size

__all__ = ["S5", "S5Params", "hippo_normal"]

LARGEST_RE = -1e-4
"""The bound of ``clip_eigenvalues``, the authors'."""


class S5Params(NamedTuple):
    """The parameters of `S5`; complex ones are two real leaves."""

    lambda_re: Float[Array, " n"]
    lambda_im: Float[Array, " n"]
    log_dt: Float[Array, " n"]
    b_re: Float[Array, "d n"]
    b_im: Float[Array, "d n"]
    c_re: Float[Array, "n k"]
    c_im: Float[Array, "n k"]
    d: Float[Array, "d k"]


@functools.lru_cache(maxsize=64)
def hippo_normal(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Half of the eigenvalues [size / 2] and eigenvectors [size, size / 2] of the normal part of HiPPO-LegS.

    That part is A[i, j] = -1/2 on the diagonal, -√((2i + 1)(2j + 1)) / 2 below and the negative of that above it: an
    antisymmetric matrix less 1/2. Kept is of each conjugate pair the one below the real axis. complex128, read-only.

    >>> eigenvalues, _ = hippo_normal(2)
    >>> np.allclose(eigenvalues, [-0.5 - 0.5j * 3**0.5])
    True
    """
    root = np.sqrt(2.0 * np.arange(size) + 1.0)
    below = np.tril(np.outer(root, root), -1) / 2.0
    frequencies, vectors = np.linalg.eigh(-1j * (below.T - below))
    half = -0.5 + 1j * frequencies[: size // 2], vectors[:, : size // 2]
    for array in half:
        array.setflags(write=False)
    return half


@dataclasses.dataclass(frozen=True)
class S5(ComplexDiagonal):
    """Simplified state space.

    Equations and source: the head of this module. ``hidden_size`` is the number of complex units, ``output_size``
    None: as many outputs. Λ starts as `hippo_normal` of 2 hidden_size / blocks, once for each of ``blocks`` parts of
    the state, Δ log-uniform in [``dt_min``, ``dt_max``]. ``clip_eigenvalues`` takes min(Re Λ, -10⁻⁴), as the paper
    advises for sequences without an end; the authors' default is off.
    Learning rate: in most of the authors' scripts 1e-3 for Λ, Δ and B (6e-4 for Path-X, 2e-3 for speech), two to five
    times that by AdamW for the rest, with cosine decay. Δ has the larger one for text and retrieval, B for ListOps
    and CIFAR.

    >>> cell = S5(input_size=2, hidden_size=3, output_size=1)
    >>> weights = cell.prepare(cell.init(jax.random.key(0)))
    >>> state, y = cell.step(weights, cell.initial_state(weights, ()), cell.project(weights, jnp.zeros(2)))
    >>> y.tolist()
    [0.0]
    """

    input_size: Size
    hidden_size: Size
    output_size: Size | None = None
    blocks: Size = 1
    dt_min: float | int = 0.001
    dt_max: float | int = 0.1
    clip_eigenvalues: bool = True

    def __post_init__(self) -> None:
        """ValueError, naming the field, where a size or an option is out of its range."""
        super().__post_init__()
        if self.blocks < 1 or self.hidden_size % self.blocks:
            raise ValueError(
                f"blocks: expected a divisor of hidden_size {self.hidden_size}, got {self.blocks}"
            )
        if not 0.0 < self.dt_min <= self.dt_max:
            raise ValueError(f"dt_min: expected a number in (0, dt_max = {self.dt_max}], got {self.dt_min}")

    def init(self, key: Key) -> S5Params:
        """Fresh parameters: Λ and Δ as the class says; B and C are truncated Gaussians of variance 1/2n in the basis of
        HiPPO.
        """
        key_dt, key_b, key_re, key_im, key_d = jax.random.split(key, 5)
        d, n = self.input_size, self.hidden_size
        k = n if self.output_size is None else self.output_size
        size = 2 * n // self.blocks
        eigenvalues, vectors = hippo_normal(size)
        re, im = jnp.asarray(np.real(vectors)), jnp.asarray(np.imag(vectors))
        gaussian = jax.nn.initializers.variance_scaling(1.0 / self.blocks, "fan_in", "truncated_normal")

        def draw(part_key: Key, columns: int) -> Float[Array, "blocks size columns"]:
            keys = jax.random.split(part_key, self.blocks)
            return jnp.stack([gaussian(block_key, (size, columns)) for block_key in keys])

        def into(basis: Float[Array, "size half"], drawn: Float[Array, "blocks size columns"]) -> Array:
            """The coordinates that one real part of the eigenvectors gives, the blocks one after another."""
            return jnp.einsum("sn,jsc->jnc", basis, drawn).reshape(n, -1)

        b, c_re, c_im = draw(key_b, d), draw(key_re, k), draw(key_im, k)
        return S5Params(
            lambda_re=jnp.tile(jnp.asarray(np.real(eigenvalues)), self.blocks),
            lambda_im=jnp.tile(jnp.asarray(np.imag(eigenvalues)), self.blocks),
            log_dt=jax.random.uniform(
                key_dt, (n,), minval=math.log(self.dt_min), maxval=math.log(self.dt_max)
            ),
            b_re=into(re, b).T,
            b_im=-into(im, b).T,
            c_re=into(re, c_re) - into(im, c_im),
            c_im=into(im, c_re) + into(re, c_im),
            d=jax.random.normal(key_d, (d, k)) / d**0.5,
        )

    def prepare(self, params: S5Params) -> ComplexDiagonalWeights:
        """The weights that each step reads: the system discretised by a zero-order hold."""
        re = jnp.minimum(params.lambda_re, LARGEST_RE) if self.clip_eigenvalues else params.lambda_re
        eigenvalues = jax.lax.complex(re, params.lambda_im)
        exponent = jnp.exp(params.log_dt) * eigenvalues
        b = jnp.expm1(exponent) / eigenvalues * jax.lax.complex(params.b_re, params.b_im)
        return ComplexDiagonalWeights(
            decay=jnp.exp(exponent),
            b_re=b.real,
            b_im=b.imag,
            c_re=2.0 * params.c_re,
            c_im=2.0 * params.c_im,
            d=params.d,
        )
