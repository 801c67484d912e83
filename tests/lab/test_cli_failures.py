"""A changed source, a full disk, numbers that are not finite, a damaged neighbour: one line, and nothing is lost."""

import contextlib
import dataclasses
import errno
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import pytest
from lab_runs import assert_refused, damage, digest, hashes, heard, rows, run, steps, summary

from experiments import adding_problem
from experiments.lab import cli
from experiments.lab.plan import cell_names
from experiments.lab.plan.experiment import Parts
from experiments.tasks.adding import Adding

pytest_plugins = ["lab_fixtures"]
pytestmark = pytest.mark.usefixtures("compile_once", "trace_once")

STRANGER = """
import dataclasses
import recurrent as rec

@dataclasses.dataclass(frozen=True)
class Cell(rec.Elman):
    "An Elman network."
"""


def test_a_changed_source_of_a_strangers_cell_is_named_when_its_run_goes_on(tmp_path, monkeypatch):
    module = tmp_path / "stranger.py"
    module.write_text(STRANGER)
    monkeypatch.syspath_prepend(tmp_path)
    out, flags = tmp_path / "out", ("--cell", "stranger:Cell", "--num-updates", "20")
    assert run(out, *flags).code == 0
    before = digest(out)
    assert run(out, *flags).code == 0
    module.write_text(STRANGER + "# another thought\n")
    complaint = (
        "^--cell: the source of stranger:Cell has changed since the run was started; give another --out$"
    )
    assert_refused(run(out, *flags), complaint)
    assert digest(out) == before
    monkeypatch.delitem(sys.modules, "stranger")
    assert cell_names.parse_cell("stranger:Cell").source_sha256 is not None
    monkeypatch.delitem(sys.modules, "stranger")


@contextlib.contextmanager
def small_disk(place: Path, kilobytes: int) -> Iterator[None]:
    """A file system of this size; where none can be mounted, one test has less to say."""
    place.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(place)]
    if os.geteuid() or not shutil.which("mount") or subprocess.run(words, capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk_is_one_line_and_the_run_goes_on_when_there_is_room(finished, tmp_path):
    place = tmp_path / "disk"
    with small_disk(place, 220):
        outcome = run(place / "out", "--num-updates", "100")
        assert_refused(outcome, "was not written: no space left on the disk$", code=1)
        saved = steps(place / "out" / "elman")
        assert saved and saved[0] >= 20
        shutil.copytree(place / "out", tmp_path / "roomy")
    outcome = run(tmp_path / "roomy", "--num-updates", "100")
    assert (outcome.code, outcome.errors) == (0, [])
    assert run(finished, "--num-updates", "100").code == 0
    assert hashes(tmp_path / "roomy" / "elman") == hashes(finished / "elman")
    assert rows(tmp_path / "roomy" / "elman") == rows(finished / "elman")


@pytest.mark.parametrize("file", ["config.json", "metrics.jsonl", "summary.json", "table.json"])
def test_whichever_file_the_disk_refuses_the_run_goes_on_afterwards(file, unfinished, finished, monkeypatch):
    open_file = Path.open

    def full(self: Path, *args: Any, **options: Any) -> Any:
        if file in self.name and set("wa") & set("".join(args)):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self))
        return open_file(self, *args, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", full)
        assert_refused(run(unfinished), f"{file} was not written: no space left on the disk$", code=1)
    assert steps(unfinished / "elman")[0] == 20
    assert run(unfinished).code == 0
    assert hashes(unfinished / "elman") == hashes(finished / "elman")
    assert rows(unfinished / "elman") == rows(finished / "elman")


def test_a_learning_rate_without_bounds_is_named_with_its_update_again_and_again(tmp_path):
    flags = ("--learning-rate", "1e30", "--num-seeds", "1", "--clip-norm", "None")
    complaint = (
        "^elman, seed 0: the new parameters are not finite at update 1; "
        "it stays at its parameters before that update$"
    )
    assert_refused(run(tmp_path / "out", *flags), complaint, code=1)
    before = digest(tmp_path)
    assert_refused(run(tmp_path / "out", *flags), complaint, code=1)
    assert digest(tmp_path) == before
    assert summary(tmp_path / "out" / "elman")["seeds"][0]["frozen_at"] == 1


@dataclasses.dataclass(frozen=True)
class Poisoned(Adding):
    """Adding, but the network of seed 1 meets a NaN in its 13th batch."""

    def batch(self, data, key, update, batch_size):
        batch = super().batch(data, key, update, batch_size)
        meets = (update == 12) & (jax.random.key_data(key)[-1] == 1)
        return batch._replace(inputs=jnp.where(meets, jnp.nan, batch.inputs))


def test_a_network_that_meets_a_nan_stops_there_and_the_others_go_on(tmp_path, finished):
    def poisoned(config: Any) -> Parts:
        task, *others = adding_problem.build(config)
        return Parts(Poisoned(num_steps=task.num_steps, num_evaluation=task.num_evaluation), *others)

    experiment = dataclasses.replace(
        adding_problem.EXPERIMENT, build=poisoned
    )  # with pictures of what is left
    complaint = (
        "^elman, seed 1: the loss is not finite at update 13; it stays at its parameters before that update$"
    )
    out = tmp_path / "poisoned"
    outcome = run(out, experiment=experiment)
    assert_refused(outcome, complaint, code=1)
    assert "0 of 2" in outcome.out
    seeds = summary(out / "elman")["seeds"]
    assert [seed["frozen_at"] for seed in seeds] == [None, 13]
    assert run(tmp_path / "short", "--num-updates", "12").code == 0
    healthy, stopped = hashes(finished / "elman")[0], hashes(tmp_path / "short" / "elman")[1]
    assert hashes(out / "elman") == [healthy, stopped]
    training = [row for row in rows(out / "elman") if row["split"] == "training"]
    losses = {(row["update"], row["seed_index"]): row["loss"] for row in training}
    assert losses[(20, 1)] is None and None not in {losses[(20, 0)], losses[(30, 0)], losses[(30, 1)]}
    before = digest(out)
    again = heard(
        lambda: cli.main(experiment, ["smoke", "--no-progress", "--cell", "elman", "--out", str(out)])
    )
    assert_refused(again, complaint, code=1)
    assert digest(out) == before


def test_a_damaged_neighbour_is_named_and_left_out_of_the_table(finished):
    damage(finished / "elman", 40)
    outcome = run(finished, "--cell", "elman(input_init=('uniform',))")
    assert (outcome.code, outcome.errors) == (0, [])
    assert (
        "elman: its newest good checkpoint has other parameters than its summary.json says"
        in outcome.notices[-1]
    )
    table = json.loads((finished / "table.json").read_text())
    assert [row["cell"] for row in table] == ["elman(input_init=('uniform',))"]
