"""The solver of a run is chosen once, for the shapes of its batches, stored, and used again."""

import dataclasses
import json

import jax
import pytest
from lab_runs import run

import recurrent as rec
from experiments.errors import Fault
from experiments.lab import solving
from experiments.lab.opened import open_run
from experiments.lab.plan.experiment import Parts
from experiments.models.base import LastStep
from experiments.models.cell_with_readout import with_readout
from experiments.tasks.adding import Adding
from recurrent.solvers import measured

pytest_plugins = ["lab_fixtures"]

ON_CPU = pytest.mark.skipif(jax.default_backend() != "cpu", reason="what is chosen on a CPU")


def parts(cell, **options):
    return Parts(Adding(num_steps=100), with_readout(cell, 1, LastStep(), **options), None)


@ON_CPU
@pytest.mark.parametrize(
    ("cell", "batch_size", "stored"),
    [
        # 100 steps of 64 sequences with 64 x 64 + 64 + 1 numbers of four bytes are 102 MiB, of 8 sequences 13 MiB
        (rec.MLSTM(2, 64), 64, rec.Checkpointed()),
        (rec.MLSTM(2, 64), 8, rec.Sequential()),
        (rec.GRU(2, 64), 4096, rec.Sequential()),
        (rec.stack(rec.MLSTM(2, 64), rec.LSTM(64, 64)), 64, (rec.Checkpointed(), rec.Fused())),
    ],
    ids=["large", "small", "not linear", "layers"],
)
def test_what_is_stored_is_what_the_default_chooses(cell, batch_size, stored, monkeypatch):
    monkeypatch.setattr(measured, "FUSED", {"LSTM": (0.9,) * 3})
    found = solving.choose(parts(cell), batch_size, ())
    names = tuple(map(str, stored)) if isinstance(stored, tuple) else str(stored)
    assert found == names
    assert solving.use(parts(cell), found).model.solver == stored


def test_a_solver_that_is_asked_for_is_stored():
    asked = parts(rec.LRU(2, 4), solver=rec.Associative())
    assert solving.choose(asked, 8, ()) == "Associative(chunk=None)"
    with pytest.raises(Fault, match=r"^unknown solver 'a solver of times to come' "):
        solving.use(asked, "a solver of times to come")
    bare = asked._replace(model=dataclasses.make_dataclass("Bare", ["cell"])(rec.LRU(2, 4)))
    assert solving.use(bare, "Sequential(projection=1)") is bare


@ON_CPU
def test_a_run_goes_on_with_the_solver_that_it_began_with(tmp_path, compile_once, monkeypatch):
    monkeypatch.setattr(measured, "FUSED", {"Elman": (0.9,) * 3})
    assert run(tmp_path).code == 0
    path = tmp_path / "elman" / "config.json"
    config = json.loads(path.read_text())
    assert config["resolved"]["solver"] == "Fused(chunk=None)"
    monkeypatch.setattr(measured, "FUSED", {})  # another measurement changes no run that there is
    assert open_run(tmp_path).model.solver == rec.Fused()
    config["resolved"]["solver"] = "Checkpointed(segment=None)"
    path.write_text(json.dumps(config))
    assert open_run(tmp_path).model.solver == rec.Checkpointed()
