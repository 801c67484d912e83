"""The same command on the same folder goes on, and ends with the bits of a run that was never interrupted.

Over 300 lines, because every way to interrupt and to damage is compared with the same two runs.
"""

import json
import os
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from lab_runs import (
    Outcome,
    assert_refused,
    command,
    compiling_into,
    damage,
    digest,
    edit,
    elsewhere,
    elsewhere_meanwhile,
    hashes,
    interrupted_at,
    one_core,
    results,
    rows,
    run,
    steps,
    summary,
    when_row,
)

from experiments.errors import Fault
from experiments.lab.opened import open_run
from experiments.lab.plan import cell_names
from experiments.lab.plan.grids import folder_names
from experiments.lab.training import driver

pytest_plugins = ["lab_fixtures"]
pytestmark = [pytest.mark.optimised, pytest.mark.usefixtures("compile_once", "trace_once", "same_cores")]


def assert_done(outcome: Outcome) -> None:
    assert (outcome.code, outcome.errors, outcome.notices) == (0, [], [])


def assert_same_end(place: Path, expected: Path) -> None:
    """Same parameters, same metrics, and nothing left over."""
    assert hashes(place) == hashes(expected)
    assert results(place) == results(expected)
    assert rows(place) == rows(expected)
    assert open_run(place).summary == summary(place)


@pytest.fixture(scope="module")
def unbroken(compile_once, tmp_path_factory):
    """The folders of unbroken runs, by their number of updates."""
    made: dict[int, Path] = {}

    def make(num_updates: int, *flags: str) -> Path:
        if num_updates not in made:
            made[num_updates] = tmp_path_factory.mktemp("unbroken") / "out"
            assert_done(run(made[num_updates], "--num-updates", str(num_updates), *flags))
        return made[num_updates] / "elman"

    return make


def test_a_finished_run_says_so_and_changes_nothing(finished):
    before = digest(finished)
    outcome = run(finished)
    assert_done(outcome)
    assert outcome.out.startswith(f"elman: finished already, 40 updates in {finished / 'elman'}\n")
    assert "0 of 2" in outcome.out and outcome.out.endswith(f"in {finished}\n")
    assert digest(finished) == before


@pytest.mark.parametrize("first", [20, 30, 35, 40, 7])
def test_more_updates_continue_to_what_an_unbroken_run_has(first, unbroken, tmp_path):
    # 20: all is a multiple; 30: not of eval_every; 35: not of log_every; 40 and 7: at a checkpoint, before the first
    out = tmp_path / "out"
    assert_done(run(out, "--num-updates", str(first)))
    assert [row["update"] for row in rows(out / "elman") if row["split"] == "validation"][-1] == first
    assert_done(run(out, "--num-updates", "60"))
    assert_same_end(out / "elman", unbroken(60))
    assert summary(out / "elman")["num_updates"] == 60
    table = json.loads((out / "table.json").read_text())
    assert [row["updates to solve"] for row in table] == ["- -"]


@pytest.mark.medium
def test_an_irregular_end_is_evaluated_and_its_best_parameters_are_kept(tmp_path):
    out = tmp_path / "out"
    flags = ("--select", "validation", "--num-updates")
    assert_done(run(out, *flags, "35"))
    losses = [
        row["loss"] for row in rows(out / "elman") if row["split"] == "validation" and row["seed_index"] == 0
    ]
    updates = sorted({row["update"] for row in rows(out / "elman") if row["split"] == "validation"})
    assert updates == [0, 20, 35]
    assert steps(out / "elman") == [20, 30, 35]  # 30 is where a longer run goes on
    assert summary(out / "elman")["seeds"][0]["tested_update"] == updates[losses.index(min(losses))]
    assert open_run(out / "elman").summary["num_updates"] == 35
    assert_done(run(out, *flags, "60"))
    assert_done(run(tmp_path / "unbroken", *flags, "60"))
    assert_same_end(out / "elman", tmp_path / "unbroken" / "elman")


def test_a_run_that_was_stopped_at_a_chunk_may_end_there(unbroken, tmp_path):
    out = tmp_path / "out"
    with interrupted_at(30):
        assert run(out, "--num-updates", "60").code == 143
    assert steps(out / "elman") == [20, 30]
    assert_done(run(out, "--num-updates", "30"))
    assert_same_end(out / "elman", unbroken(30))


