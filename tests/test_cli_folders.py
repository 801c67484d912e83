"""A folder that holds something else, damage, a full disk and numbers that are not finite: one line, nothing is lost."""

import contextlib
import dataclasses
import errno
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import pytest
from lab_runs import ADDING, Outcome, damage, digest, edit, hashes, heard, rows, run, steps, summary

from experiments import adding_problem, copy_memory
from experiments.lab import cells, cli, records
from experiments.lab.experiment import Parts
from experiments.tasks.adding import Adding

pytest_plugins = ["lab_fixtures"]
pytestmark = pytest.mark.usefixtures("compile_once")
COPYING = dataclasses.replace(copy_memory.EXPERIMENT, pictures=())


def assert_refused(outcome: Outcome, complaint: str, code: int = 2) -> None:
    assert (outcome.code, len(outcome.errors), outcome.notices) == (code, 1, []), outcome
    assert re.search(complaint, outcome.errors[0]), outcome.errors[0]


def empty_file(out: Path) -> None:
    out.write_text("not a folder")


def other_things(out: Path) -> None:
    out.mkdir()
    (out / "thesis.tex").write_text("years of work")


def other_folder(out: Path) -> None:
    (out / "elman").mkdir(parents=True)
    (out / "elman" / "thesis.tex").write_text("years of work")


def the_run_itself(out: Path) -> None:
    out.mkdir()
    (out / "config.json").write_text("{}")


def dangling(out: Path) -> None:
    out.symlink_to(out.parent / "gone")


PLACES = {
    empty_file: "^--out: .*out is not a folder$",
    other_things: "^--out: .*out holds thesis.tex, which is not of a run; give another folder$",
    other_folder: "^--out: .*elman holds thesis.tex but no config.json: not a run; it is left as it is$",
    the_run_itself: "^--out: .*out holds config.json, which is not of a run; give another folder$",
    dangling: "^--out: .*elman: File exists$",
}


@pytest.mark.parametrize(
    ("prepare", "complaint"), PLACES.items(), ids=lambda value: getattr(value, "__name__", "")
)
def test_a_place_that_is_no_runs_is_left_as_it_is(prepare, complaint, tmp_path):
    prepare(tmp_path / "out")
    before = digest(tmp_path)
    assert_refused(run(tmp_path / "out"), complaint)
    assert digest(tmp_path) == before


@pytest.mark.parametrize(
    ("place", "complaint"),
    [
        ("file/out", "Not a directory"),
        ("n" * 300, "File name too long$"),
        ("/proc/out", "No such file or directory$"),
    ],
)
def test_a_place_that_cannot_be_is_named(place, complaint, tmp_path):
    (tmp_path / "file").write_text("")
    before = digest(tmp_path)
    assert_refused(run(tmp_path / place), f"^--out: \\S+: {complaint}")
    assert digest(tmp_path) == before


@contextlib.contextmanager
def without_rights(folder: Path) -> Iterator[None]:
    """Nobody may write into a folder; root, who always may, becomes somebody else for a while."""
    folder.chmod(0o500)
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)
        folder.chmod(0o700)


def test_a_place_without_rights_is_named(finished):
    run(finished)  # all that this needs has been imported
    before = digest(finished)
    with without_rights(finished):
        # root's temporary folder is closed for others, too: they may not even look
        assert_refused(
            run(finished, "--num-updates", "60"),
            "^--out: .*: Permission denied$",
            2 - (os.geteuid() != 65534),
        )
    assert digest(finished) == before


def rewritten(path: str, content: str | bytes) -> Callable[[Path], None]:
    def write(place: Path) -> None:
        data = content.encode() if isinstance(content, str) else content
        (place / path).write_bytes(data)

    return write


def changed(**values: Any) -> Callable[[Path], None]:
    """A config.json with other values, in ``resolved`` where they belong there."""

    def change(place: Path) -> None:
        edit(
            place,
            lambda stored: [
                (stored["resolved"] if name in stored["resolved"] else stored).update({name: value})
                for name, value in values.items()
            ],
        )

    return change


def of_config(**values: Any) -> Callable[[Path], None]:
    return lambda place: edit(place, lambda stored: stored["config"].update(values))


def spoilt_line(number: int, text: str) -> Callable[[Path], None]:
    def spoil(place: Path) -> None:
        lines = (place / "metrics.jsonl").read_text().splitlines(keepends=True)
        lines[number - 1] = text + "\n"
        (place / "metrics.jsonl").write_text("".join(lines))

    return spoil


def all_damaged(place: Path) -> None:
    for step in steps(place):
        damage(place, step)


def folder_for_config(place: Path) -> None:
    (place / "config.json").unlink()
    (place / "config.json").mkdir()


