"""What the default solver comes to for a cell or a layer: one choice for each part, by the shapes that it sees."""

import dataclasses
from typing import Any

import jax
from jaxtyping import PyTree

import recurrent as rec
from recurrent.cell import LayerAround
from recurrent.layers.bidirectional import Bidirectional
from recurrent.layers.stack import Stack
from recurrent.solvers.base import Problem, Solver


@dataclasses.dataclass(frozen=True, eq=False)
class _Asked(Solver):
    """Goes by `recurrent.AUTO`, and remembers what that chose."""

    heard: list[Solver] = dataclasses.field(default_factory=list)

    def solve(self, problem: Problem) -> tuple[PyTree, PyTree]:
        """The choice of the default solver for this problem, carried out."""
        chosen, _ = rec.AUTO.choose_for(problem.cell, problem.num_steps, problem.state)
        self.heard.append(chosen)
        return chosen.solve(problem)


def choice(recurrence: rec.Cell | rec.Layer, xs: PyTree) -> Any:
    """The solver of a cell over inputs ``[t, *b, ...]`` or their shapes; a tuple for a layer of parts.

    Found by tracing: nothing is computed.
    """
    asked = _ask(recurrence)

    def run(xs: PyTree) -> PyTree:
        return rec.unroll(recurrence, recurrence.init(jax.random.key(0)), xs, solver=asked)

    jax.eval_shape(run, xs)
    return _answer(asked)


def _ask(recurrence: Any) -> Any:
    if isinstance(recurrence, Stack):
        return tuple(map(_ask, recurrence.parts))
    if isinstance(recurrence, Bidirectional):
        return _ask(recurrence.forward), _ask(recurrence.backward)
    return _ask(recurrence.cell) if isinstance(recurrence, LayerAround) else _Asked()


def _answer(asked: Any) -> Any:
    if isinstance(asked, tuple):
        return tuple(map(_answer, asked))
    return asked.heard[0] if asked.heard else rec.Sequential()
