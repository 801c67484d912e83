"""The damped step of Newton's method, as the posterior mean of a linear Gaussian model.

The minimum of Σ |δ_t - F_t δ_{t-1} - r_t|² + λ |δ_t|² is the mean of δ given observations 0 with variance 1/λ, under
δ_t = F_t δ_{t-1} + r_t + noise of variance 1. Filter and smoother are associative scans.

Source: Särkkä & García-Fernández (2021), "Temporal parallelization of Bayesian smoothers"; for this use Gonzalez et
al. (2024), "Towards scalable and stable parallelization of nonlinear RNNs".
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from recurrent import arrays, forms

__all__ = ["damped_solution"]


class _Filter(NamedTuple):
    """An element of the filtering scan: mean a x + b and covariance c of the last state given the state x before it.

    ``eta`` and ``j`` are the information about x in what was observed since, vector and matrix.
    """

    a: Array
    b: Array
    c: Array
    eta: Array
    j: Array


def _transposed(matrix: Array) -> Array:
    return jnp.swapaxes(matrix, -1, -2)


def _times(matrix: Array, vector: Array) -> Array:
    return jnp.einsum("...jk,...k->...j", matrix, vector)


def _join(first: _Filter, then: _Filter) -> _Filter:
    eye = jnp.eye(first.a.shape[-1], dtype=first.a.dtype)
    # (1 + J C)⁻¹ is the transpose of (1 + C J)⁻¹: both matrices are symmetric
    inverse = arrays.widened(jnp.linalg.inv, eye + first.c @ then.j)
    forward, backward = then.a @ inverse, _transposed(first.a) @ _transposed(inverse)
    return _Filter(
        a=forward @ first.a,
        b=_times(forward, first.b + _times(first.c, then.eta)) + then.b,
        c=forward @ first.c @ _transposed(then.a) + then.c,
        eta=_times(backward, then.eta - _times(then.j, first.b)) + first.eta,
        j=backward @ then.j @ first.a + first.j,
    )


def damped_solution(
    f: Float[Array, "t *b n n"], r: Float[Array, "t *b n"], damping: Float[Array, "..."]
) -> Float[Array, "t *b n"]:
    """The minimising δ, with δ before the first step 0; ``damping`` is ``[*b]`` or broadcasts to it.

    >>> f, r = jnp.full((2, 1, 1), 0.5), jnp.array([[1.0], [0.0]])
    >>> delta = jax.jit(damped_solution)(f, r, jnp.array(1.0))  # (2.25, -0.5; -0.5, 2) δ = (1, 0)
    >>> [round(float(value), 3) for value in delta[:, 0]]
    [0.471, 0.118]
    """
    f = f.at[0].set(0.0)
    eye = jnp.broadcast_to(jnp.eye(f.shape[-1], dtype=f.dtype), f.shape)
    gain = (damping / (1.0 + damping))[..., None]
    matrix_gain = gain[..., None]
    elements = _Filter(
        a=(1.0 - matrix_gain) * f,
        b=(1.0 - gain) * r,
        c=(1.0 - matrix_gain) * eye,
        eta=-gain * _times(_transposed(f), r),
        j=matrix_gain * _transposed(f) @ f,
    )
    filtered = jax.lax.associative_scan(_join, elements)
    mean, covariance = filtered.b, filtered.c
    # backward: E[δ_t | δ_{t+1}] = mean + gain_t (δ_{t+1} - F_{t+1} mean - r_{t+1})
    later_f, later_r = jnp.concatenate([f[1:], f[:1]]), jnp.concatenate([r[1:], r[:1]])
    spread = covariance @ _transposed(later_f)
    back = spread @ arrays.widened(jnp.linalg.inv, later_f @ spread + eye)
    rest = mean - _times(back, _times(later_f, mean) + later_r)
    # after the last step nothing is known: f[0] = 0 has made its gain 0, and the mean is the filter's
    smoother = forms.Dense(jnp.flip(_transposed(back), axis=0), jnp.flip(rest, axis=0))
    return jnp.flip(smoother.scan(jnp.zeros_like(r[0]), None, None, None), axis=0)
