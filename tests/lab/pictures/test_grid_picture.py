"""The picture of a grid, and a run in a notebook: what they show is what the summaries hold."""

import base64
import dataclasses
import html.parser
from types import SimpleNamespace

import numpy as np
import pytest
from lab_runs import run, summary

from experiments import copy_memory
from experiments.lab.opened import open_run
from experiments.lab.pictures import comparison, curves, grid
from experiments.lab.pictures.base import colours
from experiments.lab.plan import configs, grids

pytest_plugins = ["lab_fixtures"]
COPYING = copy_memory.EXPERIMENT


def runs(num_seeds=2, **axes):
    """Runs as pictures read them; the accuracies are the run's number and half of it, the losses their squares."""
    base = configs.changed(COPYING.presets["default"], num_seeds=num_seeds)
    requested = grids.grid(base, **axes)
    made = []
    for number, (config, label) in enumerate(zip(requested, grids.labels(requested), strict=True), 1):
        seeds = [number / (index + 1) for index in range(num_seeds)]
        test = {"accuracy": {"seeds": seeds}, "loss": {"seeds": [value**2 for value in seeds]}}
        own = {
            "label": label,
            "config": config,
            "task": config.task,
            "summary": {"test": test},
            "metrics": [],
        }
        made.append(SimpleNamespace(experiment=COPYING, **own))
    return made


@pytest.fixture
def drawn(monkeypatch, tmp_path):
    """Draws, and gives the visible axes and the figure instead of the file."""

    def draw(requested):
        figures = []
        monkeypatch.setattr(grid, "save", lambda figure, path: figures.append((path.name, figure)))
        grid.draw(requested, tmp_path)
        ((name, figure),) = figures
        assert name == "grid.png"
        return [axes for axes in figure.axes if axes.get_visible()], figure

    return draw


def line(axes, label):
    (found,) = [line for line in axes.lines if line.get_label() == label]
    return np.asarray(found.get_xdata(), float).tolist(), np.asarray(found.get_ydata(), float).tolist()


def dots(axes):
    return sorted(
        (float(x), float(y))
        for line in axes.lines
        if line.get_linestyle() == "None"
        for x, y in zip(line.get_xdata(), line.get_ydata(), strict=True)
    )


def test_means_are_lines_and_networks_are_dots(drawn):
    requested = runs(cell=["lstm", "gru"], delay=[10, 20, 200])
    (above, below), figure = drawn(requested)
    assert line(above, "lstm") == ([10, 20, 200], [0.75, 1.5, 2.25])
    assert line(above, "gru") == ([10, 20, 200], [3.0, 3.75, 4.5])
    assert line(below, "gru")[1] == [4**2 * 5 / 8, 5**2 * 5 / 8, 6**2 * 5 / 8]
    each = [(delay, number) for number, delay in enumerate([10, 20, 200] * 2, 1)]
    assert dots(above) == sorted([*each, *((delay, number / 2) for delay, number in each)])
    assert above.get_xscale() == "log"  # 200 is 20 times 10
    assert figure.get_supxlabel() == "delay"
    # the baseline depends on the delay, and is one of the losses, not of the accuracies
    baselines = [one.task.baseline for one in requested[:3]]
    assert line(below, "baseline: no memory") == ([10, 20, 200], baselines)
    assert "baseline: no memory" not in [one.get_label() for one in above.lines]
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["lstm", "gru", "baseline: no memory"]


def test_an_axis_of_near_values_is_linear_and_one_of_words_has_their_names(drawn):
    (above, _), _ = drawn(runs(cell=["lstm"], delay=[10, 20]))
    assert above.get_xscale() == "linear"
    axes, figure = drawn(runs(cell=["lstm"], optimizer=["sgd", "adam"]))
    assert figure.get_supxlabel() == "optimizer"
    ticks = axes[-1].xaxis.get_major_formatter().seq
    assert ticks == ["adam", "sgd"] and line(axes[0], "lstm") == ([0, 1], [1.5, 0.75])


def test_each_combination_of_the_other_fields_is_a_panel(drawn):
    requested = runs(cell=["lstm"], delay=[10, 20, 30], optimizer=["adam", "sgd"], learning_rate=[1e-3, 1e-2])
    axes, _ = drawn(requested)
    assert [one.get_title() for one in axes] == [
        f"optimizer={optimizer}\nlearning rate={rate}"
        for optimizer in ("adam", "sgd")
        for rate in (0.001, 0.01)
    ]
    for one, optimizer, rate in zip(axes, ["adam"] * 2 + ["sgd"] * 2, [1e-3, 1e-2] * 2, strict=True):
        own = [
            number * 0.75
            for number, run in enumerate(requested, 1)
            if (run.config.optimizer, run.config.learning_rate) == (optimizer, rate)
        ]
        assert line(one, "lstm") == ([10, 20, 30], own)
    assert len({one.get_ylim() for one in axes}) == 1


def test_more_than_nine_panels_are_cut_and_that_is_said(drawn, capsys):
    axes, _ = drawn(
        runs(delay=[1, 2, 3, 4, 5], learning_rate=[1e-3, 1e-2], hidden_size=[8, 9, 10], batch_size=[1, 2])
    )
    assert len(axes) == 9
    assert capsys.readouterr().err == "note: grid.png shows the first 9 of 12 panels\n"


