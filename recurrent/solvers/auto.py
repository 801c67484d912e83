"""The default solver: a choice among the others, made by measurement."""

import dataclasses

import jax
from jaxtyping import PyTree

from recurrent import arrays
from recurrent.cell import Cell
from recurrent.solvers.base import Problem, Solver
from recurrent.solvers.checkpointed import Checkpointed
from recurrent.solvers.sequential import Sequential

__all__ = ["AUTO", "Auto"]


# From so many bytes of states on, a CPU computes those of a linear cell again faster than it reads them back, as
# measured by `benchmarks.auto` (docs/auto.cpu.json) and `benchmarks.cells`.
RECOMPUTED = 16 * 2**20


@dataclasses.dataclass(frozen=True)
class Auto(Solver):
    """The default: a function of the cell, its shapes and the kind of device, among solvers that run every cell.

    `Checkpointed` on a CPU for a cell that is linear in a large state (a matrix memory, a state space): its gradient
    takes no more time with it, and a fraction of the memory. Else `Sequential`. Where a size is
    symbolic (`jax.export`) it is `Sequential` too. Others may be faster for a cell, on a GPU above all, and have to be
    asked for.
    """

    def choose_for(
        self, cell: Cell, num_steps: int, state: PyTree, platform: str | None = None
    ) -> tuple[Solver, str]:
        """The solver that runs a cell, and the reason in words.

        ``state`` ``[*b, ...]`` is the one before the first step, or its shapes; ``platform`` None: the one JAX runs on.
        """
        where = jax.default_backend() if platform is None else platform
        kept = num_steps * sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(state))
        is_large = arrays.is_known(kept) and kept >= RECOMPUTED
        if where == "cpu" and cell.has_linear_form and is_large:
            size = f"{kept / 2**20:,.0f} MiB of states"
            return (
                Checkpointed(),
                f"for a gradient a CPU computes {size} again faster than it reads them back",
            )
        return Sequential(), "what AUTO takes unless states are large, and linear, on a CPU"

    def solve(self, problem: Problem) -> tuple[PyTree, PyTree]:
        """``(final_state, ys)`` by the solver that `choose_for` names."""
        chosen, _ = self.choose_for(problem.cell, problem.num_steps, problem.state)
        return chosen.solve(problem)


AUTO = Auto()
"""The default solver."""
