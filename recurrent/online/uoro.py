"""Unbiased online recurrent optimization: the influence as one random outer product.

    E[s̃_t ⊗ w̃_t] = J_t
    s̃_t = ρ₀ ∂s_t/∂s_{t-1} s̃_{t-1} + ρ₁ ν_t          ν_t: independent random signs
    w̃_t = w̃_{t-1} / ρ₀ + ν_tᵀ ∂s_t/∂w / ρ₁

Both terms of a pair get the same norm, which makes the variance of their outer product least; the estimate is
unbiased for any positive ρ that is even in ν_t.

Source: Tallec & Ollivier (2017), "Unbiased online recurrent optimization".
Differs: instead of adding a small ε to the norms, a pair one of whose members is zero is dropped. Its outer product
is zero, and the products that it would have with the other pair are zero in the mean.
"""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from recurrent.online.forward import Forward, Steps, Vector

__all__ = ["UORO"]


class _RankOne(NamedTuple):
    s: Any
    w: Any


@dataclasses.dataclass(frozen=True)
class UORO(Forward):
    """A random gradient whose mean is the exact one.

    Memory: n_state + n_weights numbers a sequence. Time: about three times that of one step's own gradient.
    ``rule_key`` draws the signs, apart for each sequence and step; the variance grows with the number of state
    coordinates and of steps that the cell remembers.
    """

    is_random = True

    def zero(self, steps: Steps) -> _RankOne:
        """The influence before the first step: both factors, s̃ and w̃, are zero."""
        return _RankOne(jnp.zeros_like(steps.start), jax.tree.map(jnp.zeros_like, steps.leaves))

    def advance(
        self, steps: Steps, influence: _RankOne, state: Vector, now: Any, key: Any
    ) -> tuple[Any, _RankOne]:
        """``(state, influence)`` after one step, by the recursion at the head of this module."""
        new, pull = jax.vjp(lambda leaves, state: steps.advance(leaves, state, now), steps.leaves, state)
        _, moved = jax.jvp(lambda state: steps.advance(steps.leaves, state, now), (state,), (influence.s,))
        signs = jax.random.rademacher(key, state.shape, state.dtype)
        old = _balanced(moved, influence.w)
        own = _balanced(signs, pull(signs)[0])
        return new, jax.tree.map(jnp.add, old, own)

    def apply(self, steps: Steps, influence: _RankOne, signal: Vector) -> Any:
        """The signal ∂L_t/∂s_t times s̃, a number, times w̃."""
        share = jnp.dot(signal, influence.s)
        return jax.tree.map(lambda leaf: share * leaf, influence.w)


def _balanced(s: Vector, w: PyTree) -> _RankOne:
    """``(ρ s, w / ρ)`` of equal norms; zeros where either norm is 0."""
    norm_s, norm_w = _norm(s), _norm(w)
    kept = (norm_s > 0) & (norm_w > 0)
    root_s, root_w = (jnp.sqrt(jnp.where(kept, norm, 1.0)) for norm in (norm_s, norm_w))
    rho = root_w / root_s
    return _RankOne(
        jnp.where(kept, rho * s, 0.0), jax.tree.map(lambda leaf: jnp.where(kept, leaf / rho, 0.0), w)
    )


def _norm(tree: PyTree) -> Float[Array, ""]:
    return jnp.sqrt(jnp.asarray(sum((jnp.sum(jnp.abs(leaf) ** 2) for leaf in jax.tree.leaves(tree)), 0.0)))
