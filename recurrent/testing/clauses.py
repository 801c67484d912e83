"""The clauses of the contract that need whole sequences: one compiled program a solver, called with many numbers."""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from recurrent import arrays
from recurrent.solvers.sequential import Sequential
from recurrent.testing.oracle import (
    BATCH,
    NUM_STEPS,
    PLAIN,
    Case,
    Outcome,
    at,
    compile_steps,
    device,
    inner,
    normal,
    numpy,
    separate_sequences,
    unroll_segments,
)
from recurrent.unroll import unroll

TOLERANCE = 1e-10
# central differences over ± 1e-5 in float64: errors of 1e-10 from the third derivative, 1e-11 from rounding
DIFFERENCE, DIFFERENCE_TOLERANCE = 1e-5, 1e-7
CHUNK = 3  # the second chunk starts with a reset in one of the sequences


class BrokenContract(AssertionError):
    """A clause that a cell or a layer does not keep."""


class Judge(NamedTuple):
    """Raises `BrokenContract` in the name of one subject and one solver."""

    subject: Any
    solver: Any = None

    def that(self, clause: str, holds: Any, detail: Any = "") -> None:
        """Raise `BrokenContract` where a clause does not hold."""
        if not holds:
            solver = "" if self.solver is None else f" with {self.solver}"
            raise BrokenContract(f"{self.subject!r}{solver} | {clause}{': ' if detail else ''}{detail}")

    def close(self, clause: str, got: Any, want: Any, tolerance: float = TOLERANCE) -> None:
        """Raise unless max|got - want| <= tolerance max(1, max|want|), leaf by leaf; NaN is never close."""
        self.that(clause, jax.tree.structure(got) == jax.tree.structure(want), "another structure")
        pairs = zip(jax.tree.leaves_with_path(got), jax.tree.leaves(want), strict=True)
        for (path, a), b in pairs:
            name = jax.tree_util.keystr(path)
            self.that(clause, np.shape(a) == np.shape(b), f"{name} is {np.shape(a)}, not {np.shape(b)}")
            if np.size(a):
                error, bound = np.max(np.abs(a - b)), tolerance * max(1.0, np.max(np.abs(b)))
                self.that(clause, error <= bound, f"{name} is off by {error:.1e}, more than {bound:.1e}")

    def finite(self, clause: str, tree: Any) -> None:
        """Raise where a leaf is not finite."""
        for path, leaf in jax.tree.leaves_with_path(tree):
            self.that(clause, np.isfinite(leaf).all(), f"{jax.tree_util.keystr(path)} is not finite")


class Program(NamedTuple):
    """A solver compiled once: ``run(cell, case) -> (forward, reverse)``; ``traces`` grows with each trace."""

    run: Any
    traces: list[None]


def compile_program(solver: Any, key: Any) -> Program:
    """Values and gradients of both directions by one solver, as one program."""
    traces: list[None] = []

    def both_directions(cell: Any, case: Case) -> tuple[Outcome, ...]:
        traces.append(None)

        def loss(params: Any, xs: Any, state: Any, reverse: bool) -> Any:
            flags = {"mask": case.mask, "reset": case.reset, "reverse": reverse}
            values = unroll(cell, params, xs, state=state, **flags, key=key, solver=solver)
            return inner(case.cotangents[reverse], values), values

        differentiate = jax.grad(loss, argnums=(0, 1, 2), has_aux=True)
        both = (differentiate(case.params, case.xs, case.state, reverse) for reverse in (False, True))
        return tuple(Outcome(values, gradients) for gradients, values in both)

    compiled = jax.jit(both_directions, static_argnums=0)
    return Program(lambda cell, case: numpy(compiled(cell, case)), traces)


def check_sequential(cell: Any, case: Case, key: Any, has_step: bool) -> tuple[Case, Any]:
    """Check every clause about numbers; the case with a state that the cell reached, and what came of it."""
    judge, program = Judge(cell, Sequential()), compile_program(Sequential(), key)
    fresh = program.run(cell, case)
    reached = case._replace(state=fresh[0].values[0])
    outcomes = program.run(dataclasses.replace(cell), reached)
    for case_at_0 in (case, reached):
        case_at_0 = case_at_0._replace(xs=jax.tree.map(np.zeros_like, case.xs))
        judge.finite("values and gradients are finite at x = 0", program.run(cell, case_at_0))
    check_padding(judge, program, cell, reached, outcomes)
    if has_step:
        check_causality(judge, program, cell, reached)
        check_separate(judge, cell, reached, key, outcomes)
    else:
        check_segments(judge, cell, case, fresh)
    check_differences(judge, program, cell, reached, outcomes)
    if key is None:
        check_no_flags(judge, program, cell, reached)
        check_rearranged(judge, cell, reached, outcomes, has_step)
    check_traces(judge, program)
    return reached, outcomes


