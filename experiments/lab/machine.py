"""What must be settled before JAX starts: the platform, the cores, the devices of the host.

A run's bits depend on them, so they are resolved once, stored with the run, and asked for again when it goes on.
"""

import functools
import importlib.metadata
import os
import platform
import sys
from typing import Any

from experiments.errors import Fault

PLATFORMS = ("auto", "cpu", "gpu", "tpu")
EXTRAS = {"gpu": "cuda", "tpu": "tpu"}
DISTRIBUTIONS = ("jax", "jaxlib", "numpy", "flax", "optax", "orbax-checkpoint")

Resolved = dict[str, Any]
"""``device_kind, num_cores, num_devices, versions``, and later ``solver`` and ``seed_mapping``."""


def versions() -> dict[str, str]:
    """The versions that the bits of a run depend on."""
    found = {"python": platform.python_version()}
    for name in DISTRIBUTIONS:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "absent"
    return found


def start(
    device: str = "auto", resolved: Resolved | None = None, *, on_this_machine: bool = False
) -> tuple[Resolved, list[str]]:
    """Set the platform and the host's devices, then start JAX.

    Args:
        device: ``auto``, ``cpu``, ``gpu`` or ``tpu``.
        resolved: what an earlier start returned, to be had again; a machine with more cores restricts itself.
        on_this_machine: go on where the machine differs; the differences are returned as notes.

    Returns:
        What was resolved, and notes on what differs from ``resolved``.

    Raises:
        Fault: no such device, or the machine cannot offer what ``resolved`` says.
    """
    import jax

    notes: list[str] = []
    wanted = dict(resolved or {})
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    num_cores = int(wanted.get("num_cores", usable))
    if num_cores > usable:
        _differs(notes, on_this_machine, f"the run was started on {num_cores} cores, here are {usable}")
        num_cores = usable
    if num_cores < usable and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:num_cores])
    num_devices = int(wanted.get("num_devices", num_cores))
    try:
        # the number of devices can only be set while no backend exists
        jax.config.update("jax_num_cpu_devices", num_devices)
        if device != "auto":
            jax.config.update("jax_platforms", {"gpu": "cuda"}.get(device, device))
    except RuntimeError:
        if jax.devices()[0].platform == "cpu" and len(jax.devices()) != num_devices:
            _say_once("note: JAX had started before lab.start(): its devices stay as they are")
    found = _devices(device)
    now: Resolved = {
        "device_kind": found[0].device_kind,
        "num_cores": num_cores,
        "num_devices": len(found),
        "versions": versions(),
    }
    for name, what in (("device_kind", "on the device"), ("num_devices", "with this many devices:")):
        if name in wanted and wanted[name] != now[name]:
            _differs(
                notes, on_this_machine, f"the run was started {what} {wanted[name]}, here is {now[name]}"
            )
    changed = [
        f"{name} {old} -> {now['versions'].get(name, 'absent')}"
        for name, old in wanted.get("versions", {}).items()
        if now["versions"].get(name) != old
    ]
    if changed:
        notes.append(f"versions changed: {', '.join(changed)}")
        print(f"warning: {notes[-1]}: the bits will differ from those of an unbroken run", file=sys.stderr)
    return now, notes


@functools.cache
def _say_once(note: str) -> None:
    print(note, file=sys.stderr)


def _differs(notes: list[str], on_this_machine: bool, difference: str) -> None:
    if not on_this_machine:
        raise Fault(f"{difference}; --on-this-machine goes on with other bits")
    notes.append(difference)


def _devices(device: str) -> list[Any]:
    import jax

    try:
        found = jax.devices()
    except (
        RuntimeError,
        AssertionError,
    ) as error:  # a platform without its plugin: an AssertionError without text
        raise _missing(device, str(error)) from error
    if device != "auto" and found[0].platform != device:
        raise _missing(device)
    return found


def _missing(device: str, reason: str = "") -> Fault:
    if device == "auto":
        return Fault(f"--device: JAX finds no device: {reason}")
    extra = EXTRAS.get(device)
    hint = f" (pip install -e '.[{extra}]' installs support for one)" if extra else ""
    return Fault(f"--device: JAX finds no {device} here{hint}")
