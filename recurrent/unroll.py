"""`unroll` runs a cell over a sequence; `pose` makes of its arguments the problem that solvers solve."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Bool, Int, PyTree

from recurrent import arrays
from recurrent.arrays import Key
from recurrent.cell import Cell, Layer, Noisy, Unsupported
from recurrent.solvers.auto import AUTO
from recurrent.solvers.base import Problem, Solver

__all__ = ["mask_from_lengths", "pose", "unroll"]

# JAX has no type of error for this, and no way to ask beforehand
FORWARD_MODE = "forward-mode autodiff (jvp) to a custom_vjp function"


def unroll(
    cell: Cell | Layer,
    params: PyTree,
    xs: PyTree,
    *,
    state: PyTree = None,
    mask: Bool[Array, "t *b"] | None = None,
    reset: Bool[Array, "t *b"] | None = None,
    reverse: bool = False,
    key: Key | None = None,
    solver: Any = AUTO,
) -> tuple[PyTree, PyTree]:
    """Run a cell (or a layer) over a sequence.

    Args:
        cell: a `Cell` or a `Layer`.
        params: what ``cell.init`` returned.
        xs: inputs ``[t, *b, *cell.input_shape]``; cast to the dtype of ``params``, which decides the computation.
        state: the state before the first step travelled; None: ``cell.initial_state``.
        mask: True where a step exists. Elsewhere the input counts as 0 (NaN padding can enter neither
            outputs nor gradients), the state is carried through and the output is 0.
        reset: True where a new segment starts: no state crosses between t - 1 and t in either
            direction; the segment starts from ``cell.initial_state``. Resets count at masked steps too.
        reverse: travel from the last step to the first; outputs stay at their steps.
        key: draws the noise of a stochastic wrapper; None: evaluation.
        solver: how to compute it; for a `stack`, also a tuple with one solver a part.

    Returns:
        ``(final_state, ys)``: the state after the last step travelled, and outputs ``[t, *b, *output_shape]``.

    Raises:
        ValueError: an argument's shape or dtype is not as described.
        Unsupported: the solver has no method of its own for this cell, or for a forward-mode derivative.

    >>> import recurrent as rec
    >>> cell = rec.LSTM(input_size=10, hidden_size=128)
    >>> state, ys = unroll(cell, cell.init(jax.random.key(0)), jnp.ones((7, 32, 10)))
    >>> state.c.shape, ys.shape
    ((32, 128), (7, 32, 128))
    """
    _check_values(cell, solver)
    run = _unrolled if _is_traced() else _compiled
    try:
        return run(cell, bool(reverse), solver, params, xs, state, mask, reset, key)
    except TypeError as error:
        if FORWARD_MODE not in str(error):
            raise
        reason = "it has no forward-mode derivative (jax.jvp, jax.jacfwd); take solver=Sequential()"
        raise Unsupported(solver, cell, reason) from error


def _is_traced() -> bool:
    """Whether this is part of a program that is being made, by `jax.jit` or as the body of a loop."""
    # a constant is a tracer there, whatever the arguments are, and leaves no trace where it is not used
    return isinstance(jnp.zeros(()), Tracer)


def _unrolled(
    cell: Any, reverse: bool, solver: Any, params: Any, xs: Any, state: Any, mask: Any, reset: Any, key: Any
) -> tuple[PyTree, PyTree]:
    batch = _check_inputs(cell, xs, mask, reset)
    if isinstance(cell, Layer):
        flags = {"mask": mask, "reset": reset, "reverse": reverse}
        return cell.unroll(params, xs, state=state, **flags, key=key, solver=solver)
    if not isinstance(solver, Solver):
        raise ValueError(f"solver: expected a solver such as Sequential(), got {solver!r}")
    problem = _posed(cell, params, xs, batch, state, mask, reset, reverse, key)
    final_state, ys = solver.solve(problem)
    return final_state, _flip(ys) if reverse else ys


# For calls outside a program, and their derivatives: a bare scan would be compiled, and kept, at every call, because
# its body is a new function each time.
_compiled = jax.jit(_unrolled, static_argnums=(0, 1, 2))


def pose(
    cell: Cell,
    params: PyTree,
    xs: PyTree,
    *,
    state: PyTree = None,
    mask: Bool[Array, "t *b"] | None = None,
    reset: Bool[Array, "t *b"] | None = None,
    reverse: bool = False,
    key: Key | None = None,
) -> Problem:
    """The `Problem` that `unroll` hands to its solver: arguments checked, weights prepared, time turned forward."""
    _check_values(cell, AUTO)
    batch = _check_inputs(cell, xs, mask, reset)
    return _posed(cell, params, xs, batch, state, mask, reset, reverse, key)


def _posed(
    cell: Cell,
    params: PyTree,
    xs: PyTree,
    batch: tuple[int, ...],
    state: PyTree,
    mask: Any,
    reset: Any,
    reverse: bool,
    key: Key | None,
) -> Problem:
    params = jax.tree.map(jnp.asarray, params)
    _check_params(cell, params)
    if jax.tree.leaves(params):
        dtype = arrays.real_dtype(params)
        xs = cell.cast(xs, dtype)
        _check_dtypes(cell, dtype, xs)
    length = arrays.num_steps(xs)
    noise = None
    if cell.is_stochastic and key is not None:
        noise = cell.noise(key, length, batch, reset)
    weights = cell.prepare(params)
    initial = cell.initial_state(weights, batch)
    if state is not None:
        _check_state(state, initial)
    if reverse:
        # no state may cross between t - 1 and t: travelling back, the start of a segment is put back before t - 1
        moved = None if reset is None else jnp.concatenate([reset[1:], jnp.zeros_like(reset[:1])])
        xs, noise, mask, reset = _flip((xs, noise, mask, moved))
    return Problem(cell, weights, xs, noise, initial if state is None else state, initial, mask, reset)


def _flip(tree: PyTree) -> PyTree:
    return jax.tree.map(lambda leaf: jnp.flip(leaf, axis=0), tree)


def _check_values(cell: Any, solver: Any) -> None:
    """ValueError unless cell and solver can be what a compiled program is found by: values that hash."""
    if not isinstance(cell, (Cell, Layer)):
        raise ValueError(f"cell: expected a Cell or a Layer, got {cell!r}")
    for name, value in (("cell", cell), ("solver", solver)):
        try:
            hash(value)
        except TypeError as error:
            raise ValueError(f"{name}: expected a value that hashes, got {value!r}: {error}") from error


def _check_inputs(cell: Any, xs: PyTree, mask: Any, reset: Any) -> tuple[int, ...]:
    leading = arrays.batch_shape(xs, cell.input_shape)
    if not leading:
        raise ValueError(f"xs: expected a time axis in front of {cell.input_shape}, got no axis there")
    for leaf in jax.tree.leaves(xs):
        if jnp.issubdtype(leaf.dtype, jnp.integer):
            raise ValueError(
                f"xs: expected floating numbers, got {leaf.dtype}{list(leaf.shape)}; cast them, or encode them one-hot"
            )
    for name, flag in (("mask", mask), ("reset", reset)):
        if flag is None:
            continue
        if flag.dtype != jnp.bool_:
            raise ValueError(f"{name}: expected booleans, got {flag.dtype}; write {name} != 0")
        if flag.shape != leading:
            raise ValueError(f"{name}: expected shape {leading}, the leading axes of xs, got {flag.shape}")
    return leading[1:]


@functools.lru_cache(maxsize=256)
def _expected_params(cell: Cell) -> PyTree:
    return jax.eval_shape(cell.init, jax.random.key(0))


def _check_params(cell: Cell, params: PyTree) -> None:
    expected = _expected_params(cell)
    same = jax.tree.structure(expected) == jax.tree.structure(params)
    if not same or arrays.tree_shape(expected) != arrays.tree_shape(params):
        raise ValueError(f"params: expected {_describe(expected)}, got {_describe(params)}")
    dtypes = {leaf.dtype for leaf in jax.tree.leaves(params)}
    if len(dtypes) > 1 or not all(jnp.issubdtype(dtype, jnp.inexact) for dtype in dtypes):
        raise ValueError(
            f"params: expected floating numbers of one dtype, got {_describe(params, dtypes=True)}"
        )


def _check_dtypes(cell: Cell, dtype: Any, xs: PyTree) -> None:
    """ValueError where a cell has no state map in the dtype of its parameters, or for complex inputs."""
    kinds = tuple(leaf.dtype for leaf in jax.tree.leaves(xs))
    is_complex = any(jnp.issubdtype(kind, jnp.complexfloating) for kind in kinds)
    # every cell computes in float32 and in float64 (`recurrent.testing`): these need no trace of a step more
    if dtype.itemsize >= 4 and not is_complex:
        return
    hindrance = _hindrance(cell, dtype, kinds)
    if hindrance is not None:
        name = "xs" if is_complex else "params"
        given = ", ".join(map(str, kinds)) if is_complex else dtype
        raise ValueError(f"{name}: {cell} cannot compute in {given}: {hindrance}")


@functools.lru_cache(maxsize=256)
def _hindrance(cell: Cell, dtype: Any, kinds: tuple[Any, ...]) -> str | None:
    """Why one step, traced with such parameters and inputs, is none; None: it keeps the dtypes of the state."""

    def one_step(params: PyTree, x: PyTree) -> tuple[PyTree, PyTree]:
        weights = cell.prepare(params)
        state = cell.initial_state(weights, ())
        u = cell.project(weights, Noisy(x, None) if cell.is_stochastic else x)
        return state, cell.next_state(weights, state, u)

    params = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, dtype), _expected_params(cell))
    shapes, tree = jax.tree.flatten(cell.input_shape, is_leaf=arrays.is_shape)
    xs = [jax.ShapeDtypeStruct(shape, kind) for shape, kind in zip(shapes, kinds, strict=True)]
    try:
        old, new = jax.eval_shape(one_step, params, tree.unflatten(xs))
    except (TypeError, ValueError, NotImplementedError) as error:
        return str(error).splitlines()[0]
    before, after = ([leaf.dtype for leaf in jax.tree.leaves(state)] for state in (old, new))
    return None if before == after else f"its state of {before[0]} becomes {after[0]}"


def _check_state(state: PyTree, initial: PyTree) -> None:
    given, expected = (
        [(jnp.result_type(leaf), jnp.shape(leaf)) for leaf in jax.tree.leaves(tree)]
        for tree in (state, initial)
    )
    if jax.tree.structure(state) != jax.tree.structure(initial) or given != expected:
        raise ValueError(
            f"state: expected {_describe(initial, dtypes=True)}, got {_describe(state, dtypes=True)}"
        )


def _describe(tree: PyTree, dtypes: bool = False) -> str:
    """``LSTMParams(w_x[3, 16], ...)``: the names and shapes of the leaves, in one line."""

    def leaf_text(path: Any, leaf: Any) -> str:
        name = jax.tree_util.keystr(path).lstrip(".")
        return f"{name}{f': {jnp.result_type(leaf)}' if dtypes else ''}{list(jnp.shape(leaf))}"

    leaves = [leaf_text(path, leaf) for path, leaf in jax.tree.leaves_with_path(tree)]
    return f"{type(tree).__name__}({', '.join(leaves)})"


def mask_from_lengths(lengths: Int[Array, "*b"], num_steps: int) -> Bool[Array, "t *b"]:
    """True at the first ``lengths`` steps of each sequence.

    Raises:
        ValueError: a length, where it is known while tracing, is not in 0 to ``num_steps``.

    >>> mask_from_lengths(jnp.array([1, 3]), 3).astype(int).tolist()
    [[1, 1], [0, 1], [0, 1]]
    """
    if not isinstance(lengths, Tracer) and np.size(lengths) and arrays.is_known(num_steps):
        for bound in (np.min(lengths), np.max(lengths)):
            if not 0 <= bound <= num_steps:
                raise ValueError(f"lengths: expected 0 to num_steps = {num_steps}, got {bound}")
    steps = jnp.arange(num_steps)
    return steps.reshape(-1, *(1 for _ in lengths.shape)) < lengths[None]
