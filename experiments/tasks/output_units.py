"""What the last layer of a network is made of: its activation, its loss, its absolute errors, by name.

The readout of a model is affine. The papers of the 1990s end in logistic units and measure absolute errors, those of
today in a softmax; a task whose paper leaves the choice open takes the name of a unit as a field.
"""

import dataclasses
import math
from collections.abc import Callable, Iterable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from experiments.tasks.base import Batch, Total
from recurrent import arrays, losses


@dataclasses.dataclass(frozen=True)
class OutputUnit:
    """A layer of output units. ``metric`` is the name of its loss.

    ``score`` takes outputs before their activation, targets and weights. ``least`` is the expected loss of the best
    constant where the target is symbol k with probability p_k.
    """

    metric: str
    activation: Callable[[Array], Array]
    score: Callable[[Array, Array, Array], Total]
    least: Callable[[Iterable[float]], float]

    def loss(self, outputs: Float[Array, "*b k"], batch: Batch) -> Total:
        """The loss of outputs before their activation; targets are labels, or numbers ``[*b k]``."""
        return self.score(outputs, batch.targets, batch.weights)

    def errors(self, outputs: Float[Array, "*b k"], targets: Array, weights: Array) -> Float[Array, "*b k"]:
        """The distance of every unit from its target (labels are one-hot); 0 where the weight is 0."""
        distances = jnp.abs(self.activation(outputs) - _numbers(outputs, targets))
        return arrays.where(weights != 0, distances, 0.0)


def _numbers(outputs: Array, targets: Array) -> Array:
    is_label = jnp.issubdtype(targets.dtype, jnp.integer)
    return jax.nn.one_hot(targets, outputs.shape[-1], dtype=outputs.dtype) if is_label else targets


def _squared(activation: Callable[[Array], Array]) -> Callable[[Array, Array, Array], Total]:
    def score(outputs: Array, targets: Array, weights: Array) -> Total:
        # before the activation, whose derivative at a NaN of the padding would reach the gradient
        outputs = arrays.where(weights != 0, outputs, 0.0)
        return losses.squared_error(activation(outputs), _numbers(outputs, targets), weights)

    return score


def _spread(probabilities: Iterable[float]) -> float:
    """The summed variance of one-hot targets."""
    return math.fsum(p * (1 - p) for p in probabilities)


def _entropy(probabilities: Iterable[float]) -> float:
    return -math.fsum(p * math.log(p) for p in probabilities if p > 0)


def _identity(outputs: Array) -> Array:
    return outputs


UNITS = {
    "logistic": OutputUnit("squared_error", jax.nn.sigmoid, _squared(jax.nn.sigmoid), _spread),
    "linear": OutputUnit("squared_error", _identity, _squared(_identity), _spread),
    "softmax": OutputUnit("cross_entropy", jax.nn.softmax, losses.cross_entropy, _entropy),
}
"""Squared errors are summed over the units, without the factor 1/2 of Hochreiter & Schmidhuber (1997)."""
