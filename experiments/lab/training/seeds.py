"""How a function of one network becomes a function of several: a value, chosen by shape and recorded.

Each mapping takes ``fn(network, *shared)`` to ``fn(networks, *shared)``; networks are stacked along a
leading axis.
"""

from collections.abc import Callable
from typing import Any

import jax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

Function = Callable[..., Any]


def vectorized(fn: Function) -> Function:
    """All at once, in wider operations: best on accelerators, and for narrow networks on a CPU."""

    def mapped(networks: Any, *shared: Any) -> Any:
        return jax.vmap(lambda network: fn(network, *shared))(networks)

    return mapped


def one_by_one(fn: Function) -> Function:
    """One after another: on a CPU the operations of a wide network leave nothing to share."""

    def mapped(networks: Any, *shared: Any) -> Any:
        return jax.lax.map(lambda network: fn(network, *shared), networks)

    return mapped


def over_devices(fn: Function) -> Function:
    """Spread over all devices, one after another on each: the cores of a CPU are such devices."""
    return _spread(one_by_one(fn))


def vectorized_over_devices(fn: Function) -> Function:
    """Spread over all devices, all at once on each: best for several narrow networks on the cores of a CPU."""
    return _spread(vectorized(fn))


def _spread(mapped: Function) -> Function:
    """``mapped`` on every device, each with its share of the networks."""

    def spread(networks: Any, *shared: Any) -> Any:
        per_seed, everywhere = PartitionSpec("seed"), PartitionSpec()
        return jax.shard_map(
            mapped,
            mesh=_mesh(),
            in_specs=(per_seed, *(everywhere for _ in shared)),
            out_specs=per_seed,
            check_vma=False,
        )(networks, *shared)

    return spread


def _mesh() -> Mesh:
    return Mesh(jax.devices(), ("seed",))


MAPPINGS: dict[str, Callable[[Function], Function]] = {
    "vectorized": vectorized,
    "one_by_one": one_by_one,
    "over_devices": over_devices,
    "vectorized_over_devices": vectorized_over_devices,
}
SPREAD = ("over_devices", "vectorized_over_devices")
WIDE = 32  # hidden units above which one after another is faster than all at once on a CPU


def choose(num_seeds: int, hidden_size: int, platform: str, num_devices: int) -> str:
    """The name of the mapping for these shapes."""
    if platform != "cpu":
        return "vectorized"
    if num_seeds > 1 and num_devices > 1:
        return "over_devices" if hidden_size > WIDE else "vectorized_over_devices"
    return "one_by_one" if hidden_size > WIDE or num_seeds == 1 else "vectorized"


def padded(num_seeds: int, mapping: str, num_devices: int) -> int:
    """How many networks are trained so that every device has as many; the last ones are fillers."""
    return -(-num_seeds // num_devices) * num_devices if mapping in SPREAD else num_seeds


def place(networks: Any, shared: Any, mapping: str) -> tuple[Any, Any]:
    """Both on the devices where the mapping wants them, so that the first call compiles for all."""
    if mapping not in SPREAD:
        return jax.device_put((networks, shared), jax.devices()[0])
    return (
        jax.device_put(networks, NamedSharding(_mesh(), PartitionSpec("seed"))),
        jax.device_put(shared, NamedSharding(_mesh(), PartitionSpec())),
    )
