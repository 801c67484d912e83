"""A run whose output nobody reads any more trains on, to its summary."""

import contextlib
import sys

import pytest
from failing_streams import Gone, ascii_stream
from lab_runs import ADDING, SMOKE, hashes

from experiments import lab
from experiments.lab import cli
from experiments.lab.opened import open_run

pytest_plugins = ["lab_fixtures"]
pytestmark = pytest.mark.usefixtures("compile_once", "trace_once")
WORDS = [word for word in SMOKE if word != "--no-progress"]


@pytest.mark.parametrize(("out_letters", "err_letters"), [(0, 10**6), (10**6, 0), (1, 1), (50, 300)])
def test_a_lost_reader_ends_nothing(out_letters, err_letters, tmp_path, finished):
    place = tmp_path / "new"
    with contextlib.redirect_stdout(Gone(out_letters)), contextlib.redirect_stderr(Gone(err_letters)):
        assert cli.main(ADDING, [*WORDS, "--out", str(place)]) == 0
        assert cli.main(ADDING, [*WORDS, "--out", str(place)]) == 0
    assert hashes(place / "elman") == hashes(finished / "elman")


def test_nor_does_it_end_what_python_runs(tmp_path, finished):
    opened = open_run(finished)
    with contextlib.redirect_stdout(Gone()) as out, contextlib.redirect_stderr(Gone()) as err:
        (one,) = lab.run([opened.config], experiment=ADDING, out=tmp_path / "new")
        (again,) = lab.run([opened.config], experiment=ADDING, out=tmp_path / "new")
        assert (sys.stdout, sys.stderr) == (out, err)
    assert one.summary["seeds"] == again.summary["seeds"] == opened.summary["seeds"]


def test_a_run_speaks_of_any_folder_in_any_encoding(tmp_path, finished):
    place = tmp_path / "Größe \udcff"
    with contextlib.redirect_stdout(ascii_stream()) as out, contextlib.redirect_stderr(ascii_stream()):
        assert cli.main(ADDING, [*WORDS, "--out", str(place)]) == 0
        assert cli.main(ADDING, [*WORDS, "--out", str(place)]) == 0
    assert b"in " in out.buffer.getvalue() and rb"Gr\xf6\xdfe \udcff" in out.buffer.getvalue()
    with contextlib.redirect_stdout(ascii_stream()), contextlib.redirect_stderr(ascii_stream()):
        lab.run([open_run(place).config], experiment=ADDING, out=place)
    assert hashes(place / "elman") == hashes(finished / "elman")
