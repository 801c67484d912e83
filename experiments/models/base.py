"""What is trained: the contract of models, what some can do beyond it, and which outputs are predictions.

A capability is a protocol with a name, and ``isinstance(model, HasSolver)`` asks for it. A model that has a method
can do what it promises: there is no None that means "not this one", and nobody reads the text of an error.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Protocol, Self, runtime_checkable

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PyTree

from experiments.tasks.base import Batch, Total
from recurrent import arrays, online
from recurrent.arrays import Key

Loss = Callable[[PyTree, Batch], Total]
"""``loss(outputs, batch) -> (sum, count)``, such as the loss of a task."""


class Model(Protocol):
    """What is trained: pure functions of its parameters. Frozen and hashable; it holds sizes, never arrays."""

    def init(self, key: Key) -> PyTree:
        """The parameters: trainable real floating leaves only, deterministic in ``key``."""
        ...

    def initial_carry(self, params: PyTree, batch_size: int) -> PyTree:
        """What goes on from batch to batch, before the first one; ``()`` where nothing does."""
        ...

    def apply(self, params: PyTree, batch: Batch, *, carry: PyTree, key: Key | None) -> tuple[PyTree, PyTree]:
        """The outputs of a batch, and the carry after it. ``key`` None is evaluation: nothing is drawn."""
        ...


@runtime_checkable
class HasSolver(Protocol):
    """A model whose recurrence is computed by a solver that can be chosen."""

    @property
    def solver(self) -> Any:
        """The solver asked for, such as ``rec.AUTO``."""
        ...

    def with_solver(self, solver: Any) -> Self:
        """This model with another solver; parameters and outputs stay what they are."""
        ...

    def chosen_solver(self, batch: Batch) -> Any:
        """What `solver` comes to for a batch; it is traced, so that shapes are enough."""
        ...


@runtime_checkable
class HasGradients(Protocol):
    """A model with a gradient by the rules of `recurrent.online`."""

    def gradients(
        self,
        params: PyTree,
        batch: Batch,
        loss: Loss,
        *,
        rule: online.Rule,
        carry: PyTree,
        key: Key | None,
        rule_key: Key | None,
    ) -> tuple[Any, PyTree, PyTree, PyTree]:
        """``(mean loss, gradient like params, outputs, carry)``; Fault where the rule cannot run the model."""
        ...


@runtime_checkable
class HasStateGradients(Protocol):
    """A model with one recurrent state a step, whose gradient can be looked at."""

    def state_gradients(self, params: PyTree, batch: Batch, loss: Loss) -> PyTree:
        """The derivative of each sequence's last loss with respect to each state, a NamedTuple of ``[t, b, ...]``."""
        ...


@runtime_checkable
class HasParamGroups(Protocol):
    """A model that names parameters which want a learning rate of their own."""

    @property
    def param_groups(self) -> Mapping[str, tuple[str, ...]]:
        """The paths of each group's parameters by the name of the group: ``{"cell.recurrent": ("cell.skew",)}``."""
        ...


@runtime_checkable
class HasState(Protocol):
    """A model with one recurrent state, whose size says how much it can remember."""

    def num_state(self) -> int:
        """Real numbers in the state of one sequence."""
        ...


@dataclasses.dataclass(frozen=True)
class EveryStep:
    """One prediction at each step."""

    def select(self, ys: Float[Array, "t b h"], mask: Bool[Array, "t b"] | None) -> Float[Array, "t b h"]:
        """The outputs of all steps."""
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
