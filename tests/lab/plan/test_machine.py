"""`lab.start` in processes where JAX has not started: devices, cores, what differs, and what is said about it."""

import dataclasses
import json
import os
import subprocess
import sys
from typing import Any

import pytest
from lab_runs import ROOT, one_core

from experiments.errors import Fault
from experiments.lab.plan import machine
from experiments.lab.plan.resolved import Machine

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

HERE = {"device_kind": "cpu", "num_cores": CORES, "num_devices": CORES, "versions": machine.versions()}

PROBE = """
import json, os, sys
from experiments.errors import Fault
from experiments.lab import start
from experiments.lab.plan.resolved import Machine
said = []
for call in json.loads(sys.argv[1]):
    if call == "jax":
        import jax
        said.append(len(jax.devices()))
    else:
        try:
            earlier = {"earlier": Machine(**call.pop("earlier"))} if "earlier" in call else {}
            machine, notes = start(**call, **earlier)
            cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None
            said.append({**vars(machine), "notes": notes, "cores": cores})
        except Fault as fault:
            said.append(f"{fault.code}: {fault}")
print(json.dumps(said))
"""


def started(*calls: Any, **environment: str) -> tuple[list[Any], str]:
    """What each ``start`` of one new process returned or raised, and its stderr; "jax" stands for its first use."""
    inherited = {name: value for name, value in os.environ.items() if name != "JAX_PLATFORMS"}
    done = subprocess.run(
        [sys.executable, "-c", PROBE, json.dumps(calls)],
        cwd=ROOT,
        env={**inherited, "CUDA_VISIBLE_DEVICES": "", **environment},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), done.stderr


def test_every_core_is_a_device_and_a_second_start_says_nothing():
    (first, second), err = started({}, {})
    assert (first["num_cores"], first["num_devices"], first["device_kind"]) == (CORES, CORES, "cpu")
    assert first["versions"] == machine.versions()
    assert (first["cpu"], first["source_sha256"]) == (machine.cpu_model(), machine.source_sha256())
    assert first["notes"] == [] and second == first and err == ""


def test_an_earlier_machine_is_had_again():
    earlier = {"device_kind": "cpu", "num_cores": 1, "num_devices": 3, "versions": machine.versions()}
    (found, count), err = started({"device": "cpu", "earlier": earlier}, "jax")
    assert {name: found[name] for name in earlier} == earlier
    assert found["notes"] == [] and err == "" and count == 3
    assert found["cores"] in (1, None)  # a machine with more restricts itself


def test_where_jax_runs_already_it_is_said_once():
    with one_core():
        (count, first, second), err = started(
            "jax", {"earlier": {**HERE, "num_cores": 1, "num_devices": 2}, "on_this_machine": True}, {}
        )
    assert count == first["num_devices"] == second["num_devices"] == 1
    assert first["notes"] == ["the run was started with this many devices: 2, here is 1"]
    assert err == "note: JAX had started before lab.start(): its devices stay as they are\n"


def test_where_jax_runs_already_as_it_would_nothing_is_said():
    with one_core():
        (count, found), err = started("jax", {})
    assert (count, found["num_devices"], err) == (1, 1, "")


def test_a_machine_that_cannot_offer_it_refuses_or_notes_it():
    earlier = {**HERE, "device_kind": "Abacus", "num_cores": CORES + 1, "num_devices": CORES + 1}
    (refused, found), err = started({"earlier": earlier}, {"earlier": earlier, "on_this_machine": True})
    difference = "the run was started on the device Abacus, here is cpu"
    assert refused == f"2: {difference}; --on-this-machine goes on with other bits"
    cores = f"the run was started with this many cores: {CORES + 1}, here is {CORES}"
    assert found["notes"] == [difference, cores]
    assert (found["num_cores"], found["num_devices"], err) == (CORES, CORES + 1, "")


