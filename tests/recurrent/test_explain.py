"""What `explain` says is what happens."""

import re

import jax
import pytest
from test_memory import temporaries

import recurrent as rec

pytestmark = pytest.mark.optimised


def test_a_nonlinear_cell():
    lines = rec.explain(rec.LSTM(2, 40), (400, 8)).splitlines()
    assert lines[0].endswith("over 400 steps of batch (8,), state of 80 real coordinates")
    cell = rec.LSTM(2, 40)
    state = cell.initial_state(cell.init(jax.random.key(0)), (8,))
    chosen = rec.AUTO.choose_for(cell, 400, state)[0]
    assert lines[1].startswith(f"runs: {chosen}, ") and lines[2].startswith("why: ")
    memory = {
        line.split(": ")[1].rsplit(", ", 1)[0]: float(re.search(r"([\d,.]+) MiB", line)[1])
        for line in lines
        if "MiB" in line
    }
    assert memory["Checkpointed(segment=None)"] < memory["Sequential(projection=1)"] / 2
    assert memory["Fused(chunk=None)"] < memory["Sequential(projection=1)"]
    # this loss reads the outputs of all steps, so their gradients are there besides
    assert (
        memory["Sequential(projection=1)"] >= temporaries(rec.LSTM(2, 40), rec.Sequential(), 400, 8) / 2**20
    )
    assert lines[-2] == "refuses: Associative(chunk=None): its state map has no linear form"
    assert (
        lines[-1].startswith("refuses: Newton(")
        and "80 real coordinates, more than max_state=64" in lines[-1]
    )


def test_what_is_asked_for_and_cannot_run():
    text = rec.explain(rec.LSTM(2, 40), (100,), rec.Newton())
    assert "cannot run: Newton(" in text and "80 real coordinates, more than max_state=64" in text


def test_complex_states_count_twice():
    assert "state of 8 real coordinates" in rec.explain(rec.LRU(2, 4), (8, 3), rec.Associative())


def test_refusals_are_those_of_unroll():
    cell = rec.GRU(2, 3)
    params = cell.init(jax.random.key(0))
    reason = rec.refusal(cell, rec.Associative())
    with pytest.raises(rec.Unsupported, match=reason):
        rec.unroll(cell, params, jax.numpy.ones((5, 2)), solver=rec.Associative())
    assert rec.refusal(cell, rec.Newton()) is None
