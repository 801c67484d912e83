"""The random keys of the parts of a layer."""

import jax

from recurrent.arrays import Key


def part_key(key: Key | None, part: int) -> Key | None:
    """The key of part number ``part`` of a layer, folded from the layer's key; None where that is None."""
    return None if key is None else jax.random.fold_in(key, part)
