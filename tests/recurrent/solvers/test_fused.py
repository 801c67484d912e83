"""`Fused` runs any cell that multiplies by weights, and forms their gradients behind its loops."""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from traced import equations

import recurrent as rec

LSTM = rec.LSTM(3, 4)
FUSED = (rec.Fused(), rec.Fused(5), rec.Fused(64))


def inputs(num_steps, batch=2, size=3):
    return jax.random.normal(jax.random.key(1), (num_steps, batch, size))


class OddWeights(NamedTuple):
    """Every way in which a step may come to its products."""

    w_x: jax.Array
    w_h: jax.Array
    kernel: jax.Array
    heads: jax.Array
    b: jax.Array


class OddState(NamedTuple):
    """One field."""

    h: jax.Array


@dataclasses.dataclass(frozen=True)
class Odd(rec.Cell):
    """Weights that are joined, scaled, cut, transposed and used twice; heads, a convolution, a weight on the left."""

    input_shape = (3,)

    def init(self, key):
        shapes = OddWeights((3, 4), (4, 4), (3, 1, 1), (2, 2, 2), (4,))
        keys = OddWeights(*jax.random.split(key, 5))
        return jax.tree.map(lambda key, shape: 0.4 * jax.random.normal(key, shape), keys, shapes)

    def initial_state(self, weights, batch_shape):
        return OddState(jnp.broadcast_to(jnp.tanh(weights.b), (*batch_shape, 4)))  # learned

    def project(self, weights, x):
        return x

    def next_state(self, weights, state, u):
        w = jnp.concatenate([weights.w_x, 2.0 * weights.w_h])
        z = jnp.concatenate([u, state.h], -1) @ w + weights.b  # one product of both, and a bias
        z = z + jnp.tanh(state.h @ weights.w_h.T) @ weights.w_h[:, ::-1]  # a product of a product, used twice
        z = z + jnp.matrix_transpose(weights.w_h @ state.h[..., None])[..., 0, :]  # on the left
        heads = state.h.reshape(*state.h.shape[:-1], 2, 2)
        z = z + jnp.einsum("...ni,nij->...nj", heads, weights.heads).reshape(z.shape)
        rows = state.h.reshape(-1, 4, 1)
        smooth = jax.lax.conv_general_dilated(
            rows, weights.kernel, (1,), "SAME", dimension_numbers=("NHC", "HIO", "NHC")
        )
        z = z - smooth.reshape(z.shape)
        a, b = jnp.split(z, 2, axis=-1)
        gated = jnp.concatenate([jnp.tanh(a), jax.nn.sigmoid(b)], -1)
        return OddState(gated * jnp.sum(weights.w_h) + 0.1 * weights.b + jax.nn.relu(z) * 0.1)


def loss(cell, solver, **options):
    def total(params, xs):
        state, ys = rec.unroll(cell, params, xs, solver=solver, **options)
        return sum(jnp.sum(jnp.sin(leaf)) for leaf in jax.tree.leaves(state)) + jnp.sum(ys**3)

    return total


def assert_equal(found, expected, tolerance=1e-12):
    for path, value in jax.tree.leaves_with_path(expected):
        other = dict(jax.tree.leaves_with_path(found))[path]
        np.testing.assert_allclose(other, value, rtol=tolerance, atol=tolerance, err_msg=str(path))


@pytest.mark.parametrize(
    "solver", [FUSED[1], *(pytest.param(way, marks=pytest.mark.medium) for way in FUSED[::2])], ids=str
)
def test_a_step_may_come_to_its_products_in_any_way(solver):
    with jax.enable_x64(True):
        cell = Odd()
        params = jax.tree.map(lambda leaf: leaf.astype(jnp.float64), cell.init(jax.random.key(0)))
        xs = inputs(64)
        mask = jax.random.bernoulli(jax.random.key(2), 0.8, (64, 2))
        reset = jax.random.bernoulli(jax.random.key(3), 0.1, (64, 2))
        flags = {"mask": mask, "reset": reset, "reverse": True}
        found, expected = (
            jax.jit(jax.value_and_grad(loss(cell, way, **flags), (0, 1)))(params, xs)
            for way in (solver, rec.Sequential())
        )
        assert_equal(found, expected)


