"""The solver that computes all steps of any recurrence in parallel: Newton's method on the whole trajectory.

The states of a window of steps are the root of s_t - f(s_{t-1}, u_t). Each iteration linearises f along the trajectory
of the one before, for all steps at once, and solves the linear recurrence

    δ_t = J_t δ_{t-1} + r_t          r_t = f(s_{t-1}, u_t) - s_t,   J_t = ∂f/∂s at s_{t-1},   δ_0 = 0

by an associative scan; s + δ is the next trajectory. In exact arithmetic step t is right after t iterations at the
latest; where the recurrence contracts, a handful suffices for all of them. Derivatives of any order are those of the
root, by the implicit function theorem with the whole Jacobian: an approximate Jacobian changes how many iterations are
needed, never what is computed.

Source: Lim et al. (2023), "Parallelizing non-linear sequential models over the sequence length" (DEER); diagonal
Jacobians (quasi-DEER) and damping by a Kalman smoother (ELK): Gonzalez et al. (2024), "Towards scalable and stable
parallelization of nonlinear RNNs".
"""

import dataclasses
import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PyTree

from recurrent import arrays
from recurrent.cell import Unsupported, state_vector
from recurrent.sizes import Size
from recurrent.solvers.base import Problem, Solver, by_segments, check_known
from recurrent.solvers.newton.systems import SYSTEMS

__all__ = ["Newton", "Report"]


class Report(NamedTuple):
    """How `Newton` fared; each step has the numbers of the window that it lies in.

    ``residual`` is the largest |s_t - f(s_{t-1}, u_t)|, relative to the larger of 1 and the largest |s_t|;
    ``states`` is the trajectory, to be the guess of the next solution.
    """

    iterations: Int[Array, "t *b"]
    residual: Float[Array, "t *b"]
    states: PyTree


