"""What prints ends well whoever reads it: readers that go, encodings without the letter, closed streams."""

import contextlib
import io
import os
import subprocess
import sys

import pytest
from failing_streams import Gone, ascii_stream
from places import ROOT

from experiments.errors import Fault, guarded


def fails(error: BaseException) -> int:
    raise error


def test_a_reader_that_goes_is_a_quiet_end_of_what_only_prints():
    with contextlib.redirect_stdout(Gone()), contextlib.redirect_stderr(io.StringIO()) as err:
        assert guarded(lambda: print("a table")) == 0
    assert err.getvalue() == ""


@pytest.mark.parametrize(
    ("error", "code"), [(Fault("x", 2), 2), (Fault("x", 1), 1), (KeyboardInterrupt(), 130)], ids=str
)
def test_an_error_that_nobody_hears_keeps_its_code(error, code):
    with contextlib.redirect_stdout(Gone()), contextlib.redirect_stderr(Gone()):
        assert guarded(lambda: fails(error)) == code


def test_a_warning_that_nobody_hears_is_a_quiet_end_where_stdout_is_closed():
    with contextlib.redirect_stdout(None), contextlib.redirect_stderr(Gone()):
        assert guarded(lambda: print("a warning", file=sys.stderr)) == 0


def test_a_letter_that_the_encoding_lacks_is_spelled():
    with contextlib.redirect_stdout(ascii_stream()) as out, contextlib.redirect_stderr(ascii_stream()) as err:
        assert guarded(lambda: print("σ \udcff")) == 0
        assert guarded(lambda: fails(Fault("é"))) == 2
    assert out.buffer.getvalue() == b"\\u03c3 \\udcff\n"
    assert err.buffer.getvalue() == b"error: \\xe9\n"


def in_a_shell(words: str) -> subprocess.CompletedProcess[str]:
    """Words for bash; Python writes what is left when it ends, as it does unless it is told otherwise."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    return subprocess.run(["bash", "-c", words], cwd=ROOT, capture_output=True, text=True, env=environment)


PROGRAM = "import sys; from experiments.errors import guarded; sys.exit(guarded(lambda: print('σ' * {})))"


@pytest.mark.parametrize(
    "redirected",
    [
        "| head -c 1 > /dev/null; exit ${PIPESTATUS[0]}",
        "2>&1 | sleep 0; exit ${PIPESTATUS[0]}",
        ">&-",
        ">&- 2>&-",
    ],
)
def test_a_process_whose_output_nobody_takes_ends_well(redirected):
    for length in (1, 100000):
        words = f'"{sys.executable}" -c "{PROGRAM.format(length)}" {redirected}'
        done = in_a_shell(words)
        assert (done.returncode, done.stderr) == (0, "")


def test_a_disk_that_takes_no_output_is_one_line():
    words = f'"{sys.executable}" -c "{PROGRAM.format(1)}" > /dev/full'
    done = in_a_shell(words)
    assert (done.returncode, done.stderr) == (1, "error: stdout: No space left on device\n")
