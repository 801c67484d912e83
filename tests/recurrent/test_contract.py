"""The contract can fail: whatever breaks a clause is named together with that clause."""

import pytest
from broken_cells import BROKEN_CELLS, Leaky
from broken_layers import BROKEN_LAYERS, BROKEN_SOLVERS, Honest

import recurrent as rec
from recurrent.testing.clauses import BrokenContract
from recurrent.testing.contract import check_cell, check_layer


def test_an_honest_cell_passes_and_every_verdict_is_returned():
    verdicts = check_cell(Leaky(), solvers=(rec.Checkpointed(2), rec.Associative()))
    assert verdicts == {
        rec.Sequential(): "ok",
        rec.Checkpointed(2): "ok",
        rec.Associative(): "unsupported: its state map has no linear form",
    }


def test_an_honest_layer_passes():
    assert check_layer(Honest(), solvers=()) == {rec.Sequential(): "ok"}


def _name(value):
    return type(value).__name__ if not isinstance(value, str) else ""


@pytest.mark.parametrize(("cell", "clause"), BROKEN_CELLS, ids=_name)
def test_a_broken_cell_is_named_with_its_clause(cell, clause):
    with pytest.raises(BrokenContract) as error:
        check_cell(cell, solvers=())
    assert clause in str(error.value)
    assert type(cell).__name__ in str(error.value)


@pytest.mark.parametrize(("layer", "clause"), BROKEN_LAYERS, ids=_name)
def test_a_broken_layer_is_named_with_its_clause(layer, clause):
    with pytest.raises(BrokenContract) as error:
        check_layer(layer, solvers=())
    assert clause in str(error.value)
    assert type(layer).__name__ in str(error.value)


@pytest.mark.parametrize(("cell", "solver", "clause"), BROKEN_SOLVERS, ids=_name)
def test_a_broken_solver_is_named_with_its_clause(cell, solver, clause):
    with pytest.raises(BrokenContract) as error:
        check_cell(cell, solvers=(solver,))
    assert clause in str(error.value)
    assert str(solver) in str(error.value)


def test_another_reference_is_noticed():
    def reference(cell, params, xs, state):
        final, ys = xs[-1, :, :2], xs[..., :2]
        return (final,), ys

    with pytest.raises(BrokenContract, match="the values of the reference"):
        check_cell(Leaky(), reference=reference, solvers=())
