"""Which solver runs a cell, what that costs, and which others could."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, PyTree

from recurrent import arrays
from recurrent.arrays import Key
from recurrent.cell import Cell, Unsupported
from recurrent.solvers.associative import Associative
from recurrent.solvers.auto import AUTO, Auto
from recurrent.solvers.base import Solver
from recurrent.solvers.checkpointed import Checkpointed
from recurrent.solvers.fused.solver import Fused
from recurrent.solvers.newton.solver import Newton, Report
from recurrent.solvers.sequential import Sequential
from recurrent.unroll import pose, unroll

__all__ = ["explain", "refusal", "solve_report"]

SOLVERS = (
    Sequential(),
    Sequential(projection=None),
    Fused(),
    Checkpointed(),
    Associative(),
    Newton(),
)
"""One of each kind."""


def refusal(cell: Cell, solver: Solver, leading: tuple[int, ...] = (4096,)) -> str | None:
    """Why a solver cannot run a cell over inputs with ``leading`` axes (t, *b); None: it can.

    Found by tracing: nothing is computed.

    >>> import recurrent as rec
    >>> refusal(rec.LSTM(2, 3), rec.Associative())
    'its state map has no linear form'
    >>> refusal(rec.LRU(2, 3), rec.Associative())
    """
    try:
        jax.eval_shape(lambda *given: unroll(cell, *given, solver=solver), *_arguments(cell, leading))
    except Unsupported as error:
        return error.option
    return None


def explain(cell: Cell, shapes: tuple[int, ...], solver: Solver = AUTO) -> str:
    """What `recurrent.unroll` would do with inputs whose leading axes (t, *b) are ``shapes``, in a few lines.

    Names the solver that runs and why, the temporary memory that a gradient of the parameters takes with it, and
    the other solvers with theirs, or why they refuse. Compiles each of them for this machine, and runs none.

    >>> import recurrent as rec
    >>> print(explain(rec.LSTM(2, 3), (100, 8)))  # doctest: +ELLIPSIS
    LSTM(...) over 100 steps of batch (8,), state of 6 real coordinates
    runs: Fused(chunk=None), ... of temporaries for a gradient (cpu)
    why: ...
    else: ...
    refuses: Associative(chunk=None): its state map has no linear form
    """
    arguments = _arguments(cell, shapes)
    state = jax.eval_shape(lambda params, xs: pose(cell, params, xs).initial, *arguments)
    size = sum(leaf.size * (2 if jnp.iscomplexobj(leaf) else 1) for leaf in jax.tree.leaves(state))
    num_steps, *batch = shapes
    for count in batch:
        size //= max(count, 1)
    runs, why = solver, "it was asked for"
    if isinstance(solver, Auto):
        runs, why = solver.choose_for(cell, num_steps, state)
    reason = refusal(cell, runs, shapes)
    lines = [
        f"{cell} over {num_steps} steps of batch {tuple(batch)}, state of {size} real coordinates",
        f"runs: {runs}, {_memory(cell, arguments, runs)}"
        if reason is None
        else f"cannot run: {runs}: {reason}",
        f"why: {why}",
    ]
    others = [other for other in SOLVERS if other != runs]
    refusals = {other: refusal(cell, other, shapes) for other in others}
    lines += [f"else: {other}, {_memory(cell, arguments, other)}" for other in others if not refusals[other]]
    lines += [f"refuses: {other}: {refusals[other]}" for other in others if refusals[other]]
    return "\n".join(lines)


def _arguments(cell: Cell, leading: tuple[int, ...]) -> tuple[PyTree, PyTree]:
    params = jax.eval_shape(cell.init, jax.random.key(0))
    dtype = jnp.result_type(*jax.tree.leaves(params), jnp.float32)

    def inputs(shape: tuple[int, ...]) -> Any:
        return jax.ShapeDtypeStruct((*leading, *shape), dtype)

    return params, jax.tree.map(inputs, cell.input_shape, is_leaf=arrays.is_shape)


def gradient_bytes(cell: Cell, arguments: tuple[PyTree, PyTree], solver: Solver) -> int:
    """Temporary bytes of the compiled gradient of a loss of all outputs by all parameters."""

    def loss(params: PyTree, xs: PyTree) -> Any:
        _, ys = unroll(cell, params, xs, solver=solver)
        return sum(jnp.sum(jnp.abs(leaf) ** 2) for leaf in jax.tree.leaves(ys))

    plan = jax.jit(jax.grad(loss)).lower(*arguments).compile().memory_analysis()
    if plan is None:
        raise RuntimeError(f"the compiler for {jax.default_backend()} does not say how much memory it plans")
    return plan.temp_size_in_bytes


def _memory(cell: Cell, arguments: tuple[PyTree, PyTree], solver: Solver) -> str:
    mebibytes = gradient_bytes(cell, arguments, solver) / 2**20
    return f"{mebibytes:,.1f} MiB of temporaries for a gradient ({jax.default_backend()})"


def solve_report(
    cell: Cell,
    params: PyTree,
    xs: PyTree,
    *,
    solver: Newton,
    guess: PyTree = None,
    state: PyTree = None,
    mask: Bool[Array, "t *b"] | None = None,
    reset: Bool[Array, "t *b"] | None = None,
    reverse: bool = False,
    key: Key | None = None,
) -> tuple[PyTree, PyTree, Report]:
    """`recurrent.unroll` with a `Newton` solver, and its iterations, its residual and its trajectory.

    Args:
        cell: as for `recurrent.unroll`, like ``params``, ``xs``, ``state``, ``mask``, ``reset``, ``reverse``, ``key``.
        params: its parameters.
        xs: inputs ``[t, *b, *input_shape]``.
        solver: how to iterate.
        guess: the states after each step, ``[t, *b, ...]``, to start from, such as ``report.states`` of the update
            before; None: zeros.
        state: the state before the first step travelled.
        mask: True where a step exists.
        reset: True where a new segment starts.
        reverse: travel from the last step to the first.
        key: draws the noise of a stochastic wrapper.

    Returns:
        ``(final_state, ys, report)``, time as in ``xs``.

    >>> import recurrent as rec
    >>> cell = rec.GRU(2, 3)
    >>> params, xs = cell.init(jax.random.key(0)), jnp.ones((100, 2))
    >>> state, ys, report = solve_report(cell, params, xs, solver=rec.Newton())
    >>> bool((report.iterations < 12).all())
    True
    """
    problem = pose(cell, params, xs, state=state, mask=mask, reset=reset, reverse=reverse, key=key)
    if guess is not None:
        steps = arrays.num_steps(xs)
        expected = jax.tree.map(lambda leaf: (steps, *leaf.shape), problem.initial)
        if arrays.tree_shape(guess) != expected:
            raise ValueError(f"guess: expected states of shapes {expected}, got {arrays.tree_shape(guess)}")

    def turned(tree: Any) -> Any:
        return jax.tree.map(lambda leaf: jnp.flip(leaf, axis=0), tree) if reverse else tree

    final_state, ys, report = solver.report(problem, turned(guess))
    return final_state, turned(ys), turned(report)
