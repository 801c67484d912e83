"""A folder of runs has one owner at a time: who comes second is told by whom it is used, and changes nothing."""

import os
import platform

import pytest
from lab_runs import assert_refused, run, when_row

pytest_plugins = ["lab_fixtures"]
pytestmark = pytest.mark.usefixtures("compile_once", "trace_once")
HERE = rf"^--out: .*out is in use by process {os.getpid()} on {platform.node()}; wait until it ends"


@pytest.mark.xfail(strict=True, reason="both train, and destroy each other's saves")
def test_a_second_run_is_refused_while_the_first_one_trains(tmp_path):
    out, seen = tmp_path / "out", []
    with when_row(20, lambda: seen.append(run(out))):
        assert run(out).code == 0
    assert_refused(seen[0], HERE)