@pytest.mark.medium
def test_derivatives_of_derivatives():
    with jax.enable_x64(True):
        cell = rec.LSTM(2, 2)
        params = jax.tree.map(lambda leaf: leaf.astype(jnp.float64), cell.init(jax.random.key(0)))
        xs = inputs(6, size=2)
        direction = jax.tree.map(
            lambda leaf: jnp.cos(jnp.arange(leaf.size * 1.0)).reshape(leaf.shape), params
        )
        for way in (jax.hessian, lambda f: jax.grad(lambda p: jnp.sum(jax.grad(f)(p).w_h ** 2))):
            found, expected = (
                jax.jit(way(lambda p, s=solver: loss(cell, s)(p, xs)))(params)
                for solver in (rec.Fused(4), rec.Sequential())
            )
            assert_equal(found, expected)
        found, expected = (
            jax.jvp(jax.grad(lambda p, s=solver: loss(cell, s)(p, xs)), (params,), (direction,))[1]
            for solver in (rec.Fused(4), rec.Sequential())
        )
        assert_equal(found, expected)


@dataclasses.dataclass(frozen=True)
class Idle(rec.Elman):
    """A cell with a product that nothing depends on, and that is added to nothing."""

    def next_state(self, weights, state, u):
        new = super().next_state(weights, state, u)
        jnp.tanh(state.h @ weights.w_h.T)
        return new


@dataclasses.dataclass(frozen=True)
class OneGate(rec.Elman):
    """A cell with one gate, a number, for all units."""

    def next_state(self, weights, state, u):
        gate = jax.nn.sigmoid(state.h @ weights.w_h[:, 0])
        return super().next_state(weights, state, u)._replace(h=jnp.tanh(u) * gate[..., None])


def test_an_activation_may_be_of_a_number():
    cell = OneGate(3, 4)
    params, xs = cell.init(jax.random.key(0)), inputs(12)[:, 0]
    found, expected = (jax.grad(loss(cell, way), (0, 1))(params, xs) for way in (FUSED[1], rec.Sequential()))
    assert_equal(found, expected, 1e-5)


@pytest.mark.parametrize("solver", FUSED[:2], ids=str)
def test_a_product_that_nothing_depends_on_has_no_gradient(solver):
    cell = Idle(3, 4)
    params, xs = cell.init(jax.random.key(0)), inputs(12)
    found = jax.grad(loss(cell, solver))(params, xs)
    assert_equal(found, jax.grad(loss(rec.Elman(3, 4), rec.Sequential()))(params, xs), 1e-5)


@pytest.mark.parametrize(("num_steps", "batch"), [(0, 2), (12, 0), (3, 2)])
def test_nothing_and_fewer_steps_than_a_chunk(num_steps, batch):
    params, xs = LSTM.init(jax.random.key(0)), inputs(num_steps, batch)
    problem = jax.grad(loss(LSTM, rec.Fused(num_steps or None)), (0, 1))(params, xs)
    assert_equal(problem, jax.grad(loss(LSTM, rec.Sequential()), (0, 1))(params, xs), 1e-5)
    if num_steps > 5:
        assert_equal(jax.grad(loss(LSTM, rec.Fused(5)), (0, 1))(params, xs), problem)


def products_by_depth(fn, *arguments):
    """The shapes of what all matrix products give, by how many loops they stand in."""
    return [
        (depth, equation.outvars[0].aval.shape)
        for depth, equation in equations(fn, *arguments)
        if equation.primitive.name == "dot_general"
    ]


