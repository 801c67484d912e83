"""`benchmarks.speed` compares the same function before it times anything, and refuses a busy machine."""

import importlib
import os
import subprocess
import sys

import jax
import numpy as np
import pytest

from benchmarks import quiet, speed
from benchmarks.peers.contender import Point

POINT = Point(2, 7, 3, 5)


def pieces(kind):
    cell = speed.CELLS[kind](POINT.inputs, POINT.units)
    params = jax.tree.map(lambda leaf: leaf + 0.1, cell.init(jax.random.key(0)))  # no bias is zero
    if kind == "gru":
        params = params._replace(b_h=params.b_h * 0)  # flax has none
    return cell, params, jax.random.normal(jax.random.key(1), (POINT.steps, POINT.batch, POINT.inputs))


@pytest.mark.medium
@pytest.mark.parametrize("kind", speed.CELLS)
@pytest.mark.parametrize("name", speed.PEERS)
def test_a_peer_computes_the_same_outputs_and_gradients(name, kind):
    try:
        side = importlib.import_module(f"benchmarks.peers.{name}_side")
    except ImportError as error:
        pytest.skip(f"{name}: not compared ({error})")
    cell, params, xs = pieces(kind)
    try:
        contender = side.contender(kind, cell, params, xs, POINT)
    except LookupError:
        assert (name, kind) in {("equinox", "elman"), ("haiku", "elman"), ("haiku", "gru")}
        return
    expected = speed.ours(cell, params, xs).gradients()
    found = contender.gradients()
    assert found.keys() >= expected.keys() - {"b_h"}
    for field, value in found.items():
        np.testing.assert_allclose(value, expected[field], rtol=1e-4, atol=1e-6, err_msg=field)


def test_points_off_the_grid_follow_from_the_commit():
    assert speed.drawn("abc") == speed.drawn("abc") != speed.drawn("abd")
    assert len(set(speed.drawn("abc"))) == 4
    assert not set(speed.drawn("abc")) & set(speed.GRID)


def test_a_busy_machine_is_refused(monkeypatch):
    monkeypatch.setattr(quiet, "busy_share", lambda: 0.4)
    with pytest.raises(SystemExit, match="other processes take 40% of this machine"):
        quiet.wait()
    shares = iter([0.4, 0.01])
    monkeypatch.setattr(quiet, "busy_share", lambda: next(shares))
    assert quiet.wait() == 0.01


def test_the_share_of_others_leaves_out_this_process():
    share = quiet.busy_share(0.2)
    assert share is None or 0.0 <= share <= 1.0
    if share is not None:
        other = subprocess.Popen([sys.executable, "-c", "while True: pass"])
        try:
            assert quiet.busy_share(0.5) >= 0.5 / os.cpu_count()
        finally:
            other.kill()
            other.wait()


def test_ratios_are_medians_over_the_rounds():
    times = {"step ours": [1.0, 2.0, 9.0], "step torch": [2.0, 2.0, 3.0], "forward ours": [1.0] * 3}
    assert speed._ratios(times) == {"step ours/torch": [1.0, 0.75, 2.0]}


def test_the_benchmarks_are_found_by_name():
    found = subprocess.run([sys.executable, "-m", "benchmarks"], capture_output=True, text=True, check=True)
    assert {"speed", "cells", "ways"} <= {line.split()[0] for line in found.stdout.splitlines()}
    wrong = subprocess.run(
        [sys.executable, "-m", "benchmarks", "spede"], capture_output=True, text=True, check=False
    )
    assert (wrong.returncode, wrong.stderr) == (
        2,
        "error: there is no benchmark spede; did you mean speed?\n",
    )
