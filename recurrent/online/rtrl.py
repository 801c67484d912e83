"""Real-time recurrent learning: the exact gradient, forward in time.

    J_t = ∂s_t/∂s_{t-1} J_{t-1} + ∂s_t/∂w          J: n_state rows, each like the weights

Source: Williams & Zipser (1989), "A learning algorithm for continually running fully recurrent neural networks".
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from recurrent.online.forward import Forward, Steps, Vector

__all__ = ["RTRL"]


@dataclasses.dataclass(frozen=True)
class RTRL(Forward):
    """The exact gradient without a backward pass through time.

    Memory: n_state · n_weights numbers a sequence, and as much again within a step. Time: n_state reverse
    passes of one step and n_state² · n_weights products a step. Weights are what ``cell.prepare`` returns,
    a complex one counting as two numbers.
    """

    def zero(self, steps: Steps) -> Any:
        """The influence before the first step: zeros like the weights for each real coordinate of the state."""
        size = steps.start.size
        return jax.tree.map(lambda leaf: jnp.zeros((size, *leaf.shape), leaf.dtype), steps.leaves)

    def advance(self, steps: Steps, influence: Any, state: Vector, now: Any, key: Any) -> tuple[Any, Any]:
        """``(state, influence)`` after one step, by the recursion at the head of this module."""
        new, pull = jax.vjp(lambda leaves, state: steps.advance(leaves, state, now), steps.leaves, state)
        immediate, jacobian = jax.vmap(pull)(jnp.eye(state.size, dtype=state.dtype))
        moved = jax.tree.map(lambda rows, own: own + jnp.tensordot(jacobian, rows, 1), influence, immediate)
        return new, moved

    def apply(self, steps: Steps, influence: Any, signal: Vector) -> Any:
        """The signal ∂L_t/∂s_t times the rows of the influence."""
        return jax.tree.map(lambda rows: jnp.tensordot(signal, rows, 1), influence)
