"""Compiled programs are kept whole, and what a killed process left is no part of them."""

import os
import socket
import subprocess
import sys

import jax
import jax.numpy as jnp
import pytest
from jax import monitoring

from experiments.errors import Fault
from experiments.lab.storage import compiled

EVENTS = []
monitoring.register_event_listener(lambda name, **_: EVENTS.append(name))


def slow_program(size):
    """A program of its own for each size, whose compilation takes longer than what is not worth keeping."""

    def loop(x):
        for number in range(40):
            x = jnp.tanh(jnp.sort(x) * number + jnp.cumsum(x))
        return x

    return jax.jit(loop)(jnp.linspace(0.0, 1.0, size))


def hits_of(folder, size):
    EVENTS.clear()
    with compiled.kept(folder):
        found = slow_program(size)
    return sum("cache_hits" in name for name in EVENTS), found


def test_the_second_process_finds_what_the_first_has_compiled(tmp_path, monkeypatch):
    monkeypatch.setattr(compiled, "WORTH_KEEPING", 0.0)
    folder = tmp_path / "programs"
    first, values = hits_of(folder, 71)
    entries = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert first == 0 and entries and all(name.endswith("-cache") for name in entries)
    another = os.getpid() + 1
    monkeypatch.setattr(os, "getpid", lambda: another)
    jax.clear_caches()
    second, again = hits_of(folder, 71)
    assert second > 0 and jnp.array_equal(values, again)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == entries


def test_what_a_killed_process_left_is_removed_and_what_a_living_one_writes_is_not(tmp_path, monkeypatch):
    monkeypatch.setattr(compiled, "WORTH_KEEPING", 0.0)
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    names = {process: f".of-{socket.gethostname()}-{process}" for process in (gone.pid, os.getppid())}
    for name in names.values():
        (tmp_path / name).mkdir()
        (tmp_path / name / "jit_half-cache").write_bytes(b"cut off")
    hits_of(tmp_path, 72)
    assert not (tmp_path / names[gone.pid]).exists()
    assert (tmp_path / names[os.getppid()] / "jit_half-cache").exists()
    assert not (tmp_path / "jit_half-cache").exists()


def test_settings_are_put_back_after_an_error(tmp_path):
    before = jax.config.jax_compilation_cache_dir
    with pytest.raises(RuntimeError, match="stop"), compiled.kept(tmp_path):
        assert jax.config.jax_compilation_cache_dir != before
        raise RuntimeError("stop")
    assert jax.config.jax_compilation_cache_dir == before
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(
        Fault, match=r"^--compilation-cache: .*file/programs cannot be used: Not a directory$"
    ):
        with compiled.kept(tmp_path / "file" / "programs"):
            pass
