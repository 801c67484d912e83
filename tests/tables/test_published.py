"""The published numbers: what a file may hold, and that every command beside a number is a run of the printed size."""

import math
import re

import jax
import pytest

from experiments.errors import Fault
from experiments.lab import planning
from experiments.tables import keeping, published, reproduced
from experiments.tables.verdicts import Score, Solving

PAPERS = published.load()
RUNS = [(row, run) for paper in PAPERS for row in paper.rows for run in row.runs]

PAPER = """
[paper]
title = "On memory"
authors = "A. Author"
year = 1999
source = "arXiv 0000.00000"

[[row]]
name = "author99-copy"
benchmark = "copying"
setting = "T = 10"
model = "LSTM"
protocol = "once"
metric = "sequences"
value = 1000
unit = "sequences"
where = "Table 1"
verified = true

[[row.run]]
name = "as printed"
command = "copy_memory smoke --cell lstm"
differs = "Nothing."
"""


def written(tmp_path, text, name="author99.toml"):
    (tmp_path / name).write_text(text)
    return tmp_path / name


def test_a_file_is_read_whole(tmp_path):
    paper = published.read(written(tmp_path, PAPER))
    assert (paper.stem, paper.year, paper.title) == ("author99", 1999, "On memory")
    (row,) = paper.rows
    assert row.value == 1000.0 and type(row.value) is float
    assert row.rule == Solving(1000.0, 1.0)
    (run,) = row.runs
    assert (run.slug, run.reduced, run.not_counted) == ("as-printed", False, 0)
    assert row.kept_as(run) == "author99-copy--as-printed"
    assert run.request().word == "smoke"


def test_a_score_has_its_baseline(tmp_path):
    text = PAPER.replace('"sequences"\nvalue', '"accuracy"\nbaseline = 0.1\nvalue').replace("1000", "0.9")
    assert published.read(written(tmp_path, text)).rows[0].rule == Score(0.9, 0.1)


@pytest.mark.parametrize(
    ("before", "after", "complaint"),
    [
        ("setting =", "seting =", r"row author99-copy: unknown key 'seting'; did you mean setting\?"),
        ("year =", "yaer =", r"author99.toml: unknown key 'yaer'; did you mean year\?"),
        ("[paper]", "[papper]", r"author99.toml: unknown key 'papper'; did you mean paper\?"),
        ("differs =", "difers =", r"row author99-copy: unknown key 'difers'; did you mean differs\?"),
        ('differs = "Nothing."', "", "row author99-copy: differs is missing"),
        ("verified = true", "", "row author99-copy: verified is missing"),
        ("verified = true", "verified = 1", "row author99-copy: verified: expected true or false, got 1"),
        ("value = 1000", 'value = "1000"', "row author99-copy: value: expected a number, got '1000'"),
        ("value = 1000", "value = true", "row author99-copy: value: expected a number, got True"),
        ("value = 1000", "value = 0", "row author99-copy: value: expected a number of sequences above 0"),
        ("year = 1999", "year = 1999.5", "author99.toml: year: expected a whole number, got 1999.5"),
        ('unit = "sequences"', 'unit = " "', "row author99-copy: unit: expected words, got none"),
        (
            'unit = "sequences"',
            'unit = "sequences"\nshare = 1.5',
            "row author99-copy: share: expected a number from 0",
        ),
        ('"sequences"\nvalue', '"accuracy"\nvalue', "row author99-copy: baseline: accuracy needs a baseline"),
        ("verified = true", "verified = true\nbaseline = 0.1", "baseline: sequences takes a share, and no"),
        ("copy_memory", "copy_memry", r"unknown experiment 'copy_memry'; did you mean copy_memory\?"),
        ('"copy_memory smoke', "\"'copy_memory smoke", "run 'as printed': command: No closing quotation"),
        (
            'differs = "Nothing."',
            'differs = "Nothing."\nnot_counted = -1',
            "not_counted: expected a number of sequences",
        ),
        ('name = "as printed"', 'name = "?"', "expected a name of letters that no other run has"),
        ('name = "author99-copy"', 'name = "Author 99"', "name: expected small letters and digits"),
        ("[[row.run]]", "[row.run]", "row author99-copy: run: expected tables"),
        ("year = 1999", "year = ", "author99.toml: .*line 5"),
    ],
)
def test_a_mistake_is_named_with_its_file_and_row(tmp_path, before, after, complaint):
    assert before in PAPER
    with pytest.raises(Fault, match=complaint) as refused:
        published.read(written(tmp_path, PAPER.replace(before, after, 1)))
    assert "author99.toml" in str(refused.value) and refused.value.code == 2


