"""Penalties on the activations of a whole run, to be added to a loss with a factor of one's own.

Each takes states over time ``[t, *b, h]``: outputs of `recurrent.unroll`, or a field of `recurrent.with_states`. Each
is one mean over all steps, or pairs of neighbouring steps, that exist, of all sequences alike: a longer sequence
counts for more. Where there is none it is 0. ``mask`` and ``reset`` are those of `recurrent.unroll`: a step that does
not exist enters nothing, NaN included, and no pair crosses the start of a segment. The state before the first step
counts where the caller puts it in front of ``hs``.
"""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from recurrent import arrays, losses
from recurrent.arrays import Steps

__all__ = ["activation_penalty", "norm_stabilizer", "slowness_penalty"]


def norm_stabilizer(
    hs: Float[Array, "t *b h"], mask: Steps | None = None, reset: Steps | None = None
) -> Float[Array, ""]:
    """The mean of (‖h_t‖ - ‖h_{t-1}‖)² over pairs of steps, ‖·‖ the 2-norm over units.

    The gradient is finite everywhere: that of ‖h‖ counts as 0 at h = 0. ValueError for fewer than 2 steps.
    Source: Krueger & Memisevic (2016), "Regularizing RNNs by stabilizing activations". Divided by the T - 1 pairs, the
    state before the first step left out, as in the first author's own code for h or c (capybaralet/zoneout; β = 50).

    >>> float(norm_stabilizer(jnp.array([[3.0, 4.0], [0.0, 5.0], [0.0, 7.0]])))
    2.0
    """
    norms = _norm(_existing(hs, mask))
    return _mean((norms[1:] - norms[:-1]) ** 2, _pairs(hs, mask, reset))


def activation_penalty(hs: Float[Array, "t *b h"], mask: Steps | None = None) -> Float[Array, ""]:
    """The mean of h² over steps and units: activation regularization (AR).

    Source: Merity, McCann & Socher (2017), "Revisiting activation regularization for language RNNs": α, on outputs of
    the last layer after dropout. Differs: the authors write the 2-norm, and compute this mean of squares in
    salesforce/awd-lstm-lm (α = 2).

    >>> float(activation_penalty(jnp.array([[1.0, 3.0]])))
    5.0
    """
    return _mean(jnp.mean(_existing(hs, mask) ** 2, axis=-1), mask)


def slowness_penalty(
    hs: Float[Array, "t *b h"], mask: Steps | None = None, reset: Steps | None = None
) -> Float[Array, ""]:
    """The mean of (h_t - h_{t-1})² over pairs of steps and units: temporal activation regularization (TAR).

    ValueError for fewer than 2 steps.
    Source: Merity, McCann & Socher (2017), "Revisiting activation regularization for language RNNs": β, on outputs of
    the last layer before dropout. Differs: the authors write the 2-norm, and compute this mean of squares in
    salesforce/awd-lstm-lm (β = 1).

    >>> float(slowness_penalty(jnp.array([[1.0, 3.0], [2.0, 0.0]])))
    5.0
    """
    existing = _existing(hs, mask)
    return _mean(jnp.mean((existing[1:] - existing[:-1]) ** 2, axis=-1), _pairs(hs, mask, reset))


def _existing(hs: Array, mask: Steps | None) -> Array:
    return hs if mask is None else arrays.where(mask, hs, 0.0)


def _pairs(hs: Array, mask: Steps | None, reset: Steps | None) -> Bool[Array, "pairs *b"] | None:
    """Which of the pairs (t - 1, t) exist; None: all."""
    if len(hs) < 2:
        raise ValueError(f"hs: expected at least 2 steps, got {len(hs)}")
    whole = None if mask is None else mask[1:] & mask[:-1]
    if reset is None:
        return whole
    return ~reset[1:] if whole is None else whole & ~reset[1:]


def _norm(hs: Float[Array, "*b h"]) -> Float[Array, "*b"]:
    squared = jnp.sum(hs**2, axis=-1)
    moves = squared > 0  # elsewhere the derivative of the root is infinite: it gets another argument
    return jnp.where(moves, jnp.sqrt(jnp.where(moves, squared, 1.0)), 0.0)


def _mean(values: Float[Array, "t *b"], exists: Steps | None) -> Float[Array, ""]:
    if exists is None:
        return jnp.mean(values)
    kept, ones = arrays.where(exists, (values, jnp.ones_like(values)), 0.0)
    return losses.mean((jnp.sum(kept), jnp.sum(ones)))
