"""Wrappers: a cell made from a cell."""

import dataclasses
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Int

from recurrent.arrays import Array, Bool, Key, Shape
from recurrent.cell import Cell, Noisy

__all__ = ["Cut", "Residual", "WithStates", "Zoneout", "cut", "hold", "residual", "with_states", "zoneout"]


@dataclasses.dataclass(frozen=True)
class Wrapper(Cell):
    """A cell that hands everything on; a wrapper derives from it and changes one thing."""

    # whether the state map is still the cell's own: then its linear form and its local fields are handed on
    keeps_map: ClassVar[bool] = False
    cell: Cell

    @property
    def input_shape(self) -> Shape:
        """As of the cell inside."""
        return self.cell.input_shape

    def init(self, key: Key) -> Any:
        """As of the cell inside."""
        return self.cell.init(key)

    def prepare(self, params: Any) -> Any:
        """As of the cell inside."""
        return self.cell.prepare(params)

    def initial_state(self, weights: Any, batch_shape: tuple[int, ...]) -> Any:
        """As of the cell inside."""
        return self.cell.initial_state(weights, batch_shape)

    def project(self, weights: Any, x: Any) -> Any:
        """As of the cell inside."""
        return self.cell.project(weights, x)

    def next_state(self, weights: Any, state: Any, u: Any) -> Any:
        """As of the cell inside."""
        return self.cell.next_state(weights, state, u)

    def output(self, weights: Any, state: Any, u: Any) -> Any:
        """As of the cell inside."""
        return self.cell.output(weights, state, u)

    def mask_output(self, mask: Any, y: Any) -> Any:
        """As of the cell inside."""
        return self.cell.mask_output(mask, y)

    def noise(self, key: Key, num_steps: int, batch_shape: tuple[int, ...], reset: Any) -> Any:
        """As of the cell inside."""
        return self.cell.noise(key, num_steps, batch_shape, reset)

    @property
    def is_stochastic(self) -> bool:
        """As of the cell inside."""
        return self.cell.is_stochastic

    def linear(self, weights: Any, u: Any) -> Any:
        """As of the cell inside."""
        return self.cell.linear(weights, u)

    @property
    def has_linear_form(self) -> bool:
        """As of the cell inside where the state map is kept; otherwise there is none."""
        return self.keeps_map and self.cell.has_linear_form

    @property
    def local_fields(self) -> tuple[str, ...] | None:
        """As of the cell inside where the state map is kept; otherwise no units are declared."""
        return self.cell.local_fields if self.keeps_map else None


@dataclasses.dataclass(frozen=True)
class WithStates(Wrapper):
    """Emits ``(y, state after the step)``; see `with_states`."""

    keeps_map = True

    def output(self, weights: Any, state: Any, u: Any) -> tuple[Any, Any]:
        """The cell's output and its state."""
        return self.cell.output(weights, state, u), state

    def mask_output(self, mask: Any, y: tuple[Any, Any]) -> tuple[Any, Any]:
        """The output is 0 at a masked step, the state is the one carried."""
        return self.cell.mask_output(mask, y[0]), y[1]


def with_states(cell: Cell) -> WithStates:
    """The cell that emits ``(y, state after the step)``: states over time from any solver.

    >>> import recurrent as rec
    >>> cell = rec.LSTM(2, 3)
    >>> _, (ys, states) = rec.unroll(with_states(cell), cell.init(jax.random.key(0)), jnp.ones((5, 2)))
    >>> states.c.shape
    (5, 3)
    """
    return WithStates(cell)


class ResidualInput(NamedTuple):
    """The projected input of a `Residual` cell: the input as it came, and the cell's own."""

    x: Any
    u: Any


@dataclasses.dataclass(frozen=True)
class Residual(Wrapper):
    """The input added to the output; see `residual`."""

    keeps_map = True

    def __post_init__(self) -> None:
        """Check that the two can be added."""
        given, emitted = self.cell.input_shape, self.cell.output_shape
        if given != emitted:
            raise ValueError(f"cell: expected outputs of shape {given}, like its inputs, got {emitted}")

    def project(self, weights: Any, x: Any) -> ResidualInput:
        """The input, without its noise, beside the cell's own projection."""
        return ResidualInput(Noisy.of(x).x, self.cell.project(weights, x))

    def next_state(self, weights: Any, state: Any, u: ResidualInput) -> Any:
        """As of the cell inside."""
        return self.cell.next_state(weights, state, u.u)

    def linear(self, weights: Any, u: ResidualInput) -> Any:
        """As of the cell inside."""
        return self.cell.linear(weights, u.u)

    def output(self, weights: Any, state: Any, u: ResidualInput) -> Any:
        """x + y."""
        return jax.tree.map(jnp.add, u.x, self.cell.output(weights, state, u.u))


def residual(cell: Cell) -> Residual:
    """The cell that emits x + y; ValueError where its inputs and outputs differ in shape.

    Source: He et al. (2016), "Deep residual learning for image recognition"; between recurrent layers Wu et al.
    (2016), "Google's neural machine translation system".

    >>> import recurrent as rec
    >>> cell = residual(rec.Elman(2, 2))  # with parameters of 0 it emits its input
    >>> rec.unroll(cell, jax.tree.map(jnp.zeros_like, cell.init(jax.random.key(0))), jnp.ones((1, 2)))[1].tolist()
    [[1.0, 1.0]]
    """
    return Residual(cell)


class ZoneoutInput(NamedTuple):
    """The projected input of a `Zoneout` cell: which entries keep their old value, and the cell's own input."""

    keep: Any
    u: Any


