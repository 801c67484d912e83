"""Scores, ranks and sentences, by hand."""

import math

import pytest

from experiments.suite import ranks, sentences
from experiments.suite.results import Measured, Result
from experiments.suite.scores import Accuracy, Error


def result(cell, refused=(), **scores):
    """A cell with the scores of its seeds by task."""
    measured = {
        name: Measured(1e-3, {1e-3: values}, {1e-3: values}, {1e-3: 0.0}, 10, 1.0, 5)
        for name, values in scores.items()
    }
    refusals = dict.fromkeys(refused, "--cell: it reads images")
    return Result(cell, "made", "0", 2, measured, refusals, {}, {})


@pytest.mark.parametrize(
    ("value", "expected"), [(1.0, 1.0), (0.25, 0.0), (0.1, 0.0), (0.625, 0.5), (None, 0.0), (math.nan, 0.0)]
)
def test_an_accuracy_counts_above_chance(value, expected):
    assert Accuracy("accuracy", chance=0.25).of(value, baseline=1.4) == expected


@pytest.mark.parametrize(
    ("value", "expected"), [(0.0, 1.0), (0.05, 0.75), (0.2, 0.0), (7.0, 0.0), (None, 0.0), (math.inf, 0.0)]
)
def test_an_error_counts_in_parts_of_the_baseline(value, expected):
    assert Error("mse").of(value, baseline=0.2) == expected


def test_equal_scores_share_the_mean_of_their_places():
    assert ranks.ranks([0.2, 0.8, 0.8, 0.8, 0.1]) == [4.0, 2.0, 2.0, 2.0, 5.0]
    assert ranks.ranks([0.3, 0.3 + 1e-9]) == [1.5, 1.5]
    assert ranks.ranks([0.3, 0.3 + 1e-5]) == [2.0, 1.0]


def test_cells_are_ranked_by_their_mean_over_tasks_and_seed_by_seed():
    known = [
        result("a", adding=[0.2, 0.6], parity=[0.0, 0.0]),  # means 0.1, 0.3
        result("b", adding=[0.9, 0.1], parity=[0.1, 0.1]),  # means 0.5, 0.1
        result("c", adding=[0.4, 0.4], refused=("parity",)),  # means 0.2, 0.2, for what is not run counts 0
        result("d", refused=("adding", "parity")),
    ]
    found = ranks.placed(known, ["adding", "parity"])
    assert [one.result.cell for one in found] == ["b", "a", "c"]
    assert [one.score for one in found] == pytest.approx([0.3, 0.2, 0.2])
    assert [one.rank for one in found] == [1.0, 2.5, 2.5]
    assert [one.by_seed for one in found] == [(1.0, 3.0), (3.0, 1.0), (2.0, 2.0)]
    assert [one.mean_rank for one in found] == [2.0, 2.0, 2.0]


def test_a_family_is_told_by_its_weakest_and_its_strongest_cell():
    known = [
        result("lru", adding=[0.92, 0.94], parity=[0.0, 0.04], copying=[1.0, 1.0]),
        result("s5", adding=[0.99, 0.99], parity=[0.02, 0.06], copying=[0.1, 0.3]),
        result("my_module:MyCell", adding=[0.5, 0.5], refused=("parity", "copying")),
    ]
    assert sentences.of_families(known, ["adding", "parity", "copying"]) == [
        "Linear recurrences (2 cells): adding 0.96, parity 0.03, copying 0.60. All learn adding (at least 0.93). "
        "None learns parity (at most 0.04). Some learn and others do not: copying (0.20 to 1.00).",
        "One's own (1 cell): adding 0.50.",
    ]


def test_a_single_cell_and_one_that_runs_nothing_have_their_own_words():
    assert sentences.of_families(
        [result("gru", parity=[0.0, 0.0], adding=[0.9, 0.9])], ["adding", "parity"]
    ) == [
        "Gated (1 cell): adding 0.90, parity 0.00. It learns adding (at least 0.90). "
        "It does not learn parity (at most 0.00)."
    ]
    assert sentences.of_families([result("conv_lstm", refused=("adding",))], ["adding"]) == [
        "Images (1 cell): none of the tasks could be run."
    ]
