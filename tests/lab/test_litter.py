"""What an operating system, a notebook server or a shell leaves in a folder neither blocks nor damages a run."""

import pytest
from lab_runs import assert_refused, hashes, run

from experiments.lab.frames import frame
from experiments.lab.opened import open_run

pytest_plugins = ["lab_fixtures"]
pytestmark = pytest.mark.usefixtures("compile_once", "trace_once")
FILES = (
    ".DS_Store",
    "._elman",
    "nohup.out",
    "Thumbs.db",
    "desktop.ini",
    "train.log",
    ".nfs0001",
    "slurm-7.err",
    "x~",
)
FOLDERS = (".ipynb_checkpoints", "__MACOSX")


def litter(place):
    for name in FILES:
        (place / name).write_text("not of a run")
    for name in FOLDERS:
        (place / name).mkdir()
        (place / name / "config.json").write_text("nor this")


def test_litter_everywhere_in_a_folder_changes_nothing(unfinished, finished):
    for place in (unfinished, *(path for path in unfinished.rglob("*") if path.is_dir())):
        litter(place)
    assert run(unfinished).code == 0
    assert hashes(unfinished / "elman") == hashes(finished / "elman")
    assert not (unfinished / "elman" / "damaged").exists()
    assert open_run(unfinished).summary["num_updates"] == 40
    assert len(frame(unfinished)) == 2
    assert (unfinished / ".DS_Store").read_text() == "not of a run"


def test_a_folder_with_litter_alone_is_a_new_run(tmp_path):
    (tmp_path / "out" / "elman").mkdir(parents=True)
    litter(tmp_path / "out")
    litter(tmp_path / "out" / "elman")
    assert run(tmp_path / "out", "--num-updates", "10").code == 0


def test_what_is_no_litter_still_blocks(tmp_path):
    (tmp_path / "out").mkdir()
    litter(tmp_path / "out")
    (tmp_path / "out" / "logs.txt").write_text("thoughts")
    assert_refused(run(tmp_path / "out"), "out holds (.DS_Store|logs.txt), which is not of a run")