def check_solver(solver: Any, cell: Any, case: Case, key: Any, outcomes: Any) -> None:
    """Check that a solver computes what `Sequential` computed; an `Unsupported` is left to the caller."""
    judge, program = Judge(cell, solver), compile_program(solver, key)
    solved = program.run(cell, case)
    for name, got, want in zip(("forward", "reverse"), solved, outcomes, strict=True):
        judge.close(f"the values of Sequential, {name}", got.values, want.values)
        judge.close(f"the gradients of Sequential, {name}", got.gradients, want.gradients)
    check_padding(judge, program, cell, case, solved)
    if key is None:
        check_no_flags(judge, program, cell, case)
    check_traces(judge, program)


def check_reference(cell: Any, case: Case, outcomes: Any, reference: Any) -> None:
    """Check the independent loop in NumPy, on the sequences without flags, from a state that the cell reached."""
    final, ys = outcomes[0].values
    got = reference(cell, case.params, at(case.xs, slice(None), PLAIN), at(case.state, PLAIN))
    want = tuple(at(final, PLAIN)), at(ys, slice(None), PLAIN)
    Judge(cell).close("the values of the reference", (tuple(got[0]), got[1]), want)


def check_separate(judge: Judge, cell: Any, case: Case, key: Any, outcomes: Any) -> None:
    """Check that every mask, reset and direction is a loop over separate sequences, in values and gradients."""
    noise = None if key is None else cell.noise(key, NUM_STEPS, (BATCH,), device(case.reset))
    steps = compile_steps(cell)
    for reverse, name, outcome in zip((False, True), ("forward", "reverse"), outcomes, strict=True):
        oracle = separate_sequences(case, noise, reverse, steps)
        judge.close(f"the values of separate sequences, {name}", outcome.values, oracle.values)
        judge.close(f"the gradients of separate sequences, {name}", outcome.gradients, oracle.gradients)


def check_segments(judge: Judge, layer: Any, case: Case, outcomes: Any) -> None:
    """Check that a layer without a step treats masks, resets and directions as sequences of their own."""
    whole = np.flatnonzero(~case.reset.any(axis=0))
    for reverse, name, outcome in zip((False, True), ("forward", "reverse"), outcomes, strict=True):
        final, ys = unroll_segments(layer, case, reverse)
        judge.close(f"the values of separate sequences, {name}", outcome.values[1], ys)
        judge.close(
            f"the values of separate sequences, {name}", at(outcome.values[0], whole), at(final, whole)
        )


def check_causality(judge: Judge, program: Program, cell: Any, case: Case) -> None:
    """Check that the gradient of one step's output is 0 at every later input, and not 0 everywhere."""
    step = NUM_STEPS // 2
    for reverse in (False, True):
        final, ys = jax.tree.map(np.zeros_like, case.cotangents[reverse])
        jax.tree.map(lambda leaf, full: leaf.__setitem__(step, full[step]), ys, case.cotangents[reverse][1])
        g_xs = program.run(cell, case._replace(cotangents=((final, ys), (final, ys))))[reverse].gradients[1]
        later, earlier = slice(step + 1, None), slice(0, step + 1)
        if reverse:
            later, earlier = slice(0, step), slice(step, None)
        leaked = sum(np.abs(leaf[later]).sum() for leaf in jax.tree.leaves(g_xs))
        judge.that("causality: no output depends on later inputs", leaked == 0, f"gradient {leaked:.1e}")
        seen = sum(np.abs(leaf[earlier]).sum() for leaf in jax.tree.leaves(g_xs))
        judge.that("outputs depend on inputs", seen > 0)


def check_differences(judge: Judge, program: Program, cell: Any, case: Case, outcomes: Any) -> None:
    """Check the gradient of every leaf along one random direction against central differences of the values."""
    rng = np.random.default_rng(1)
    differentiated = (case.params, case.xs, case.state)
    for index, (path, leaf) in enumerate(jax.tree.leaves_with_path(differentiated)):
        if leaf.size == 0:
            continue
        direction = normal(rng, leaf)

        def losses(scale: float, index: int = index, direction: Any = direction) -> list[Any]:
            leaves, tree = jax.tree.flatten(differentiated)
            leaves[index] = leaves[index] + scale * direction
            moved = Case._make((*jax.tree.unflatten(tree, leaves), *case[3:]))
            values = (outcome.values for outcome in program.run(cell, moved))
            return list(map(inner, case.cotangents, values))

        pairs = zip(losses(DIFFERENCE), losses(-DIFFERENCE), outcomes, ("forward", "reverse"), strict=True)
        for above, below, outcome, name in pairs:
            slope = (jax.tree.leaves(outcome.gradients)[index] * direction).sum().real
            clause = f"gradients are slopes of the values, {name}, {('params', 'xs', 'state')[path[0].idx]}"
            clause += jax.tree_util.keystr(path[1:])
            judge.close(clause, slope, (above - below) / (2 * DIFFERENCE), DIFFERENCE_TOLERANCE)


