"""Which solver a run goes by: chosen once, for the shapes of its batches, stored with it and used when it goes on."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

import recurrent as rec
from experiments.lab.parts import SOLVERS
from experiments.lab.plan.experiment import Parts
from experiments.models import inputs
from recurrent import arrays

KNOWN: dict[str, Any] = {str(solver): solver for solver in SOLVERS.values()}
"""The solvers that a run may have stored, by what it stored."""


def choose(parts: Parts, batch_size: int, data: Any) -> str:
    """What is stored: what `recurrent.AUTO` chooses for a cell; the solver itself where another is asked for.

    A layer keeps ``AUTO``: each of its cells is a choice of its own. Nothing is computed.
    """
    model = parts.model
    asked, cell = getattr(model, "solver", rec.AUTO), getattr(model, "cell", None)
    if not isinstance(cell, rec.Cell) or asked != rec.AUTO:
        return str(asked)

    def shapes(key: Any) -> tuple[Any, Any]:
        batch = parts.task.batch(data, key, jnp.array(0), batch_size)
        state = cell.initial_state(cell.prepare(cell.init(key)), (batch_size,))
        return inputs.fit(cell, batch.inputs), state

    xs, state = jax.eval_shape(shapes, jax.random.key(0))
    return str(rec.AUTO.choose_for(cell, arrays.num_steps(xs), state)[0])


def use(parts: Parts, stored: str) -> Parts:
    """The parts with the solver that was stored; as they are where the model has none, or nobody knows it any more."""
    if stored not in KNOWN or not hasattr(parts.model, "solver"):
        return parts
    return parts._replace(model=dataclasses.replace(parts.model, solver=KNOWN[stored]))
