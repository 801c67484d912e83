"""Losses over masked sequences: each returns a sum and a count, so that batches of any padding add up.

Every function takes ``weights``, one number for each prediction, 0 where there is none. What stands
under a weight of 0 (NaN included) reaches neither the value nor the gradient.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from recurrent import arrays

__all__ = ["accuracy", "cross_entropy", "mean", "squared_error"]

Total = tuple[Float[Array, ""], Float[Array, ""]]


def squared_error(
    predictions: Float[Array, "*b k"], targets: Float[Array, "*b k"], weights: Float[Array, "*b"]
) -> Total:
    """Squared error summed over ``k``, then over predictions by weight; and the sum of the weights.

    >>> total, count = squared_error(jnp.array([[1.0], [5.0]]), jnp.zeros((2, 1)), jnp.array([1.0, 0.0]))
    >>> float(total), float(count)
    (1.0, 1.0)
    """
    kept = weights != 0
    error = arrays.where(kept, predictions, 0.0) - arrays.where(kept, targets, 0.0)
    return jnp.sum(jnp.sum(error**2, axis=-1) * weights), jnp.sum(weights)


def cross_entropy(
    logits: Float[Array, "*b k"], labels: Int[Array, "*b"], weights: Float[Array, "*b"]
) -> Total:
    """Negative log-likelihood in nats of integer ``labels`` under a softmax, by weight; and the sum of the weights.

    >>> total, count = cross_entropy(jnp.zeros((1, 8)), jnp.array([3]), jnp.ones(1))
    >>> round(float(total / count), 4)
    2.0794
    """
    kept = weights != 0
    log_probabilities = jax.nn.log_softmax(arrays.where(kept, logits, 0.0), axis=-1)
    nll = -jnp.take_along_axis(log_probabilities, jnp.where(kept, labels, 0)[..., None], axis=-1)[..., 0]
    return jnp.sum(nll * weights), jnp.sum(weights)


def accuracy(logits: Float[Array, "*b k"], labels: Int[Array, "*b"], weights: Float[Array, "*b"]) -> Total:
    """How many predictions have their largest entry at the label, by weight; and the sum of the weights.

    A prediction with a NaN among its logits is wrong, whatever the label.

    >>> tuple(map(float, accuracy(jnp.eye(2), jnp.array([0, 0]), jnp.ones(2))))
    (1.0, 2.0)
    """
    # the largest of entries with a NaN is the NaN: the first class would count as right
    right = (jnp.argmax(logits, axis=-1) == labels) & ~jnp.any(jnp.isnan(logits), axis=-1)
    return jnp.sum(right * weights), jnp.sum(weights)


def mean(total: Total) -> Float[Array, ""]:
    """Sum over count; 0 where nothing was counted."""
    value, count = total
    return value / jnp.maximum(count, jnp.finfo(count.dtype).tiny)
