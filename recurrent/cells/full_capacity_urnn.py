"""The full-capacity unitary RNN: every unitary matrix can be reached.

    A  = S + i T                                 S = U - Uᵀ, T = L + Lᵀ - diag(L): A is skew-Hermitian
    h' = modReLU(x W_x + h exp(A))               h complex
    y  = [Re h', Im h']

U is the part of the parameter matrix above its diagonal, L the rest of it.

Source: Wisdom, Powers, Hershey, Le Roux & Atlas (2016), "Full-capacity unitary recurrent neural networks". Differs: the
paper keeps W itself and moves it along the manifold by a multiplicative step at a rate of its own; here W = exp(A) with
free A, so that every optimiser will do. modReLU: `recurrent.cells.orthogonal`.
"""

import dataclasses
import math
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float

from recurrent.arrays import Key
from recurrent.cells.orthogonal import UnitaryCell, UnitaryWeights, refined
from recurrent.sizes import Size

__all__ = ["FullCapacityURNN", "FullCapacityURNNParams"]


class FullCapacityURNNParams(NamedTuple):
    """The parameters of `FullCapacityURNN`; ``generator`` holds U above the diagonal and L on and below it."""

    w_re: Float[Array, "d h"]
    w_im: Float[Array, "d h"]
    generator: Float[Array, "h h"]
    b: Float[Array, " h"]
    h_re: Float[Array, " h"]
    h_im: Float[Array, " h"]


@dataclasses.dataclass(frozen=True)
class FullCapacityURNN(UnitaryCell):
    """Full-capacity unitary RNN with 2dh + h² + 3h parameters; emits 2h numbers.

    Equations and source: the head of this module.
    Initialisation: W has eigenphases from U(±π) along random orthonormal vectors; the authors' code starts it as a draw
    of `recurrent.cells.urnn.URNN`, and the rest as here (for pixel MNIST with b = 0).
    Learning rate: RMSProp at 1e-3 in the authors' code, with steps of W itself at the same rate for copying and TIMIT;
    for pixel MNIST W has 1e-6, the rest 1e-3 or, with 512 units, 1e-4 (`recurrent.cells.orthogonal.param_labels`).

    >>> cell = FullCapacityURNN(input_size=2, hidden_size=3)
    >>> weights = cell.prepare(cell.init(jax.random.key(0)))
    >>> error = weights.w_h @ weights.w_h.conj().T - jnp.eye(3)
    >>> bool(jnp.abs(error).max() < 1e-6)
    True
    """

    input_size: Size
    hidden_size: Size

    recurrent_fields: ClassVar[tuple[str, ...]] = ("generator",)

    def __post_init__(self) -> None:
        """ValueError, naming the field, where a size or an option is out of its range."""
        super().__post_init__()
        self.check_size()

    def init(self, key: Key) -> FullCapacityURNNParams:
        """Fresh parameters: W with eigenphases from U(±π) along random orthonormal vectors, the rest by
        `UnitaryCell.init_shared`.
        """
        key_rest, key_phase, key_re, key_im = jax.random.split(key, 4)
        h = self.hidden_size
        phase = jax.random.uniform(key_phase, (h,), minval=-math.pi, maxval=math.pi)
        gaussian = jax.lax.complex(jax.random.normal(key_re, (h, h)), jax.random.normal(key_im, (h, h)))
        vectors = jnp.linalg.qr(gaussian).Q
        hermitian = (vectors * phase) @ vectors.conj().T
        # A = i times it: its real part is minus this imaginary part
        generator = jnp.triu(-hermitian.imag, 1) + jnp.tril(hermitian.real)
        return FullCapacityURNNParams(generator=generator, **self.init_shared(key_rest))

    def prepare(self, params: FullCapacityURNNParams) -> UnitaryWeights:
        """The weights that each step reads: W = exp(A)."""
        w_h = refined(jax.scipy.linalg.expm(_skew_hermitian(params.generator)))
        return UnitaryWeights(
            params.w_re, params.w_im, w_h, params.b, jax.lax.complex(params.h_re, params.h_im)
        )


def _skew_hermitian(generator: Float[Array, "h h"]) -> Complex[Array, "h h"]:
    upper, lower = jnp.triu(generator, 1), jnp.tril(generator)
    return jax.lax.complex(upper - upper.T, lower + jnp.tril(generator, -1).T)
