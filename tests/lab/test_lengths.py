"""Networks are asked at lengths that they were not trained at."""

import pytest
from lab_runs import run, summary

from experiments.errors import Fault
from experiments.lab import frame
from experiments.lab.opened import open_run
from experiments.lab.pictures import lengths
from experiments.lab.plan.finding import load_experiment
from experiments.lab.planning import check_lengths
from experiments.tasks.adding import Adding
from experiments.tasks.formal.counting import Counting
from experiments.tasks.formal.regular import ParityCheck

pytest_plugins = ["lab_fixtures"]


@pytest.fixture(scope="module")
def asked(tmp_path_factory, compile_once):
    out = tmp_path_factory.mktemp("lengths")
    outcome = run(out, "--test-lengths", "10,30", "--num-seeds", "2")
    assert outcome.code == 0
    return out


def test_the_trained_length_gives_the_test_itself_and_another_does_not(asked):
    found = summary(asked / "elman")
    assert set(found["lengths"]) == {"10", "30"}
    for name, value in found["test"].items():
        assert found["lengths"]["10"][name]["seeds"] == pytest.approx(value["seeds"], rel=1e-6)
        assert len(found["lengths"]["30"][name]["seeds"]) == 2
    assert found["lengths"]["30"]["mse"]["seeds"] != pytest.approx(found["test"]["mse"]["seeds"], rel=1e-3)


def test_a_frame_has_a_column_for_each_length_and_a_picture_is_drawn(asked):
    rows, found = frame(asked), summary(asked / "elman")
    assert list(rows["test_mse_at_30"]) == pytest.approx(found["lengths"]["30"]["mse"]["seeds"])
    assert (asked / "lengths.png").stat().st_size > 5000
    opened = open_run(asked)
    axes = lengths.figure_of([opened]).axes[0]
    assert list(axes.lines[0].get_xdata()) == [10, 30]
    shares = found["lengths"]["30"]["fraction_correct"]
    assert axes.lines[0].get_ydata()[1] == pytest.approx(shares["mean"])
    assert axes.lines[-1].get_xdata()[0] == 10  # trained


def test_lengths_that_cannot_be_are_refused_before_the_first_update(tmp_path):
    outcome = run(tmp_path, "--test-lengths", "2")
    assert outcome.code == 2 and not (tmp_path / "elman").exists()
    assert "error: --test-lengths: 2: num_steps: expected at least 4" in outcome.err
    assert run(tmp_path, "--test-lengths", "0").code == 2


def test_a_picture_marks_the_length_of_the_training_where_the_task_says_it():
    assert lengths.trained_length(Adding(30)) == 30 and lengths.trained_length(ParityCheck(2, 9)) == 9
    assert lengths.trained_length(Counting()) == Counting().max_count
    assert lengths.trained_length(object()) is None


def test_a_task_of_one_length_is_told(asked):
    job = type("Job", (), {})()
    job.config = open_run(asked).config
    job.experiment = load_experiment("pixel_mnist")
    job.parts = job.experiment.build(job.experiment.presets["smoke"])
    with pytest.raises(Fault, match="pixel_mnist has sequences of one length"):
        check_lengths(job)
