"""What the pictures draw is what the runs recorded."""

import dataclasses

import numpy as np
import pytest
from lab_runs import rows

from experiments.lab.opened import open_run
from experiments.lab.pictures import curves, gradient_flow

pytest_plugins = ["lab_fixtures"]


@pytest.fixture
def figures(monkeypatch):
    """The figures that a test draws, instead of their files."""
    drawn = []
    for module in (curves, gradient_flow):
        monkeypatch.setattr(module, "save", lambda figure, path: drawn.append((path.name, figure)))
    return drawn


def lines(axes):
    return {str(line.get_label()): np.asarray(line.get_ydata(), float) for line in axes.lines}


def test_pictures_leave_pyplot_and_its_backend_alone(finished, monkeypatch):
    import matplotlib
    from matplotlib import pyplot

    monkeypatch.setitem(matplotlib.rcParams, "backend", "svg")
    theirs = pyplot.figure()
    try:
        for draw in (curves.draw, gradient_flow.draw):
            draw([open_run(finished / "elman")], finished)
        assert matplotlib.get_backend() == "svg"
        assert pyplot.get_fignums() == [theirs.number] and pyplot.gcf() is theirs
    finally:
        pyplot.close(theirs)


def test_curves_are_the_losses_in_the_metrics(finished, figures):
    curves.draw([open_run(finished / "elman")], finished)
    ((name, figure),) = figures
    assert name == "curves.png"
    left, right = figure.axes
    for axes, split in ((left, "training"), (right, "validation")):
        for index, line in enumerate(axes.lines[:2]):
            written = [
                row for row in rows(finished / "elman") if (row["split"], row["seed_index"]) == (split, index)
            ]
            np.testing.assert_array_equal(line.get_xdata(), [row["update"] for row in written])
            np.testing.assert_array_equal(line.get_ydata(), [row["loss"] for row in written])
    assert lines(left)["baseline: no memory"].tolist() == [1 / 6, 1 / 6]


def test_gradient_flow_shows_references_the_start_and_the_end(finished, figures):
    run = open_run(finished / "elman")
    gradient_flow.draw([run], finished)
    ((name, figure),) = figures
    assert name == "gradient_flow.png"
    start, end = figure.axes
    written = [row for row in run.metrics if row["split"] == "validation" and row["seed_index"] == 0]
    for axes, row, label in (
        (start, written[0], "elman, as given"),
        (end, written[-1], "elman, seed 0: not solved"),
    ):
        flow = np.array(row["state_gradient"]["all"])
        np.testing.assert_allclose(lines(axes)[label], flow / flow[0])
    initialisations = lines(start)
    assert {"tanh RNN, U(±1/√h)", "tanh RNN, orthogonal", "LSTM, chrono(10)"} <= set(initialisations)
    assert initialisations["tanh RNN, U(±1/√h)"][-1] < initialisations["tanh RNN, orthogonal"][-1]
    assert all(values[0] == 1 for values in initialisations.values())
    # the network of the first seed starts as the reference of its kind
    np.testing.assert_allclose(
        initialisations["elman, as given"], initialisations["tanh RNN, orthogonal"], rtol=1e-4
    )


def test_the_caption_is_made_from_the_metrics(finished):
    run = open_run(finished / "elman")
    ends = []
    for index in (0, 1):
        written = [r for r in run.metrics if (r["split"], r["seed_index"]) == ("validation", index)]
        flows = [np.array(row["state_gradient"]["all"]) for row in written]
        ends.append((flows[0][-1] / flows[0][0], flows[-1][-1] / flows[-1][0]))
    before, after = np.mean(ends, axis=0)
    said = gradient_flow.caption([run])
    assert said.endswith(f"elman: {before:.0e} at lag 9 at the start, {after:.0e} at the end; 0 of 2 solved.")
    one = {**run.summary, "seeds": [run.summary["seeds"][0] | {"solved": True}, run.summary["seeds"][1]]}
    assert gradient_flow.caption([dataclasses.replace(run, summary=one)]).endswith("1 of 2 solved.")
    assert "LSTM" not in said


def test_the_caption_says_of_a_lost_gradient_that_it_is_less_than_float32_holds(finished):
    run = open_run(finished)
    for row in run.metrics:
        if "state_gradient" in row:
            kind = "c" if "c" in row["state_gradient"] else "all"
            row["state_gradient"][kind] = [*row["state_gradient"][kind][:-1], 0.0]
    assert "< 1e-38 at lag" in gradient_flow.caption([run])
    assert "0e+00" not in gradient_flow.caption([run])


def test_no_legend_covers_a_curve(finished, figures):
    gradient_flow.draw([open_run(finished / "elman")], finished)
    ((_, figure),) = figures
    figure.canvas.draw()
    for axes in figure.axes:
        assert axes.get_legend().get_window_extent().y1 < axes.get_window_extent().y0
    text = figure.texts[-1].get_window_extent()
    assert text.y1 < min(axes.get_legend().get_window_extent().y0 for axes in figure.axes)


def test_pictures_of_what_was_not_finite_or_zero_are_files_like_others(finished):
    run = open_run(finished / "elman")
    spoilt = [
        {**row, "loss": None, "state_gradient": {"lag": range(10), "all": [None] * 10}}
        | ({"loss": 0.0, "state_gradient": {"lag": range(10), "all": [0.0] * 10}} if row["update"] else {})
        for row in run.metrics
    ]
    before = {entry.name for entry in finished.iterdir()}
    for draw in (curves.draw, gradient_flow.draw):
        draw([dataclasses.replace(run, metrics=spoilt)], finished)
    new = {entry.name for entry in finished.iterdir()} - before
    assert new == {"curves.png", "gradient_flow.png"}
    assert all((finished / name).read_bytes().startswith(b"\x89PNG") for name in new)


def test_the_same_run_makes_the_same_picture(finished, tmp_path):
    for place in (finished, tmp_path):
        curves.draw([open_run(finished / "elman")], place)
    assert (finished / "curves.png").read_bytes() == (tmp_path / "curves.png").read_bytes()


def test_the_memory_cell_is_drawn_where_there_is_one():
    np.testing.assert_array_equal(gradient_flow.relative({"all": [2.0, 1.0], "h": [2.0, 1.0]}), [1, 0.5])
    np.testing.assert_array_equal(gradient_flow.relative({"all": [2.0, 1.0], "c": [4.0, 1.0]}), [1, 0.25])
    assert np.isnan(gradient_flow.relative({"all": [2.0, None]})[1])
    assert np.isnan(gradient_flow.relative({"all": [0.0, 0.0]})).all()


def test_nothing_is_drawn_of_nothing(tmp_path):
    curves.draw([], tmp_path)
    gradient_flow.draw([], tmp_path)
    assert list(tmp_path.iterdir()) == []
