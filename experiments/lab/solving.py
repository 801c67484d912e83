"""Which solver a run goes by: chosen once, for the shapes of its batches, stored with it and used when it goes on."""

from typing import Any

import jax
import jax.numpy as jnp

import recurrent as rec
from experiments.lab.parts import SOLVERS
from experiments.lab.plan.experiment import Parts
from experiments.models.base import HasSolver
from experiments.tasks.base import Batch

KNOWN: dict[str, Any] = {str(solver): solver for solver in SOLVERS.values()}
"""The solvers that a run may have stored, by what it stored."""


def choose(parts: Parts, batch_size: int, data: Any) -> str:
    """What is stored: what the model's solver comes to for its batches; ``AUTO`` where it has none to choose.

    Nothing is computed.
    """
    if not isinstance(parts.model, HasSolver):
        return str(rec.AUTO)

    def batch(key: Any) -> Batch:
        return parts.task.batch(data, key, jnp.array(0), batch_size)

    return str(parts.model.chosen_solver(jax.eval_shape(batch, jax.random.key(0))))


def use(parts: Parts, stored: str) -> Parts:
    """The parts with the solver that was stored; as they are where the model has none, or nobody knows it any more."""
    if stored not in KNOWN or not isinstance(parts.model, HasSolver):
        return parts
    return parts._replace(model=parts.model.with_solver(KNOWN[stored]))
