"""A run that stops when every network is solved or lost, and one that starts from the parameters of another."""

import dataclasses
import json
import re
import sys

import jax
import numpy as np
import pytest
from lab_runs import (
    ADDING,
    assert_refused,
    digest,
    hashes,
    interrupted_at,
    rows,
    run,
    steps,
    summary,
    when_row,
)

from experiments.lab.opened import open_run
from experiments.lab.plan.experiment import Parts
from experiments.lab.training import programs
from experiments.tasks import criteria
from experiments.tasks.adding import Adding

pytest_plugins = ["lab_fixtures"]
pytestmark = pytest.mark.usefixtures("compile_once", "trace_once", "same_cores")


@dataclasses.dataclass(frozen=True)
class Easy(Adding):
    """Adding that counts as solved at any error below 10."""

    @property
    def criterion(self):
        return criteria.SquaredErrorBelow(10.0)


def easy(config):
    task, *others = ADDING.build(config)
    return Parts(Easy(task.num_steps, task.variant, num_evaluation=task.num_evaluation), *others)


EASY = dataclasses.replace(ADDING, build=easy)


def test_a_run_stops_once_all_is_solved_and_goes_on_when_it_is_asked_to(tmp_path, finished):
    out = tmp_path / "new"
    outcome = run(out, "--stop", "solved", experiment=EASY)
    assert (outcome.code, outcome.errors) == (0, []) and "2 of 2" in outcome.out
    found = summary(out / "elman")
    assert (found["num_updates"], found["num_sequences"], found["stopped"]) == (20, 320, "solved")
    assert [seed["updates_to_solve"] for seed in found["seeds"]] == [0, 0]
    assert steps(out / "elman") == [20] and rows(out / "elman")[-1]["update"] == 20
    before = digest(out)
    again = run(out, "--stop", "solved", experiment=EASY)
    assert again.out.startswith(f"elman: finished already, 20 updates in {out / 'elman'}\n")
    assert digest(out) == before
    assert run(out, experiment=EASY).code == 0
    assert "stopped" not in summary(out / "elman") and summary(out / "elman")["num_updates"] == 40
    assert hashes(out / "elman") == hashes(finished / "elman")  # the criterion changes no bit
    assert rows(out / "elman") == rows(finished / "elman")


def test_a_run_without_a_finite_network_ends_there(tmp_path):
    out = tmp_path / "new"
    flags = ("--learning-rate", "1e30", "--clip-norm", "None", "--num-updates", "60")
    assert run(out, *flags).code == 1
    found = summary(out / "elman")
    assert (found["num_updates"], found["stopped"]) == (20, "lost")
    assert [seed["frozen_at"] for seed in found["seeds"]] == [1, 1]
    before = digest(out)
    assert run(out, *flags).code == 1
    assert digest(out) == before


def test_what_was_not_finite_is_said_at_once_and_shown_in_the_table(tmp_path):
    out, heard = tmp_path / "new", []
    flags = ("--learning-rate", "1e30", "--clip-norm", "None", "--num-updates", "60")
    with when_row(20, lambda: heard.append(sys.stdout.getvalue())):
        outcome = run(out, *flags)
    line = "the new parameters are not finite at update 1; it stays at its parameters before that update"
    lines = [f"elman, seed {seed}: {line}" for seed in (0, 1)]
    assert heard[0].splitlines() == lines
    assert (outcome.code, outcome.errors, outcome.notices) == (1, lines, [])
    assert [seed["not_finite"] for seed in summary(out / "elman")["seeds"]] == ["parameters"] * 2
    table = json.loads((out / "table.json").read_text())
    assert table[0]["lost"] == "2 of 2" and re.search("(?m)^cell .* lost .*\nelman .* 2 of 2 ", outcome.out)
    again = run(out, *flags)
    assert (again.code, again.errors) == (1, lines)
    assert again.out.startswith(f"elman: finished already, 20 updates in {out / 'elman'}\n")


def test_what_was_not_finite_is_known_after_an_interruption(tmp_path):
    out = tmp_path / "new"
    flags = ("--learning-rate", "1e30", "--clip-norm", "None", "--eval-every", "40", "--num-updates", "40")
    with interrupted_at(20):
        assert run(out, *flags).code == 143
    assert run(out, *flags).code == 1
    assert [seed["not_finite"] for seed in summary(out / "elman")["seeds"]] == ["parameters"] * 2


def test_a_run_starts_from_the_networks_of_another(tmp_path, finished):
    out = tmp_path / "new"
    start = ("--start-from", str(finished / "elman"))
    assert run(out, *start, "--num-updates", "20", "--seed", "7").code == 0
    ended = [row for row in rows(finished / "elman") if (row["update"], row["split"]) == (40, "validation")]
    began = [row for row in rows(out / "elman") if (row["update"], row["split"]) == (0, "validation")]
    new = [row for row in rows(finished / "elman") if (row["update"], row["split"]) == (0, "validation")]
    assert [row["loss"] for row in began] != [row["loss"] for row in new]
    assert [row["loss"] for row in began] == [row["loss"] for row in ended]
    assert (
        run(out, *start, "--num-updates", "40", "--seed", "7").code == 0
    )  # goes on from its own checkpoints
    assert run(tmp_path / "whole", *start, "--num-updates", "40", "--seed", "7").code == 0
    assert hashes(out / "elman") == hashes(tmp_path / "whole" / "elman")
    assert open_run(out).config.start_from == str(finished / "elman")


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        (("--start-from", "nowhere"), "^--start-from: nowhere holds no run"),
        (
            ("--start-from", "{run}", "--hidden-size", "5"),
            "^--start-from: .*elman has other parameters than elman; ",
        ),
        (
            ("--start-from", "{run}", "--num-seeds", "3"),
            "^--start-from: seed_index: .* has networks 0 to 1, asked",
        ),
    ],
    ids=["nowhere", "sizes", "seeds"],
)
def test_a_start_that_does_not_fit_is_named_before_anything_is_written(flags, complaint, tmp_path, finished):
    given = [flag.format(run=finished / "elman") for flag in flags]
    assert_refused(run(tmp_path / "new", *given), complaint)
    assert not (tmp_path / "new").exists()


def test_programs_are_shared_by_runs_that_differ_in_rate_and_seed(tmp_path, monkeypatch):
    made = []
    compile_programs = programs.compile_programs
    monkeypatch.setattr(
        programs, "compile_programs", lambda *given: made.append(given) or compile_programs(*given)
    )
    monkeypatch.setattr(sys.modules["experiments.lab.run"], "ProgramCache", programs.ProgramCache)
    out = tmp_path / "new"
    flags = "--learning-rate 1e-3 5e-3 --seed 0 9 --num-updates 10"
    assert run(out, *flags.split()).code == 0
    assert len(made) == 1
    alone = tmp_path / "alone"
    assert run(alone, "--learning-rate", "5e-3", "--seed", "9", "--num-updates", "10").code == 0
    assert hashes(out / "elman-learning_rate=0.005-seed=9") == hashes(alone / "elman")
    params = [jax.tree.leaves(open_run(place).params) for place in sorted(out.iterdir()) if place.is_dir()]
    assert len({np.asarray(leaves[0]).tobytes() for leaves in params}) == 4
