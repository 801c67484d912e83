"""What wrappers share: a cell that passes every method on to the cell it holds, and one that draws noise besides."""

import abc
import dataclasses
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Int

from recurrent.arrays import Array, Bool, Key, Shape
from recurrent.cell import Cell, Noisy

__all__ = ["NoisyWrapper", "Wrapper", "hold", "state_fields", "take_steps"]


@dataclasses.dataclass(frozen=True)
class Wrapper(Cell):
    """A cell made from another, ``cell``, to which it passes on every method; a subclass changes one thing."""

    # whether the state map is still the cell's own: then its linear form and its local fields are handed on
    keeps_map: ClassVar[bool] = False
    cell: Cell

    @property
    def input_shape(self) -> Shape:
        """The input shape of the wrapped cell."""
        return self.cell.input_shape

    def init(self, key: Key) -> Any:
        """The parameters of the wrapped cell; a wrapper has none of its own."""
        return self.cell.init(key)

    def prepare(self, params: Any) -> Any:
        """The weights that the wrapped cell prepares."""
        return self.cell.prepare(params)

    def initial_state(self, weights: Any, batch_shape: tuple[int, ...]) -> Any:
        """The state of the wrapped cell before the first step."""
        return self.cell.initial_state(weights, batch_shape)

    def cast(self, x: Any, dtype: Any) -> Any:
        """``x`` as the wrapped cell casts it."""
        return self.cell.cast(x, dtype)

    def project(self, weights: Any, x: Any) -> Any:
        """What the wrapped cell projects from ``x``."""
        return self.cell.project(weights, x)

    def next_state(self, weights: Any, state: Any, u: Any) -> Any:
        """The state of the wrapped cell after one step."""
        return self.cell.next_state(weights, state, u)

    def output(self, weights: Any, state: Any, u: Any) -> Any:
        """The output of the wrapped cell."""
        return self.cell.output(weights, state, u)

    def mask_output(self, mask: Any, y: Any) -> Any:
        """What the wrapped cell emits at masked steps."""
        return self.cell.mask_output(mask, y)

    def noise(self, key: Key, num_steps: int, batch_shape: tuple[int, ...], reset: Any) -> Any:
        """The noise that the wrapped cell draws."""
        return self.cell.noise(key, num_steps, batch_shape, reset)

    @property
    def is_stochastic(self) -> bool:
        """Whether the wrapped cell draws noise."""
        return self.cell.is_stochastic

    def linear(self, weights: Any, u: Any) -> Any:
        """The linear form of the wrapped cell's state map."""
        return self.cell.linear(weights, u)

    @property
    def has_linear_form(self) -> bool:
        """Whether the wrapped cell has a linear form, and the wrapper keeps its state map."""
        return self.keeps_map and self.cell.has_linear_form

    @property
    def constrained_fields(self) -> tuple[str, ...]:
        """The parameters of the wrapped cell that make a constrained matrix."""
        return self.cell.constrained_fields

    @property
    def local_fields(self) -> tuple[str, ...] | None:
        """The local fields of the wrapped cell where its state map is kept; else None: no units are declared."""
        return self.cell.local_fields if self.keeps_map else None


class NoisyWrapper(Wrapper):
    """A wrapper that draws noise of its own, beside what the wrapped cell may draw."""

    @abc.abstractmethod
    def own_noise(self, key: Key, num_steps: int, batch_shape: tuple[int, ...], reset: Any) -> Any:
        """The noise of the wrapper alone for ``num_steps`` steps, leaves ``[t, *b, ...]``."""

    def noise(self, key: Key, num_steps: int, batch_shape: tuple[int, ...], reset: Any) -> Any:
        """``(own, inner)``: the wrapper's noise and the wrapped cell's (None where it draws none), from a key each."""
        key_own, key_inner = jax.random.split(key)
        own = self.own_noise(key_own, num_steps, batch_shape, reset)
        stochastic = self.cell.is_stochastic
        return own, self.cell.noise(key_inner, num_steps, batch_shape, reset) if stochastic else None

    @property
    def is_stochastic(self) -> bool:
        """True: the wrapper draws noise, whatever the wrapped cell does."""
        return True

    def unpair(self, x: Any) -> tuple[Any, Any, Any]:
        """``(own noise, input, noise of the wrapped cell)`` of an input; both noises are None in evaluation."""
        x, noise = Noisy.of(x)
        own, inner = (None, None) if noise is None else noise
        return own, x, inner

    def project_inside(self, weights: Any, x: Any, inner: Any) -> Any:
        """What the wrapped cell projects from an input and its own noise."""
        return self.cell.project(weights, Noisy(x, inner) if self.cell.is_stochastic else x)


def state_fields(cell: Cell) -> dict[str, jax.ShapeDtypeStruct]:
    """The shapes and dtypes of the state of one sequence, by the names of its fields."""

    def first_state() -> Any:
        return cell.initial_state(cell.prepare(cell.init(jax.random.key(0))), ())

    return jax.eval_shape(first_state)._asdict()


def hold(noise: Any, reset: Bool[Array, "t *b"] | None) -> Any:
    """Noise that is constant over a sequence: at each step the entry of its segment's first step.

    >>> hold(jnp.arange(4.0)[:, None], jnp.array([[False], [False], [True], [False]]))[:, 0].tolist()
    [0.0, 0.0, 2.0, 2.0]
    """
    if reset is None:
        return jax.tree.map(lambda leaf: jnp.broadcast_to(leaf[:1], leaf.shape), noise)
    positions = jnp.arange(reset.shape[0]).reshape(-1, *(1 for _ in reset.shape[1:]))
    return take_steps(noise, jax.lax.cummax(jnp.where(reset, positions, 0), axis=0))


def take_steps(tree: Any, index: Int[Array, "n *b"]) -> Any:
    """The entries of each sequence at steps of its own, ``[t, *b, ...] -> [n, *b, ...]``."""

    def take(leaf: Array) -> Array:
        return jnp.take_along_axis(leaf, jnp.expand_dims(index, tuple(range(index.ndim, leaf.ndim))), axis=0)

    return jax.tree.map(take, tree)
