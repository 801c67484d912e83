"""``--match``: sizes that counts by hand confirm, in grids, in files, and again when a run goes on."""

import dataclasses
import json

import pytest
from lab_runs import ADDING, edit, hashes, interrupted_at, refused, run, summary

from experiments import adding_problem, lab
from experiments.errors import Fault
from experiments.lab import matching
from experiments.lab.plan import configs, grids
from experiments.lab.plan.cell_names import parse_cell
from experiments.lab.plan.configs import LATER
from experiments.lab.run import default_out
from experiments.lab.storage import summaries

pytest_plugins = ["lab_fixtures"]
pytestmark = pytest.mark.usefixtures("compile_once", "trace_once", "same_cores")
INPUTS, OUTPUTS = 2, 1  # of the adding problem


def with_readout(cell_parameters, h):
    return cell_parameters + h * OUTPUTS + OUTPUTS


PARAMETERS = {
    "lstm": lambda h: with_readout(4 * h * (INPUTS + h + 1), h),
    "gru": lambda h: with_readout(3 * h * (INPUTS + h + 1) + h, h),  # its candidate has two biases
    "elman": lambda h: with_readout(h * (INPUTS + h + 1), h),
}
STATE = {
    "lstm": lambda h: 2 * h,
    "gru": lambda h: h,
    "elman": lambda h: h,
    # a matrix of (h / heads)² numbers and a vector of h / heads a head
    "linear_attention": lambda h: h * h + h,
    "linear_attention(num_heads=4)": lambda h: 4 * (h // 4) ** 2 + h,
}


def size_of(cell, match):
    config = dataclasses.replace(
        adding_problem.EXPERIMENT.presets["smoke"], match=match, cell=parse_cell(cell)
    )
    return matching.sized(ADDING, config, None).hidden_size


@pytest.mark.parametrize("cell", PARAMETERS)
@pytest.mark.parametrize("goal", [200, 5000])
def test_parameters_are_the_most_that_do_not_exceed_the_goal(cell, goal):
    size = size_of(cell, f"parameters={goal}")
    assert PARAMETERS[cell](size) <= goal < PARAMETERS[cell](size + 1)


def test_a_goal_that_can_be_had_exactly_is_had_exactly():
    assert size_of("lstm", f"parameters={PARAMETERS['lstm'](23)}") == 23
    assert size_of("lstm", f"parameters={PARAMETERS['lstm'](23) - 1}") == 22
    assert size_of("lstm", "state=128") == 64


@pytest.mark.parametrize("cell", STATE)
def test_a_state_has_the_most_numbers_that_do_not_exceed_the_goal(cell):
    step = 4 if "4" in cell else 1
    size = size_of(cell, "state=301")
    assert size % step == 0 and STATE[cell](size) <= 301 < STATE[cell](size + step)


def test_a_complex_state_counts_twice():
    assert size_of("lru", "state=64") == 32


EXPECTED = "--match: expected parameters=50000 or state=128, with a positive integer, got "
GRID = ("--cell", "lstm", "gru", "--match", "parameters=700", "--num-updates", "10")
SIZES = {"lstm": 11, "gru": 13}


@pytest.fixture(scope="module")
def whole(compile_once, tmp_path_factory):
    """The folder of two cells of matched sizes, and what the command said."""
    out = tmp_path_factory.mktemp("match") / "out"
    outcome = run(out, *GRID)
    assert outcome.code == 0, outcome.err
    return out, outcome


@pytest.mark.medium
def test_each_cell_of_a_grid_has_its_own_size_in_all_its_files(whole):
    out, _ = whole
    assert sorted(entry.name for entry in out.iterdir() if entry.is_dir()) == ["gru", "lstm"]
    assert not (out / "grid.png").exists()  # nothing beside the cell varies
    for cell, size in SIZES.items():
        assert PARAMETERS[cell](size) <= 700 < PARAMETERS[cell](size + 1)
        stored, found = json.loads((out / cell / "config.json").read_text())["config"], summary(out / cell)
        assert (stored["hidden_size"], stored["match"]) == (size, "parameters=700")
        assert (found["num_parameters"], found["num_state"]) == (PARAMETERS[cell](size), STATE[cell](size))
        opened = lab.open_run(out / cell)
        assert (opened.config.hidden_size, opened.model.cell.hidden_size) == (size, size)


@pytest.mark.medium
def test_the_table_and_the_frame_have_sizes_and_counts(whole):
    out, outcome = whole
    rows = {row["cell"]: row for row in json.loads((out / "table.json").read_text())}
    frame = lab.frame(out).drop_duplicates("cell").set_index("cell")
    for cell, size in SIZES.items():
        numbers = {
            "hidden size": size,
            "parameters": PARAMETERS[cell](size),
            "state": STATE[cell](size),
        }
        assert {name: rows[cell][name] for name in numbers} == numbers
        found = frame.loc[cell, ["hidden_size", "num_parameters", "num_state"]]
        assert list(found) == list(numbers.values())
    heads = [line.split() for line in outcome.out.splitlines() if line.startswith("cell")]
    assert heads[0][:5] == ["cell", "hidden", "size", "parameters", "state"]


@pytest.mark.medium
def test_a_finished_grid_is_found_and_trains_nothing(whole):
    out, _ = whole
    before = {cell: hashes(out / cell) for cell in SIZES}
    again = run(out, *GRID)
    assert again.code == 0 and again.out.count("finished already") == 2
    assert {cell: hashes(out / cell) for cell in SIZES} == before
    # spelled otherwise it is the same
    assert run(out, *GRID[:4], "parameters=7_00", *GRID[5:]).out.count("finished already") == 2


def test_a_plan_shows_the_sizes(whole, tmp_path):
    outcome = run(tmp_path / "out", *GRID, "--plan")
    assert outcome.code == 0 and not (tmp_path / "out").exists()
    lines = [line.split() for line in outcome.out.splitlines()]
    assert lines[0][:8] == "run hidden size parameters numbers of state state".split()
    expected = [[c, str(h), str(PARAMETERS[c](h)), str(STATE[c](h))] for c, h in SIZES.items()]
    assert [line[:4] for line in lines[1:3]] == expected
    assert "parameters" not in run(tmp_path / "out", "--plan").out


def test_an_interrupted_run_goes_on_at_the_size_it_has(tmp_path):
    flags = ("--match", "state=9")
    assert run(tmp_path / "whole", *flags).code == 0
    out = tmp_path / "stopped"
    with interrupted_at(20):
        assert run(out, *flags).code == 143
    assert not (out / "elman" / "summary.json").exists()
    assert run(out, *flags).code == 0
    assert hashes(out / "elman") == hashes(tmp_path / "whole" / "elman")
    assert summary(out / "elman")["num_state"] == 9


def test_what_is_stored_goes_before_what_would_be_chosen_today(tmp_path):
    config = configs.changed(adding_problem.EXPERIMENT.presets["smoke"], match="state=9", cell="elman")
    with interrupted_at(20):
        assert run(tmp_path / "out", "--match", "state=9").code == 143
    edit(tmp_path / "out" / "elman", lambda stored: stored["config"].update(hidden_size=8))
    (job,) = lab.plan([config], experiment=ADDING, out=tmp_path / "out").jobs
    assert job.config.hidden_size == 8


@pytest.mark.medium
def test_another_size_or_match_is_another_run(whole):
    out, _ = whole
    for flags in (("--hidden-size", "11"), ("--match", "parameters=701")):
        outcome = run(out, "--cell", "lstm", *flags, "--num-updates", "10")
        assert outcome.code == 2
        assert f"{out / 'lstm'} holds another configuration: --match is 'parameters=700' there" in outcome.err


def test_a_match_leaves_hashes_of_others_alone_and_has_one_of_its_own_for_any_number_of_cells():
    smoke = adding_problem.EXPERIMENT.presets["smoke"]
    assert LATER["match"] == "" and "match" not in configs.as_json(smoke)
    requested = lab.grid(smoke, cell=["lstm", "gru"], match="parameters=700")
    places = {
        default_out(ADDING, "smoke", some)
        for some in (requested, requested[:1], [configs.changed(requested[0], hidden_size=9)])
    }
    assert len(places) == 1 and default_out(ADDING, "smoke", [smoke]) not in places
    sized = [configs.changed(one, hidden_size=size) for one, size in zip(requested, (11, 13), strict=True)]
    assert grids.labels(sized) == ["lstm", "gru"]


def test_several_goals_are_a_grid(tmp_path):
    outcome = run(tmp_path / "out", "--cell", "lstm", "--match", "state=8", "state=20", "--plan")
    assert [line.split()[:3] for line in outcome.out.splitlines()[1:3]] == [
        ["lstm", "match=state=8", "4"],
        ["lstm", "match=state=20", "10"],
    ]


def test_a_size_in_the_name_wins_and_is_told(tmp_path):
    outcome = run(tmp_path / "out", "--cell", "lstm(hidden_size=5)", "--match", "state=64", "--plan")
    assert outcome.out.splitlines()[1].split()[:2] == ["lstm(hidden_size=5)", "5"]
    assert outcome.notices == [
        "note: lstm(hidden_size=5) has its size in its name; --match does not change it"
    ]


def test_the_smallest_size_is_taken_and_told_where_all_have_more(tmp_path):
    outcome = run(tmp_path / "out", "--cell", "lstm", "--match", "parameters=10", "--plan")
    assert outcome.code == 0 and outcome.out.splitlines()[1].split()[1] == "1"
    assert outcome.notices == ["note: --match: lstm has 18 parameters at its smallest size, 1; asked for 10"]


@pytest.mark.parametrize(
    ("words", "complaint"),
    {
        "params=3": f"{EXPECTED}'params=3'",
        "parameters=-1": f"{EXPECTED}'parameters=-1'",
        "state=9 --hidden-size 4": "--match: chooses the hidden size; leave --hidden-size out",
        "state=9999": "--match: elman has no more than 8192 numbers of state at any size up to 8192, asked for 9999",
        "state=9 --cell mlstm(num_heads=9000)": "--match: mlstm(num_heads=9000) accepts no size: --cell: ",
    }.items(),
)
def test_what_cannot_be_is_one_line(words, complaint, tmp_path):
    assert refused(tmp_path / "out", "--match", *words.split()).startswith(complaint)


def test_a_preset_that_matches_is_not_silently_without_effect():
    matched = configs.changed(adding_problem.EXPERIMENT.presets["smoke"], match="state=9")
    with pytest.raises(Fault, match="leave --hidden-size out"):
        lab.grid(matched, hidden_size=[4])
    assert "--hidden-size" not in " ".join(configs.flags(matched, adding_problem.EXPERIMENT.presets["smoke"]))


class Stateless:
    """A model that keeps nothing to count."""

    def init(self, key):
        return ()


def test_a_model_without_a_state_is_matched_by_its_parameters_alone():
    build = lambda config: lab.Parts(config.task, Stateless(), None)  # noqa: E731 - what an experiment gives
    odd = dataclasses.replace(ADDING, build=build)
    smoke = adding_problem.EXPERIMENT.presets["smoke"]
    with pytest.raises(Fault, match=r"^--match: Stateless has no state to count; match parameters$"):
        matching.sized(odd, dataclasses.replace(smoke, match="state=5"), None)
    with pytest.raises(Fault, match="no more than 0 parameters at any size up to 8192"):
        matching.sized(odd, dataclasses.replace(smoke, match="parameters=5"), None)


@pytest.mark.medium
def test_summaries_of_earlier_versions_make_a_table_with_what_they_know(whole):
    out, _ = whole
    new, old = summary(out / "lstm"), summary(out / "gru")
    for name in ("num_state", "num_parameters"):
        del old[name]
    del old["config"]["match"]
    rows = summaries.table([new, old])
    assert (rows[0]["state"], rows[1]["state"], rows[1]["parameters"]) == (22, None, None)
    assert "state" not in summaries.table([old, old])[0]
    assert summaries.has_rows(out, [new])
