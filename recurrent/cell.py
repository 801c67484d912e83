"""The Cell contract: what every recurrence of this library is, and nothing else.

A cell is a frozen dataclass of hyperparameters with pure methods, hashable and equal by value;
parameters and state are explicit pytrees. `recurrent.testing.check_cell` is this page, executed.
"""

import abc
import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, PyTree

from recurrent import arrays, sizes
from recurrent.arrays import Key, Shape

__all__ = ["Cell", "Layer", "LayerAround", "Noisy", "Recurrence", "Unsupported", "state_vector"]


class Unsupported(ValueError):
    """Raised where a solver cannot run a cell by its own method: ``Unsupported(solver, cell, option)``."""

    def __init__(self, solver: Any, cell: Any, option: str) -> None:
        super().__init__(f"{solver} cannot run {cell}: {option}")
        self.solver, self.cell, self.option = solver, cell, option


class Noisy(NamedTuple):
    """An input and the noise that a stochastic wrapper drew for it; the noise is None in evaluation."""

    x: PyTree
    noise: PyTree

    @classmethod
    def of(cls, x: PyTree) -> "Noisy":
        """``x`` as a `Noisy` pair: itself where it is one, else with no noise."""
        return x if isinstance(x, cls) else cls(x, None)


class Recurrence(abc.ABC):
    """What cells and layers share: parameters, weights, a state before the first step, and event shapes."""

    def __post_init__(self) -> None:
        """Settle the fields that are annotated `recurrent.sizes.Size`; a subclass with checks of its own calls this."""
        sizes.settle(self)

    @property
    @abc.abstractmethod
    def input_shape(self) -> Shape:
        """The trailing axes of the leaves of ``x``."""

    @property
    @abc.abstractmethod
    def output_shape(self) -> Shape:
        """The trailing axes of the leaves of ``y``."""

    @abc.abstractmethod
    def init(self, key: Key) -> Any:
        """The trainable parameters: real floating leaves only, deterministic in ``key``."""

    def prepare(self, params: Any) -> Any:
        """The weights: all that depends on the parameters alone, made once per unroll, outside every loop."""
        return params

    @abc.abstractmethod
    def initial_state(self, weights: Any, batch_shape: tuple[int, ...]) -> Any:
        """The state before the first step of each of ``batch_shape`` sequences."""

    def cast(self, x: Any, dtype: Any) -> Any:
        """``x`` as the real ``dtype`` of the parameters decides, before it is projected. Default: every floating leaf
        in it, complex ones in the complex type of its width.
        """
        return arrays.cast(x, dtype)

    @abc.abstractmethod
    def project(self, weights: Any, x: Any) -> Any:
        """What ``step`` reads of an input."""

    @abc.abstractmethod
    def step(self, weights: Any, state: Any, u: Any) -> tuple[Any, Any]:
        """``(new state, y)`` of one step; TypeError where `has_step` is False."""

    @property
    @abc.abstractmethod
    def has_step(self) -> bool:
        """Whether it can go step by step, as inputs arrive."""

    @property
    def is_stochastic(self) -> bool:
        """Whether ``project`` takes `Noisy` inputs."""
        return False

    @property
    def uses_key(self) -> bool:
        """Whether `recurrent.unroll` draws anything from a key; a layer that does not say counts as one that does."""
        return True