@dataclasses.dataclass(frozen=True)
class Newton(Solver):
    """All states of a window at once by Newton's method, one window after another; see the head of this module.

    ``jacobian='full'`` needs T_window B n² numbers for n real coordinates of the state, and converges quadratically;
    ``'diagonal'`` needs T_window B n and converges linearly at best. ``damping`` > 0 adds damping · residual · |δ|² to
    what an iteration minimises: shorter steps far from the solution, where undamped ones may leave the range of
    floating point. (ELK keeps the factor constant, and so converges linearly to the end.)

    A sequence whose residual is not within ``tol`` (None: eps^¾) after ``max_iters`` iterations is NaN from that
    window on, in values and gradients. No speed is claimed on a CPU: an iteration does n times the work of a step.
    Refuses, naming the bytes, states of more than ``max_state`` real coordinates.
    """

    window: Size = 256
    max_iters: Size = 32
    tol: float | int | None = None
    jacobian: str = "full"
    damping: float | int = 0.0
    max_state: Size = 64

    def __post_init__(self) -> None:
        """ValueError, naming the field, where an option is out of its range or unknown."""
        super().__post_init__()
        if self.jacobian not in ("full", "diagonal"):
            raise ValueError(f"jacobian: expected 'full' or 'diagonal', got {self.jacobian!r}")
        for name in ("tol", "damping"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < math.inf:
                raise ValueError(f"{name}: expected a number from 0, got {value}")

    def solve(self, problem: Problem) -> tuple[PyTree, PyTree]:
        """``(final_state, ys)`` by iterations that start from states of 0."""
        final_state, ys, _ = self.report(problem, None)
        return final_state, ys

    def report(self, problem: Problem, guess: PyTree) -> tuple[PyTree, PyTree, Report]:
        """``(final_state, ys, report)`` by iterations that start from a guess of the states, ``[t, *b, ...]``; None:
        zeros.
        """
        check_known(self, problem)
        self.check_size(problem)
        if guess is None:
            guess = jax.tree.map(
                lambda leaf: jnp.zeros((problem.num_steps, *leaf.shape), leaf.dtype), problem.state
            )

        def run(state: PyTree, steps: tuple[PyTree, PyTree]) -> tuple[PyTree, PyTree]:
            return self._window(problem.at(steps[0], state), steps[1])

        window = max(1, min(self.window, problem.num_steps))
        state, (ys, report) = by_segments(run, problem.state, (problem.over_time(), guess), window)
        return state, ys, report

    def check_size(self, problem: Problem) -> None:
        """`Unsupported` where the state has more than ``max_state`` real coordinates."""
        vectors = _Vectors(problem)
        if vectors.size > self.max_state:
            steps = min(self.window, problem.num_steps) * math.prod(vectors.batch)
            floats = vectors.size if self.jacobian == "diagonal" else vectors.size**2
            size = steps * floats * vectors.dtype.itemsize
            size = f"{size:,}" if arrays.is_known(size) else size  # of a symbolic batch
            raise Unsupported(
                self,
                problem.cell,
                f"its state has {vectors.size} real coordinates, more than max_state={self.max_state}: "
                f"the Jacobians of one window would take {size} bytes; "
                f"Newton(max_state={vectors.size}) allows that",
            )

    def _window(self, problem: Problem, guess: PyTree) -> tuple[PyTree, tuple[PyTree, Report]]:
        vectors = _Vectors(problem)
        start = vectors.pack(problem.state)
        us = problem.project(problem.xs, problem.noise, problem.mask)
        initial = jax.tree.map(
            lambda leaf: jnp.broadcast_to(leaf, (problem.num_steps, *leaf.shape)), problem.initial
        )
        steps = problem._replace(initial=initial)

        def move(previous: Array) -> Array:
            return vectors.pack(steps.move(vectors.unpack(previous), us, problem.mask, problem.reset))

        def remainder(trajectory: Array) -> Array:
            return trajectory - move(_shift(trajectory, start))

        trajectory, (count, residual) = jax.lax.custom_root(
            remainder,
            vectors.pack(guess),
            lambda _, first: self._iterate(move, first, start),
            SYSTEMS[self.jacobian].tangent_solve,
            has_aux=True,
        )
        # multiplied, so that the gradient is NaN too
        converged = residual <= self._tol(trajectory)
        trajectory = trajectory * jnp.where(converged, 1.0, jnp.nan)[..., None].astype(trajectory.dtype)
        states = vectors.unpack(trajectory)
        ys = problem.emit(states, us, problem.mask)
        everywhere = functools.partial(jnp.broadcast_to, shape=trajectory.shape[:-1])
        report = Report(everywhere(count.astype(jnp.int32)), everywhere(residual), states)
        return jax.tree.map(lambda leaf: leaf[-1], states), (ys, report)

    def _iterate(self, move: Callable[[Array], Array], first: Array, start: Array) -> tuple[Array, Any]:
        tol = self._tol(first)

        def look(trajectory: Array) -> Array:
            rest = jnp.max(jnp.abs(trajectory - move(_shift(trajectory, start))), axis=(0, -1))
            return rest / jnp.maximum(1.0, jnp.max(jnp.abs(trajectory), axis=(0, -1)))

        def unsolved(carry: tuple[Array, Array, Array]) -> Array:
            _, count, residual = carry
            return jnp.any(~(residual <= tol) & (count < self.max_iters))

        def improve(carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
            trajectory, count, residual = carry
            moved, tangent = jax.linearize(move, _shift(trajectory, start))
            rest = moved - trajectory
            system = SYSTEMS[self.jacobian].probe(tangent, rest)
            # in proportion to what is left, so that the end is as fast as without
            damping = self.damping * jnp.minimum(residual, 1.0)
            change = system.damped(rest, damping) if self.damping else system.solve(rest)
            # where a step leaves the range of floating point, one application of the cell itself
            new = jnp.where(jnp.isfinite(change), trajectory + change, moved)
            new = jnp.where(jnp.isfinite(new), new, 0.0)
            # a sequence that is done stays as it is, whatever the rest of its batch needs
            open_ = ~(residual <= tol)
            trajectory = jnp.where(open_[..., None], new, trajectory)
            return trajectory, count + open_, jnp.where(open_, look(trajectory), residual)

        residual = look(first)
        carry = first, jnp.zeros(residual.shape, jnp.int32), residual
        trajectory, count, residual = jax.lax.while_loop(unsolved, improve, carry)
        # custom_root gives integers beside the root tangents that JAX refuses
        return trajectory, (count.astype(residual.dtype), residual)

    def _tol(self, like: Array) -> float:
        return float(jnp.finfo(like.dtype).eps) ** 0.75 if self.tol is None else float(self.tol)


class _Vectors:
    """The states of a problem, with any leading axes, as arrays of real vectors."""

    def __init__(self, problem: Problem) -> None:
        example = jax.eval_shape(lambda: problem.cell.initial_state(problem.weights, ()))
        zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), example)
        vector, self._restore = state_vector(zeros)
        self.size, self.dtype = vector.size, vector.dtype
        self._event_axes = jax.tree.leaves(zeros)[0].ndim
        leaf = jax.tree.leaves(problem.initial)[0]
        self.batch = leaf.shape[: leaf.ndim - self._event_axes]

    def pack(self, states: PyTree) -> Float[Array, "*b n"]:
        """The states as real vectors ``[..., n]``."""
        leading = jax.tree.leaves(states)[0].ndim - self._event_axes
        return _mapped(lambda state: state_vector(state)[0], leading)(states)

    def unpack(self, vectors: Float[Array, "*b n"]) -> PyTree:
        """The states that real vectors ``[..., n]`` stand for."""
        return _mapped(self._restore, vectors.ndim - 1)(vectors)


def _mapped(fn: Callable[[Any], Any], axes: int) -> Callable[[Any], Any]:
    for _ in range(axes):
        fn = jax.vmap(fn)
    return fn


def _shift(trajectory: Float[Array, "t *b n"], start: Float[Array, "*b n"]) -> Float[Array, "t *b n"]:
    """The state before each step: the states one step later, behind the first."""
    return jnp.concatenate([start[None], trajectory[:-1]])
