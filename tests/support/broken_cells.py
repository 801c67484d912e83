"""One cell for each way to break the contract, with the clause that has to notice."""

import dataclasses
import itertools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

import recurrent as rec
from recurrent import forms

_COMPARISONS = itertools.count()


class Params(NamedTuple):
    w: Any
    a: Any


class State(NamedTuple):
    h: Any


@dataclasses.dataclass(frozen=True)
class Leaky(rec.Cell):
    """h' = a ⊙ tanh(h) + x W: keeps the contract; every cell below breaks one clause of it."""

    size: int = 2

    @property
    def input_shape(self):
        return (3,)

    def init(self, key):
        return Params(jax.random.normal(key, (3, self.size)), jnp.full(self.size, 0.5))

    def initial_state(self, weights, batch_shape):
        return State(jnp.zeros((*batch_shape, self.size), weights.w.dtype))

    def project(self, weights, x):
        return x @ weights.w

    def next_state(self, weights, state, u):
        return State(weights.a * jnp.tanh(state.h) + u)


class ComplexParams(Leaky):
    def init(self, key):
        w, a = super().init(key)
        return Params(w, a.astype(complex))


class RandomInit(Leaky):
    def init(self, key):
        w, a = super().init(key)
        return Params(w + np.random.default_rng().normal(size=w.shape), a)


class InfiniteInit(Leaky):
    def init(self, key):
        w, a = super().init(key)
        return Params(w, jnp.log(a * 0))


class Anonymous(Leaky):
    def initial_state(self, weights, batch_shape):
        return (super().initial_state(weights, batch_shape).h,)


class IntegerState(Leaky):
    def initial_state(self, weights, batch_shape):
        return State(jnp.zeros((*batch_shape, self.size), int))


class AnnotatedParams(NamedTuple):
    w: Float[Array, "d h"]
    a: Float[Array, "h h"]


class WrongAnnotation(Leaky):
    def init(self, key):
        return AnnotatedParams(*super().init(key))


class TwoFields(NamedTuple):
    h: Any
    c: Any


class CountsByDividing(Leaky):
    def project(self, weights, x):
        u = super().project(weights, x)
        return u.reshape(*u.shape[:-1], -1)


class SharesABuffer(Leaky):
    def initial_state(self, weights, batch_shape):
        return TwoFields(*super().initial_state(weights, batch_shape) * 2)


class GivesAwayAParameter(Leaky):
    def initial_state(self, weights, batch_shape):
        return State(jnp.broadcast_to(weights.a, (*batch_shape, self.size)))


class DriftingDtype(Leaky):
    def next_state(self, weights, state, u):
        return State(super().next_state(weights, state, u).h * np.float64(1.0))


class FixedDtype(Leaky):
    def initial_state(self, weights, batch_shape):
        return State(jnp.zeros((*batch_shape, self.size)))


class GrowingState(Leaky):
    def next_state(self, weights, state, u):
        return State(jnp.concatenate([super().next_state(weights, state, u).h, u], axis=-1))


class NoBatch(Leaky):
    def initial_state(self, weights, batch_shape):
        return State(jnp.zeros(self.size, weights.w.dtype))

    def next_state(self, weights, state, u):
        return State(weights.a * jnp.tanh(state.h) + u.reshape(-1, self.size).mean(0))


class ReadsOldState(Leaky):
    def step(self, weights, state, u):
        return self.next_state(weights, state, u), state.h


class WrongOutputShape(Leaky):
    @property
    def output_shape(self):
        return (3,)


class MixesSequences(Leaky):
    def next_state(self, weights, state, u):
        h = super().next_state(weights, state, u).h
        return State(h + 0.01 * h.sum(axis=tuple(range(h.ndim - 1)), keepdims=True))


class ProjectsTwoAxes(Leaky):
    def project(self, weights, x):
        return (x - x.mean(axis=0)) @ weights.w if x.ndim > 2 else x @ weights.w


class NaNAtZero(Leaky):
    def project(self, weights, x):
        return super().project(weights, x / jnp.sqrt((x**2).sum(axis=-1, keepdims=True)))