def test_a_run_that_is_being_continued_has_not_ended(finished, unbroken):
    with interrupted_at(50):
        assert run(finished, "--num-updates", "60").code == 143
    assert open_run(finished / "elman").summary == {}  # that of 40 updates is still in the folder
    other = "elman(input_init=('uniform',))"
    assert_done(run(finished, "--cell", other))
    assert [row["cell"] for row in json.loads((finished / "table.json").read_text())] == [other]
    assert_done(run(finished, "--num-updates", "60"))
    assert_same_end(finished / "elman", unbroken(60))
    assert len(json.loads((finished / "table.json").read_text())) == 2


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_saves_and_the_same_command_goes_on(number, code, finished, tmp_path):
    out = tmp_path / "stop"
    with interrupted_at(10, number):
        outcome = run(out)
    complaint = f"^interrupted; {out / 'elman'} is saved at update 10, the same command goes on$"
    assert_refused(outcome, complaint, code)
    assert steps(out / "elman") == [10] and not (out / "elman" / "summary.json").exists()
    assert_done(run(out))
    assert_same_end(out / "elman", finished / "elman")


def test_a_signal_in_the_last_chunk_stops_before_the_next_cell(finished, tmp_path):
    out = tmp_path / "two"
    flags = ("--cell", "elman", "elman(input_init=('uniform',))")
    with interrupted_at(40):
        outcome = run(out, *flags)
    assert_refused(outcome, f"^interrupted; {out / 'elman'} has ended, the same command goes on$", 143)
    assert [entry.name for entry in out.iterdir()] == ["elman"]
    assert_same_end(out / "elman", finished / "elman")
    assert_done(run(out))
    assert [row["cell"] for row in json.loads((out / "table.json").read_text())] == ["elman"]


def test_a_folder_gains_another_cell_and_keeps_the_first(finished):
    before = digest(finished / "elman")
    other = "elman(input_init=('uniform',))"
    outcome = run(finished, "--cell", other)
    assert_done(outcome)
    assert digest(finished / "elman") == before
    table = json.loads((finished / "table.json").read_text())
    assert sorted(row["cell"] for row in table) == ["elman", other]
    assert hashes(finished / folder_names([cell_names.label(cell_names.parse_cell(other))])[0]) != hashes(
        finished / "elman"
    )
    before = digest(finished)
    outcome = run(finished, "--cell", "elman", "elman( input_init = ('uniform',) )")
    assert_done(outcome)
    assert outcome.out.count("finished already") == 2
    assert digest(finished) == before


def test_defaults_that_are_written_out_are_the_same_run(finished):
    before = digest(finished)
    assert_done(run(finished, "--cell", "elman(recurrent_init='orthogonal')"))
    assert digest(finished) == before


@pytest.mark.parametrize("table", [None, "[]", "{"])
def test_a_table_that_is_missing_or_old_is_made_again(table, finished):
    stored = json.loads((finished / "table.json").read_text())
    (finished / "table.json").unlink()
    if table is not None:
        (finished / "table.json").write_text(table)
    assert_done(run(finished))
    assert json.loads((finished / "table.json").read_text()) == stored


def test_a_metrics_line_that_was_cut_is_trimmed_and_written_again(unfinished, finished):
    place = unfinished / "elman"
    with (place / "metrics.jsonl").open("ab") as file:
        file.write(b'{"update": 30, "seed_index": 0, "spl')
    outcome = run(unfinished)
    assert (outcome.code, outcome.errors) == (0, [])
    assert outcome.notices == [f"{place / 'metrics.jsonl'}: line 9 was cut and is trimmed"]
    assert_same_end(place, finished / "elman")


def test_a_finished_run_whose_newest_checkpoint_is_damaged_is_mended(finished, tmp_path):
    whole = Path(shutil.copytree(finished, tmp_path / "whole"))
    place = finished / "elman"
    damage(place, 40)
    with pytest.raises(Fault, match="a checkpoint is damaged or gone; run the command that made it again"):
        open_run(place)
    outcome = run(finished)
    assert (outcome.code, outcome.errors, len(outcome.notices)) == (0, [], 1)
    assert outcome.notices[0].endswith("does not match its sha256; moved to damaged/40, 20 is used")
    assert steps(place) == [20, 40] and (place / "damaged" / "40").is_dir()
    assert_same_end(place, whole / "elman")


class Killed(BaseException):
    """The process is gone: nobody catches this."""


def kill() -> None:
    raise Killed


