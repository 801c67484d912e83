"""Whole numbers of any size as bits, for a batch at once: bits ``[place, b]``, the lowest place first, without a loop.

A carry into a place comes from the nearest place below where both bits are the same, and is that bit; so the running
maximum of such places gives all carries together.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int, PRNGKeyArray


def draw_positive(key: PRNGKeyArray, lengths: Int[Array, "b"], size: int) -> Bool[Array, "n b"]:
    """Uniform numbers from 1 to 2^length - 1, in ``size`` places.

    From the highest place down: where no bit is set yet and r places are left, the next is set with chance
    2^(r - 1) / (2^r - 1), for sure at the last; below the first set bit, all are fair.
    """
    key_top, key_below = jax.random.split(key)
    places = jnp.arange(size)[:, None]
    shape = (size, len(lengths))
    chance = 0.5 / (1.0 - 0.5 ** (places + 1.0))
    may_be_top = (jax.random.uniform(key_top, shape) < chance) & (places < lengths[None, :])
    top = highest(may_be_top)[None, :]
    return (places == top) | ((places < top) & jax.random.bernoulli(key_below, 0.5, shape))


def highest(bits: Bool[Array, "n b"]) -> Int[Array, "b"]:
    """The highest place of a set bit; -1 where there is none."""
    return jnp.max(jnp.where(bits, jnp.arange(len(bits))[:, None], -1), axis=0)


def add(x: Bool[Array, "n b"], y: Bool[Array, "n b"]) -> Bool[Array, "n b"]:
    """The sum; a carry out of the highest place is lost."""
    return x ^ y ^ _from_below(decided=x == y, bit=x)


def subtract(x: Bool[Array, "n b"], y: Bool[Array, "n b"]) -> tuple[Bool[Array, "n b"], Bool[Array, "b"]]:
    """The difference, and whether it is below 0; it is then 2^n too large."""
    # the nearest place below where the bits differ tells whether something has been borrowed
    difference = jnp.pad(x ^ y, ((0, 1), (0, 0)))
    borrows = _from_below(decided=difference, bit=jnp.pad(y, ((0, 1), (0, 0))))
    return (difference ^ borrows)[:-1], borrows[-1]


def _from_below(decided: Bool[Array, "n b"], bit: Bool[Array, "n b"]) -> Bool[Array, "n b"]:
    """For each place the ``bit`` of the nearest lower place that is ``decided``; False where there is none."""
    places = jnp.where(decided, jnp.arange(len(decided))[:, None], -1)
    below = jnp.pad(jax.lax.cummax(places, axis=0)[:-1], ((1, 0), (0, 0)), constant_values=-1)
    return jnp.take_along_axis(bit, jnp.maximum(below, 0), axis=0) & (below >= 0)


def multiply(x: Bool[Array, "n b"], y: Bool[Array, "n b"]) -> Bool[Array, "n b"]:
    """The product, modulo 2^n: shifted copies of ``y``, one after another."""

    def add_shifted(
        carry: tuple[Bool[Array, "n b"], Bool[Array, "n b"]], bit: Bool[Array, "b"]
    ) -> tuple[tuple[Bool[Array, "n b"], Bool[Array, "n b"]], None]:
        total, shifted = carry
        return (add(total, shifted & bit[None, :]), _lifted(shifted, jnp.zeros_like(shifted[:1]))), None

    (product, _), _ = jax.lax.scan(add_shifted, (jnp.zeros_like(y), y), x)
    return product


def floor_sqrt(x: Bool[Array, "n b"]) -> Bool[Array, "m b"]:
    """The whole part of the square root, in half as many places, rounded up.

    By hand, as for decimal digits: each step takes two more bits of ``x`` from the top; the next bit of the root r
    is 1 where 4r + 1 can be taken away from the rest.
    """
    num_places = (len(x) + 1) // 2
    pairs = jnp.pad(x, ((0, 2 * num_places - len(x)), (0, 0))).reshape(num_places, 2, -1)
    room = jnp.zeros((num_places + 2, x.shape[1]), bool)  # the rest is at most twice the root
    zero, one = room[:1], ~room[:1]

    def take_pair(
        carry: tuple[Bool[Array, "w b"], Bool[Array, "w b"]], pair: Bool[Array, "2 b"]
    ) -> tuple[tuple[Bool[Array, "w b"], Bool[Array, "w b"]], None]:
        rest, root = carry
        rest = _lifted(rest, pair)
        less, is_negative = subtract(rest, _lifted(root, jnp.concatenate([one, zero])))
        return (jnp.where(is_negative[None, :], rest, less), _lifted(root, ~is_negative[None, :])), None

    (_, root), _ = jax.lax.scan(take_pair, (room, room), pairs[::-1])
    return root[:num_places]


def _lifted(x: Bool[Array, "n b"], low: Bool[Array, "k b"]) -> Bool[Array, "n b"]:
    """All places ``len(low)`` higher, with ``low`` below; what leaves at the top is lost."""
    return jnp.concatenate([low, x[: -len(low)]])