def test_fields_that_go_together_and_seeds_make_no_panels(drawn):
    requested = [
        *runs(delay=[10], num_updates=[100], seed=[0, 5]),
        *runs(delay=[20], num_updates=[200], seed=[0, 5]),
    ]
    (above, _), figure = drawn(requested)
    assert figure.get_supxlabel() in ("delay, with its num updates", "num updates, with its delay")
    assert line(above, "lstm")[1] == [1.125, 1.125]
    assert len(dots(above)) == 8  # two networks of each of four runs


def test_nothing_is_drawn_where_only_the_cell_varies(tmp_path):
    grid.draw(runs(cell=["lstm", "gru"]), tmp_path)
    grid.draw([SimpleNamespace(**{**vars(one), "summary": {}}) for one in runs(delay=[1, 2])], tmp_path)
    grid.draw([], tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_lost_network_leaves_a_gap(drawn):
    requested = runs(cell=["lstm"], delay=[10, 20], num_seeds=2)
    requested[0].summary["test"]["accuracy"]["seeds"] = [None, 0.5]
    requested[1].summary["test"]["accuracy"]["seeds"] = [None, None]
    (above, _), _ = drawn(requested)
    np.testing.assert_array_equal(line(above, "lstm")[1], [0.5, np.nan])


def overlap(figure):
    """Whether the legend covers a panel or the title."""
    figure.canvas.draw()
    (legend,) = figure.legends
    box = legend.get_window_extent()
    others = [axes.get_window_extent() for axes in figure.axes if axes.get_visible()]
    return any(box.overlaps(other) for other in [*others, figure._suptitle.get_window_extent()])


def test_legends_cover_nothing(drawn):
    for axes in ({"delay": [10, 20]}, {"delay": [10, 20, 30], "learning_rate": [1e-3, 1e-2]}):
        assert not overlap(drawn(runs(cell=["lstm(forget_bias=5)", "gru"], **axes))[1])
    many = runs(cell=["lstm(forget_bias=5)", "gru"], learning_rate=[1e-3, 2e-3, 3e-3, 4e-3, 5e-3, 6e-3, 7e-3])
    assert not overlap(curves.figure_of(many))


def test_the_curves_of_many_runs_have_distinct_colours():
    assert len(set(colours(["lstm"] * 6 + ["gru"] * 6))) == 12
    assert len(set(colours(["lstm", "gru"] * 5))) == 10


@pytest.mark.medium
def test_every_experiment_draws_its_grid(compile_once, tmp_path):
    assert run(tmp_path, "--learning-rate", "1e-3", "1e-2").code == 0
    assert (tmp_path / "grid.png").read_bytes().startswith(b"\x89PNG")


class Page(html.parser.HTMLParser):
    """Tags, attributes and texts of a page whose tags all close."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.attributes, self.texts = [], [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag != "img":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


def test_a_run_shows_itself_in_a_notebook(finished):
    opened, written = open_run(finished / "elman"), summary(finished / "elman")
    text = opened._repr_html_()
    page = Page(text)
    assert "--num-steps 10" in " ".join(page.texts) and "--hidden-size 16" in " ".join(page.texts)
    cells = dict(zip(*(page.texts[i : i + page.tags.count("th")] for i in table_starts(page)), strict=True))
    assert cells["cell"] == "elman" and cells["solved"] == "0 of 2"
    assert cells["test mse"].startswith(f"{written['test']['mse']['mean']:.4g} ± ")
    (source,) = [value for name, value in page.attributes if name == "src"]
    kind, _, picture = source.partition(",")
    assert kind == "data:image/png;base64" and base64.b64decode(picture).startswith(b"\x89PNG")
    assert (
        not {"script", "link", "style", "iframe"} & set(page.tags)
        and "http" not in text.partition("base64")[0]
    )
    assert len(text) < 150_000


def table_starts(page):
    """Where the head and the body of the table start among the texts."""
    head = page.texts.index("cell")
    return head, head + page.tags.count("th")


def test_what_a_run_is_called_is_escaped_and_an_unfinished_one_says_how_far(finished):
    opened = dataclasses.replace(open_run(finished / "elman"), label="<b onload='x'>&", summary={})
    page = Page(opened._repr_html_())
    assert "b" not in page.tags and "adding_problem: <b onload='x'>&" in page.texts
    assert "has not ended: update 40 of 40" in page.texts
    nothing = dataclasses.replace(opened, metrics=[])
    assert "img" not in Page(nothing._repr_html_()).tags


def test_a_comparison_shows_the_mean_validation_loss():
    rows = [
        {"update": update, "seed_index": index, "split": split, "loss": loss}
        for split, both in (("validation", [(1.0, 3.0), (0.5, None)]), ("training", [(9.0, 9.0), (9.0, 9.0)]))
        for update, losses in zip((0, 20), both, strict=True)
        for index, loss in enumerate(losses)
    ]
    found = comparison.validation(SimpleNamespace(rows=rows))
    assert list(found) == [0, 20] and found[0] == 2.0 and np.isnan(found[20])
