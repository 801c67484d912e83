"""The fixture `quick_compile` is for one test: another program of the same values, and nothing left behind."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

PLAIN = jax.jit
XS = jnp.linspace(0.0, 1.0, 8)


def curve(xs):
    return jnp.tanh(jnp.cumsum(jnp.sin(xs) * 3 + jnp.roll(xs, 1) ** 2) @ jnp.outer(xs, xs))


def compiled(jit):
    """The operations that the compiler left; of a function of its own, so that no cache answers."""
    program = jit(lambda xs: curve(xs)).lower(XS).compile()
    return re.findall(r" = \S+ ([\w-]+)\(", program.as_text())


@pytest.fixture(scope="module")
def plain():
    """What is compiled before any test of this module is quick."""
    return compiled(PLAIN)


def test_another_program_computes_the_same(plain, quick_compile):
    assert jax.jit is not PLAIN
    assert compiled(jax.jit) != plain
    np.testing.assert_allclose(jax.jit(curve)(XS), PLAIN(curve)(XS), rtol=1e-6)


def test_within_a_quick_test_what_was_jitted_before_stays_plain(plain, quick_compile):
    jax.jit(curve)(XS)
    assert compiled(PLAIN) == plain


def test_nothing_is_left_when_the_test_is_over(plain):
    """It stands after two tests that were quick."""
    assert jax.jit is PLAIN
    assert compiled(jax.jit) == plain


def test_a_decorator_with_arguments_is_quick_too(plain, quick_compile):
    @jax.jit(static_argnums=0)
    def scaled(factor, xs):
        return factor * curve(xs)

    np.testing.assert_allclose(scaled(2.0, XS), 2 * curve(XS), rtol=1e-6)