def test_damage_then_a_kill_after_the_rewritten_step_goes_on_from_there(tmp_path):
    out, flags = tmp_path / "out", ("--checkpoint-every", "10")
    place = out / "elman"
    assert_done(run(out, *flags))
    whole = Path(shutil.copytree(out, tmp_path / "whole"))
    for step in (30, 40):
        damage(place, step)
    with when_row(40, kill), pytest.raises(Killed):
        run(out, *flags)
    assert steps(place) == [20, 30]
    assert sorted(entry.name for entry in (place / "damaged").iterdir()) == ["30", "40"]
    restored: list[int] = []
    with pytest.MonkeyPatch.context() as patch:
        train = driver._Driver.train

        def seen(self: driver._Driver, bar: Any) -> None:
            restored.append(self.update)
            train(self, bar)

        patch.setattr(driver._Driver, "train", seen)
        assert_done(run(out, *flags))
    assert restored == [30]
    assert_same_end(place, whole / "elman")


def test_other_versions_are_warned_of_and_mark_the_summary(unfinished, finished):
    place = unfinished / "elman"
    edit(place, lambda stored: stored["resolved"]["versions"].update(jax="0.1.99"))
    note = f"versions changed: jax 0.1.99 -> {open_run(finished).summary['environment']['versions']['jax']}"
    with when_row(30, lambda: os.kill(os.getpid(), signal.SIGTERM)):
        outcome = run(unfinished)
    assert outcome.code == 143
    assert outcome.notices == [f"warning: {note}: the bits may differ from those of an unbroken run"]
    assert_done(run(unfinished))  # the mark stays, although nothing differs any more
    assert summary(place)["notes"] == [note]
    assert hashes(place) == hashes(finished / "elman")


def more_cores(stored: dict) -> None:
    stored["resolved"]["num_cores"] = 4096


def another_device(stored: dict) -> None:
    stored["resolved"]["device_kind"] = "Abacus 9000"


def more_devices(stored: dict) -> None:
    stored["resolved"].update(num_devices=8, seed_mapping="over_devices")


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        (more_cores, r"the run was started with this many cores: 4096, here is \d+"),
        (another_device, "the run was started on the device Abacus 9000, here is cpu"),
        (more_devices, "the run was started with this many devices: 8, here is 1"),
    ],
    ids=["cores", "device", "devices"],
)
def test_another_machine_refuses_unless_it_is_asked_to_go_on(change, difference, unfinished, finished):
    place = unfinished / "elman"
    edit(place, change)
    before = digest(unfinished)
    assert_refused(run(unfinished), f"^{difference}; --on-this-machine goes on with other bits$")
    assert digest(unfinished) == before
    assert_done(run(unfinished, "--on-this-machine"))
    notes = summary(place)["notes"]
    assert len(notes) == 1 and notes[0].startswith("the run was started ")
    assert hashes(place) == hashes(finished / "elman")  # for in truth it is the same machine
    before = digest(unfinished)
    assert_done(run(unfinished))
    assert digest(unfinished) == before


def test_a_finished_run_may_be_looked_at_on_any_machine(finished):
    edit(finished / "elman", another_device)
    before = digest(finished)
    assert_done(run(finished))
    assert digest(finished) == before


@pytest.mark.medium
def test_fillers_of_other_devices_are_not_in_a_checkpoint(compile_once, cache, tmp_path):
    """Three networks on two devices are trained as four; one device goes on with three."""
    out = tmp_path / "out"
    flags = ("--num-seeds", "3", "--num-updates", "20")
    outcome = elsewhere(command(out, *flags), env=compiling_into(cache))
    assert (outcome.code, outcome.err) == (0, "")
    resolved = json.loads((out / "elman" / "config.json").read_text())["resolved"]
    if resolved["num_devices"] == 2:
        assert resolved["seed_mapping"] == "vectorized_over_devices"
    assert open_run(out).summary == summary(out / "elman")
    assert_done(run(out, *flags[:2], "--num-updates", "40", "--on-this-machine"))
    assert_done(run(tmp_path / "here", *flags[:2]))
    here, there = rows(tmp_path / "here" / "elman"), rows(out / "elman")
    assert [(row["update"], row["seed_index"]) for row in here] == [
        (row["update"], row["seed_index"]) for row in there
    ]
    assert [row["loss"] for row in there] == pytest.approx([row["loss"] for row in here], rel=1e-4)


def test_another_process_stops_in_order(cache, finished, tmp_path):
    out = tmp_path / "stop"
    words = command(out, "--num-updates", "100000")
    with one_core(), elsewhere_meanwhile(words, cache) as child:
        while not (out / "elman" / "checkpoints" / "40").exists() and child.poll() is None:
            time.sleep(0.01)
        child.send_signal(signal.SIGTERM)
        assert child.stderr.read().startswith(f"error: interrupted; {out / 'elman'} is saved at update ")
    assert child.returncode == 143
    assert open_run(out / "elman").summary == {}
