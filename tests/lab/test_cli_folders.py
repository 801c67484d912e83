"""A folder that holds something else, or a run in another state, is left as it is: one line, exit code 2."""

import contextlib
import dataclasses
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from lab_runs import assert_refused, damage, digest, edit, run, steps

from experiments import copy_memory

pytest_plugins = ["lab_fixtures"]
pytestmark = pytest.mark.usefixtures("compile_once", "trace_once")
COPYING = dataclasses.replace(copy_memory.EXPERIMENT, pictures=())


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


def looping(out: Path) -> None:
    out.symlink_to(out)


def looping_run(out: Path) -> None:
    out.mkdir()
    (out / "elman").symlink_to(out / "elman")


PLACES = {
    empty_file: "^--out: .*out is not a folder$",
    other_things: "^--out: .*out holds thesis.tex, which is not of a run; give another folder$",
    other_folder: "^--out: .*elman holds thesis.tex but no config.json: not a run; it is left as it is$",
    the_run_itself: "^--out: .*out holds config.json, which is not of a run; give another folder$",
    dangling: "^--out: .*out is a link that leads nowhere$",
    looping: "^--out: .*out is a link that leads nowhere$",
    looping_run: "^--out: .*out holds elman, which is not of a run; give another folder$",
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
        ("file/out", "file is not a folder$"),
        ("n" * 300, "File name too long$"),
        ("/proc/out", "No such file or directory$"),
    ],
)
def test_a_place_that_cannot_be_is_named(place, complaint, tmp_path):
    (tmp_path / "file").write_text("")
    before = digest(tmp_path)
    assert_refused(run(tmp_path / place), f"^--out: .*{complaint}")
    assert digest(tmp_path) == before


@contextlib.contextmanager
def without_rights(folder: Path) -> Iterator[None]:
    """Nobody may look into a folder; root, who always may, becomes somebody else for a while."""
    folder.chmod(0)
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
        assert_refused(run(finished, "--num-updates", "60"), "^--out: .*: Permission denied$")
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
    (changed(seed_mapping="sideways"), "", NO_CONFIG + "resolved.seed_mapping is not one of vectorized, "),
    (changed(solver="Sideways()"), "", r"^unknown solver 'Sideways\(\)' \(known: "),
    (changed(solver=[5]), "", "^unknown solver '5' "),
    (changed(cpu=5), "", NO_CONFIG + "cpu is not a str"),
    (
        lambda place: edit(place, lambda s: s["resolved"].update(more=1)),
        "",
        NO_CONFIG + "resolved.more is unk",
    ),
    (changed(config={}), "", "elman holds another configuration: not a configuration of this experiment"),
    (of_config(cell="lstm"), "", "elman holds another configuration: not a configuration of this experiment"),
    (
        of_config(num_steps=-1),
        "",
        "holds another configuration: .*--num-steps: expected at least 4 for adding",
    ),
    (of_config(mystery=1), "", "elman holds another configuration: .*mystery"),
    (rewritten("summary.json", "{"), "", "summary.json is not valid JSON"),
    (rewritten("summary.json", "[]"), "", "summary.json is not a run's summary"),
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
]


@pytest.mark.parametrize(("change", "flags", "complaint"), STATES)
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
        (changed(solver="Sequential"), "", r"unknown solver 'Sequential'; did you mean Sequential\("),
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


def test_compiled_programs_are_kept_where_somebody_wants_them(finished, tmp_path):
    folder = tmp_path / "programs"
    outcome = run(finished, "--compilation-cache", str(folder))
    assert (outcome.code, outcome.errors) == (0, []) and folder.is_dir()
    assert not list(folder.glob(".of-*"))
    outcome = run(finished, "--compilation-cache", str(finished / "table.json"))
    assert_refused(outcome, r"^--compilation-cache: .*table\.json cannot be used: File exists$")
