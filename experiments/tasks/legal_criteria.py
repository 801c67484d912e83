"""A criterion on errors and on legal symbols at once: what the rule of 2000 lacks."""

import dataclasses

import jax.numpy as jnp
from jaxtyping import Array, Float

from experiments.tasks.base import Batch, Total
from experiments.tasks.error_criteria import AllWithin, legal_most_active


@dataclasses.dataclass(frozen=True)
class LegalAllWithin(AllWithin):
    """At every step every output unit has |e| < ``error``, and the units of all legal symbols are the most active.

    Errors below 0.7 alone are no knowledge of a grammar: units that all stand at one half have them, and so has a
    network that was never trained. ``batch.info`` says which symbols are legal.
    """

    def measure(self, outputs: Float[Array, "t b k"], batch: Batch) -> Total:
        """Predictions that are wrong by either rule, and all predictions."""
        right = self.right(outputs, batch) & legal_most_active(outputs, batch)
        return jnp.sum(~right * batch.weights), jnp.sum(batch.weights)