class Cell(Recurrence):
    """One step of a recurrence. A subclass is a frozen dataclass.

    It defines ``input_shape``, ``init``, ``initial_state`` and ``next_state`` (or ``linear``), and
    whatever of the rest differs from the defaults. ``weights`` is what ``prepare`` returned; ``x``,
    ``u``, ``y``, states, parameters and weights are pytrees with any number of batch axes.
    """

    def project(self, weights: Any, x: Any) -> Any:
        """``u``, all of a step that does not depend on the state, ``x[*b, *event] -> u``, for any leading axes.
        Default: ``x``.
        """
        return x

    def next_state(self, weights: Any, state: Any, u: Any) -> Any:
        """The state after one step; it keeps structure, shapes and dtypes. Derived where ``linear`` is defined."""
        if not self.has_linear_form:
            raise TypeError(f"{type(self).__name__} has to define next_state or linear")
        return self.linear(weights, u).apply(state)

    def output(self, weights: Any, state: Any, u: Any) -> Any:
        """What the cell emits, read from the *new* state. Default: its field ``h``."""
        return state.h

    def step(self, weights: Any, state: Any, u: Any) -> tuple[Any, Any]:
        """``(new state, y)`` of one step: derived from `next_state` and `output`, never overridden."""
        state = self.next_state(weights, state, u)
        return state, self.output(weights, state, u)

    @property
    def has_step(self) -> bool:
        """Always."""
        return True

    @property
    def output_shape(self) -> Shape:
        """The event axes of ``y``, found by tracing one step without computing it."""
        return arrays.tree_shape(jax.eval_shape(self._first_output))

    def _first_output(self) -> Any:
        weights = self.prepare(self.init(jax.random.key(0)))
        x = jax.tree.map(jnp.zeros, self.input_shape, is_leaf=arrays.is_shape)
        paired = Noisy(x, None) if self.is_stochastic else x
        return self.step(weights, self.initial_state(weights, ()), self.project(weights, paired))[1]

    def mask_output(self, mask: Any, y: Any) -> Any:
        """What is emitted where ``mask[*b]`` is False: zeros, whatever ``y`` the state carried there gave."""
        return arrays.where(mask, y, 0.0)

    def linear(self, weights: Any, u: Any) -> Any:
        """The linear form (`recurrent.forms`) of the state map at each leading index of ``u``."""
        raise TypeError(f"{type(self).__name__} has no linear form: its state map is not linear in the state")

    @property
    def has_linear_form(self) -> bool:
        """Whether the state map is linear in the state, so that `linear` may be called."""
        return type(self).linear is not Cell.linear

    def next_state_with(self, weights: Any, state: Any, u: Any, change: Callable[[Array], Array]) -> Any:
        """`next_state` with ``change(candidate)`` in place of the candidate, of the shape of ``h``."""
        raise TypeError(f"{type(self).__name__} names no candidate")

    @property
    def has_candidate(self) -> bool:
        """Whether ``next_state_with`` is defined; a wrapper names no candidate."""
        return type(self).next_state_with is not Cell.next_state_with

    @property
    def constrained_fields(self) -> tuple[str, ...]:
        """Parameters that make a constrained matrix, and want a learning rate of their own; default: none."""
        return ()

    @property
    def local_fields(self) -> tuple[str, ...] | None:
        """The fields whose own recurrence stays inside a unit; None: the cell declares no units.

        A cell that declares units keeps one along the last axis of every state field (all of one size h), and each
        parameter that feeds the state map acts within one step on the unit (index along its last axis) mod h alone.
        Local online rules (`recurrent.online`) need this.
        """
        return None

    def noise(self, key: Key, num_steps: int, batch_shape: tuple[int, ...], reset: Any) -> Any:
        """Everything random about ``num_steps`` steps, leaves ``[t, *b, ...]``, drawn outside the loop."""
        raise TypeError(f"{type(self).__name__} draws no noise")

    @property
    def is_stochastic(self) -> bool:
        """Whether the cell draws `noise`, so that ``project`` takes `Noisy` inputs."""
        return type(self).noise is not Cell.noise

    @property
    def uses_key(self) -> bool:
        """Where the cell draws `noise`."""
        return self.is_stochastic


class Layer(Recurrence):
    """A recurrence that goes its own way through `recurrent.unroll`; most layers need whole sequences.

    A layer that can go step by step too defines ``step`` and says so by ``has_step``.
    """

    def project(self, weights: Any, x: Any) -> Any:
        """``x`` itself: a layer projects its inputs while it unrolls."""
        return x

    def step(self, weights: Any, state: Any, u: Any) -> tuple[Any, Any]:
        """``(new state, y)`` of one step in evaluation; TypeError where `has_step` is False."""
        raise TypeError(f"{type(self).__name__} needs whole sequences: it has no step; use recurrent.unroll")

    @property
    def has_step(self) -> bool:
        """Whether ``step`` is defined; a layer of parts answers for them. Default: False."""
        return False

    @abc.abstractmethod
    def unroll(
        self, params: Any, xs: Any, *, state: Any, mask: Any, reset: Any, reverse: bool, key: Any, solver: Any
    ) -> tuple[Any, Any]:
        """``(final_state, ys)`` with the meaning of `recurrent.unroll`."""


@dataclasses.dataclass(frozen=True)
class LayerAround(Layer):
    """A layer around one cell or layer, ``cell``, whose shapes, parameters and first state it passes on."""

    cell: Any

    @property
    def input_shape(self) -> Shape:
        """The input shape of the wrapped cell."""
        return self.cell.input_shape

    @property
    def output_shape(self) -> Shape:
        """The output shape of the wrapped cell."""
        return self.cell.output_shape

    @property
    def uses_key(self) -> bool:
        """Where the wrapped cell does; a layer that draws something itself says so."""
        return self.cell.uses_key

    def init(self, key: Key) -> Any:
        """The parameters of the wrapped cell."""
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


def state_vector(state: PyTree) -> tuple[Float[Array, " n"], Any]:
    """The flat real view of a state without batch axes, and the function that restores the state.

    Real leaves stand as they are; a complex leaf stands as its real parts, then its imaginary parts.

    >>> vector, restore = state_vector((jnp.array([1.0]), jnp.array([2.0 + 3.0j])))
    >>> vector.tolist()
    [1.0, 2.0, 3.0]
    >>> restore(vector)[1].tolist()
    [(2+3j)]
    """
    leaves, tree = jax.tree.flatten(state)
    is_complex = [jnp.iscomplexobj(leaf) for leaf in leaves]
    parts = [
        (leaf.real, leaf.imag) if split else (leaf,) for leaf, split in zip(leaves, is_complex, strict=True)
    ]
    vector, restore_parts = ravel_pytree(parts)

    def restore(flat: Float[Array, " n"]) -> PyTree:
        joined = [
            jax.lax.complex(*part) if split else part[0]
            for part, split in zip(restore_parts(flat), is_complex, strict=True)
        ]
        return jax.tree.unflatten(tree, joined)

    return vector, restore
