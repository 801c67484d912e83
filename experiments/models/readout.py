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
    """y W, with a bias where there is one, and with x W_skip where inputs are connected to outputs too."""

    hidden_size: int
    output_size: int
    input_size: int = 0
    bias: bool = True
    skip: bool = False

    def init(self, key: Key) -> ReadoutParams:
        """W from U(±1/√h), W_skip from U(±1/√d), bias 0."""
        w = initializers.uniform(key, (self.hidden_size, self.output_size), bound=self.hidden_size**-0.5)
        b = jnp.zeros(self.output_size) if self.bias else None
        if not self.skip:
            return ReadoutParams(w, b)
        shape = (self.input_size, self.output_size)
        skip = initializers.uniform(jax.random.fold_in(key, 1), shape, bound=self.input_size**-0.5)
        return ReadoutParams(w, b, skip)

    def apply(
        self, params: ReadoutParams, ys: Float[Array, "*b h"], xs: Float[Array, "*b d"]
    ) -> Float[Array, "*b k"]:
        """Predictions from what the cell emitted, and from its inputs."""
        outputs = ys @ params.w
        if params.b is not None:
            outputs = outputs + params.b
        return outputs if params.skip is None else outputs + xs @ params.skip
