"""The default solver: a choice among the others, made by measurement."""

import dataclasses
import functools
import math

import jax
from jaxtyping import PyTree

from recurrent import arrays
from recurrent.cell import Cell
from recurrent.solvers import measured
from recurrent.solvers.base import Problem, Solver
from recurrent.solvers.checkpointed import Checkpointed
from recurrent.solvers.fused.solver import Fused, has_products
from recurrent.solvers.sequential import Sequential
from recurrent.wrappers.base import Wrapper

__all__ = ["AUTO", "Auto"]


# From so many bytes of states on, a CPU computes those of a linear cell again faster than it reads them back, as
# measured by `benchmarks.auto` (docs/auto.cpu.json) and `benchmarks.cells`.
RECOMPUTED = 16 * 2**20


@dataclasses.dataclass(frozen=True)
class Auto(Solver):
    """The default: a function of the cell, its shapes and the kind of device, among exact solvers.

    On a CPU, `Checkpointed` for a cell that is linear in a large state (a matrix memory, a state space): its gradient
    takes no more time with it, and a fraction of the memory; else `Fused` for a cell whose training was measured to
    take less time with it, at the measured size that is nearest (recurrent/solvers/measured.py); a wrapper counts as
    the cell that it wraps. Everywhere else, and where a size is symbolic (`jax.export`), `Sequential`. Others may be
    faster for a cell, on a GPU above all, and have to be asked for; so has `Sequential` for a forward-mode derivative.
    """

    def choose_for(
        self, cell: Cell, num_steps: int, state: PyTree, platform: str | None = None
    ) -> tuple[Solver, str]:
        """The solver that runs a cell, and the reason in words.

        ``state`` ``[*b, ...]`` is the one before the first step, or its shapes; ``platform`` None: the one JAX runs on.
        """
        if (jax.default_backend() if platform is None else platform) != "cpu":
            return Sequential(), "what AUTO takes unless it runs on a CPU"
        kept = num_steps * sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(state))
        if not arrays.is_known(kept):
            return Sequential(), "what AUTO takes where a size is a symbol of jax.export"
        if cell.has_linear_form and kept >= RECOMPUTED:
            size = f"{kept / 2**20:,.0f} MiB of states"
            return (
                Checkpointed(),
                f"for a gradient a CPU computes {size} again faster than it reads them back",
            )
        ratio = _measured(cell, state)
        if ratio is None or not has_products(cell):
            return Sequential(), "what AUTO takes where Fused() was not measured, or finds no product"
        if ratio < 1:
            return Fused(), f"training on a CPU takes {ratio:.2f} of the time of Sequential() with it"
        return Sequential(), f"training on a CPU takes {ratio:.2f} of its time with Fused()"

    def solve(self, problem: Problem) -> tuple[PyTree, PyTree]:
        """``(final_state, ys)`` by the solver that `choose_for` names."""
        chosen, _ = self.choose_for(problem.cell, problem.num_steps, problem.state)
        return chosen.solve(problem)


def _measured(cell: Cell, state: PyTree) -> float | None:
    """The time of a training step by `Fused` over that by `Sequential`, as measured for the nearest number of sequences
    and entries of the state; None where this kind of cell was not measured.
    """
    while isinstance(cell, Wrapper):
        cell = cell.cell
    ratios = measured.FUSED.get(type(cell).__name__)
    if ratios is None:
        return None
    entries = _entries(cell)
    sequences = max(1, jax.tree.leaves(state)[0].size // entries)

    def distance(place: int) -> float:
        point = measured.POINTS[place]
        return math.hypot(math.log(sequences / point[0]), math.log(entries / point[1]))

    return ratios[min(range(len(ratios)), key=distance)]


@functools.lru_cache(maxsize=256)
def _entries(cell: Cell) -> int:
    """The numbers in the first field of a cell's state, at least 1."""
    weights = jax.eval_shape(lambda: cell.prepare(cell.init(jax.random.key(0))))
    state = jax.eval_shape(lambda weights: cell.initial_state(weights, ()), weights)
    return max(1, jax.tree.leaves(state)[0].size)


AUTO = Auto()
"""The default solver."""