@dataclasses.dataclass(frozen=True)
class Zoneout(Wrapper):
    """State entries that keep their old value at random; see `zoneout`."""

    rates: tuple[tuple[str, float | int], ...] = ()

    def __post_init__(self) -> None:
        """Check the ranges."""
        fields = state_fields(self.cell)
        for name, rate in self.rates:
            if name not in fields:
                raise ValueError(f"rates: expected a field of the state ({', '.join(fields)}), got {name!r}")
            if not 0 <= rate < 1:
                raise ValueError(f"{name}: expected a rate in [0, 1), got {rate}")

    def project(self, weights: Any, x: Any) -> ZoneoutInput:
        """The cell's own projection beside the noise."""
        x, noise = Noisy.of(x)
        own, inner = (None, None) if noise is None else noise
        return ZoneoutInput(
            own, self.cell.project(weights, Noisy(x, inner) if self.cell.is_stochastic else x)
        )

    def next_state(self, weights: Any, state: Any, u: ZoneoutInput) -> Any:
        """New values where the noise says so; their expectation where there is none."""
        new = self.cell.next_state(weights, state, u.u)
        zoned = {}
        for name, rate in self.rates:
            old_field, new_field = getattr(state, name), getattr(new, name)
            if u.keep is None:
                zoned[name] = rate * old_field + (1 - rate) * new_field
            else:
                zoned[name] = jnp.where(u.keep[name], old_field, new_field)
        return new._replace(**zoned)

    def output(self, weights: Any, state: Any, u: ZoneoutInput) -> Any:
        """Read from the state after zoneout."""
        return self.cell.output(weights, state, u.u)

    def noise(self, key: Key, num_steps: int, batch_shape: tuple[int, ...], reset: Any) -> Any:
        """``(which entries keep their value, the noise of the cell inside)``."""
        key_own, key_inner = jax.random.split(key)
        fields = state_fields(self.cell)
        own = {}
        for index, (name, rate) in enumerate(self.rates):
            shape = (num_steps, *batch_shape, *fields[name].shape)
            own[name] = jax.random.bernoulli(jax.random.fold_in(key_own, index), rate, shape)
        stochastic = self.cell.is_stochastic
        return own, self.cell.noise(key_inner, num_steps, batch_shape, reset) if stochastic else None

    @property
    def is_stochastic(self) -> bool:
        """It is."""
        return True


def state_fields(cell: Cell) -> dict[str, jax.ShapeDtypeStruct]:
    """The fields of the state of one sequence, by name."""

    def first_state() -> Any:
        return cell.initial_state(cell.prepare(cell.init(jax.random.key(0))), ())

    return jax.eval_shape(first_state)._asdict()


def zoneout(cell: Cell, **rates: float | int) -> Zoneout:
    """Zoneout: each entry of the named state fields keeps its old value with the given probability.

    During evaluation (``key=None``) a field takes the expectation, rate · old + (1 - rate) · new. The new values of
    all fields are computed first: zoning out c does not change the h of the same step.
    Source: Krueger et al. (2017), "Zoneout: regularizing RNNs by randomly preserving hidden activations".

    >>> import recurrent as rec
    >>> zoneout(rec.LSTM(2, 3), h=0.05, c=0.5).rates
    (('h', 0.05), ('c', 0.5))
    """
    return Zoneout(cell, tuple(rates.items()))


@dataclasses.dataclass(frozen=True)
class Cut(Wrapper):
    """No gradient flows back through the named state fields; see `cut`."""

    fields: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check the names."""
        known = state_fields(self.cell)
        for name in self.fields:
            if name not in known:
                raise ValueError(f"fields: expected a field of the state ({', '.join(known)}), got {name!r}")

    def next_state(self, weights: Any, state: Any, u: Any) -> Any:
        """The same values; the derivative with respect to the named fields of the old state is 0."""
        stopped = {name: jax.lax.stop_gradient(getattr(state, name)) for name in self.fields}
        return self.cell.next_state(weights, state._replace(**stopped), u)


def cut(cell: Cell, fields: tuple[str, ...]) -> Cut:
    """The cell whose named state fields pass no gradient to earlier steps.

    With every field but the memory cell cut, this is the truncation of Hochreiter & Schmidhuber (1997):
    errors travel back in time through c alone.

    >>> import recurrent as rec
    >>> cut(rec.LSTM(2, 3), ("h",)).fields
    ('h',)
    """
    return Cut(cell, tuple(fields))


def hold(noise: Any, reset: Bool[Array, "t *b"] | None) -> Any:
    """Noise that is constant over a sequence: at each step the entry of its segment's first step.

    >>> hold(jnp.arange(4.0)[:, None], jnp.array([[False], [False], [True], [False]]))[:, 0].tolist()
    [0.0, 0.0, 2.0, 2.0]
    """
    if reset is None:
        return jax.tree.map(lambda leaf: jnp.broadcast_to(leaf[:1], leaf.shape), noise)
    positions = jnp.arange(len(reset)).reshape(-1, *(1 for _ in reset.shape[1:]))
    return take_steps(noise, jax.lax.cummax(jnp.where(reset, positions, 0), axis=0))


def take_steps(tree: Any, index: Int[Array, "n *b"]) -> Any:
    """The entries of each sequence at steps of its own, ``[t, *b, ...] -> [n, *b, ...]``."""

    def take(leaf: Array) -> Array:
        return jnp.take_along_axis(leaf, jnp.expand_dims(index, tuple(range(index.ndim, leaf.ndim))), axis=0)

    return jax.tree.map(take, tree)
