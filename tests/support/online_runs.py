"""One sequence problem for the tests of online rules, and its gradient through `unroll` as the oracle."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

import recurrent as rec
from recurrent import online


@dataclasses.dataclass(frozen=True)
class Case:
    """A cell with everything that `online.gradient` takes, and a loss at every step."""

    cell: Any
    params: Any
    xs: Any
    target: Any
    options: dict[str, Any]

    @property
    def mask(self):
        return self.options["mask"]

    @property
    def reset(self):
        return self.options["reset"]

    def loss_fn(self, t, y):
        return 0.5 * jnp.sum((y - self.target[t]) ** 2)

    def run(self, rule, **more):
        return online.gradient(
            self.cell, self.params, self.xs, self.loss_fn, rule=rule, **self.options, **more
        )


def example(cell, *, steps=9, batch=(), flags=False, noisy=False, given_state=False) -> Case:
    """Random parameters, inputs and targets; with flags, `marks` and NaN where nothing exists."""
    rng = np.random.default_rng(3)

    def normal(shape, dtype=None):
        return jnp.asarray(0.5 * rng.normal(size=shape), dtype)

    # not the cell's own start: it takes longer to compile than a step, and zeros among it would hide mistakes
    params = jax.tree.map(
        lambda leaf: normal(leaf.shape, leaf.dtype), jax.eval_shape(cell.init, jax.random.key(0))
    )
    dtype = jax.tree.leaves(params)[0].dtype
    xs = 2 * normal((steps, *batch, *cell.input_shape), dtype)
    target = 2 * normal((steps, *batch, *cell.output_shape), dtype)
    mask, reset = marks(steps, batch) if flags else (None, None)
    if mask is not None:
        xs = rec.arrays.where(mask, xs, jnp.nan)
    state = None
    if given_state:
        like = jax.eval_shape(lambda: cell.initial_state(cell.prepare(params), batch))
        state = jax.tree.map(lambda leaf: normal(leaf.shape, leaf.dtype), like)
    options = {"mask": mask, "reset": reset, "key": jax.random.key(11) if noisy else None, "state": state}
    return Case(cell, params, xs, target, options)


def marks(steps, batch):
    """A mask and resets for at least 9 steps, each sequence one step later: a reset at a masked step, one elsewhere."""
    late = np.arange(np.prod(batch, dtype=int)).reshape(batch)
    since = np.arange(steps).reshape(-1, *(1 for _ in batch)) - late
    mask = ~np.isin(since, [-1, 2, 6])
    return jnp.asarray(mask), jnp.asarray(np.isin(since, [2, 5]))


def exact(case):
    """``(loss, gradient, (final_state, ys))`` through `rec.unroll`."""

    def run(params):
        final, ys = rec.unroll(case.cell, params, case.xs, **case.options)
        return jnp.sum(jax.vmap(case.loss_fn)(jnp.arange(len(ys)), ys)), (final, ys)

    (loss, run), gradient = jax.jit(jax.value_and_grad(run, has_aux=True))(case.params)
    return loss, gradient, run


def found(case, rule, **more):
    """What the rule returns, jitted."""
    moved = dataclasses.replace
    return jax.jit(lambda params: moved(case, params=params).run(rule, **more))(case.params)


def assert_close(one, other, tolerance=1e-10):
    """Every leaf, relative to its largest entry."""
    assert jax.tree.structure(one) == jax.tree.structure(other)
    for left, right in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        scale = max(float(np.abs(right).max(initial=0.0)), 1e-3)
        np.testing.assert_allclose(left, right, rtol=0, atol=tolerance * scale)


def uoro_scores(case, rule, num_draws=10_000):
    """The z-score of every coordinate's mean, and Hotelling's T² of all together.

    Coordinates in which nothing is random, those of parameters that act on the output alone, have to be exact.
    """
    keys = jax.random.split(jax.random.key(7), num_draws)
    draw = jax.vmap(lambda key: ravel_pytree(case.run(rule, rule_key=key)[1])[0])
    draws = np.asarray(jax.jit(draw)(keys))
    expected = np.asarray(ravel_pytree(exact(case)[1])[0])
    spread = draws.std(axis=0)
    is_random = spread > 1e-12 * np.abs(expected).max()
    np.testing.assert_allclose(draws[0, ~is_random], expected[~is_random], rtol=1e-10)
    draws, expected, spread = draws[:, is_random], expected[is_random], spread[is_random]
    error = draws.mean(axis=0) - expected
    total = num_draws * error @ np.linalg.pinv(np.cov(draws, rowvar=False)) @ error
    return error / spread * np.sqrt(num_draws), total
