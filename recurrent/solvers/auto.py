"""The default solver: a choice among the others, made by measurement."""

import dataclasses
import functools
from typing import NamedTuple

import jax
from jaxtyping import PyTree

from recurrent import arrays
from recurrent.cell import Cell
from recurrent.solvers.base import Problem, Solver
from recurrent.solvers.checkpointed import Checkpointed
from recurrent.solvers.fused.solver import Fused, has_products
from recurrent.solvers.sequential import Sequential

__all__ = ["AUTO", "Auto"]


# From so many bytes of states on, a CPU computes those of a linear cell again faster than it reads them back, as
# measured by `benchmarks.auto` (docs/auto.cpu.json) and `benchmarks.cells`.
RECOMPUTED = 16 * 2**20
# Up to so many weights times sequences a step is too small for all cores of a CPU, and the weight gradients of many
# steps together are not: `benchmarks.speed` (docs/speed.cpu.json).
GATHERED = 2**25


@dataclasses.dataclass(frozen=True)
class Auto(Solver):
    """The default: a function of the cell, its shapes and the kind of device, among exact solvers.

    On a CPU, `Checkpointed` for a cell that is linear in a large state (a matrix memory, a state space): its gradient
    takes no more time with it, and a fraction of the memory; and `Fused` for a cell that is not linear and multiplies
    by weights, up to 2²⁵ weights times sequences. Else, and where a size is symbolic (`jax.export`), `Sequential`.
    Others may be faster for a cell, on a GPU above all, and have to be asked for; so has `Sequential` for a
    forward-mode derivative.
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
        if not cell.has_linear_form and _is_gathered(cell, state):
            return Fused(), "for a gradient a CPU forms the weight gradients of many steps in one product"
        return Sequential(), "what AUTO takes on a CPU for a small linear state, and for large weights"

    def solve(self, problem: Problem) -> tuple[PyTree, PyTree]:
        """``(final_state, ys)`` by the solver that `choose_for` names."""
        chosen, _ = self.choose_for(problem.cell, problem.num_steps, problem.state)
        return chosen.solve(problem)


def _is_gathered(cell: Cell, state: PyTree) -> bool:
    """Whether `Fused` runs a cell, and its weights times the number of sequences are few."""
    sizes = _sizes(cell)
    sequences = jax.tree.leaves(state)[0].size // max(1, sizes.entries)
    return sizes.has_products and sequences * sizes.parameters <= GATHERED


class _Sizes(NamedTuple):
    """The numbers of a cell's parameters, and of the entries of the first field of its state."""

    parameters: int
    entries: int
    has_products: bool


@functools.lru_cache(maxsize=256)
def _sizes(cell: Cell) -> _Sizes:
    params = jax.eval_shape(cell.init, jax.random.key(0))
    state = jax.eval_shape(lambda params: cell.initial_state(cell.prepare(params), ()), params)
    parameters = sum(leaf.size for leaf in jax.tree.leaves(params))
    return _Sizes(parameters, jax.tree.leaves(state)[0].size, has_products(cell))


AUTO = Auto()
"""The default solver."""
