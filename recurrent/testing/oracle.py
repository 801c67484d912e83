"""What `check_cell` compares with: inputs with every combination of flags, and the slow loop over separate sequences.

The oracle never sees a mask, a reset or a direction. It cuts each sequence into its segments, drops the steps that
do not exist, turns the rest around where time runs backwards, and goes through it step by step; its gradient is
backpropagation written out by hand over the same steps. It shares `cell.step` with the library, and nothing else.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from recurrent import arrays
from recurrent.cell import Noisy
from recurrent.unroll import unroll

NUM_STEPS = 6
# Left, interior and right padding; segments of 1 to 4 steps; one that starts at a masked step, one that is all padding,
# one that starts at t = 0.
MASKS = np.array([[0, 1, 1, 0, 1, 1], [1, 1, 0, 0, 1, 0]], bool).T
RESETS = np.array([[0, 0, 1, 0, 1, 0], [1, 0, 0, 1, 0, 1]], bool).T
NEVER = np.zeros_like(RESETS)
# columns 2k and 2k + 1: neither flag, mask, reset, both
MASK = np.concatenate([~NEVER, MASKS, ~NEVER, MASKS], axis=1)
RESET = np.concatenate([NEVER, NEVER, RESETS, RESETS], axis=1)
BATCH = MASK.shape[1]
PLAIN = slice(0, 2)


class Case(NamedTuple):
    """Eight sequences of six steps, and the direction in which to differentiate: one cotangent a travel direction."""

    params: Any
    xs: Any
    state: Any
    mask: Any
    reset: Any
    cotangents: tuple[Any, Any]


class Outcome(NamedTuple):
    """What one direction of travel gave: ``values = (final_state, ys)``, ``gradients = (params, xs, state)``."""

    values: tuple[Any, Any]
    gradients: tuple[Any, Any, Any]


def normal(rng: np.random.Generator, like: Any, scale: float = 1.0) -> Any:
    """Gaussian arrays with the shapes and dtypes of ``like``, complex where it is."""

    def draw(leaf: Any) -> np.ndarray:
        noise = rng.normal(size=leaf.shape) * scale
        if jnp.issubdtype(leaf.dtype, jnp.complexfloating):
            noise = noise + 1j * rng.normal(size=leaf.shape) * scale
        return np.asarray(noise, leaf.dtype)

    return jax.tree.map(draw, like)


def numpy(tree: Any) -> Any:
    """Every leaf as an array of NumPy."""
    return jax.tree.map(np.asarray, tree)


def device(tree: Any) -> Any:
    """Every leaf as an array of JAX."""
    return jax.tree.map(jnp.asarray, tree)


def add(tree: Any, other: Any, scale: float = 1.0) -> Any:
    """``tree + scale * other``, leaf by leaf."""
    return jax.tree.map(lambda a, b: a + scale * b, tree, other)


def inner(tree: Any, other: Any) -> Any:
    """The real inner product: the sum of Re(conj(a) b) over all leaves."""
    products = jax.tree.map(lambda a, b: (a.conj() * b).real.sum(), tree, other)
    return sum(jax.tree.leaves(products))


def at(tree: Any, *index: Any) -> Any:
    """Every leaf at an index."""
    return jax.tree.map(lambda leaf: leaf[index], tree)


def inputs(cell: Any, *leading: int) -> Any:
    """Arrays of float64 with the event shapes of the cell's input; only their shapes mean something."""
    return jax.tree.map(lambda shape: np.zeros((*leading, *shape)), cell.input_shape, is_leaf=arrays.is_shape)


class Steps(NamedTuple):
    """One step and the initial state of one sequence, each with its vector-Jacobian product, compiled once."""

    step: Any
    step_vjp: Any
    start: Any
    start_vjp: Any


