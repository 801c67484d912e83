"""What is trained: the contract of models, and which of a sequence's outputs are predictions."""

import dataclasses
from typing import Protocol

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PyTree

from experiments.tasks.base import Batch
from recurrent import arrays
from recurrent.arrays import Key


class Model(Protocol):
    """What is trained. ``carry`` is the state that truncated backpropagation keeps, ``()`` otherwise."""

    def init(self, key: Key) -> PyTree: ...
    def initial_carry(self, params: PyTree, batch_size: int) -> PyTree: ...
    def apply(
        self, params: PyTree, batch: Batch, *, carry: PyTree, key: Key | None
    ) -> tuple[PyTree, PyTree]: ...


@dataclasses.dataclass(frozen=True)
class EveryStep:
    """One prediction at each step."""

    def select(self, ys: Float[Array, "t b h"], mask: Bool[Array, "t b"] | None) -> Float[Array, "t b h"]:
        """All of them."""
        return ys

    def watched(self, batch: Batch) -> Batch:
        """The batch whose loss counts the last prediction of each sequence alone."""
        last = jnp.arange(batch.weights.shape[0])[:, None] == last_step(batch.weights != 0)
        return batch._replace(weights=jnp.where(last, batch.weights, 0.0))


@dataclasses.dataclass(frozen=True)
class LastStep:
    """One prediction for each sequence, at its last step that exists."""

    def select(self, ys: Float[Array, "t b h"], mask: Bool[Array, "t b"] | None) -> Float[Array, "b h"]:
        """The output of that step."""
        if mask is None:
            return ys[-1]
        return jnp.take_along_axis(ys, last_step(mask)[None, :, None], axis=0)[0]

    def watched(self, batch: Batch) -> Batch:
        """The batch itself: there is one prediction a sequence."""
        return batch


def last_step(exists: Bool[Array, "t b"]) -> Array:
    """The index of the last True of each sequence, ``[b]``; the last index where there is none."""
    return exists.shape[0] - 1 - jnp.argmax(jnp.flip(exists, axis=0), axis=0)


def target_step(batch: Batch) -> Array:
    """The step of each sequence's last prediction, ``[b]``, from which lags are counted."""
    num_steps = arrays.num_steps(batch.inputs)
    if batch.weights.ndim > 1:
        return last_step(batch.weights != 0)
    if batch.mask is not None:
        return last_step(batch.mask)
    return jnp.full(batch.weights.shape, num_steps - 1)
