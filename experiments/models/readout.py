"""The affine map from what a cell emits to predictions."""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from recurrent import initializers
from recurrent.arrays import Key


class ReadoutParams(NamedTuple):
    """The parameters of `Readout`; None where it has no such part."""

    w: Float[Array, "h k"]
    b: Float[Array, " k"] | None = None
    skip: Float[Array, "d k"] | None = None


@dataclasses.dataclass(frozen=True)
class Readout:
    """y W, with a bias where there is one, and with x W_skip where inputs are connected to outputs too.

    ``init_range`` r: all of them start at U(±r), as networks did in 1997.
    """

    hidden_size: int
    output_size: int
    input_size: int = 0
    bias: bool = True
    skip: bool = False
    init_range: float | None = None

    def init(self, key: Key) -> ReadoutParams:
        """W from U(±1/√h), W_skip from U(±1/√d), bias 0; or all from U(±``init_range``)."""
        given, (h, d, k) = self.init_range, (self.hidden_size, self.input_size, self.output_size)
        w = initializers.uniform(key, (h, k), bound=h**-0.5 if given is None else given)
        b = jnp.zeros(k) if self.bias else None
        if self.bias and given is not None:
            b = initializers.uniform(jax.random.fold_in(key, 2), (k,), bound=given)
        if not self.skip:
            return ReadoutParams(w, b)
        bound = d**-0.5 if given is None else given
        return ReadoutParams(w, b, initializers.uniform(jax.random.fold_in(key, 1), (d, k), bound=bound))

    def apply(
        self, params: ReadoutParams, ys: Float[Array, "*b h"], xs: Float[Array, "*b d"]
    ) -> Float[Array, "*b k"]:
        """Predictions from what the cell emitted, and from its inputs."""
        outputs = ys @ params.w
        if params.b is not None:
            outputs = outputs + params.b
        return outputs if params.skip is None else outputs + xs @ params.skip