def compile_steps(cell: Any) -> Steps:
    """The four functions of `Steps` for one cell."""

    def step(params: Any, state: Any, x: Any, noise: Any) -> Any:
        weights = cell.prepare(params)
        return cell.step(weights, state, cell.project(weights, Noisy(x, noise) if cell.is_stochastic else x))

    def step_vjp(cotangent: Any, params: Any, state: Any, x: Any, noise: Any) -> Any:
        return jax.vjp(lambda params, state, x: step(params, state, x, noise), params, state, x)[1](cotangent)

    def start(params: Any) -> Any:
        return cell.initial_state(cell.prepare(params), ())

    def start_vjp(cotangent: Any, params: Any) -> Any:
        return jax.vjp(start, params)[1](cotangent)[0]

    return Steps._make(map(jax.jit, (step, step_vjp, start, start_vjp)))


def separate_sequences(case: Case, noise: Any, reverse: bool, steps: Steps) -> Outcome:
    """The values and gradients of one direction, by a Python loop over the existing steps of every segment."""
    case, noise = numpy(case), numpy(noise)
    # for the loss Re(conj(c) y) JAX's cotangent of y is conj(c)
    cot_final, cot_ys = jax.tree.map(np.conj, case.cotangents[reverse])
    initial = numpy(steps.start(case.params))
    final, ys = _zeros(case.state), _zeros(cot_ys)
    g_params, g_xs, g_state = map(_zeros, (case.params, case.xs, case.state))
    for b in range(BATCH):
        segments = _segments(case, b, reverse)
        for number, (segment, is_continued) in enumerate(segments):
            is_last = number == len(segments) - 1
            state, read = at(case.state, b) if is_continued else initial, []
            for t in segment:
                read.append((case.params, state, at(case.xs, t, b), at(noise, t, b)))
                state, y = numpy(steps.step(*read[-1]))
                _put(ys, y, t, b)
            g = _zeros(initial)
            if is_last:
                _put(final, state, b)
                g = at(cot_final, b)
            for t, arguments in reversed(list(zip(segment, read, strict=True))):
                g_step, g, g_x = numpy(steps.step_vjp((g, at(cot_ys, t, b)), *arguments))
                g_params = add(g_params, g_step)
                _put(g_xs, g_x, t, b)
            if is_continued:
                _put(g_state, g, b)
            else:
                g_params = add(g_params, numpy(steps.start_vjp(g, case.params)))
    return Outcome((final, ys), (g_params, g_xs, g_state))


def _zeros(tree: Any) -> Any:
    return jax.tree.map(np.zeros_like, tree)


def _put(tree: Any, value: Any, *index: Any) -> None:
    jax.tree.map(lambda leaf, new: leaf.__setitem__(index, new), tree, value)


def unroll_segments(layer: Any, case: Case, reverse: bool) -> tuple[Any, Any]:
    """`separate_sequences` for a layer without a step: its own way over each segment, from its initial state.

    The final states are those of the last segments travelled.
    """

    @functools.partial(jax.jit, static_argnums=2)
    def run(params: Any, xs: Any, reverse: bool) -> Any:
        return unroll(layer, params, xs, reverse=reverse)

    case = numpy(case)
    final, ys = _zeros(case.state), _zeros(case.cotangents[0][1])
    for b in range(BATCH):
        for segment, _ in _segments(case, b, reverse):
            if segment:
                steps = sorted(segment)
                state, y = numpy(run(case.params, at(case.xs, steps, b), reverse))
                _put(final, state, b)
                _put(ys, y, steps, b)
    return final, ys


def _segments(case: Case, b: int, reverse: bool) -> list[tuple[list[int], bool]]:
    """The existing steps of each segment in the order of travel, and whether it starts from the caller's state."""
    starts = sorted({0, *np.flatnonzero(case.reset[:, b]).tolist()})
    cut = [range(first, last) for first, last in zip(starts, [*starts[1:], len(case.reset)], strict=True)]
    existing = [[t for t in steps if case.mask[t, b]] for steps in cut]
    if reverse:
        existing = [steps[::-1] for steps in existing[::-1]]
    return [(steps, i == 0 and (reverse or not case.reset[0, b])) for i, steps in enumerate(existing)]
