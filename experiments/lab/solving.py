"""Which solver a run goes by: chosen once, for the shapes of its batches, stored with it and used when it goes on."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

import recurrent as rec
from experiments.errors import Fault, nearest
from experiments.lab.parts import SOLVERS
from experiments.lab.plan.experiment import Parts
from experiments.lab.plan.resolved import Solvers
from experiments.models import inputs
from recurrent.layers.bidirectional import Bidirectional
from recurrent.layers.stack import Stack
from recurrent.solvers.base import Problem, Solver

KNOWN: dict[str, Any] = {str(solver): solver for solver in SOLVERS.values()}
"""The solvers that a run may have stored, by what it stored."""


@dataclasses.dataclass(frozen=True, eq=False)
class _Asked(Solver):
    """Goes by `recurrent.AUTO`, and remembers what that chose: each part of a layer sees shapes of its own."""

    heard: list[Solver] = dataclasses.field(default_factory=list)

    def solve(self, problem: Problem) -> tuple[Any, Any]:
        """The choice of the default solver for this problem."""
        chosen, _ = rec.AUTO.choose_for(problem.cell, problem.num_steps, problem.state)
        self.heard.append(chosen)
        return chosen.solve(problem)


def choose(parts: Parts, batch_size: int, data: Any) -> Solvers:
    """What is stored: what `recurrent.AUTO` chooses, one entry a part for a layer of parts; else what is asked for.

    Nothing is computed.
    """
    model = parts.model
    asked, recurrence = getattr(model, "solver", rec.AUTO), getattr(model, "cell", None)
    if recurrence is None or asked != rec.AUTO:
        return _stored(asked)
    listening = _listening(recurrence)

    def run(key: Any) -> Any:
        batch = parts.task.batch(data, key, jnp.array(0), batch_size)
        xs = inputs.fit(recurrence, batch.inputs)
        return rec.unroll(recurrence, recurrence.init(key), xs, solver=listening)

    jax.eval_shape(run, jax.random.key(0))
    return _stored(_heard(listening))


def _listening(recurrence: Any) -> Any:
    """One `_Asked` for each part of a recurrence, nested as the solvers of a layer are."""
    if isinstance(recurrence, Stack):
        return tuple(map(_listening, recurrence.parts))
    if isinstance(recurrence, Bidirectional):
        return _listening(recurrence.forward), _listening(recurrence.backward)
    inner = getattr(recurrence, "cell", None)
    return _listening(inner) if isinstance(recurrence, rec.Layer) and inner is not None else _Asked()


def _heard(listening: Any) -> Any:
    if isinstance(listening, tuple):
        return tuple(map(_heard, listening))
    return listening.heard[0] if listening.heard else rec.Sequential()


def _stored(solver: Any) -> Solvers:
    return tuple(map(_stored, solver)) if isinstance(solver, tuple) else str(solver)


def use(parts: Parts, stored: Solvers) -> Parts:
    """The parts with the solver that was stored; as they are where the model has none.

    Raises:
        Fault: nobody knows a solver of that name.
    """
    if not hasattr(parts.model, "solver"):
        return parts
    return parts._replace(model=dataclasses.replace(parts.model, solver=_known(stored)))


def _known(stored: Solvers) -> Any:
    if isinstance(stored, tuple):
        return tuple(map(_known, stored))
    if stored not in KNOWN:
        raise Fault(f"unknown solver {stored!r}{nearest(stored, KNOWN)} (known: {', '.join(KNOWN)})")
    return KNOWN[stored]