def test_the_weight_gradients_stand_behind_the_loop_over_steps():
    params, xs = LSTM.init(jax.random.key(0)), inputs(64)
    one_by_one = {params.w_x.shape, params.w_x.T.shape}, {params.w_h.shape, params.w_h.T.shape}
    together = ({(3 + 4 + 1, 16)},)  # of the input, the state and ones, for the bias

    def depths(solver, weights):
        found = products_by_depth(jax.grad(loss(LSTM, solver)), params, xs)
        return [sorted(depth for depth, shape in found if shape in shapes) for shapes in weights]

    assert depths(rec.Sequential(), one_by_one) == [[1], [1]]
    for solver in FUSED:
        assert depths(solver, one_by_one) == [[], []]
    assert depths(rec.Fused(), together) == [[0]]  # 64 steps of 2 are no more than one chunk
    assert depths(rec.Fused(16), together) == [[1]]  # of the loop over chunks; a step stands in two
    assert depths(rec.Fused(20), together) == [[0, 1]]  # 4 steps are left behind


@pytest.mark.optimised
def test_it_keeps_less_than_a_plain_scan():
    cell = rec.LSTM(3, 64)
    params = cell.init(jax.random.key(0))

    def temporaries(solver):
        program = jax.jit(jax.grad(loss(cell, solver))).lower(params, inputs(512, batch=32)).compile()
        return program.memory_analysis().temp_size_in_bytes

    assert temporaries(rec.Fused()) < 0.85 * temporaries(rec.Sequential())
    inside = rec.Checkpointed(inside=rec.Fused())
    assert temporaries(inside) < 1.01 * temporaries(rec.Checkpointed())


def test_segments_may_go_by_it():
    with jax.enable_x64(True):
        params = jax.tree.map(lambda leaf: leaf.astype(jnp.float64), LSTM.init(jax.random.key(0)))
        xs = inputs(67)
        found, expected = (
            jax.jit(jax.grad(loss(LSTM, solver)))(params, xs)
            for solver in (rec.Checkpointed(8, inside=rec.Fused()), rec.Sequential())
        )
        assert_equal(found, expected)
    assert str(rec.Checkpointed(8)) == "Checkpointed(segment=8)"
    assert str(rec.Checkpointed(8, rec.Fused())) == "Checkpointed(segment=8, inside=Fused(chunk=None))"


@pytest.mark.medium
def test_networks_side_by_side_are_the_networks_one_by_one():
    xs = inputs(40)
    params = jax.vmap(LSTM.init)(jax.random.split(jax.random.key(0), 3))
    grad = jax.grad(loss(LSTM, rec.Fused()))
    together = jax.jit(jax.vmap(grad, (0, None)))(params, xs)
    for index in range(3):
        one = jax.tree.map(lambda leaf, index=index: leaf[index], params)
        alone = jax.jit(jax.grad(loss(LSTM, rec.Sequential())))(one, xs)
        assert_equal(jax.tree.map(lambda leaf, index=index: leaf[index], together), alone, 1e-4)


def test_a_forward_derivative_is_refused_by_name():
    params, xs = LSTM.init(jax.random.key(0)), inputs(5)

    def outputs(params):
        return rec.unroll(LSTM, params, xs, solver=rec.Fused())[1]

    for derivative in (jax.jacfwd(outputs), jax.jit(jax.jacfwd(outputs))):
        with pytest.raises(rec.Unsupported, match=r"forward-mode derivative .*take solver=Sequential\(\)"):
            derivative(params)


def test_a_step_that_multiplies_by_no_weight_is_refused():
    @dataclasses.dataclass(frozen=True)
    class Leaky(rec.Cell):
        input_shape = (3,)

        def init(self, key):
            return OddState(jnp.ones(3))

        def initial_state(self, weights, batch_shape):
            return OddState(jnp.zeros((*batch_shape, 3)))

        def project(self, weights, x):
            return x

        def next_state(self, weights, state, u):
            return OddState(jnp.tanh(weights.h * state.h) + u)

    assert rec.refusal(Leaky(), rec.Fused()) == "no product with a weight is found in its step"
    with pytest.raises(ValueError, match="chunk: expected at most 5"):
        rec.unroll(LSTM, LSTM.init(jax.random.key(0)), inputs(5), solver=rec.Fused(6))
