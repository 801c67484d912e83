"""Which solver a run goes by: chosen once, for the shapes of its batches, stored with it and used when it goes on."""

from typing import Any

import jax
import jax.numpy as jnp

import recurrent as rec
from experiments.errors import Fault, nearest
from experiments.lab.parts import SOLVERS
from experiments.lab.plan.experiment import Parts
from experiments.lab.plan.resolved import Solvers
from experiments.models.base import HasSolver
from experiments.tasks.base import Batch

KNOWN: dict[str, Any] = {str(solver): solver for solver in SOLVERS.values()}
"""The solvers that a run may have stored, by what it stored."""


def choose(parts: Parts, batch_size: int, data: Any) -> Solvers:
    """What is stored: what the model's solver comes to for its batches; ``AUTO`` where it has none to choose.

    For a layer of several parts this is a tuple with one entry a part. Nothing is computed.
    """
    if not isinstance(parts.model, HasSolver):
        return str(rec.AUTO)

    def batch(key: Any) -> Batch:
        return parts.task.batch(data, key, jnp.array(0), batch_size)

    return _stored(parts.model.chosen_solver(jax.eval_shape(batch, jax.random.key(0))))


def _stored(solver: Any) -> Solvers:
    return tuple(map(_stored, solver)) if isinstance(solver, tuple) else str(solver)


def use(parts: Parts, stored: Solvers) -> Parts:
    """The parts with the solver that was stored; as they are where the model has none.

    Raises:
        Fault: nobody knows a solver of that name.
    """
    if not isinstance(parts.model, HasSolver):
        return parts
    return parts._replace(model=parts.model.with_solver(_known(stored)))


def _known(stored: Solvers) -> Any:
    if isinstance(stored, tuple):
        return tuple(map(_known, stored))
    if stored not in KNOWN:
        raise Fault(f"unknown solver {stored!r}{nearest(stored, KNOWN)} (known: {', '.join(KNOWN)})")
    return KNOWN[stored]
