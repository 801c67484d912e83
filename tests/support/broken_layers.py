"""One layer or solver for each way to break the contract, with the clause that has to notice."""

import dataclasses

import jax
import jax.numpy as jnp
from broken_cells import Leaky, WrongForm

import recurrent as rec
from recurrent import arrays
from recurrent.unroll import Solver


@dataclasses.dataclass(frozen=True)
class Honest(rec.Layer):
    """A layer that hands everything on; the ones below meddle with it."""

    cell: rec.Cell = dataclasses.field(default_factory=Leaky)

    @property
    def input_shape(self):
        return self.cell.input_shape

    @property
    def output_shape(self):
        return self.cell.output_shape

    def init(self, key):
        return self.cell.init(key)

    def initial_state(self, weights, batch_shape):
        return self.cell.initial_state(weights, batch_shape)

    @property
    def has_step(self):
        return True

    def step(self, weights, state, x):
        return self.cell.step(weights, state, self.cell.project(weights, x))

    def project(self, weights, x):
        return x

    def unroll(self, params, xs, **options):
        return rec.unroll(self.cell, params, xs, **options)


class HidesItsStep(Honest):
    has_step = False


@dataclasses.dataclass(frozen=True)
class ClaimsAStep(rec.Bidirectional):
    has_step = True


class LooksAhead(Honest):
    def unroll(self, params, xs, **options):
        xs = xs if options["mask"] is None else arrays.where(options["mask"], xs, 0.0)
        return super().unroll(params, xs + 0.1 * jnp.roll(xs, -1, axis=0), **options)


class KeepsPadding(Honest):
    def unroll(self, params, xs, **options):
        mask = options.pop("mask")
        state, ys = super().unroll(params, xs, mask=mask, **options)
        return state, ys if mask is None else ys + 0.0 * xs[..., :1]


class IgnoresReset(Honest):
    def unroll(self, params, xs, **options):
        return super().unroll(params, xs, **{**options, "reset": None})


class IgnoresState(Honest):
    def unroll(self, params, xs, **options):
        return super().unroll(params, xs, **{**options, "state": None})


class IgnoresDirection(Honest):
    def unroll(self, params, xs, **options):
        return super().unroll(params, xs, **{**options, "reverse": False})


class StopsGradient(Honest):
    """Right values; the state that it was given gets no gradient."""

    def unroll(self, params, xs, **options):
        return super().unroll(params, xs, **{**options, "state": jax.lax.stop_gradient(options["state"])})


class OtherWhenCompiled(Honest):
    def unroll(self, params, xs, **options):
        scale = 1.0 if isinstance(xs, jax.core.Tracer) else 2.0
        return super().unroll(params, scale * xs, **options)


class CountsBatchAxes(Honest):
    def unroll(self, params, xs, **options):
        return super().unroll(params, xs * (2.0 if xs.ndim > 3 else 1.0), **options)


class CountsSteps(Honest):
    def unroll(self, params, xs, **options):
        return super().unroll(params, xs * (2.0 if len(xs) < 6 else 1.0), **options)


class NeedsNoFlags(Honest):
    def unroll(self, params, xs, **options):
        return super().unroll(params, xs * (2.0 if options["mask"] is None else 1.0), **options)


@dataclasses.dataclass(frozen=True)
class MultipliesMask(Solver):
    """Masks what comes out, so that padding goes in."""

    def solve(self, problem):
        def step(state, now):
            x, mask, reset = now
            state = arrays.where(reset, problem.initial, state) if reset is not None else state
            u = problem.cell.project(problem.weights, x)
            new, y = problem.cell.step(problem.weights, state, u)
            if mask is None:
                return new, y
            return arrays.where(mask, new, state), arrays.where(mask, y, 0.0)

        return jax.lax.scan(step, problem.state, (problem.xs, problem.mask, problem.reset))


@dataclasses.dataclass(frozen=True)
class TruncatesGradient(Solver):
    """The values of `Sequential`, with a gradient of one step."""

    def solve(self, problem):
        def step(state, now):
            return problem.step(jax.lax.stop_gradient(state), now)

        return jax.lax.scan(step, problem.state, problem.over_time())


BROKEN_LAYERS = [
    (HidesItsStep(), "a layer that steps says so by has_step"),
    (ClaimsAStep(Leaky(), Leaky()), "a layer that has a step defines it"),
    (LooksAhead(), "causality"),
    (KeepsPadding(), "padding reaches neither outputs nor gradients"),
    (IgnoresReset(), "the values of separate sequences, forward"),
    (IgnoresState(), "the values of separate sequences, forward"),
    (IgnoresDirection(), "causality"),
    (StopsGradient(), "the gradients of separate sequences, forward"),
    (OtherWhenCompiled(), "compiled or not"),
    (CountsBatchAxes(), "two batch axes"),
    (CountsSteps(), "chunks are the whole"),
    (NeedsNoFlags(), "without flags: the same values"),
]

BROKEN_SOLVERS = [
    (Leaky(), MultipliesMask(), "padding reaches neither outputs nor gradients"),
    (Leaky(), TruncatesGradient(), "the gradients of Sequential"),
    (WrongForm(), rec.Associative(), "the values of Sequential"),
]