class NaNGradientAtZero(Leaky):
    def output(self, weights, state, u):
        return jnp.sqrt(state.h**2 + u**2)


@jax.custom_jvp
def _tanh(z):
    return jnp.tanh(z)


@_tanh.defjvp
def _tanh_jvp(primals, tangents):
    y = jnp.tanh(primals[0])
    return y, (1 - y) * tangents[0]


class WrongDerivative(Leaky):
    def next_state(self, weights, state, u):
        return State(_tanh(weights.a * state.h + u))


@jax.custom_vjp
def _scale(a, h):
    return a * h


_scale.defvjp(lambda a, h: (a * h, (a, h)), lambda kept, g: (kept[1] * g, kept[0] * g))


class NoForwardMode(Leaky):
    def next_state(self, weights, state, u):
        return State(_scale(jnp.broadcast_to(weights.a, u.shape), jnp.tanh(state.h)) + u)


class IgnoresInput(Leaky):
    def project(self, weights, x):
        return 0.0 * (x @ weights.w)


class MasksByScale(Leaky):
    def mask_output(self, mask, y):
        return y * (1.0 * mask[..., None] + 1e-3)


@dataclasses.dataclass(frozen=True)
class Unhashable(Leaky):
    sizes: Any = dataclasses.field(default_factory=lambda: [2])


@dataclasses.dataclass(frozen=True)
class HoldsFunction(Leaky):
    activation: Any = dataclasses.field(default_factory=lambda: lambda x: x)


@dataclasses.dataclass
class NotFrozen(rec.Cell):
    input_shape = (3,)
    init = initial_state = None


class EqualByIdentity(Leaky):
    __eq__ = object.__eq__
    __hash__ = object.__hash__


class EqualOnce(Leaky):
    """Equal to its copy when first asked, and a stranger to it later."""

    __hash__ = Leaky.__hash__

    def __eq__(self, other):
        return next(_COMPARISONS) == 0


@dataclasses.dataclass(frozen=True)
class WrongForm(Leaky):
    """The form decays the state by a, the state map by 2a."""

    def next_state(self, weights, state, u):
        return State(2 * weights.a * state.h + u)

    def linear(self, weights, u):
        return forms.Diagonal(State(jnp.broadcast_to(weights.a, u.shape)), State(u))


BROKEN_CELLS = [
    (ComplexParams(), "parameters are real and floating"),
    (RandomInit(), "init is deterministic"),
    (InfiniteInit(), "init is finite"),
    (Anonymous(), "the state is a NamedTuple"),
    (IntegerState(), "never integer"),
    (WrongAnnotation(), "fields have the shapes of their annotations: a"),
    (CountsByDividing(), "no sequences"),
    (SharesABuffer(), "every field of the first state has its own buffer"),
    (GivesAwayAParameter(), "every field of the first state has its own buffer"),
    (DriftingDtype(), "next_state keeps shapes and dtypes"),
    (FixedDtype(), "the state has the dtype of the parameters"),
    (GrowingState(), "next_state keeps shapes"),
    (NoBatch(), "the state has the batch axes"),
    (ReadsOldState(), "step is derived"),
    (WrongOutputShape(), "outputs have the output_shape"),
    (ProjectsTwoAxes(), "project takes any leading axes"),
    (NaNAtZero(), "finite at x = 0"),
    (NaNGradientAtZero(), "finite at x = 0"),
    (MixesSequences(), "the values of separate sequences, forward"),
    (MasksByScale(), "the values of separate sequences, forward"),
    (WrongDerivative(), "gradients are slopes of the values, forward, params"),
    (NoForwardMode(), "forward mode"),
    (IgnoresInput(), "outputs depend on inputs"),
    (Unhashable(), "hashable"),
    (HoldsFunction(), "printable"),
    (NotFrozen(), "a frozen dataclass"),
    (EqualByIdentity(), "equal by value"),
    (EqualOnce(), "one trace serves all"),
]