def test_a_name_stands_for_one_number(tmp_path):
    row = PAPER.partition("[[row]]")[2]
    with pytest.raises(Fault, match="row author99-copy: the name is given twice"):
        published.read(written(tmp_path, f"{PAPER}\n[[row]]{row}"))
    written(tmp_path, PAPER)
    written(tmp_path, PAPER, "later.toml")
    with pytest.raises(Fault, match=r"later.toml: row author99-copy: the name is taken, by author99.toml"):
        published.load(tmp_path)


def test_what_is_no_paper_is_left_out(tmp_path):
    written(tmp_path, "[cells]\n", "models.toml")
    assert published.load(tmp_path) == []


def test_a_command_that_makes_several_runs_is_refused():
    run = published.Run(name="both", command="copy_memory smoke --cell lstm gru", differs="Nothing.")
    with pytest.raises(Fault, match="expected one run, it makes 2"):
        run.request()


@pytest.mark.parametrize("paper", PAPERS, ids=lambda paper: paper.stem)
def test_every_command_is_a_run(paper):
    for row in paper.rows:
        for run in row.runs:
            experiment, (config,) = run.experiment, run.request().configs
            parts = planning.build(experiment, config)
            assert config.num_seeds >= (10 if row.metric in published.SOLVING else 5), run.command
            assert row.metric != "sequences" or config.batch_size == 1
            if row.metric in published.SOLVING:
                assert row.value < config.num_updates * config.batch_size, run.command
            elif row.metric.endswith(published.OVER_LENGTHS):
                assert config.test_lengths, run.command
            if paper.stem == "hs97":  # the others print rounded numbers
                shapes = jax.eval_shape(parts.model.init, jax.random.key(0))
                count = sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(shapes))
                assert count == row.parameters, run.command


def measured(parts):
    """The names of a task's test metrics."""

    def once(key):
        batch = parts.task.sample(key, 2)
        params = parts.model.init(key)
        carry = parts.model.initial_carry(params, 2)
        outputs, _ = parts.model.apply(params, batch, carry=carry, key=None)
        return parts.task.metrics(outputs, batch)

    return set(jax.eval_shape(once, jax.random.key(0)))


def test_every_score_is_a_test_metric_of_its_experiment():
    scores = {
        (run.experiment.name, row.metric.removesuffix(published.OVER_LENGTHS)): run
        for row, run in RUNS
        if row.metric not in published.SOLVING
    }
    drawn = {key: run for key, run in scores.items() if key[0] != "pixel_mnist"}  # that one needs its images
    assert set(scores) - set(drawn) == {("pixel_mnist", "accuracy")}
    assert len(drawn) >= 4
    for (name, metric), run in drawn.items():
        assert metric in measured(planning.build(run.experiment, run.request().configs[0])), name


def test_what_is_kept_of_a_number_belongs_to_a_row():
    known = {row.kept_as(run) for row, run in RUNS}
    kept = {path.stem for path in keeping.RESULTS.rglob("*.json") if published.is_of_a_row(path.stem)}
    assert kept and kept <= known


def test_what_is_printed_as_a_default_is_one():
    """The learning rates of Table 10 of the paper of 1997, by experiment, whatever the defaults say."""
    rates = {
        "hs97.two_sequences": 1.0,
        "hs97.distractors": 0.01,
        "hs97.adding": 0.5,
        "hs97.multiplication": 0.1,
        "hs97.temporal_order": 0.5,
        "hs97.temporal_order_three": 0.1,
    }
    found = [(row, run) for row, run in RUNS if run.experiment.name in rates]
    assert len(found) >= 14
    for _, run in found:
        assert run.request().configs[0].learning_rate == rates[run.experiment.name]


def test_the_page_has_every_paper():
    text = (published.FOLDER.parents[1] / "RESULTS.md").read_text(encoding="utf-8")
    assert set(re.findall(r"<!-- table: (\w+) -->", text)) == set(reproduced.tables())
