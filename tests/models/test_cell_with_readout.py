"""A cell or a layer with a readout: what each claims, and the names under which checkpoints hold its parameters."""

import jax
import jax.numpy as jnp
import pytest

import recurrent as rec
from experiments.lab.training.trainer import named_leaves
from experiments.models.base import (
    EveryStep,
    HasGradients,
    HasParamGroups,
    HasSolver,
    HasStateGradients,
    LastStep,
)
from experiments.models.cell_with_readout import CellWithReadout, LayerWithReadout, with_readout
from experiments.tasks.base import Batch
from recurrent.solvers import measured

CELL, LAYER = rec.ExpRNN(2, 3), rec.stack(rec.Elman(2, 3), rec.Elman(3, 3))


def test_a_cell_claims_what_a_layer_cannot():
    cell, layer = (with_readout(part, 1, LastStep(), bias=False) for part in (CELL, LAYER))
    assert cell == CellWithReadout(CELL, 1, LastStep(), bias=False)
    assert layer == LayerWithReadout(LAYER, 1, LastStep(), bias=False)
    of_cells = HasGradients, HasStateGradients, HasParamGroups
    assert [isinstance(cell, claim) for claim in (HasSolver, *of_cells)] == [True] * 4
    assert [isinstance(layer, claim) for claim in (HasSolver, *of_cells)] == [True, False, False, False]
    with pytest.raises(
        ValueError, match=r"^cell: expected a cell, got Stack\(.*with_readout takes layers too$"
    ):
        CellWithReadout(LAYER, 1, LastStep())


def test_the_solver_of_a_model_is_a_choice(monkeypatch):
    monkeypatch.setattr(measured, "FUSED", {})
    model = with_readout(rec.LRU(2, 3), 1, EveryStep())
    other = model.with_solver(rec.Associative())
    assert (type(other), other.solver, model.solver) == (CellWithReadout, rec.Associative(), rec.AUTO)
    batch = jax.eval_shape(lambda: Batch(jnp.zeros((5, 4, 2)), None, None))
    assert other.chosen_solver(batch) == rec.Associative()
    assert model.chosen_solver(batch) != rec.AUTO
    assert with_readout(LAYER, 1, EveryStep()).chosen_solver(batch) == (rec.Sequential(), rec.Sequential())


def test_parameters_are_called_as_they_always_were():
    model = CellWithReadout(rec.Elman(2, 3), 1, LastStep(), skip=True)
    params = jax.eval_shape(model.init, jax.random.key(0))
    names = [name for name, _ in named_leaves(params)]
    assert names == ["cell.w_x", "cell.w_h", "cell.b", "readout.w", "readout.b", "readout.skip"]
    paths = [jax.tree_util.keystr(path) for path, _ in jax.tree_util.tree_leaves_with_path(params)]
    assert paths == [f".{name}" for name in names]
