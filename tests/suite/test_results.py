"""What the summaries of a cell's runs become: scores of all seeds, the rate that validation chose, one small file."""

import dataclasses
import json

import pytest

from experiments.errors import Fault
from experiments.suite import board, results
from experiments.suite.base import Part
from experiments.suite.results import Measured, Result
from experiments.suite.scores import Accuracy, Error
from experiments.suite.suites import SUITES


def summary(rate, metric, values, lengths=None):
    return {
        "config": {"learning_rate": rate},
        "baseline": 0.5,
        "test": {metric: {"seeds": values}},
        "lengths": {"40": {metric: {"seeds": lengths}}},
        "num_updates": 100,
        "wall_seconds": 2.25,
        "num_parameters": 7,
    }


def lines(metric, values, losses, update=100):
    return [
        {"split": split, "seed_index": index, "update": at, "loss": loss, metric: value if at else 0.99}
        for at in (0, update)
        for split in ("training", "validation")
        for index, (value, loss) in enumerate(zip(values, losses, strict=True))
    ]


def test_the_rate_is_chosen_on_validation_and_the_test_split_is_reported():
    part = Part("made", "", "", "", 100, Error("mse"))
    found = results.measure(
        part,
        [summary(1e-3, "mse", [0.25, 0.0]), summary(3e-3, "mse", [0.5, 0.5])],
        [lines("mse", [0.4, 0.4], [0.4, 0.4]), lines("mse", [0.1, 0.2], [0.1, 0.2])],
    )
    assert found.rate == 3e-3  # though the test split says otherwise
    assert found.test == {1e-3: [0.5, 1.0], 3e-3: [0.0, 0.0]}
    assert found.validation[3e-3] == pytest.approx([0.8, 0.6])
    assert (found.updates, found.seconds, found.parameters) == (100, 4.5, 7)
    assert (found.scores, found.score) == ([0.0, 0.0], 0.0)


def test_the_score_may_be_that_of_another_length_and_of_lost_networks_it_is_zero():
    part = Part("made", "", "", "", 100, Accuracy("accuracy", chance=0.5), test_length=40)
    found = results.measure(
        part,
        [summary(1e-3, "accuracy", [1.0, 1.0], [0.75, None])],
        [lines("accuracy", [1.0, None], [0.1, None])],
    )
    assert found.test == {1e-3: [0.5, 0.0]}
    assert found.validation == {1e-3: [1.0, 0.0]} and found.losses == {1e-3: None}


def test_a_run_of_a_larger_budget_is_no_result_of_this_one():
    part = Part("made", "", "", "", 99, Error("mse"))
    with pytest.raises(Fault, match="a run has 100 updates, made has 99"):
        results.measure(part, [summary(1e-3, "mse", [0.2])], [lines("mse", [0.2], [0.2])])


def test_a_rate_at_which_networks_were_lost_loses_a_tie():
    assert results.choose({1e-3: [0.0], 3e-3: [0.0]}, {1e-3: 5.0, 3e-3: None}) == 1e-3


def made(cell="lstm", suite=SUITES["core"], failed=None):
    measured = {"adding": Measured(1e-3, {1e-3: [0.5, 0.7]}, {1e-3: [0.4, 0.6]}, {1e-3: None}, 10, 1.5, 5)}
    return Result(
        cell, suite.name, suite.digest, 2, measured, {"parity": "--cell: no"}, failed or {}, {"num_cores": 2}
    )


def test_a_result_comes_back_from_its_file(tmp_path):
    path = tmp_path / "lstm" / results.RESULT
    results.write(made(failed={"copying": "no space"}), path)
    assert results.read(path) == made(failed={"copying": "no space"})
    content = json.loads(path.read_text())
    assert content["tasks"]["adding"]["test"] == {"0.001": [0.5, 0.7]}
    assert content["tasks"]["parity"] == {"refused": "--cell: no"}


def test_results_of_another_suite_are_not_put_beside_these(tmp_path, monkeypatch):
    suite = SUITES["core"]
    longer = dataclasses.replace(suite, num_seeds=4)
    monkeypatch.setattr(results, "COMMITTED", tmp_path)
    results.keep(made("gru", longer), "gru")
    kept = results.keep(made(), "lstm")
    assert kept == tmp_path / "core" / "lstm.json"
    assert list(results.committed(suite)) == ["lstm"] and list(results.committed(longer)) == ["gru"]


def test_a_file_that_is_no_result_is_named(tmp_path):
    (tmp_path / "odd.json").write_text('{"cell": "lstm", "tasks": {"adding": {}}}')
    with pytest.raises(Fault, match=r"odd.json is not the result of a suite: KeyError"):
        results.read(tmp_path / "odd.json")


def test_what_was_not_measured_has_its_reason():
    one = made(failed={"copying": "no space", "induction": "no space"})
    assert board.reasons([one]) == [
        "lstm cannot run parity: no",
        "lstm failed at copying, induction: no space",
    ]


@pytest.mark.parametrize("path", sorted(results.COMMITTED.rglob("*.json")), ids=lambda path: path.name)
def test_a_committed_result_is_whole(path):
    found = results.read(path)
    suite = SUITES[path.parent.name]
    if found.digest != suite.digest:
        return  # of an earlier budget: the leaderboard leaves it out
    assert not found.failed
    assert {*found.measured, *found.refused} == {part.name for part in suite.parts}
    for one in found.measured.values():
        assert {len(scores) for scores in one.test.values()} == {suite.num_seeds}
        assert one.rate == results.choose(one.validation, one.losses)
        assert all(0 <= score <= 1 for scores in one.test.values() for score in scores)
