"""Sequences of (value, marker) pairs of which two are marked: what the adding and the multiplication problem share."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from experiments.tasks.base import Batch

FIRST_PAIRS = 10  # Hochreiter & Schmidhuber (1997): the first mark is at one of the first ten pairs


class MarkedPairs(NamedTuple):
    """``values`` and ``markers`` as they are shown; ``marked`` is True at the two pairs that count."""

    values: Float[Array, "t b"]
    markers: Float[Array, "t b"]
    marked: Bool[Array, "t b"]
    mask: Bool[Array, "t b"]


def at(num_steps: int, position: Int[Array, "b"]) -> Bool[Array, "t b"]:
    """True at the step ``position`` of each sequence."""
    return jnp.arange(num_steps)[:, None] == position[None, :]


def uniform(key: PRNGKeyArray, num_steps: int, batch_size: int, low: float = 0.0) -> Float[Array, "t b"]:
    """Values in [``low``, 1)."""
    return jax.random.uniform(key, (num_steps, batch_size), jnp.float32, minval=low)


def skip(position: Int[Array, "b"], taken: Int[Array, "b"]) -> Int[Array, "b"]:
    """The ``position``-th of the steps 0, 1, ... without ``taken``."""
    return position + (position >= taken)


def answered(
    channels: tuple[Float[Array, "t b"], Float[Array, "t b"]],
    targets: Float[Array, "b"],
    mask: Bool[Array, "t b"] | None = None,
) -> Batch:
    """Two channels, and one number asked for at the last step; inputs are 0 where there is no step."""
    inputs = jnp.stack(channels, axis=-1)
    if mask is not None:
        inputs = jnp.where(mask[..., None], inputs, 0.0)
    return Batch(inputs, targets[:, None], jnp.ones_like(targets), mask)


def longest_pascanu(num_steps: int) -> int:
    """The largest length that `draw_pascanu` draws."""
    return num_steps + num_steps // 10 - 1


def draw_pascanu(key: PRNGKeyArray, num_steps: int, batch_size: int) -> MarkedPairs:
    """Pascanu, Mikolov & Bengio (2013), their code: marks in the first tenth and in the four tenths after it."""
    key_values, key_length, key_first, key_second = jax.random.split(key, 4)
    longest = longest_pascanu(num_steps)
    lengths = jax.random.randint(key_length, (batch_size,), num_steps, longest + 1)
    tenth = lengths // 10
    first = jax.random.randint(key_first, (batch_size,), 0, tenth)
    second = jax.random.randint(key_second, (batch_size,), tenth, tenth + 4 * lengths // 10)
    values = uniform(key_values, longest, batch_size)
    marked = at(longest, first) | at(longest, second)
    mask = jnp.arange(longest)[:, None] < lengths[None, :]
    return MarkedPairs(values, marked.astype(values.dtype), marked, mask)


def longest_hs97(num_steps: int) -> int:
    """The largest length that `draw_hs97` draws."""
    return num_steps + num_steps // 10


def draw_hs97(
    key: PRNGKeyArray, num_steps: int, batch_size: int, low: float, neutral: float, first_marker: float
) -> MarkedPairs:
    """Hochreiter & Schmidhuber (1997), experiments 4 and 5: values in [``low``, 1), -1 marks both ends.

    A marked pair 0 has the value ``neutral``, which does nothing to the answer, and the marker ``first_marker``.
    """
    key_values, key_length, key_first, key_second = jax.random.split(key, 4)
    longest = longest_hs97(num_steps)
    lengths = jax.random.randint(key_length, (batch_size,), num_steps, longest + 1)
    first = jax.random.randint(key_first, (batch_size,), 0, FIRST_PAIRS)
    second = skip(jax.random.randint(key_second, (batch_size,), 0, num_steps // 2 - 1), first)
    steps = jnp.arange(longest)[:, None]
    marked = at(longest, first) | at(longest, second)
    values = jnp.where(marked & (steps == 0), neutral, uniform(key_values, longest, batch_size, low))
    ends = (steps == 0) | at(longest, lengths - 1)
    shown = jnp.where(steps == 0, first_marker, 1.0)
    markers = jnp.where(marked, shown, jnp.where(ends, -1.0, 0.0)).astype(values.dtype)
    return MarkedPairs(values, markers, marked, steps < lengths[None, :])


def first_pair_marked(num_steps: int) -> float:
    """The probability that `draw_hs97` marks pair 0: by the first mark, or else by the second."""
    return 1 / FIRST_PAIRS + (1 - 1 / FIRST_PAIRS) / (num_steps // 2 - 1)
