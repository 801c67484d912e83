"""What layers share."""

import jax

from recurrent.arrays import Key


def part_key(key: Key | None, part: int) -> Key | None:
    """The key of one part of a layer; None without a key."""
    return None if key is None else jax.random.fold_in(key, part)
