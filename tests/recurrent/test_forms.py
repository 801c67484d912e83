"""Linear forms against explicit affine maps, and against step by step application."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from awkward_cells import MatrixMemoryState

from recurrent import arrays
from recurrent.forms import Composable, Constant, Delta, Dense, Diagonal, Form, ScalarDecay

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


def dense(rng, *rows):
    a = normal(rng, STEPS, BATCH, SIZE, SIZE) * 0.5
    return Dense(a, {"h": normal(rng, STEPS, BATCH, *rows, SIZE)}), {"h": normal(rng, BATCH, *rows, SIZE)}


def constant(rng, *rows):
    a, b = normal(rng, SIZE, SIZE) * 0.5, {"h": normal(rng, STEPS, BATCH, *rows, SIZE)}
    return Constant(a, b), {"h": normal(rng, BATCH, *rows, SIZE)}


def delta(rng, *heads, steps=STEPS):
    k = normal(rng, steps, BATCH, *heads, SIZE)
    form = Delta(
        log_a=-0.3 * jnp.abs(normal(rng, steps, BATCH, *heads)),
        k=k / jnp.linalg.norm(k, axis=-1, keepdims=True),
        beta=jnp.asarray(rng.uniform(0, 2, size=(steps, BATCH, *heads))),
        v=normal(rng, steps, BATCH, *heads, 2),
    )
    return form, {"h": normal(rng, BATCH, *heads, 2, SIZE)}


COMPOSABLE = {
    "real": lambda rng: diagonal(rng, False),
    "complex": lambda rng: diagonal(rng, True),
    "scalar decay": scalar_decay,
    "dense": dense,
    "dense of rows": lambda rng: dense(rng, 2),
}
FORMS = {
    **COMPOSABLE,
    "constant": constant,
    "constant of rows": lambda rng: constant(rng, 2),
    "delta": delta,
    "delta of heads": lambda rng: delta(rng, 2),
    "delta over several blocks": lambda rng: delta(rng, steps=53),
}


@pytest.fixture(params=COMPOSABLE)
def example(request, float64):
    """A form over time whose maps compose, and a state."""
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


@pytest.mark.parametrize("flagged", ["mask", "reset", "mask and reset", ""])
@pytest.mark.parametrize("name", FORMS)
def test_the_scan_is_the_loop(name, flagged, float64):
    forms, state = FORMS[name](np.random.default_rng(1))
    rng, steps = np.random.default_rng(2), arrays.num_steps(forms[-1])
    mask, reset = (jnp.asarray(rng.random((steps, BATCH)) < rate) for rate in (0.7, 0.2))
    initial = jax.tree.map(lambda leaf: leaf * 0.3, state)
    mask, reset = mask if "mask" in flagged else None, reset if "reset" in flagged else None

    @jax.jit
    def step(form, now, exists, starts):
        now = now if starts is None else arrays.where(starts, initial, now)
        return form.apply(now) if exists is None else arrays.where(exists, form.apply(now), now)

    expected, now = [], state
    for t in range(steps):
        form = forms._replace(b=at(forms.b, t)) if isinstance(forms, Constant) else at(forms, t)
        now = step(form, now, *(None if flag is None else flag[t] for flag in (mask, reset)))
        expected.append(jax.tree.map(np.asarray, now))
    found = jax.jit(lambda forms, state: forms.scan(state, mask, reset, initial))(forms, state)
    close(found, jax.tree.map(lambda *s: np.stack(s), *expected))


@pytest.mark.parametrize("name", ["constant", "constant of rows", "delta", "delta over several blocks"])
def test_what_does_not_compose_has_whole_matrices_for_an_oracle(name, float64):
    forms, state = FORMS[name](np.random.default_rng(1))
    whole = forms.dense() if isinstance(forms, Constant) else forms.dense(state)
    rng = np.random.default_rng(2)
    steps = arrays.num_steps(whole.b)
    reset = jnp.asarray(rng.random((steps, BATCH)) < 0.2)
    if name == "constant of rows":  # each row is a sequence of its own to the matrices
        reset = None
    initial = jax.tree.map(lambda leaf: leaf * 0.3, state)
    scan = jax.jit(lambda forms: forms.scan(state, None, reset, initial))
    close(scan(forms), scan(whole))


def test_powers_of_one_matrix_are_fewer_products_than_a_scan_of_matrices(float64):
    forms, state = constant(np.random.default_rng(1))

    def products(form):
        program = jax.make_jaxpr(lambda: form.scan(state, None, None, state))()
        sizes = [
            equation.outvars[0].aval.size for equation in program.eqns if "dot" in equation.primitive.name
        ]
        return sum(sizes)

    # one vector a step and level, and log2 T squares of A
    assert products(forms) <= 2 * (STEPS + 1) * BATCH * SIZE + 3 * SIZE * SIZE
    assert products(forms.dense()) > STEPS * BATCH * SIZE * SIZE


def test_the_delta_rule_replaces_what_a_key_holds(float64):
    """With β = 1 and a unit key, what is read with that key is exactly the new value, whatever was there."""
    form, state = delta(np.random.default_rng(6))
    form = form._replace(log_a=jnp.zeros_like(form.log_a), beta=jnp.ones_like(form.beta))
    states = form.scan(state, None, None, state)["h"]
    np.testing.assert_allclose(jnp.einsum("tbvk,tbk->tbv", states, form.k), form.v, atol=1e-13)


def test_delta_decays_by_any_amount_without_overflow():
    form, state = delta(np.random.default_rng(7), steps=40)
    form = form._replace(log_a=form.log_a * 1e4)

    def last(log_a):
        return jnp.sum(form._replace(log_a=log_a).scan(state, None, None, state)["h"])

    assert np.isfinite(jax.jit(jax.grad(last))(form.log_a)).all()


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
    states = form.scan(state, None, None, state)
    assert np.isfinite(jax.tree.leaves(states)[0]).all() and np.max(np.abs(states.c)) < 100


def test_a_form_without_an_operation_cannot_be_made():
    for kind in (Form, Composable):
        with pytest.raises(TypeError, match="abstract"):
            kind()
