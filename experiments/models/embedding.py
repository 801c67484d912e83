"""Vectors for tokens: what a model reads where a task gives integers."""

import dataclasses

from jaxtyping import Array, Float, Int

from recurrent import initializers
from recurrent.arrays import Key


@dataclasses.dataclass(frozen=True)
class Embedding:
    """One trained vector of ``size`` entries for each of ``num_tokens`` tokens.

    Rows start at N(0, 1/size), so that their squared norm is 1 on average, as that of a one-hot vector is: the default
    of ``flax.nnx.Embed``. Others: N(0, 1) in torch; N(0, 0.02²) in GPT-2 and in Zoology's models of multi-query recall.
    """

    num_tokens: int
    size: int

    def init(self, key: Key) -> Float[Array, "v d"]:
        """The vectors of all tokens."""
        return initializers.normal(key, (self.num_tokens, self.size), std=self.size**-0.5)

    def apply(self, vectors: Float[Array, "v d"], tokens: Int[Array, "*b"]) -> Float[Array, "*b d"]:
        """The vector of each token; the gradient of one that is not read is 0."""
        return vectors[tokens]
