"""The clauses of the contract that need whole sequences: one compiled program a solver, called with many numbers."""

from typing import Any, NamedTuple

import jax
import numpy as np
from contract_oracle import (
    BATCH,
    MASK,
    NUM_STEPS,
    PLAIN,
    Case,
    Outcome,
    add,
    at,
    compile_steps,
    inner,
    normal,
    numpy,
    segment_unrolls,
    separate_sequences,
)

import recurrent as rec
from recurrent import arrays

TOLERANCE = 1e-10
# central differences over ± 1e-5 in float64: errors of 1e-10 from the third derivative, 1e-11 from rounding
DIFFERENCE, DIFFERENCE_TOLERANCE = 1e-5, 1e-7
CHUNK = 3  # the second chunk starts with a reset in one of the sequences


class BrokenContract(AssertionError):
    """A clause that a cell or a layer does not keep."""


class Judge(NamedTuple):
    """Raises in the name of one subject and one solver."""

    subject: Any
    solver: Any = None

    def that(self, clause: str, holds: Any, detail: Any = "") -> None:
        if not holds:
            solver = "" if self.solver is None else f" with {self.solver}"
            raise BrokenContract(f"{self.subject!r}{solver} | {clause}{': ' if detail else ''}{detail}")

    def close(self, clause: str, got: Any, want: Any, tolerance: float = TOLERANCE) -> None:
        """max|got - want| <= tolerance max(1, max|want|), leaf by leaf; NaN is never close."""
        self.that(clause, jax.tree.structure(got) == jax.tree.structure(want), "another structure")
        pairs = zip(jax.tree.leaves_with_path(got), jax.tree.leaves(want), strict=True)
        for (path, a), b in pairs:
            name = jax.tree_util.keystr(path)
            self.that(clause, np.shape(a) == np.shape(b), f"{name} is {np.shape(a)}, not {np.shape(b)}")
            if np.size(a):
                error, bound = np.max(np.abs(a - b)), tolerance * max(1.0, np.max(np.abs(b)))
                self.that(clause, error <= bound, f"{name} is off by {error:.1e}, more than {bound:.1e}")

    def finite(self, clause: str, tree: Any) -> None:
        for path, leaf in jax.tree.leaves_with_path(tree):
            self.that(clause, np.isfinite(leaf).all(), f"{jax.tree_util.keystr(path)} is not finite")


class Program(NamedTuple):
    """A solver compiled once: ``run(cell, case) -> (forward, reverse)``; ``traces`` grows with each trace."""

    run: Any
    traces: list[None]


def compile_program(solver: Any, key: Any) -> Program:
    traces: list[None] = []

    def both_directions(cell: Any, case: Case) -> tuple[Outcome, ...]:
        traces.append(None)

        def loss(params: Any, xs: Any, state: Any, reverse: bool) -> Any:
            flags = {"mask": case.mask, "reset": case.reset, "reverse": reverse}
            values = rec.unroll(cell, params, xs, state=state, **flags, key=key, solver=solver)
            return inner(case.cotangents[reverse], values), values

        differentiate = jax.grad(loss, argnums=(0, 1, 2), has_aux=True)
        both = (differentiate(case.params, case.xs, case.state, reverse) for reverse in (False, True))
        return tuple(Outcome(values, gradients) for gradients, values in both)

    compiled = jax.jit(both_directions, static_argnums=0)
    return Program(lambda cell, case: numpy(compiled(cell, case)), traces)


