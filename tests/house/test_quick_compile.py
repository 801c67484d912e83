"""`--quick-compile` makes other programs than users have; without it tests compile what users compile."""

import re

import jax
import jax.numpy as jnp
import pytest
from quick_options import EMITTERS, QUICK, USERS

XS = jnp.linspace(0.0, 1.0, 8)


def compiled(options=None):
    """A program, of a function of its own, so that no cache answers."""

    def curve(xs):
        return jnp.tanh(jnp.cumsum(jnp.sin(xs) * 3 + jnp.roll(xs, 1) ** 2) @ jnp.outer(xs, xs))

    return jax.jit(curve, compiler_options=options).lower(XS).compile()


def operations(program):
    return re.findall(r" = \S+ ([\w-]+)\(", program.as_text())


def size(program):
    return len(program.runtime_executable().serialize())


def is_quick():
    """Told by the operations where emitters can be chosen, else by the size, in which options take some bytes."""
    plain, users, quick = (compiled(options) for options in (None, USERS, QUICK))
    if EMITTERS:
        assert operations(users) != operations(quick)
        return operations(plain) == operations(quick)
    assert abs(size(quick) - size(users)) > 500
    return abs(size(plain) - size(quick)) < abs(size(plain) - size(users))


def test_the_option_makes_other_programs(pytestconfig):
    assert is_quick() == pytestconfig.getoption("--quick-compile")


@pytest.mark.optimised
def test_what_is_marked_is_compiled_as_users_compile():
    assert not is_quick()
