"""The linear systems of Newton's method: δ_t = δ_{t-1} A_t + r_t with δ before the first step 0, all t at once.

A_t is the transposed Jacobian of step t, so that vectors multiply from the left. `Full` and `Diagonal` say how much of
it is known.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from recurrent import forms
from recurrent.solvers.newton.kalman import damped_solution

__all__ = ["SYSTEMS", "Diagonal", "Full"]

Vectors = Float[Array, "t *b n"]
Linear = Callable[[Vectors], Vectors]


class Full(NamedTuple):
    """The linear system of a window with the whole Jacobian of each step, ``[t, *b, n, n]``."""

    a: Float[Array, "t *b n n"]

    @classmethod
    def probe(cls, tangent: Linear, like: Vectors) -> "Full":
        """The system whose map of the state before each step to the state after it is ``tangent``."""
        basis = jnp.eye(like.shape[-1], dtype=like.dtype)
        return cls(jax.vmap(lambda unit: tangent(jnp.broadcast_to(unit, like.shape)), out_axes=-2)(basis))

    def solve(self, rest: Vectors) -> Vectors:
        """The solution δ for r = ``rest``."""
        return forms.Dense(self.a, rest).scan(jnp.zeros_like(rest[0]), None, None, None)

    def transposed(self) -> "Full":
        """The adjoint system, λ_t = λ_{t+1} A_{t+1}ᵀ + g_t, for vectors with time turned around."""
        later = jnp.concatenate([self.a[1:], self.a[:1]])  # the last is multiplied by 0
        return type(self)(jnp.flip(jnp.swapaxes(later, -1, -2), axis=0))

    def damped(self, rest: Vectors, damping: Float[Array, "*b"]) -> Vectors:
        """The δ that minimises Σ |δ_t - δ_{t-1} A_t - r_t|² + damping |δ_t|²."""
        return damped_solution(jnp.swapaxes(self.a, -1, -2), rest, damping)

    @classmethod
    def tangent_solve(cls, linear: Linear, right: Vectors) -> Vectors:
        """The δ for which ``linear``, δ_t - δ_{t-1} A_t, is ``right``; differentiable in both directions."""
        system = cls.probe(lambda units: units - linear(units), right)
        return jax.lax.custom_linear_solve(
            linear,
            right,
            solve=lambda _, r: system.solve(r),
            transpose_solve=lambda _, g: jnp.flip(system.transposed().solve(jnp.flip(g, 0)), 0),
        )


class Diagonal(NamedTuple):
    """The linear system of a window that knows only the diagonal of each step's Jacobian, ``[t, *b, n]``."""

    a: Float[Array, "t *b n"]

    @classmethod
    def probe(cls, tangent: Linear, like: Vectors) -> "Diagonal":
        """The system of the map ``tangent``, as `Full.probe`, one coordinate after another: all at once would be whole
        Jacobians.
        """
        size = like.shape[-1]

        def own(index: Array) -> Array:
            unit = jax.nn.one_hot(index, size, dtype=like.dtype)
            return jnp.take(tangent(jnp.broadcast_to(unit, like.shape)), index, axis=-1)

        return cls(jnp.moveaxis(jax.lax.map(own, jnp.arange(size)), 0, -1))

    def solve(self, rest: Vectors) -> Vectors:
        """The solution δ for r = ``rest``, each coordinate by itself."""
        return forms.Diagonal(self.a, rest).scan(jnp.zeros_like(rest[0]), None, None, None)

    def transposed(self) -> "Diagonal":
        """The adjoint system, λ_t = λ_{t+1} A_{t+1} + g_t, for vectors with time turned around."""
        return type(self)(jnp.flip(jnp.concatenate([self.a[1:], self.a[:1]]), axis=0))

    def damped(self, rest: Vectors, damping: Float[Array, "*b"]) -> Vectors:
        """The δ that minimises Σ |δ_t - δ_{t-1} A_t - r_t|² + damping |δ_t|², each coordinate by itself."""
        return damped_solution(self.a[..., None, None], rest[..., None], damping[..., None])[..., 0]

    @classmethod
    def tangent_solve(cls, linear: Linear, right: Vectors) -> Vectors:
        """The δ for which ``linear`` is ``right``, with whole Jacobians: the diagonal only preconditions."""
        system = cls.probe(lambda units: units - linear(units), right)
        return jax.lax.custom_linear_solve(
            linear,
            right,
            solve=lambda matvec, r: _refined(matvec, r, system.solve),
            transpose_solve=lambda matvec, g: _refined(
                matvec, g, lambda rest: jnp.flip(system.transposed().solve(jnp.flip(rest, 0)), 0)
            ),
        )


def _refined(matvec: Linear, right: Vectors, nearly: Linear) -> Vectors:
    """The solution of ``matvec(x) = right`` by x + nearly(right - matvec(x)), which ends within t iterations.

    The error of an iteration reaches only later steps (earlier ones, in the adjoint), so in exact arithmetic
    nothing is left after t of them. NaN where rounding has kept it from that.
    """
    tol = float(jnp.finfo(right.dtype).eps) ** 0.75

    def is_open(rest: Array, x: Array) -> Array:
        # no sequence, no maximum: nothing is left to refine
        return ~(jnp.max(jnp.abs(rest), initial=0.0) <= tol * jnp.max(jnp.abs(x), initial=1.0))

    def unsolved(carry: tuple[Array, Array, Array]) -> Array:
        x, rest, count = carry
        return is_open(rest, x) & (count <= right.shape[0])

    def improve(carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        x, rest, count = carry
        x = x + nearly(rest)
        return x, right - matvec(x), count + 1

    x, rest, _ = jax.lax.while_loop(unsolved, improve, (jnp.zeros_like(right), right, jnp.array(0)))
    return jnp.where(is_open(rest, x), jnp.nan, x)


SYSTEMS = {"full": Full, "diagonal": Diagonal}
