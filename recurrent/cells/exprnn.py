"""The exponential RNN: the recurrent matrix is the exponential of a skew-symmetric one.

    W  = exp(A),  A = -Aᵀ                        every rotation is one
    h' = modReLU(x W_x + h W)                    h unbounded

Source: Lezcano-Casado & Martínez-Rubio (2019), "Cheap orthogonal constraints in neural networks: a simple
parametrization of the orthogonal and unitary group", and the authors' code; the Cayley initialisation: Helfrich,
Willmott & Ye (2018); the Henaff initialisation: Henaff, Szlam & LeCun (2016). Only the static form, without changes of
the base point. modReLU: `recurrent.cells.orthogonal`.
"""

import dataclasses
import math
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from recurrent import arrays
from recurrent.arrays import Key
from recurrent.cells.orthogonal import OrthogonalCell, OrthogonalWeights, refined, rotation_planes, skew
from recurrent.sizes import Size

__all__ = ["SKEW_INITS", "ExpRNN", "ExpRNNParams"]


def _cayley(key: Key, size: int) -> Float[Array, " m"]:
    return -jnp.tan(jax.random.uniform(key, (size,), maxval=math.pi / 2.0) / 2.0)


def _henaff(key: Key, size: int) -> Float[Array, " m"]:
    return jax.random.uniform(key, (size,), minval=-math.pi, maxval=math.pi)


SKEW_INITS = {"cayley": _cayley, "henaff": _henaff}
"""The values of A in the planes (0, 1), (2, 3), ...: -tan(s / 2) with s from U(0, π / 2), and U(±π)."""


class ExpRNNParams(NamedTuple):
    """The parameters of `ExpRNN`; ``skew`` is A above its diagonal, row by row."""

    w_x: Float[Array, "d h"]
    skew: Float[Array, " entries"]
    b: Float[Array, " h"]


@dataclasses.dataclass(frozen=True)
class ExpRNN(OrthogonalCell):
    """Exponential RNN with dh + h(h - 1) / 2 + h parameters.

    Equations and source: the head of this module. ``skew_init`` 'cayley' or 'henaff': A is 0 at the start but for h / 2
    planes, see `SKEW_INITS`.
    Initialisation: as in the authors' code, whose default is 'cayley' for pixel MNIST, 'henaff' for copying and TIMIT.
    Learning rate: in the authors' code RMSProp at 2e-4 for copying and 7e-4 for pixel MNIST, Adam at 1e-3 for TIMIT; A
    by RMSProp at a tenth of it (`recurrent.cells.orthogonal.param_labels`).

    >>> cell = ExpRNN(input_size=2, hidden_size=3)
    >>> weights = cell.prepare(cell.init(jax.random.key(0)))
    >>> state, y = cell.step(weights, cell.initial_state(weights, ()), cell.project(weights, jnp.zeros(2)))
    >>> y.tolist(), bool(jnp.abs(weights.w_h @ weights.w_h.T - jnp.eye(3)).max() < 1e-6)
    ([0.0, 0.0, 0.0], True)
    """

    input_size: Size
    hidden_size: Size
    skew_init: str = "cayley"

    recurrent_fields: ClassVar[tuple[str, ...]] = ("skew",)

    def __post_init__(self) -> None:
        """ValueError, naming the field, where a size or an option is out of its range."""
        super().__post_init__()
        self.check_size()
        if self.skew_init not in SKEW_INITS:
            raise ValueError(f"skew_init: expected {' or '.join(SKEW_INITS)}, got {self.skew_init!r}")

    def init(self, key: Key) -> ExpRNNParams:
        """Fresh parameters: W_x from N(0, 2 / d), A as ``skew_init`` says, b from U(±0.01)."""
        key_x, key_skew, key_b = jax.random.split(key, 3)
        d, h = self.input_size, self.hidden_size
        return ExpRNNParams(
            w_x=jax.random.normal(key_x, (d, h)) * (2.0 / d) ** 0.5,
            skew=rotation_planes(SKEW_INITS[self.skew_init](key_skew, h // 2), h),
            b=jax.random.uniform(key_b, (h,), minval=-0.01, maxval=0.01),
        )

    def prepare(self, params: ExpRNNParams) -> OrthogonalWeights:
        """The weights that each step reads: W = exp(A)."""
        w_h = refined(arrays.widened(jax.scipy.linalg.expm, skew(params.skew, self.hidden_size)))
        return OrthogonalWeights(params.w_x, w_h, params.b)
