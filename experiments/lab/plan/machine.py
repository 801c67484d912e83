"""What must be settled before JAX starts: the platform, the cores, the devices of the host.

A run's bits depend on them, so they are resolved once, stored with the run, and asked for again when it goes on.
"""

import contextlib
import functools
import hashlib
import importlib.metadata
import os
import platform
import re
import sys
from pathlib import Path
from typing import Any

import experiments
import recurrent
from experiments.errors import Fault
from experiments.lab.plan.resolved import Machine

PLATFORMS = ("auto", "cpu", "gpu", "tpu")
ALIASES = {"cuda": "gpu", "nvidia": "gpu"}
EXTRAS = {"gpu": "cuda", "tpu": "tpu"}
DECISIVE = {
    "device_kind": "on the device",
    "num_cores": "with this many cores:",
    "num_devices": "with this many devices:",
}
"""What has to be the same for the same bits, and how it is said."""
DISTRIBUTIONS = ("jax", "jaxlib", "numpy", "flax", "optax", "orbax-checkpoint")


def versions() -> dict[str, str]:
    """The versions that the bits of a run depend on."""
    found = {"python": platform.python_version()}
    for name in DISTRIBUTIONS:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "absent"
    return found


def cpu_model() -> str:
    """The processor by its maker's name; on another chip a compiler may choose other instructions."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() in ("model name", "Model"):
                return value.strip()
    return platform.processor() or platform.machine()


@functools.cache
def source_sha256() -> str:
    """The digest of this project's own code: every module of both packages, by path."""
    digest = hashlib.sha256()
    for package in (recurrent, experiments):
        folder = Path(package.__path__[0])
        for path in sorted(folder.rglob("*.py")):
            digest.update(
                f"{folder.name}/{path.relative_to(folder).as_posix()}\n".encode() + path.read_bytes()
            )
    return digest.hexdigest()


def start(
    device: str = "auto", earlier: Machine | None = None, *, on_this_machine: bool = False
) -> tuple[Machine, list[str]]:
    """Set the platform and the host's devices, then start JAX.

    Args:
        device: ``auto``, ``cpu``, ``gpu`` or ``tpu``.
        earlier: the machine that an earlier start returned, to be had again; one with more cores restricts itself.
        on_this_machine: go on where the machine differs; the differences are returned as notes.

    Returns:
        The machine, and notes on what differs from ``earlier``.

    Raises:
        Fault: no such device, or this machine cannot offer what ``earlier`` says.
    """
    import jax

    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    num_cores = min(usable if earlier is None else earlier.num_cores, usable)
    if num_cores < usable and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:num_cores])
    asked = asked_devices(setting("jax_num_cpu_devices"))
    wanted = num_cores if asked is None else asked[1]
    num_devices = wanted if earlier is None else earlier.num_devices
    try:
        # the number of devices can only be set while no backend exists
        jax.config.update("jax_num_cpu_devices", num_devices)
        if device != "auto":
            jax.config.update("jax_platforms", {"gpu": "cuda"}.get(device, device))
        if asked is not None and wanted != num_devices:
            _say_once(
                f"note: {asked[0]} asks for {wanted} devices; the run was started with {num_devices}, and goes on so"
            )
    except RuntimeError:
        if jax.devices()[0].platform == "cpu" and len(jax.devices()) != num_devices:
            _say_once("note: JAX had started before lab.start(): its devices stay as they are")
    found = _devices(device)
    kind = found[0].device_kind
    x64 = bool(setting("jax_enable_x64"))
    now = Machine(kind, num_cores, len(found), versions(), cpu_model(), source_sha256(), x64)
    return now, [] if earlier is None else compare(earlier, now, on_this_machine=on_this_machine)


def setting(name: str) -> Any:
    """What JAX's configuration holds under a name; no backend starts."""
    import jax

    return getattr(jax.config, name)


def asked_devices(configured: int) -> tuple[str, int] | None:
    """Where somebody has asked for a number of devices of the host, and for how many; None where nobody has.

    ``configured`` is what JAX holds, -1 for nothing; it goes before XLA's flag, of which the last one counts.
    """
    if configured >= 0:
        name = "JAX_NUM_CPU_DEVICES"
        return name if name in os.environ else name.lower(), configured
    found = re.findall(r"--xla_force_host_platform_device_count=(\d+)", os.environ.get("XLA_FLAGS", ""))
    return ("XLA_FLAGS", int(found[-1])) if found else None


def compare(then: Machine, now: Machine, *, on_this_machine: bool) -> list[str]:
    """Notes on what differs between two starts; what does not forbid to go on is also warned of on stderr.

    Raises:
        Fault: the machine differs, and ``on_this_machine`` is False.
    """
    notes = [
        f"the run was started {what} {getattr(then, name)}, here is {getattr(now, name)}"
        for name, what in DECISIVE.items()
        if getattr(then, name) != getattr(now, name)
    ]
    if notes and not on_this_machine:
        raise Fault(f"{notes[0]}; --on-this-machine goes on with other bits")
    changed = [
        f"{name} {old} -> {now.versions.get(name, 'absent')}"
        for name, old in then.versions.items()
        if now.versions.get(name) != old
    ]
    warned = [f"versions changed: {', '.join(changed)}"] if changed else []
    if then.cpu not in (None, now.cpu):
        warned.append(f"the processor changed: {then.cpu} -> {now.cpu}")
    if then.source_sha256 not in (None, now.source_sha256):
        warned.append("the code of this project has changed")
    for note in warned:
        _say_once(f"warning: {note}: the bits may differ from those of an unbroken run")
    return notes + warned


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
    platforms = setting("jax_platforms")
    # JAX calls cuda and rocm what people call a gpu
    extra = EXTRAS.get(str(platforms).replace("cuda", "gpu") if device == "auto" else device)
    hint = f" (pip install -e '.[{extra}]' installs support for one)" if extra else ""
    if device == "auto":
        silent = f"JAX_PLATFORMS is {platforms}, and nothing here answers to that{hint}"
        return Fault(f"--device: JAX finds no device: {reason or silent}")
    return Fault(f"--device: JAX finds no {device} here{hint}")
