"""From a kept summary to a verdict, on made-up summaries whose numbers are computed by hand."""

import json

import pytest

from experiments.errors import Fault
from experiments.lab.plan import configs
from experiments.tables import keeping, outcomes, ratios, reproduced
from experiments.tables.published import Row, Run

RUN = Run(name="as printed", command="hs97.two_sequences", differs="Nothing.", not_counted=10_000)
ROW = Row(
    name="some-number",
    benchmark="two sequences",
    setting="p = 100",
    model="LSTM",
    protocol="once",
    metric="sequences",
    value=5000.0,
    unit="sequences",
    where="Table 2",
    verified=True,
    runs=(RUN,),
)
SCORED = Run(
    name="lengths", command="formal.parity smoke --cell lstm --test-lengths 8,16", differs="Nothing."
)
SCORE = {"metric": "accuracy over lengths", "value": 0.9, "baseline": 0.5}


def made(run, counts, **more):
    """What a run leaves, with a count a trial."""
    config = configs.as_json(run.request().configs[0])
    seeds = [
        {"seed_index": index, "solved": count is not None, "sequences_to_solve": count, "frozen_at": None}
        for index, count in enumerate(counts)
    ]
    environment = {"device_kind": "cpu", "num_cores": 1}
    sizes = {"num_updates": 60_000, "num_parameters": 10_504, "wall_seconds": 12.3}
    summary = {"experiment": run.experiment.name, "preset": "default", "config": config, "seeds": seeds}
    return {**summary, "test": {}, "environment": environment, **sizes, **more}


@pytest.fixture
def results(tmp_path, monkeypatch):
    monkeypatch.setattr(keeping, "RESULTS", tmp_path / "experiments" / "results")

    def put(row, run, summary):
        path = keeping.RESULTS / summary["experiment"] / summary["preset"] / f"{row.kept_as(run)}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(summary))

    return put


def test_nothing_kept_is_not_measured(results):
    one = outcomes.outcome(ROW, RUN)
    assert (one.summary, one.trials, one.mean, one.verdict) == (None, (), None, None)
    assert reproduced.paper_lines(ROW)[0][3] == "not measured yet"


def test_what_only_our_count_includes_is_taken_off(results):
    results(ROW, RUN, made(RUN, [15_000] * 9 + [26_000]))
    one = outcomes.outcome(ROW, RUN)
    assert one.trials == (5000,) * 9 + (16_000,)
    assert one.mean == 6100.0 and one.verdict == "reproduced"
    assert reproduced.compared(one) == "x 1.22"
    assert reproduced.ratios(one) == [1.0] * 9 + [3.2]
    assert reproduced.paper_lines(ROW) == [
        (
            "`some-number`: two sequences, p = 100; LSTM",
            "5,000 sequences (Table 2)",
            "as printed",
            "6,100",
            "10 of 10",
            "x 1.22",
            "**reproduced**",
        )
    ]


def test_failures_are_as_loud(results, tmp_path):
    results(ROW, RUN, made(RUN, [None] * 10))
    one = outcomes.outcome(ROW, RUN)
    assert (one.mean, one.verdict) == (None, "not reproduced")
    assert reproduced.paper_lines(ROW)[0][3:] == ("none", "0 of 10", "", "**not reproduced**")
    assert ratios.draw([one], tmp_path / "picture.png") is not None
    assert (tmp_path / "picture.png").read_bytes()[:4] == b"\x89PNG"


def test_milestones_are_told(results):
    summary = made(RUN, [15_000, None])
    summary["seeds"][0]["milestones"] = {"nearly_all": 1000}
    summary["seeds"][1]["milestones"] = {"nearly_all": 2000}
    results(ROW, RUN, summary)
    told = reproduced.milestones(outcomes.outcome(ROW, RUN))
    assert told == ["99 % of the last sequences were right: 2 of 2 trials, after 1,500 sequences on average"]


def test_a_score_is_the_mean_over_lengths(results):
    row = Row(**{**vars(ROW), **SCORE})
    summary = made(SCORED, [None] * 5)
    summary["lengths"] = {
        "8": {"accuracy": {"seeds": [1.0, 0.9, 0.8, 1.0, 1.0]}},
        "16": {"accuracy": {"seeds": [0.8, 0.9, 0.8, 0.8, 1.0]}},
    }
    results(row, SCORED, summary)
    one = outcomes.outcome(row, SCORED)
    assert one.trials == pytest.approx((0.9, 0.9, 0.8, 0.9, 1.0))
    # the mean is the published score; a tenth of the distance from the baseline is 0.04
    assert one.mean == pytest.approx(0.9) and one.verdict == "reproduced"
    assert reproduced.compared(one) == "+0"


def test_a_lost_network_is_no_score(results):
    row = Row(**{**vars(ROW), **SCORE})
    summary = made(SCORED, [None] * 5, lengths={"8": {"accuracy": {"seeds": [0.9] * 5}}})
    summary["seeds"][3]["frozen_at"] = 7
    results(row, SCORED, summary)
    one = outcomes.outcome(row, SCORED)
    assert one.trials[3] is None and one.verdict == "not reproduced"


def test_a_metric_that_is_not_there_is_named(results):
    row = Row(**{**vars(ROW), **SCORE, "metric": "bleu"})
    results(row, SCORED, made(SCORED, [None] * 5, test={"accuracy": {"seeds": [0.9] * 5}}))
    with pytest.raises(Fault, match=r"has no test metric 'bleu' \(it has accuracy\)"):
        outcomes.outcome(row, SCORED)


def test_a_summary_of_another_configuration_is_refused(results):
    other = made(RUN, [15_000] * 10)
    other["config"]["learning_rate"] = 0.5
    results(ROW, RUN, other)
    with pytest.raises(Fault, match=r"--learning-rate is 0.5 there, 1.0 in the command"):
        outcomes.outcome(ROW, RUN)


def test_more_updates_are_the_same_run_and_fewer_are_not(results):
    longer = made(RUN, [15_000] * 10)
    longer["config"]["num_updates"] *= 2
    results(ROW, RUN, longer)
    assert outcomes.outcome(ROW, RUN).verdict == "reproduced"
    longer["config"]["num_updates"] = 1000
    results(ROW, RUN, longer)
    with pytest.raises(Fault, match="--num-updates is 1000 there, 50000 in the command"):
        outcomes.outcome(ROW, RUN)


def test_another_experiment_and_two_of_a_name_are_refused(results):
    results(ROW, RUN, {**made(RUN, [15_000] * 10), "experiment": "hs97.adding"})
    with pytest.raises(Fault, match=r"its experiment is hs97\.adding"):
        outcomes.outcome(ROW, RUN)
    results(ROW, RUN, made(RUN, [15_000] * 10))
    with pytest.raises(Fault, match="some-number--as-printed: kept twice"):
        outcomes.outcome(ROW, RUN)
