"""Wrappers that drop inputs, or the states that the recurrence reads.

What is kept is divided by 1 - rate, so that its expectation is what evaluation (``key=None``) computes with.
"""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import PyTree

from recurrent import arrays
from recurrent.arrays import Key, Shape
from recurrent.cell import Cell
from recurrent.wrappers.base import NoisyWrapper, hold, state_fields

__all__ = ["Dropout", "VariationalDropout", "dropout", "variational_dropout"]


def check_rate(name: str, rate: float | int) -> None:
    """ValueError, naming the argument, unless ``rate`` is in [0, 1)."""
    if not 0 <= rate < 1:
        raise ValueError(f"{name}: expected a rate in [0, 1), got {rate}")


def keep_masks(key: Key, rate: float | int, leading: tuple[int, ...], shape: Shape) -> tuple[Any, ...]:
    """Masks that are True with probability 1 - rate, ``[*leading, *event]`` for each leaf of an event shape."""
    return tuple(
        jax.random.bernoulli(jax.random.fold_in(key, index), 1 - rate, (*leading, *event))
        for index, event in enumerate(arrays.shape_leaves(shape))
    )


def drop(tree: PyTree, keep: tuple[Any, ...], rate: float | int) -> PyTree:
    """``tree`` with 0 where an entry is not kept and the others divided by 1 - rate; ``keep`` has one mask a leaf."""
    leaves, structure = jax.tree.flatten(tree)
    dropped = [jnp.where(mask, leaf / (1 - rate), 0) for mask, leaf in zip(keep, leaves, strict=True)]
    return jax.tree.unflatten(structure, dropped)


@dataclasses.dataclass(frozen=True)
class Dropout(NoisyWrapper):
    """A cell whose inputs are dropped at random; see `dropout`."""

    keeps_map = True
    rate: float | int = 0.0

    def __post_init__(self) -> None:
        """ValueError unless ``rate`` is in [0, 1)."""
        super().__post_init__()
        check_rate("rate", self.rate)

    def project(self, weights: Any, x: Any) -> Any:
        """What the wrapped cell projects from the entries of the input that are kept."""
        own, x, inner = self.unpair(x)
        return self.project_inside(weights, x if own is None else drop(x, own, self.rate), inner)

    def own_noise(self, key: Key, num_steps: int, batch_shape: tuple[int, ...], reset: Any) -> Any:
        """Which entries of the inputs are kept, drawn afresh at each step."""
        return keep_masks(key, self.rate, (num_steps, *batch_shape), self.input_shape)


def dropout(cell: Cell, rate: float | int) -> Dropout:
    """The cell whose inputs are dropped, by a fresh mask at each step; the recurrence itself is left alone.

    Source: Zaremba, Sutskever & Vinyals (2014), "Recurrent neural network regularization".

    >>> import recurrent as rec
    >>> cell = dropout(rec.LSTM(2, 3), 0.5)
    >>> keep, _ = cell.noise(jax.random.key(0), 5, (4,), None)
    >>> keep[0].shape
    (5, 4, 2)
    """
    return Dropout(cell, rate)


class MaskedInput(NamedTuple):
    """The projected input of a `VariationalDropout` cell: which entries of its fields are read, and its own input."""

    keep: Any
    u: Any


@dataclasses.dataclass(frozen=True)
class VariationalDropout(NoisyWrapper):
    """A cell whose inputs and state are dropped by one mask for a whole sequence; see `variational_dropout`."""

    inputs: float | int = 0.0
    state: float | int = 0.0
    fields: tuple[str, ...] = ("h",)

    def __post_init__(self) -> None:
        """ValueError unless both rates are in [0, 1) and ``fields`` are fields of the state."""
        super().__post_init__()
        check_rate("inputs", self.inputs)
        check_rate("state", self.state)
        known = state_fields(self.cell)
        for name in self.fields:
            if self.state and name not in known:
                raise ValueError(f"fields: expected a field of the state ({', '.join(known)}), got {name!r}")

    def project(self, weights: Any, x: Any) -> MaskedInput:
        """What the wrapped cell projects from the inputs that are kept, beside the masks of its state."""
        own, x, inner = self.unpair(x)
        if own is None:
            return MaskedInput(None, self.project_inside(weights, x, inner))
        kept = drop(x, own["inputs"], self.inputs) if self.inputs else x
        return MaskedInput(own["state"], self.project_inside(weights, kept, inner))

    def next_state(self, weights: Any, state: Any, u: MaskedInput) -> Any:
        """The state of the wrapped cell after a step that reads only the entries that are kept."""
        if u.keep is not None:
            read = {name: drop(getattr(state, name), (keep,), self.state) for name, keep in u.keep.items()}
            state = state._replace(**read)
        return self.cell.next_state(weights, state, u.u)

    def output(self, weights: Any, state: Any, u: MaskedInput) -> Any:
        """The output of the wrapped cell, read from the whole new state: nothing is dropped from it."""
        return self.cell.output(weights, state, u.u)

    def linear(self, weights: Any, u: MaskedInput) -> Any:
        """The linear form of the wrapped cell's state map."""
        return self.cell.linear(weights, u.u)

    @property
    def has_linear_form(self) -> bool:
        """Whether the wrapped cell has a linear form, and nothing of its state is dropped."""
        return not self.state and self.cell.has_linear_form

    def own_noise(self, key: Key, num_steps: int, batch_shape: tuple[int, ...], reset: Any) -> Any:
        """Which entries of the inputs and of the state's fields are kept, drawn once a segment."""
        key_inputs, key_state = jax.random.split(key)
        leading, known, read = (num_steps, *batch_shape), state_fields(self.cell), {}
        for index, name in enumerate(self.fields if self.state else ()):
            key_field = jax.random.fold_in(key_state, index)
            (read[name],) = keep_masks(key_field, self.state, leading, known[name].shape)
        inputs = keep_masks(key_inputs, self.inputs, leading, self.input_shape) if self.inputs else ()
        return hold({"inputs": inputs, "state": read}, reset)


def variational_dropout(
    cell: Cell, inputs: float | int = 0.0, state: float | int = 0.0, fields: tuple[str, ...] = ("h",)
) -> VariationalDropout:
    """The cell whose inputs, and the state that its recurrence reads, are dropped by one mask for all steps of a
    sequence.

        z_x, z_h ~ Bernoulli(1 - rate), drawn once a segment
        state' = f(x ⊙ z_x / (1 - inputs), state with h ⊙ z_h / (1 - state) in place of h)

    The masks hold from each segment's start; outputs are read from the whole new state. Each call of `recurrent.unroll`
    draws its own, so a sequence that goes on in the next chunk gets new ones there.
    The map of ``cell`` as a whole reads the dropped field, which is the paper's LSTM where the field meets nothing but
    weights: h of an LSTM or of an Elman network. Where the map carries it on besides (h of a GRU, c of an LSTM) the
    carry is dropped and scaled again at each step, and what is kept can grow as (1 - rate)^-t: take `zoneout` there.

    Source: Gal & Ghahramani (2016), "A theoretically grounded application of dropout in recurrent neural networks".
    Differs: one mask for all gates (the variant with tied weights); scaled while training.

    >>> import recurrent as rec
    >>> cell = variational_dropout(rec.LSTM(2, 3), inputs=0.2, state=0.5)
    >>> own, _ = cell.noise(jax.random.key(0), 5, (4,), None)
    >>> bool((own["state"]["h"] == own["state"]["h"][0]).all())
    True
    """
    return VariationalDropout(cell, inputs, state, tuple(fields))
