"""Initialisers, named by literals: ``'orthogonal'``, ``('uniform', 0.1)``, ``('chrono', 100)``.

An initialiser is a function ``(key, shape, *options) -> array``. A matrix is ``[inputs, outputs]`` and multiplies from
the right; a cell with several gates initialises each gate's block apart (`blocks`), so that every block
is orthogonal, or has its own fan-out.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from recurrent.arrays import Key

__all__ = [
    "INITIALIZERS",
    "ForgetBias",
    "Spec",
    "blocks",
    "check",
    "check_forget_bias",
    "forget_bias",
    "initialize",
    "spectral_radius_of",
]

Spec = str | tuple[str | float | int, ...]
"""A name, or a name followed by its options."""
ForgetBias = float | int | tuple[str, float | int]
"""A number, or ``('chrono', t_max)`` with t_max above 2."""


def zeros(key: Key, shape: tuple[int, ...]) -> Array:
    """An array of zeros."""
    del key
    return jnp.zeros(shape)


def constant(key: Key, shape: tuple[int, ...], value: float | int = 1.0) -> Array:
    """An array filled with ``value``; 1 as forget bias: Gers et al. (2000), Jozefowicz et al. (2015)."""
    del key
    return jnp.full(shape, float(value))


def uniform(key: Key, shape: tuple[int, ...], bound: float | int | None = None) -> Array:
    """An array drawn from U(-bound, bound); the default bound 1/√outputs is the one of torch's recurrent layers."""
    limit: float = shape[-1] ** -0.5 if bound is None else bound
    return jax.random.uniform(key, shape, minval=-limit, maxval=limit)


def normal(key: Key, shape: tuple[int, ...], std: float | int = 0.01) -> Array:
    """An array drawn from N(0, std²)."""
    return std * jax.random.normal(key, shape)


def glorot(key: Key, shape: tuple[int, ...], gain: float | int = 1.0) -> Array:
    """An array drawn from U(±gain √(6 / (inputs + outputs))), Glorot & Bengio (2010)."""
    return gain * jax.nn.initializers.glorot_uniform()(key, shape)


def orthogonal(key: Key, shape: tuple[int, ...], gain: float | int = 1.0) -> Array:
    """A random orthogonal matrix (orthonormal rows or columns where it is not square), Saxe et al. (2014)."""
    return jax.nn.initializers.orthogonal(gain)(key, shape)


def identity(key: Key, shape: tuple[int, ...], scale: float | int = 1.0) -> Array:
    """``scale`` times the identity: the recurrent matrix of an IRNN, Le, Jaitly & Hinton (2015)."""
    del key
    return scale * jnp.eye(shape[0], shape[1])


def positive_definite(key: Key, shape: tuple[int, ...]) -> Array:
    """A symmetric positive definite matrix whose largest eigenvalue is 1, Talathi & Vartak (2015)."""
    draw = jax.random.normal(key, shape)
    matrix = draw @ draw.T / shape[0] + jnp.eye(shape[0])
    return matrix / jnp.linalg.eigvalsh(matrix)[-1]


def spectral_radius(key: Key, shape: tuple[int, ...], radius: float | int = 0.95) -> Array:
    """Gaussian entries scaled so that the largest absolute eigenvalue is ``radius``, Jaeger (2001)."""
    matrix = jax.random.normal(key, shape) / shape[0] ** 0.5
    return matrix * (radius / spectral_radius_of(matrix))


def spectral_radius_of(matrix: Float[Array, "h h"]) -> Float[Array, ""]:
    """The largest absolute eigenvalue of a matrix, as ‖Wⁿ‖^(1/n) with n = 2²⁴ by repeated squaring.

    Runs on every device and under every transformation, where an eigenvalue decomposition of a general
    matrix runs on CPUs alone. The relative error is about log(condition of the eigenvectors) / n.
    """

    def square(carry: tuple[Array, Array], exponent: Array) -> tuple[tuple[Array, Array], None]:
        power, log_norm = carry
        power = power @ power
        norm = jnp.linalg.norm(power)
        return (power / norm, log_norm + jnp.log(norm) * exponent), None

    norm = jnp.linalg.norm(matrix)
    exponents = 0.5 ** jnp.arange(1, 25, dtype=matrix.dtype)
    (_, log_radius), _ = jax.lax.scan(square, (matrix / norm, jnp.log(norm)), exponents)
    return jnp.exp(log_radius)


def chrono(key: Key, shape: tuple[int, ...], t_max: float | int = 100) -> Array:
    """An array drawn from log U[1, t_max - 1]: the forget bias of Tallec & Ollivier (2018), whose input bias is its
    negative.
    """
    return jnp.log(jax.random.uniform(key, shape, minval=1.0, maxval=float(t_max) - 1.0))


INITIALIZERS: dict[str, Callable[..., Array]] = {
    "zeros": zeros,
    "constant": constant,
    "uniform": uniform,
    "normal": normal,
    "glorot": glorot,
    "orthogonal": orthogonal,
    "identity": identity,
    "positive_definite": positive_definite,
    "spectral_radius": spectral_radius,
    "chrono": chrono,
}
"""The initialisers by name: what a `Spec` may begin with."""


def check(field: str, spec: Spec) -> None:
    """ValueError, naming the field, where ``spec`` names no initialiser."""
    name = spec if isinstance(spec, str) else spec[0]
    if name not in INITIALIZERS:
        raise ValueError(f"{field}: unknown initialiser {name!r}; known: {', '.join(INITIALIZERS)}")


def check_forget_bias(field: str, bias: ForgetBias) -> None:
    """ValueError, naming the field, where ``bias`` is neither a number nor ``('chrono', t_max)``."""
    if isinstance(bias, int | float):
        return
    if not (
        isinstance(bias, tuple)
        and len(bias) == 2
        and bias[0] == "chrono"
        and isinstance(bias[1], int | float)
    ):
        raise ValueError(f"{field}: expected a number or ('chrono', t_max), got {bias!r}")
    if not bias[1] > 2:
        raise ValueError(f"{field}: chrono needs t_max > 2, got {bias[1]}")


def forget_bias(bias: ForgetBias, key: Key, shape: tuple[int, ...]) -> Array:
    """The biases ``[hidden_size]`` that a forget gate starts with: a number repeated, or drawn by `chrono`.

    >>> forget_bias(2, jax.random.key(0), (2,)).tolist()
    [2.0, 2.0]
    """
    return initialize(bias if isinstance(bias, tuple) else ("constant", bias), key, shape)


def initialize(spec: Spec, key: Key, shape: tuple[int, ...]) -> Array:
    """An array of ``shape`` drawn as ``spec`` says.

    >>> initialize(("identity", 0.5), jax.random.key(0), (2, 2)).tolist()
    [[0.5, 0.0], [0.0, 0.5]]
    """
    name, *options = (spec,) if isinstance(spec, str) else spec
    return INITIALIZERS[str(name)](key, shape, *options)


def blocks(spec: Spec, key: Key, shape: tuple[int, int], num_blocks: int) -> Array:
    """``num_blocks`` matrices of ``shape``, each drawn apart, side by side: ``[inputs, num_blocks * outputs]``."""
    keys = jax.random.split(key, num_blocks)
    return jnp.concatenate([initialize(spec, block_key, shape) for block_key in keys], axis=-1)