def check_sequential(cell: Any, case: Case, key: Any, has_step: bool) -> tuple[Case, Any]:
    """Every clause about values and gradients; the case with a state that the cell reached, and what came of it."""
    judge, program = Judge(cell, rec.Sequential()), compile_program(rec.Sequential(), key)
    start = case.state
    case = case._replace(state=program.run(cell, case)[0].values[0])
    outcomes = program.run(cell, case)
    noise = None if key is None else cell.noise(key, NUM_STEPS, (BATCH,), case.reset)
    if has_step:
        steps = compile_steps(cell)
        for name, reverse, outcome in zip(("forward", "reverse"), (False, True), outcomes, strict=True):
            oracle = separate_sequences(case, noise, reverse, steps)
            judge.close(f"values are those of separate sequences, {name}", outcome.values, oracle.values)
            judge.close(
                f"gradients are those of separate sequences, {name}", outcome.gradients, oracle.gradients
            )
        check_causality(judge, program, cell, case)
    check_differences(judge, program, cell, case, outcomes)
    check_padding(judge, program, cell, case, outcomes)
    for state in (start, case.state):
        at_zero = program.run(cell, case._replace(xs=jax.tree.map(np.zeros_like, case.xs), state=state))
        judge.finite("values and gradients are finite at x = 0", at_zero)
    check_traces(judge, program)
    if key is None:
        check_plain(judge, program, cell, case)
        check_shapes(judge, cell, case, outcomes, has_step)
    return case, outcomes


def check_causality(judge: Judge, program: Program, cell: Any, case: Case) -> None:
    """The gradient of one step's output is 0 at every later input, and not 0 everywhere."""
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
    """The gradient of every leaf along one random direction, against central differences of the values."""
    rng = np.random.default_rng(1)
    differentiated = (case.params, case.xs, case.state)
    for index, (path, leaf) in enumerate(jax.tree.leaves_with_path(differentiated)):
        if leaf.size == 0:
            continue
        direction = normal(rng, leaf)

        def losses(scale: float, index: int = index, direction: Any = direction) -> list[Any]:
            leaves, tree = jax.tree.flatten(differentiated)
            leaves[index] = leaves[index] + scale * direction
            moved = Case(*jax.tree.unflatten(tree, leaves), *case[3:])
            values = (outcome.values for outcome in program.run(cell, moved))
            return list(map(inner, case.cotangents, values))

        pairs = zip(losses(DIFFERENCE), losses(-DIFFERENCE), outcomes, ("forward", "reverse"), strict=True)
        for above, below, outcome, name in pairs:
            slope = (jax.tree.leaves(outcome.gradients)[index] * direction).sum().real
            clause = f"gradients are slopes of the values, {name}, {('params', 'xs', 'state')[path[0].idx]}"
            clause += jax.tree_util.keystr(path[1:])
            judge.close(clause, slope, (above - below) / (2 * DIFFERENCE), DIFFERENCE_TOLERANCE)


def check_padding(judge: Judge, program: Program, cell: Any, case: Case, outcomes: Any) -> None:
    """NaN where no step exists changes no bit of outputs and gradients, and meets a gradient of 0."""
    padded = arrays.where(case.mask, case.xs, np.nan)
    clause = "padding reaches neither outputs nor gradients"
    results = program.run(cell, case._replace(xs=numpy(padded)))
    judge.finite(clause, results)
    judge.close(clause, results, outcomes, 0.0)
    for _, gradients in results:
        touched = sum(np.abs(leaf[~case.mask]).sum() for leaf in jax.tree.leaves(gradients[1]))
        judge.that(clause, touched == 0, f"the gradient of padding is {touched:.1e}")


def check_traces(judge: Judge, program: Program) -> None:
    judge.that("one trace serves all values and equal cells", len(program.traces) == 1, len(program.traces))


def check_plain(judge: Judge, program: Program, cell: Any, case: Case) -> None:
    """Without flags: the same values and gradients, compiled or not; forward mode where the solver is `Sequential`."""
    is_sequential = judge.solver == rec.Sequential()
    cotangents = jax.tree.map(np.zeros_like, case.cotangents[0])
    for leaf, full in zip(*map(jax.tree.leaves, (cotangents, case.cotangents[0])), strict=True):
        _plain(leaf, case)[...] = _plain(full, case)
    flagged = program.run(cell, case._replace(cotangents=(cotangents, cotangents)))[0]
    xs, state, cot_final, cot_ys = (
        jax.tree.map(lambda leaf: leaf[PLAIN], tree) for tree in (case.xs, case.state, cotangents[0], 0)
    )


def check_shapes(judge: Judge, cell: Any, case: Case, outcomes: Any, has_step: bool) -> None:
    pass
