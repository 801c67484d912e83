"""Runs under JAX_ENABLE_X64: every record keeps its type, and a run goes on under the setting it was started with."""

import jax
import numpy as np
import pytest
from lab_runs import assert_refused, digest, edit, hashes, interrupted_at, rows, run

from experiments import adding_problem, copy_memory, temporal_order
from experiments.errors import Fault
from experiments.lab.opened import open_run
from experiments.lab.plan import configs
from experiments.lab.plan.finding import declared_with
from experiments.lab.training.trainer import Trainer

pytest_plugins = ["lab_fixtures"]
pytestmark = pytest.mark.usefixtures("compile_once", "trace_once")


def described(tree):
    return jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), tree)


CONFIGS = {
    "adding": configs.changed(adding_problem.EXPERIMENT.presets["smoke"]),
    "adding of 1997": configs.changed(
        adding_problem.EXPERIMENT.presets["smoke"], variant="hs97", num_steps=30
    ),
    "copying": copy_memory.EXPERIMENT.presets["smoke"],
    "temporal order": temporal_order.EXPERIMENT.presets["smoke"],
}


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
@pytest.mark.parametrize("select", ["last", "validation", "solved"])
def test_every_record_keeps_its_type(config, select, float64):
    parts = declared_with(type(config)).build(config)
    trainer = Trainer(*parts, batch_size=4, evaluation_batch_size=8, select=select)
    first = jax.eval_shape(trainer.init, jax.random.key(0), config.learning_rate)
    updated = jax.eval_shape(trainer.update, first, (), config.learning_rate)[0]
    evaluated = jax.eval_shape(trainer.evaluate, updated, (), jax.random.key(0))[0]
    assert described(first) == described(updated) == described(evaluated)


def test_a_run_of_64_bits_goes_on_and_ends_as_one_that_was_never_interrupted(tmp_path, float64):
    unbroken, out = tmp_path / "unbroken", tmp_path / "out"
    assert run(unbroken).code == 0
    with interrupted_at(20):
        assert run(out).code == 143
    assert run(out).code == 0
    assert hashes(out / "elman") == hashes(unbroken / "elman")
    assert rows(out / "elman") == rows(unbroken / "elman")
    assert {leaf.dtype for leaf in jax.tree.leaves(open_run(out).params)} == {np.dtype("float64")}
    with jax.enable_x64(False):
        complaint = "^.*elman was started with JAX_ENABLE_X64=1, here it is 0; set it as it was$"
        assert_refused(run(out), complaint)


def test_the_other_setting_is_refused_by_its_name(unfinished, finished):
    for out, flags in ((unfinished, ()), (unfinished, ("--on-this-machine",)), (finished, ())):
        before = digest(out)
        with jax.enable_x64(True):
            complaint = "^.*elman was started with JAX_ENABLE_X64=0, here it is 1; set it as it was$"
            assert_refused(run(out, *flags), complaint)
            with pytest.raises(Fault, match=complaint):
                open_run(out)
        assert digest(out) == before


def test_a_folder_that_does_not_know_the_setting_was_started_without_it(unfinished, finished):
    edit(unfinished / "elman", lambda stored: stored["resolved"].pop("x64", None))
    assert run(unfinished).code == 0
    assert hashes(unfinished / "elman") == hashes(finished / "elman")
