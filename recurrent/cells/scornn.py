"""The scaled Cayley orthogonal RNN: a Cayley transform with a fixed diagonal of signs behind it.

    W  = (1 + A)⁻¹ (1 - A) D                     A = -Aᵀ, D = diag(1, ..., 1, -1, ..., -1)
    h' = modReLU(x W_x + h W)                    h unbounded

Without D, W could not have the eigenvalue -1 for any finite A; with D it reaches every orthogonal matrix for some
number of minus ones, which is a hyperparameter.

Source: Helfrich, Willmott & Ye (2018), "Orthogonal recurrent neural networks with scaled Cayley transform", and the
authors' code. Differs: the gradient is the automatic one. modReLU: `recurrent.cells.orthogonal`.
"""

import dataclasses
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from recurrent import arrays, initializers
from recurrent.arrays import Key
from recurrent.cells.exprnn import SKEW_INITS
from recurrent.cells.orthogonal import OrthogonalCell, OrthogonalWeights, refined, rotation_planes, skew
from recurrent.initializers import Spec
from recurrent.sizes import Count, Size

__all__ = ["ScoRNN", "ScoRNNParams"]


class ScoRNNParams(NamedTuple):
    """The parameters of `ScoRNN`; ``skew`` is A above its diagonal, row by row."""

    w_x: Float[Array, "d h"]
    skew: Float[Array, " entries"]
    b: Float[Array, " h"]


@dataclasses.dataclass(frozen=True)
class ScoRNN(OrthogonalCell):
    """Scaled Cayley orthogonal RNN with dh + h(h - 1) / 2 + h parameters.

    Equations and source: the head of this module. ``num_negative`` is the number of minus ones in D, its last entries;
    None: h // 2, which the authors use for copying; they tune it a task.
    Initialisation: as in the authors' code.
    Learning rate: in the authors' code RMSProp at 1e-4 for A (`recurrent.cells.orthogonal.param_labels`), and 1e-3 for
    the rest, by RMSProp for copying and pixel MNIST, by Adam for adding.

    >>> cell = ScoRNN(input_size=2, hidden_size=3)
    >>> weights = cell.prepare(cell.init(jax.random.key(0)))
    >>> state, y = cell.step(weights, cell.initial_state(weights, ()), cell.project(weights, jnp.zeros(2)))
    >>> y.tolist(), bool(jnp.abs(weights.w_h @ weights.w_h.T - jnp.eye(3)).max() < 1e-6)
    ([0.0, 0.0, 0.0], True)
    """

    input_size: Size
    hidden_size: Size
    num_negative: Count | None = None
    input_init: Spec = ("uniform", 0.01)

    recurrent_fields: ClassVar[tuple[str, ...]] = ("skew",)

    def __post_init__(self) -> None:
        """ValueError, naming the field, where a size or an option is out of its range."""
        super().__post_init__()
        self.check_size()
        if self.num_negative is not None and not 0 <= self.num_negative <= self.hidden_size:
            raise ValueError(f"num_negative: expected 0 to {self.hidden_size}, got {self.num_negative}")
        initializers.check("input_init", self.input_init)

    def init(self, key: Key) -> ScoRNNParams:
        """Fresh parameters: W_x as ``input_init`` says, A with -tan(s / 2), s from U(0, π / 2), in planes (0, 1), (2,
        3), ..., b = 0.
        """
        key_x, key_skew = jax.random.split(key)
        d, h = self.input_size, self.hidden_size
        return ScoRNNParams(
            w_x=initializers.initialize(self.input_init, key_x, (d, h)),
            skew=rotation_planes(SKEW_INITS["cayley"](key_skew, h // 2), h),
            b=jnp.zeros(h),
        )

    def prepare(self, params: ScoRNNParams) -> OrthogonalWeights:
        """The weights that each step reads: W by the scaled Cayley transform."""
        h = self.hidden_size
        num_negative = h // 2 if self.num_negative is None else self.num_negative
        a, identity = skew(params.skew, h), jnp.eye(h, dtype=params.skew.dtype)
        signs = jnp.where(jnp.arange(h) < h - num_negative, 1.0, -1.0).astype(params.skew.dtype)
        return OrthogonalWeights(
            params.w_x,
            refined(arrays.widened(jnp.linalg.solve, identity + a, identity - a)) * signs,
            params.b,
        )