NO_CONFIG = "elman/config.json is not a run's configuration: "
STATES: list[tuple[Callable[[Path], None], str, str]] = [
    (rewritten("config.json", "{"), "", NO_CONFIG),
    (rewritten("config.json", ""), "", NO_CONFIG),
    (rewritten("config.json", "[1]"), "", NO_CONFIG),
    (rewritten("config.json", "{}"), "", NO_CONFIG),
    (rewritten("config.json", b"\xff\xfe\x00"), "", NO_CONFIG),
    (folder_for_config, "", NO_CONFIG + ".*Is a directory"),
    (changed(experiment=5), "", NO_CONFIG + "experiment is not a str"),
    (changed(resolved=[]), "", NO_CONFIG + "resolved is not a dict"),
    (changed(resolved={}), "", NO_CONFIG + "device_kind is not a str"),
    (changed(num_cores="two"), "", NO_CONFIG + "num_cores is not a int"),
    (changed(num_devices=0), "", NO_CONFIG + "num_cores and num_devices are not positive"),
    (changed(seed_mapping="sideways"), "", NO_CONFIG + "seed_mapping is not one of vectorized, "),
    (changed(config={}), "", "elman holds another configuration: not a configuration of this experiment"),
    (of_config(cell="lstm"), "", "elman holds another configuration: not a configuration of this experiment"),
    (
        of_config(num_steps=-1),
        "",
        "holds another configuration: .*--num-steps: input should be greater than 0",
    ),
    (of_config(mystery=1), "", "elman holds another configuration: .*mystery"),
    (rewritten("summary.json", "{"), "", "summary.json is not valid JSON"),
    (rewritten("summary.json", "[]"), "", "summary.json is not a summary"),
    (spoilt_line(3, "garbage"), "", "metrics.jsonl, line 3: not a row of metrics"),
    (spoilt_line(1, '{"update": NaN}'), "", "metrics.jsonl, line 1: not a row of metrics"),
    (spoilt_line(3, "garbage"), "--num-updates 60", "metrics.jsonl, line 3: not a row of metrics"),
    (all_damaged, "", "no checkpoint of .*elman/checkpoints is good \\(20: .* 40: .*nothing was changed"),
    (all_damaged, "--num-updates 60", "no checkpoint of .*elman/checkpoints is good"),
    (lambda place: None, "--num-updates 30", "^--num-updates: .*elman has 40 updates already, asked for 30$"),
    (lambda place: None, "--batch-size 8", "another configuration: --batch-size is 16 there, 8 here$"),
    (
        lambda place: None,
        "--seed 1",
        "^--out: .*elman holds another configuration: --seed is 0 there, 1 here$",
    ),
    (lambda place: None, "--cell 'elman(hidden_size=16)' --seed 1", ""),
]


@pytest.mark.parametrize(("change", "flags", "complaint"), STATES[:-1])
def test_another_state_of_a_finished_run_is_left_as_it_is(change, flags, complaint, finished):
    change(finished / "elman")
    before = digest(finished)
    assert_refused(run(finished, *flags.split()), complaint)
    assert digest(finished) == before


@pytest.mark.parametrize(
    ("change", "flags", "complaint"),
    [
        (spoilt_line(3, "garbage"), "", "metrics.jsonl, line 3: not a row of metrics"),
        (all_damaged, "", "no checkpoint of .*elman/checkpoints is good"),
        (all_damaged, "--num-updates 60", "no checkpoint of .*elman/checkpoints is good"),
        (lambda place: None, "--num-updates 10", "elman has 20 updates already, asked for 10$"),
        (lambda place: None, "--batch-size 8", "another configuration: --batch-size is 16 there, 8 here$"),
    ],
)
def test_another_state_of_an_unfinished_run_is_left_as_it_is(change, flags, complaint, unfinished):
    change(unfinished / "elman")
    before = digest(unfinished)
    assert_refused(run(unfinished, *flags.split()), complaint)
    assert digest(unfinished) == before


@pytest.mark.parametrize("cell", ["elman", "lstm"])
def test_the_folder_of_another_experiment_is_left_as_it_is(cell, finished):
    before = digest(finished)
    complaint = "^--out: .*elman holds a run of adding_problem, not of copy_memory$"
    assert_refused(run(finished, "--cell", cell, experiment=COPYING), complaint)
    assert digest(finished) == before


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
    out, flags = tmp_path / "out", ("--cell", "stranger:Cell", "--num-seeds", "1", "--num-updates", "20")
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
    assert cells.parse_cell("stranger:Cell").source_sha256 is not None
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
    complaint = "^elman, seed 0: not finite at update 1; it stays at its parameters before that update$"
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
    complaint = "^elman, seed 1: not finite at update 13; it stays at its parameters before that update$"
    out = tmp_path / "poisoned"
    outcome = run(out, experiment=experiment)
    assert_refused(outcome, complaint, code=1)
    assert "0 of 2" in outcome.out
    seeds = summary(out / "elman")["seeds"]
    assert [seed["frozen_at"] for seed in seeds] == [None, 13]
    assert run(tmp_path / "short", "--num-updates", "12").code == 0
    healthy, stopped = hashes(finished / "elman")[0], hashes(tmp_path / "short" / "elman")[1]
    assert hashes(out / "elman") == [healthy, stopped]
    losses = {
        (row["update"], row["seed_index"]): row["loss"]
        for row in rows(out / "elman")
        if row["split"] == "training"
    }
    assert losses[(20, 1)] is None and None not in {losses[(20, 0)], losses[(30, 0)], losses[(30, 1)]}
    before = digest(out)
    again = heard(
        lambda: cli.main(experiment, ["smoke", "--no-progress", "--cell", "elman", "--out", str(out)])
    )
    assert_refused(again, complaint, code=1)
    assert digest(out) == before


def test_a_damaged_neighbour_is_named_and_left_out_of_the_table(finished):
    damage(finished / "elman", 40)
    outcome = run(finished, "--cell", "elman(hidden_size=8)")
    assert (outcome.code, outcome.errors) == (0, [])
    assert "elman: its newest good checkpoint is not the one of its summary" in outcome.notices[-1]
    table = json.loads((finished / "table.json").read_text())
    assert [row["cell"] for row in table] == ["elman(hidden_size=8)"]
    assert ADDING.name == "adding_problem" and records.read_rows(finished / "elman" / "metrics.jsonl")