def test_missing_devices_are_named():
    (gpu, tpu), err = started({"device": "gpu"}, {"device": "tpu"})
    assert gpu == "2: --device: JAX finds no gpu here (pip install -e '.[cuda]' installs support for one)"
    assert tpu == "2: --device: JAX finds no tpu here (pip install -e '.[tpu]' installs support for one)"
    assert err == ""
    (nothing,), _ = started({}, JAX_PLATFORMS="abacus")
    assert nothing.startswith("2: --device: JAX finds no device: ") and "abacus" in nothing


NOW = Machine("cpu", 2, 2, {"jax": "2", "numpy": "1"}, "Abacus 2", "cafe")


@pytest.mark.parametrize(
    ("change", "note"),
    [
        (
            {"versions": {"jax": "1", "numpy": "1", "optax": "9"}},
            "versions changed: jax 1 -> 2, optax 9 -> absent",
        ),
        ({"cpu": "Abacus 1"}, "the processor changed: Abacus 1 -> Abacus 2"),
        ({"source_sha256": "beef"}, "the code of this project has changed"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_changes_bits_but_not_results_is_a_note_and_one_warning(change, note, capsys):
    machine._say_once.cache_clear()
    for _ in range(2):
        assert machine.compare(dataclasses.replace(NOW, **change), NOW, on_this_machine=False) == [note]
    said = f"warning: {note}: the bits may differ from those of an unbroken run\n"
    assert capsys.readouterr().err == said


def test_what_earlier_runs_did_not_store_is_not_compared():
    assert machine.compare(NOW, NOW, on_this_machine=False) == []
    bare = dataclasses.replace(NOW, cpu=None, source_sha256=None)
    assert machine.compare(bare, NOW, on_this_machine=False) == []


@pytest.mark.parametrize("name", machine.DECISIVE)
def test_each_part_of_the_machine_counts(name):
    then = dataclasses.replace(NOW, **{name: 7})
    difference = f"the run was started {machine.DECISIVE[name]} 7, here is {getattr(NOW, name)}"
    with pytest.raises(Fault, match=f"^{difference}; --on-this-machine") as raised:
        machine.compare(then, NOW, on_this_machine=False)
    assert raised.value.code == 2
    assert machine.compare(then, NOW, on_this_machine=True) == [difference]


def test_a_platform_that_says_nothing_is_named(monkeypatch):
    import jax

    def nothing():
        raise AssertionError

    monkeypatch.setattr(jax, "devices", nothing)
    before = jax.config.jax_platforms
    jax.config.update("jax_platforms", "cuda")
    try:
        with pytest.raises(
            Fault, match=r"^--device: JAX finds no device: JAX_PLATFORMS is cuda, .*'\.\[cuda\]'"
        ):
            machine._devices("auto")
    finally:
        jax.config.update("jax_platforms", before)


def test_devices_that_somebody_asked_for_are_had():
    (found,), err = started({}, XLA_FLAGS="--xla_force_host_platform_device_count=3")
    assert (found["num_devices"], err) == (3, "")


def test_a_run_goes_on_with_its_devices_and_says_so_where_others_were_asked_for():
    (found,), err = started({"earlier": {**HERE, "num_devices": 2}}, JAX_NUM_CPU_DEVICES="3")
    assert found["num_devices"] == 2
    told = "note: JAX_NUM_CPU_DEVICES asks for 3 devices; the run was started with 2, and goes on so\n"
    assert err == told


def test_the_last_flag_of_several_counts(monkeypatch):
    flag = "--xla_force_host_platform_device_count"
    monkeypatch.setenv("XLA_FLAGS", f"{flag}=3 --xla_dump_to=nowhere {flag}=5")
    monkeypatch.delenv("JAX_NUM_CPU_DEVICES", raising=False)
    assert machine.asked_devices(-1) == ("XLA_FLAGS", 5)
    assert machine.asked_devices(4) == ("jax_num_cpu_devices", 4)
    monkeypatch.setenv("XLA_FLAGS", "--xla_dump_to=nowhere")
    assert machine.asked_devices(-1) is None
