"""`make test-newest` finds a Python that works, and believes no name before it has run."""

import os
import subprocess
import sys
from pathlib import Path

from places import ROOT

RUNNING = f"{sys.version_info.major}.{sys.version_info.minor}"


def command(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def find(version: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """What the script says where `folder` comes first on PATH, with nothing but the system's tools behind it."""
    path = os.pathsep.join([str(folder), "/usr/bin", "/bin"])
    script = ["sh", ROOT / "requirements" / "find_python", version]
    return subprocess.run(script, env={"PATH": path}, capture_output=True, text=True)


def test_a_python_on_the_path_is_found(tmp_path):
    command(tmp_path / f"python{RUNNING}", f'exec "{sys.executable}" "$@"')
    done = find(RUNNING, tmp_path)
    assert (done.returncode, done.stdout) == (0, f"{sys.executable}\n")


def test_behind_a_shim_that_fails_pyenv_is_asked_for_what_it_lists(tmp_path):
    command(tmp_path / f"python{RUNNING}", 'echo "pyenv: command not found" >&2; exit 127')
    command(
        tmp_path / "pyenv",
        f'[ "$1" = versions ] && printf "{RUNNING}.2t\\n{RUNNING}.2\\n{RUNNING}.10\\n" || echo "{tmp_path}/$2"',
    )
    for name in (f"{RUNNING}.2", f"{RUNNING}.10"):  # the newest comes first, and is broken here
        works = f'exec "{sys.executable}" "$@"' if name.endswith(".2") else "exit 1"
        command(tmp_path / name / "bin" / f"python{RUNNING}", works)
    done = find(RUNNING, tmp_path)
    assert (done.returncode, done.stdout) == (0, f"{sys.executable}\n")


def test_a_python_of_another_version_is_not_taken(tmp_path):
    command(tmp_path / "python3.99", f'exec "{sys.executable}" "$@"')
    command(tmp_path / "uv", f'echo "{sys.executable}"')
    done = find("3.99", tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
