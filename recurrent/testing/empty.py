"""The clause of sequences of no steps, and of batches of no sequences."""

from typing import Any

import jax

from recurrent import arrays
from recurrent.cell import Unsupported
from recurrent.testing.clauses import BrokenContract, Judge
from recurrent.testing.oracle import BATCH, NUM_STEPS, Case, at, inner
from recurrent.unroll import unroll


def check_empty(solver: Any, cell: Any, case: Case, key: Any) -> None:
    """Check that no steps, and no sequences, have values and gradients of the shapes that any others have.

    There are no numbers to compare, so nothing is computed; an `Unsupported` is left to the caller.
    """
    judge = Judge(cell, solver)

    def differentiate(case: Case) -> Any:
        def loss(params: Any, xs: Any, state: Any) -> Any:
            flags = {"mask": case.mask, "reset": case.reset}
            values = unroll(cell, params, xs, state=state, **flags, key=key, solver=solver)
            return inner(case.cotangents[0], values), values

        return jax.grad(loss, argnums=(0, 1, 2), has_aux=True)(case.params, case.xs, case.state)

    for name, num_steps, batch in (("no steps", 0, BATCH), ("no sequences", NUM_STEPS, 0)):
        steps, sequences = slice(num_steps), slice(batch)
        xs, mask, reset = at((case.xs, case.mask, case.reset), steps, sequences)
        final, ys = case.cotangents[0]
        cotangent = at(final, sequences), at(ys, steps, sequences)
        cut = Case(case.params, xs, at(case.state, sequences), mask, reset, (cotangent, cotangent))
        try:
            _, values = jax.eval_shape(differentiate, cut)
        except Unsupported:
            raise
        except Exception as error:
            raise BrokenContract(
                f"{cell!r} with {solver} | {name}: {type(error).__name__}: {error}"
            ) from error
        judge.that(name, arrays.tree_shape(values) == arrays.tree_shape(cotangent), arrays.tree_shape(values))
