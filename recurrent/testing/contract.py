"""The contract of cells and layers, executed: `check_cell` and `check_layer`.

Everything happens in float64, over the eight sequences of `Case`, through one compiled program a
solver that returns values and gradients in both directions. The clauses call it again with other numbers: another
trace of it would itself break a clause. An error names the subject, the solver and the clause.
"""

import dataclasses
import functools
import types
import typing
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import jaxtyped

from recurrent import arrays
from recurrent.cell import Cell, Layer, Noisy, Unsupported
from recurrent.solvers.associative import Associative
from recurrent.solvers.checkpointed import Checkpointed
from recurrent.solvers.fused.solver import Fused
from recurrent.solvers.newton.solver import Newton
from recurrent.solvers.sequential import Sequential
from recurrent.testing.clauses import BrokenContract, Judge, check_reference, check_sequential, check_solver
from recurrent.testing.empty import check_empty
from recurrent.testing.oracle import (
    BATCH,
    MASK,
    NUM_STEPS,
    RESET,
    Case,
    add,
    at,
    device,
    inputs,
    normal,
    numpy,
)
from recurrent.unroll import unroll

SOLVERS = (
    Sequential(),
    Sequential(None),
    Sequential(4),
    Checkpointed(),
    Checkpointed(4),
    Checkpointed((4, 2)),
    Associative(),
    Associative(4),
    Newton(4),
    Fused(),
    Fused(4),
)


def check_cell(cell: Any, *, reference: Any = None, solvers: tuple[Any, ...] | None = None) -> dict[Any, str]:
    """Raise `BrokenContract` where a cell does not keep the contract; else say which solvers run it.

    Args:
        cell: the cell.
        reference: an independent ``(cell, params, xs, state) -> (final state as a tuple, ys)`` in NumPy.
        solvers: compared with `Sequential`, which always runs; None: `SOLVERS`.

    Not for `with_states`, which emits at steps that do not exist too.

    Returns:
        For each solver ``"ok"``, or ``"unsupported: "`` and the reason.
    """
    with jax.enable_x64(True):
        judge = Judge(cell)
        judge.that("a cell derives from rec.Cell", isinstance(cell, Cell))
        judge.that("step is derived, never overridden", type(cell).step is Cell.step)
        check_value(judge, cell)
        params, state = check_init(judge, cell)
        check_fields(judge, params, state)
        check_step(judge, cell, params)
        case = make_case(cell, params, state)
        keys = (None, jax.random.key(1)) if cell.is_stochastic else (None,)
        return check_solvers(cell, case, keys, solvers, reference=reference)


def check_layer(layer: Any, *, solvers: tuple[Any, ...] | None = None) -> dict[Any, str]:
    """`check_cell` for layers: without fields and references, and without causality where there is no step."""
    with jax.enable_x64(True):
        judge = Judge(layer)
        judge.that("a layer derives from rec.Layer", isinstance(layer, Layer))
        check_value(judge, layer)
        case = make_case(layer, *check_init(judge, layer))
        check_has_step(judge, layer, case)
        return check_solvers(layer, case, (None,), solvers, has_step=layer.has_step)


def check_has_step(judge: Judge, layer: Layer, case: Case) -> None:
    """A layer says whether it can go step by step; one that says no defines no step, or refuses it by TypeError."""
    if layer.has_step:
        judge.that("a layer that has a step defines it", type(layer).step is not Layer.step)
        return

    def one_step(params: Any, state: Any, x: Any) -> Any:
        return layer.step(layer.prepare(params), state, x)

    refused = False
    try:
        jax.eval_shape(one_step, case.params, case.state, at(case.xs, 0))
    except TypeError:
        refused = True
    judge.that("a layer that steps says so by has_step", refused)


def check_solvers(
    cell: Any,
    case: Case,
    keys: tuple[Any, ...],
    solvers: Any,
    *,
    has_step: bool = True,
    reference: Any = None,
) -> dict[Any, str]:
    """Check `Sequential` against everything else, then every other solver against it, for each kind of noise."""
    verdicts: dict[Any, str] = {Sequential(): "ok"}
    for key in keys:
        reached, outcomes = check_sequential(cell, case, key, has_step)
        if key is None and reference is not None:
            check_reference(cell, reached, outcomes, reference)
        check_empty(Sequential(), cell, reached, key)
        for solver in SOLVERS if solvers is None else solvers:
            if solver == Sequential():
                continue
            try:
                check_solver(solver, cell, reached, key, outcomes)
                check_empty(solver, cell, reached, key)
                verdicts[solver] = "ok"
            except Unsupported as reason:
                verdicts[solver] = f"unsupported: {reason.option}"
    return verdicts


def check_value(judge: Judge, cell: Any) -> None:
    """Check that a cell is a frozen dataclass: hashable, equal by value, printable."""
    is_frozen = dataclasses.is_dataclass(cell) and type(cell).__dataclass_params__.frozen  # pyright: ignore[reportAttributeAccessIssue]
    judge.that("a frozen dataclass", is_frozen)
    copied = dataclasses.replace(typing.cast(Any, cell))
    try:
        same = hash(copied) == hash(cell) and copied == cell
    except TypeError as error:
        raise BrokenContract(f"{cell!r} | hashable: {error}") from error
    judge.that("equal by value", same)
    judge.that("printable", type(cell).__name__ in repr(cell) and " at 0x" not in repr(cell), repr(cell))


