"""Selection and shapes over pytrees."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from recurrent import arrays


def test_where_broadcasts_over_all_event_axes_of_every_leaf():
    flag = jnp.array([[True, False], [False, True]])
    new = {"a": jnp.ones((2, 2, 3, 4)), "b": jnp.ones((2, 2))}
    old = {"a": jnp.zeros((2, 2, 3, 4)), "b": jnp.full((2, 2), 5.0)}
    picked = arrays.where(flag, new, old)
    np.testing.assert_array_equal(picked["a"], np.broadcast_to(np.eye(2)[..., None, None], (2, 2, 3, 4)))
    np.testing.assert_array_equal(picked["b"], [[1, 5], [5, 1]])


def test_where_selects_and_does_not_multiply():
    def value(x):
        return jnp.sum(arrays.where(jnp.array([True, False]), x, 0.0))

    poisoned = jnp.array([2.0, jnp.nan])
    assert float(value(poisoned)) == 2.0
    np.testing.assert_array_equal(jax.grad(value)(poisoned), [1.0, 0.0])


def test_where_keeps_the_dtype():
    picked = arrays.where(
        jnp.array([True]), {"z": jnp.ones(1, jnp.complex64), "h": jnp.ones(1, jnp.bfloat16)}, 0.0
    )
    assert (picked["z"].dtype, picked["h"].dtype) == (jnp.complex64, jnp.bfloat16)


def test_batch_shape_of_a_pytree():
    xs = {"image": jnp.zeros((7, 2, 5, 4, 4)), "time": jnp.zeros((7, 2, 5))}
    assert arrays.batch_shape(xs, {"image": (4, 4), "time": ()}) == (7, 2, 5)
    assert arrays.num_steps(xs) == 7


@pytest.mark.parametrize(
    ("xs", "shape", "message"),
    [
        (jnp.zeros((7, 3)), (4,), r"expected shape \(\.\.\., 4\), got \(7, 3\)"),
        ((jnp.zeros((7, 3)), jnp.zeros((6, 3))), ((3,), (3,)), "disagree about their leading axes"),
        (jnp.zeros((7, 3)), ((3,), (3,)), "expected 2 arrays"),
    ],
)
def test_shapes_that_do_not_fit_are_named(xs, shape, message):
    with pytest.raises(ValueError, match=message):
        arrays.batch_shape(xs, shape)
