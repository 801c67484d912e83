"""What a run's bits depend on beside its configuration: resolved once, stored with the run, used when it goes on."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Self

MAPPINGS = ("vectorized", "one_by_one", "over_devices", "vectorized_over_devices")
"""How functions of one network become functions of several, as `experiments.lab.training.seeds` calls it."""

Solvers = str | tuple[Any, ...]
"""The name of a solver, or one entry a part for a layer whose parts go by different ones."""


@dataclasses.dataclass(frozen=True)
class Machine:
    """The machine as a run sees it.

    ``device_kind``, ``num_cores`` and ``num_devices`` have to be the same for a run to go on. What else differs
    (``versions``, ``cpu``, ``source_sha256``: the model of the processor and the digest of this project's code) is
    warned of. ``cpu`` and ``source_sha256`` are None in runs that were stored without them.
    ``x64`` says whether JAX_ENABLE_X64 was set: the types of all that is stored depend on it. Runs that were stored
    without it ran without.
    """

    device_kind: str
    num_cores: int
    num_devices: int
    versions: Mapping[str, str]
    cpu: str | None = None
    source_sha256: str | None = None
    x64: bool = False


@dataclasses.dataclass(frozen=True)
class Resolved:
    """The machine of a run, its solver and its seed mapping; ``notes`` say what was different when it went on."""

    machine: Machine
    solver: Solvers
    seed_mapping: str
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check what comes from a file that anybody may have edited."""
        if self.seed_mapping not in MAPPINGS:
            raise ValueError(f"resolved.seed_mapping is not one of {', '.join(MAPPINGS)}")
        if min(self.machine.num_cores, self.machine.num_devices) < 1:
            raise ValueError("num_cores and num_devices are not positive")

    def as_json(self) -> dict[str, Any]:
        """What ``config.json`` has under ``resolved``: a flat dictionary, without what is not known."""
        machine = {key: value for key, value in vars(self.machine).items() if value is not None}
        own = {"solver": self.solver, "seed_mapping": self.seed_mapping, "notes": list(self.notes)}
        return {**machine, **own}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        """The inverse of `as_json`; ValueError where something is missing, unknown or of another kind."""
        for name, kind in KINDS.items():
            if type(stored.get(name)) not in kind:
                raise ValueError(f"{name} is not a {kind[0].__name__}")
        unknown = set(stored) - set(KINDS)
        if unknown:
            raise ValueError(f"resolved.{min(unknown)} is unknown")
        machine: dict[str, Any] = {
            field.name: stored[field.name]
            for field in dataclasses.fields(Machine)
            if stored.get(field.name) is not None
        }
        notes = tuple(map(str, stored["notes"]))
        return cls(Machine(**machine), _tuples(stored["solver"]), stored["seed_mapping"], notes)


KINDS: dict[str, tuple[type, ...]] = {
    "device_kind": (str,),
    "num_cores": (int,),
    "num_devices": (int,),
    "versions": (dict,),
    "cpu": (str, type(None)),
    "source_sha256": (str, type(None)),
    "x64": (bool, type(None)),
    "solver": (str, list),
    "seed_mapping": (str,),
    "notes": (list,),
}
"""What ``resolved`` in a ``config.json`` has to have; ``cpu``, ``source_sha256`` and ``x64`` may be missing."""


def _tuples(value: Any) -> Solvers:
    return tuple(map(_tuples, value)) if isinstance(value, list) else str(value)
