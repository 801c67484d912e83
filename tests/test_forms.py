"""Linear forms against explicit affine maps, and against step by step application."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from awkward_cells import MatrixMemoryState

from recurrent import arrays
from recurrent.forms import Diagonal, Form, ScalarDecay

STEPS, BATCH, SIZE = 7, 2, 3


def normal(rng, *shape):
    return jnp.asarray(rng.normal(size=shape))


def diagonal(rng, is_complex):
    def draw(*shape):
        real = normal(rng, *shape)
        return jax.lax.complex(real, normal(rng, *shape)) if is_complex else real

    form = Diagonal({"h": draw(STEPS, BATCH, SIZE) * 0.7}, {"h": draw(STEPS, BATCH, SIZE)})
    return form, {"h": draw(BATCH, SIZE)}


def memory(rng, *leading):
    return MatrixMemoryState(
        normal(rng, *leading, SIZE, SIZE), normal(rng, *leading, SIZE), 3 * normal(rng, *leading)
    )


def scalar_decay(rng):
    return ScalarDecay(-jnp.abs(normal(rng, STEPS, BATCH)), memory(rng, STEPS, BATCH)), memory(rng, BATCH)


FORMS = {
    "real": lambda rng: diagonal(rng, False),
    "complex": lambda rng: diagonal(rng, True),
    "scalar decay": scalar_decay,
}


@pytest.fixture(params=FORMS)
def example(request, float64):
    """A form over time and a state."""
    return FORMS[request.param](np.random.default_rng(1))


def at(tree, t):
    return jax.tree.map(lambda leaf: leaf[t], tree)


def close(found, expected):
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-11, atol=1e-12)


def test_composition_is_application_one_after_the_other(example):
    forms, state = example
    close(at(forms, 1).compose(at(forms, 0)).apply(state), at(forms, 1).apply(at(forms, 0).apply(state)))


def test_composition_is_associative(example):
    a, b, c = (at(example[0], t) for t in range(3))
    close(c.compose(b).compose(a), c.compose(b.compose(a)))


def test_the_identity_changes_nothing_on_either_side(example):
    forms, state = example
    first = at(forms, 0)
    close(first.identity().apply(state), state)
    close(first.compose(first.identity()), first)
    close(first.identity().compose(first), first)


def test_a_constant_forgets(example):
    forms, state = example
    first = at(forms, 0)
    other = jax.tree.map(lambda leaf: leaf + 1, state)
    close(first.constant(state).apply(other), state)
    close(first.constant(state).value(), state)
    close(first.compose(first.constant(state)).apply(other), first.apply(state))


@pytest.mark.parametrize("chunk", [None, 1, 2, 3, 7, 100])
def test_the_scan_is_the_loop(example, chunk):
    forms, state = example
    rng = np.random.default_rng(2)
    mask, reset = (jnp.asarray(rng.random((STEPS, BATCH)) < rate) for rate in (0.7, 0.3))
    initial = jax.tree.map(lambda leaf: leaf * 0.3, state)
    expected, now = [], state
    for t in range(STEPS):
        now = arrays.where(reset[t], initial, now)
        now = arrays.where(mask[t], at(forms, t).apply(now), now)
        expected.append(now)
    close(forms.scan(state, mask, reset, initial, chunk), jax.tree.map(lambda *s: jnp.stack(s), *expected))


def test_diagonal_against_matrices(float64):
    rng = np.random.default_rng(3)
    form, state = diagonal(rng, True)
    a, b = np.asarray(form.a["h"][0, 0]), np.asarray(form.b["h"][0, 0])
    expected = np.diag(a) @ np.asarray(state["h"][0]) + b
    np.testing.assert_allclose(at(form, 0).apply(state)["h"][0], expected, rtol=1e-12)


def test_scalar_decay_in_true_scale(float64):
    # every field times e^m is the plain recurrence S' = e^log_a S + e^(b.m) B
    form, state = scalar_decay(np.random.default_rng(4))
    new = at(form, 0).apply(state)
    true = np.exp(form.log_a[0])[:, None] * state.n * np.exp(state.m)[:, None]
    true = true + form.b.n[0] * np.exp(form.b.m[0])[:, None]
    np.testing.assert_allclose(new.n * np.exp(new.m)[:, None], true, rtol=1e-12)


def test_scalar_decay_keeps_its_range_where_the_plain_recurrence_overflows(float64):
    form, state = scalar_decay(np.random.default_rng(5))
    form = form._replace(b=form.b._replace(m=form.b.m + 2000.0))
    states = form.scan(state, None, None, state, None)
    assert np.isfinite(jax.tree.leaves(states)[0]).all() and np.max(np.abs(states.c)) < 100


def test_a_form_without_an_operation_cannot_be_made():
    with pytest.raises(TypeError, match="abstract"):
        Form()