def check_init(judge: Judge, cell: Any) -> tuple[Any, Any]:
    """``(params, state)``, checked; parameters are moved off their initial values, because biases that start at 0 have
    to count too.
    """
    params, again = (numpy(cell.init(jax.random.key(0))) for _ in range(2))
    same = jax.tree.structure(params) == jax.tree.structure(again)
    same = same and all(map(np.array_equal, jax.tree.leaves(params), jax.tree.leaves(again)))
    judge.that("init is deterministic in its key", same)
    judge.finite("init is finite", params)
    state = numpy(cell.initial_state(cell.prepare(device(params)), (BATCH,)))
    judge.finite("the initial state is finite", state)
    check_buffers(judge, cell, device(params))
    for clause, tree, kind in (
        ("parameters are real and floating", params, jnp.floating),
        ("the state is floating or complex, never integer", state, jnp.inexact),
    ):
        for path, leaf in jax.tree.leaves_with_path(tree):
            judge.that(
                clause, jnp.issubdtype(leaf.dtype, kind), f"{jax.tree_util.keystr(path)}: {leaf.dtype}"
            )
    return add(params, normal(np.random.default_rng(0), params, 0.1)), state


def check_buffers(judge: Judge, cell: Any, params: Any) -> None:
    """Check that no field of a first state is the memory of another or of a weight, so that it may be donated."""
    weights = cell.prepare(params)
    for batch in ((), (2,)):
        owners = {memory: f"weights{name}" for name, memory in buffers((params, weights))}
        for name, memory in buffers(cell.initial_state(weights, batch)):
            clause = "every field of the first state has its own buffer"
            judge.that(clause, memory not in owners, f"{name} of {batch} shares that of {owners.get(memory)}")
            owners[memory] = name


def buffers(tree: Any) -> Iterator[tuple[str, int]]:
    """The name and the address of every array that has entries."""
    for path, leaf in jax.tree.leaves_with_path(tree):
        if isinstance(leaf, jax.Array) and leaf.size:
            yield jax.tree_util.keystr(path), leaf.unsafe_buffer_pointer()


def make_case(cell: Any, params: Any, state: Any) -> Case:
    """The `Case` that all other clauses use, drawn for one cell or layer."""
    rng = np.random.default_rng(1)
    xs = normal(rng, inputs(cell, NUM_STEPS, BATCH))
    ys = jax.eval_shape(lambda *given: unroll(cell, *given)[1], params, xs)
    return Case(params, xs, state, MASK, RESET, tuple(normal(rng, (state, ys)) for _ in range(2)))


def check_fields(judge: Judge, params: Any, state: Any) -> None:
    """Check that the state is a NamedTuple, and that annotated fields have the shapes that they claim."""
    judge.that("the state is a NamedTuple", hasattr(state, "_fields"))
    for record in (params, state):
        with jaxtyped("context"):  # within it, an axis name stands for one size
            for name, hint in getattr(type(record), "__annotations__", {}).items():
                value = jax.tree.map(jnp.asarray, getattr(record, name))
                clause = "fields have the shapes of their annotations"
                judge.that(clause, fits(value, hint), f"{name}: {hint}, {arrays.tree_shape(value)}")


def fits(value: Any, hint: Any) -> bool:
    """Whether a field has what its annotation says: arrays of jaxtyping, None, unions and tuples of them."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return any(fits(value, one) for one in typing.get_args(hint))
    if typing.get_origin(hint) is tuple:
        inner = typing.get_args(hint)
        hints = [inner[0]] * len(value) if inner[1:] == (Ellipsis,) else inner
        return len(value) == len(hints) and all(map(fits, value, hints))
    if hint is None:
        return value is None
    return isinstance(value, hint) if isinstance(hint, type) and hint is not Any else True


def check_step(judge: Judge, cell: Any, params: Any) -> None:
    """Check that `next_state` keeps structure, shapes and dtypes, whichever dtype, and `project` takes any leading
    axes.
    """

    def one_step(params: Any, x: Any, batch: tuple[int, ...]) -> tuple[Any, Any, Any]:
        weights = cell.prepare(params)
        state = cell.initial_state(weights, batch)
        u = cell.project(weights, paired(x))
        return state, cell.next_state(weights, state, u), cell.step(weights, state, u)[1]

    def paired(x: Any) -> Any:
        return Noisy(x, None) if cell.is_stochastic else x

    for dtype, batch in ((np.float64, ()), (np.float64, (3, 2)), (np.float32, (2,))):
        given = jax.tree.map(lambda leaf, dtype=dtype: leaf.astype(dtype), (params, inputs(cell, *batch)))
        old, new, y = jax.eval_shape(functools.partial(one_step, batch=batch), *given)
        judge.that("next_state keeps the structure", jax.tree.structure(old) == jax.tree.structure(new))
        for (path, a), b in zip(jax.tree.leaves_with_path(old), jax.tree.leaves(new), strict=True):
            name = f"{jax.tree_util.keystr(path)}: {a.dtype}{list(a.shape)}"
            kept = (a.shape, a.dtype) == (b.shape, b.dtype)
            judge.that("next_state keeps shapes and dtypes", kept, f"{name} became {b.dtype}{list(b.shape)}")
            judge.that("the state has the batch axes", a.shape[: len(batch)] == batch, name)
            same = jnp.finfo(a.dtype).bits == jnp.finfo(dtype).bits
            judge.that("the state has the dtype of the parameters", same, f"{name} of {dtype.__name__}")
        got = [leaf.shape for leaf in jax.tree.leaves(y)]
        claimed = [(*batch, *shape) for shape in arrays.shape_leaves(cell.output_shape)]
        judge.that("outputs have the output_shape", got == claimed, f"{got}, not {claimed}")
    weights, xs = (
        cell.prepare(device(params)),
        paired(device(normal(np.random.default_rng(0), inputs(cell, 3, 2)))),
    )
    projected = at(cell.project(weights, xs), 2, 1)
    judge.close("project takes any leading axes", projected, cell.project(weights, at(xs, 2, 1)))
