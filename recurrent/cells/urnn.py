"""The unitary evolution RNN: a unitary matrix with O(h) parameters.

    W  = D₃ R₂ F⁻¹ D₂ Π R₁ F D₁                  D = diag(e^iθ), R = 1 - 2 v vᴴ / ‖v‖², F the unitary Fourier transform
    h' = modReLU(W h + V x)                      h complex; Π a fixed permutation, (Π h)ⱼ = h at index π(j)
    y  = [Re h', Im h']

Source: Arjovsky, Shah & Bengio (2016), "Unitary evolution recurrent neural networks", with the initialisation and the
order of the factors of the authors' code. modReLU: `recurrent.cells.orthogonal`.
Differs: the authors' code reflects by the conjugate of v, so equal weights need v_im negated. W is formed once in
``prepare`` and multiplied densely. Its product with a batch of states costs what an LSTM's does, and its gradient a
third of that of two Fourier transforms at every step (h = 128, CPU); from some thousand units on the factored form of
the paper needs less.
"""

import dataclasses
import math
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float

from recurrent.arrays import Key
from recurrent.cells.orthogonal import UnitaryCell, UnitaryWeights
from recurrent.sizes import Count, Size

__all__ = ["URNN", "URNNParams"]


class URNNParams(NamedTuple):
    """The parameters of `URNN`: rows of theta are D₁, D₂, D₃, rows of v (v_re, v_im) R₁, R₂."""

    w_re: Float[Array, "d h"]
    w_im: Float[Array, "d h"]
    theta: Float[Array, "3 h"]
    v_re: Float[Array, "2 h"]
    v_im: Float[Array, "2 h"]
    b: Float[Array, " h"]
    h_re: Float[Array, " h"]
    h_im: Float[Array, " h"]


@dataclasses.dataclass(frozen=True)
class URNN(UnitaryCell):
    """Unitary evolution RNN with 2dh + 10h parameters; emits 2h numbers.

    Equations and source: the head of this module. ``permutation_seed`` draws Π, as NumPy's ``default_rng`` does.
    From h = 8 on the factors do not reach every unitary matrix.
    Learning rate: RMSProp (decay 0.9) at 1e-3 without clipping in the authors' code; the code of Wisdom et al. (2016)
    has the same for copying, and 1e-4 for pixel MNIST.

    >>> cell = URNN(input_size=2, hidden_size=3)
    >>> weights = cell.prepare(cell.init(jax.random.key(0)))
    >>> error = weights.w_h @ weights.w_h.conj().T - jnp.eye(3)
    >>> bool(jnp.abs(error).max() < 1e-6)
    True
    >>> cell.output_shape
    (6,)
    """

    input_size: Size
    hidden_size: Size
    permutation_seed: Count = 0

    recurrent_fields: ClassVar[tuple[str, ...]] = ("theta", "v_re", "v_im")

    def __post_init__(self) -> None:
        """ValueError, naming the field, where a size or an option is out of its range."""
        super().__post_init__()
        self.check_size()

    def init(self, key: Key) -> URNNParams:
        """Fresh parameters: θ from U(±π), v from U(±√(3 / (1 + h))), the rest by `UnitaryCell.init_shared`."""
        key_theta, key_v, key_rest = jax.random.split(key, 3)
        h = self.hidden_size
        bound = (3.0 / (1 + h)) ** 0.5
        v = jax.random.uniform(key_v, (2, 2, h), minval=-bound, maxval=bound)
        theta = jax.random.uniform(key_theta, (3, h), minval=-math.pi, maxval=math.pi)
        return URNNParams(theta=theta, v_re=v[0], v_im=v[1], **self.init_shared(key_rest))

    def prepare(self, params: URNNParams) -> UnitaryWeights:
        """The weights that each step reads: W, by its factors at every unit vector."""
        permutation = np.random.default_rng(self.permutation_seed).permutation(self.hidden_size)
        phase = jax.lax.complex(jnp.cos(params.theta), jnp.sin(params.theta))
        v = jax.lax.complex(params.v_re, params.v_im)
        rows = jnp.fft.fft(jnp.diag(phase[0]), norm="ortho")
        rows = _reflected(rows, v[0])[:, permutation] * phase[1]
        rows = _reflected(jnp.fft.ifft(rows, norm="ortho"), v[1]) * phase[2]
        return UnitaryWeights(
            params.w_re, params.w_im, rows, params.b, jax.lax.complex(params.h_re, params.h_im)
        )


def _reflected(rows: Complex[Array, "n h"], v: Complex[Array, " h"]) -> Complex[Array, "n h"]:
    """The reflection R of every row, by sums: products of matrices would round to fewer bits on accelerators."""
    shadow = jnp.sum(rows * v.conj(), axis=-1, keepdims=True) / jnp.sum(v.real**2 + v.imag**2)
    return rows - 2.0 * shadow * v