def check_padding(judge: Judge, program: Program, cell: Any, case: Case, outcomes: Any) -> None:
    """Check that NaN where no step exists changes no bit of outputs and gradients, and gets a gradient of 0."""
    padded = arrays.where(device(case.mask), device(case.xs), np.nan)
    clause = "padding reaches neither outputs nor gradients"
    results = program.run(cell, case._replace(xs=numpy(padded)))
    judge.finite(clause, results)
    judge.close(clause, results, outcomes, 0.0)
    for _, gradients in results:
        touched = sum(np.abs(leaf[~case.mask]).sum() for leaf in jax.tree.leaves(gradients[1]))
        judge.that(clause, touched == 0, f"the gradient of padding is {touched:.1e}")


def check_traces(judge: Judge, program: Program) -> None:
    """Check that a program was traced once, however often it ran."""
    judge.that("one trace serves all values and equal cells", len(program.traces) == 1, len(program.traces))


def check_no_flags(judge: Judge, program: Program, cell: Any, case: Case) -> None:
    """Check values and gradients without mask and reset; of `Sequential` also uncompiled and in forward mode."""
    plain = np.zeros(BATCH, bool)
    plain[PLAIN] = True
    cot_final, cot_ys = case.cotangents[0]
    cot_ys = arrays.where(device(np.broadcast_to(plain, (NUM_STEPS, BATCH))), device(cot_ys), 0.0)
    cotangent = numpy((arrays.where(device(plain), device(cot_final), 0.0), cot_ys))
    flagged = program.run(cell, case._replace(cotangents=(cotangent, cotangent)))[0]

    def over_time(tree: Any) -> Any:
        return jax.tree.map(lambda leaf: leaf[:, PLAIN], tree)

    def narrow(outcome: Any) -> Any:
        (final, ys), (params, xs, state) = outcome
        return Outcome((at(final, PLAIN), over_time(ys)), (params, over_time(xs), at(state, PLAIN)))

    primals = (case.params, over_time(case.xs), at(case.state, PLAIN))
    tangents = normal(np.random.default_rng(2), primals)
    cotangent = narrow((cotangent, primals))[0]

    def loss(params: Any, xs: Any, state: Any) -> Any:
        values = unroll(cell, params, xs, state=state, solver=judge.solver)
        return inner(cotangent, values), values

    gradients, values = numpy(jax.jit(jax.grad(loss, argnums=(0, 1, 2), has_aux=True))(*primals))
    judge.close("without flags: the same values", values, narrow(flagged)[0])
    judge.close("without flags: the same gradients", gradients, narrow(flagged)[1])
    if judge.solver == Sequential():
        with jax.disable_jit():  # `unroll` compiles itself otherwise
            uncompiled = numpy(loss(*device(primals))[1])
        judge.close("compiled or not: the same values", uncompiled, values)
        try:
            slope = jax.jit(lambda *tangents: jax.jvp(loss, primals, tangents, has_aux=True)[1])(*tangents)
        except TypeError as error:
            raise BrokenContract(f"{cell!r} with {judge.solver} | forward mode: {error}") from error
        products = jax.tree.map(lambda g, v: (g * v).real.sum(), gradients, tangents)
        judge.close("forward mode", numpy(slope), np.asarray(sum(jax.tree.leaves(products))))


def check_rearranged(judge: Judge, cell: Any, case: Case, outcomes: Any, has_step: bool) -> None:
    """Check that no batch axis, two of them, and a state handed on between chunks change no value."""
    (final, ys), (final_back, ys_back) = (outcome.values for outcome in outcomes)
    every, early, late = slice(None), slice(CHUNK), slice(CHUNK, None)
    grid, one = np.arange(BATCH).reshape(2, -1), BATCH - 1

    def rearranged(case: Case) -> tuple[Any, ...]:
        def go(state: Any, steps: Any, batch: Any = every, reverse: bool = False) -> Any:
            xs, mask, reset = at((case.xs, case.mask, case.reset), steps, batch)
            flags = {"mask": mask, "reset": reset, "reverse": reverse}
            return unroll(cell, case.params, xs, state=state, solver=judge.solver, **flags)

        axes = go(at(case.state, one), every, one), go(at(case.state, grid), every, grid)
        if not has_step:
            return axes
        middle, ys_early = go(case.state, early)
        last, ys_late = go(middle, late)
        middle, ys_late_back = go(case.state, late, reverse=True)
        # travelling back, a reset at the start of the later chunk stands between the two
        initial = cell.initial_state(cell.prepare(case.params), (BATCH,))
        first, ys_early_back = go(arrays.where(case.reset[CHUNK], initial, middle), early, reverse=True)
        joined = jax.tree.map(
            lambda *parts: jnp.concatenate(parts), (ys_early, ys_early_back), (ys_late, ys_late_back)
        )
        return *axes, (last, joined[0]), (first, joined[1])

    none, two, *chunks = numpy(jax.jit(rearranged)(case))
    judge.close("no batch axes", none, (at(final, one), at(ys, every, one)))
    judge.close("two batch axes", two, (at(final, grid), at(ys, every, grid)))
    wholes = ((final, ys), (final_back, ys_back))
    for name, chunked, whole in zip(("forward", "reverse"), chunks, wholes, strict=False):
        judge.close(f"chunks are the whole, {name}", chunked, whole)
