"""How large a model is: trainable numbers, and numbers that go from step to step. Traced, so that no array is made."""

from typing import Any

import jax
import jax.numpy as jnp


def num_parameters(model: Any) -> int:
    """Trainable numbers of whatever has ``init(key)``: a cell, a layer, a whole model.

    >>> import recurrent as rec
    >>> num_parameters(rec.LSTM(2, 3))  # 4h(d + h + 1)
    72
    """
    # the key is made inside: outside of tracing it would start a backend
    return sum(leaf.size for leaf in jax.tree.leaves(jax.eval_shape(lambda: model.init(jax.random.key(0)))))


def first_state(recurrence: Any) -> Any:
    """Shapes of the state of a cell or a layer before the first step of one sequence."""
    return jax.eval_shape(
        lambda: recurrence.initial_state(recurrence.prepare(recurrence.init(jax.random.key(0))), ())
    )


def num_state(recurrence: Any) -> int:
    """Real numbers in the state of one sequence; a complex one is two, as in ``recurrent.state_vector``.

    >>> import recurrent as rec
    >>> num_state(rec.LSTM(2, 3))  # h and c
    6
    """
    leaves = jax.tree.leaves(first_state(recurrence))
    return sum(leaf.size * (2 if jnp.issubdtype(leaf.dtype, jnp.complexfloating) else 1) for leaf in leaves)
