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
MACHINE = {
    "device_kind": "on the device",
    "num_cores": "with this many cores:",
    "num_devices": "with this many devices:",
}
"""What has to be the same for the same bits, and how it is said."""
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

    wanted = dict(resolved or {})
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    num_cores = min(int(wanted.get("num_cores", usable)), usable)
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
    return now, compare(wanted, now, on_this_machine=on_this_machine)


def compare(then: Resolved, now: Resolved, *, on_this_machine: bool) -> list[str]:
    """Notes on what differs between two starts; other versions are also warned of on stderr.

    Raises:
        Fault: the machine differs, and ``on_this_machine`` is False.
    """
    notes = [
        f"the run was started {what} {then[name]}, here is {now[name]}"
        for name, what in MACHINE.items()
        if name in then and then[name] != now[name]
    ]
    if notes and not on_this_machine:
        raise Fault(f"{notes[0]}; --on-this-machine goes on with other bits")
    changed = [
        f"{name} {old} -> {now['versions'].get(name, 'absent')}"
        for name, old in then.get("versions", {}).items()
        if now["versions"].get(name) != old
    ]
    if changed:
        notes.append(f"versions changed: {', '.join(changed)}")
        _say_once(f"warning: {notes[-1]}: the bits will differ from those of an unbroken run")
    return notes


@functools.cache
def _say_once(note: str) -> None:
    print(note, file=sys.stderr)


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
