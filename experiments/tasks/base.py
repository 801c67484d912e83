"""What a task is: batches, a loss, metrics, a baseline and a criterion, all pure functions of arrays."""

import dataclasses
from collections.abc import Iterable
from typing import Any, ClassVar, NamedTuple, Protocol, Self, runtime_checkable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from experiments.errors import nearest

Total = tuple[Float[Array, ""], Float[Array, ""]]
"""A sum and a count."""

SPLITS = ("training", "validation", "test")


def require_at_least(name: str, value: int, minimum: int, reason: str = "") -> None:
    """ValueError, naming the argument, where ``value`` is below ``minimum``; ``reason`` ends the line."""
    if value < minimum:
        raise ValueError(f"{name}: expected at least {minimum}{reason and f' {reason}'}, got {value}")


def require_known(name: str, value: str, known: Iterable[str]) -> None:
    """ValueError, naming the argument and the nearest known name, where ``value`` is not one of ``known``."""
    known = tuple(known)
    if value not in known:
        raise ValueError(f"{name}: expected one of {', '.join(known)}, got {value!r}{nearest(value, known)}")


class Batch(NamedTuple):
    """One batch; time first where there is a time axis, then the batch axis.

    ``weights`` has one entry for each prediction, 0 where there is none. ``mask[t, b]`` is True where a
    step exists, ``reset[t, b]`` where a new segment starts; None means "everywhere" and "nowhere".
    ``info`` is what only the metrics need.
    """

    inputs: PyTree
    targets: PyTree
    weights: PyTree
    mask: Array | None = None
    reset: Array | None = None
    info: PyTree = None


class Criterion(Protocol):
    """When a task counts as solved, fixed before training. A frozen dataclass of thresholds.

    ``on`` says what it watches: every training batch, or each pass over the validation split (which
    starts from ``init()`` and is read after its last batch).
    """

    on: ClassVar[str]  # "training" or "evaluation"

    def init(self) -> PyTree: ...
    def update(self, state: PyTree, outputs: PyTree, batch: Batch) -> PyTree: ...
    def solved(self, state: PyTree) -> Array: ...


@runtime_checkable
class HasMilestones(Protocol):
    """A criterion on training whose state says after how many sequences each part of it first held; -1 for never."""

    def milestones(self, state: PyTree) -> dict[str, Array]: ...


@runtime_checkable
class HasVocabulary(Protocol):
    """A task over tokens. Where its ``input_shape`` is ``()``, inputs ``[t, b]`` are integers below ``vocabulary``."""

    @property
    def vocabulary(self) -> int: ...


class Task(Protocol):
    """What an experiment trains on. Frozen and hashable; it holds sizes, never arrays.

    ``data`` is the name of the data set, ``generated`` where sequences are drawn.
    """

    @property
    def input_shape(self) -> Any: ...
    @property
    def output_shape(self) -> Any: ...
    @property
    def baseline(self) -> float | None: ...
    @property
    def lag(self) -> int | None: ...
    @property
    def data(self) -> str: ...
    @property
    def criterion(self) -> Criterion: ...

    def load(self) -> PyTree: ...
    def batch(self, data: PyTree, key: PRNGKeyArray, update: Array, batch_size: int) -> Batch: ...
    def num_batches(self, split: str, batch_size: int) -> int: ...
    def evaluation(
        self, data: PyTree, split: str, index: Array, key: PRNGKeyArray, batch_size: int
    ) -> Batch: ...
    def loss(self, outputs: PyTree, batch: Batch) -> Total: ...
    def metrics(self, outputs: PyTree, batch: Batch) -> dict[str, Total]: ...


@dataclasses.dataclass(frozen=True)
class Generated:
    """Base of the tasks whose sequences are drawn afresh: a subclass gives ``sample(key, batch_size)``.

    Training batch ``update`` is a function of (key, update) alone, so a resumed run sees what an
    unbroken one would. The validation and test draws depend on the evaluation key alone.
    """

    length_field: ClassVar[str] = "num_steps"
    """The field that says how long sequences are."""

    num_evaluation: int = dataclasses.field(default=1024, kw_only=True)
    """Sequences in the validation split, and in the test split."""

    def at_length(self, length: int) -> Self:
        """This task at another length, which asks a trained network for what it was not trained on."""
        return dataclasses.replace(self, **{self.length_field: length})

    def __post_init__(self) -> None:
        require_at_least("num_evaluation", self.num_evaluation, 1)

    @property
    def data(self) -> str:
        """``generated``."""
        return "generated"

    def sample(self, key: PRNGKeyArray, batch_size: int) -> Batch:
        """Draw ``batch_size`` fresh sequences."""
        raise TypeError(f"{type(self).__name__} has to define sample(key, batch_size)")

    def load(self) -> PyTree:
        """``()``, for the sequences are drawn."""
        return ()

    def batch(self, data: PyTree, key: PRNGKeyArray, update: Array, batch_size: int) -> Batch:
        """Training batch number ``update``."""
        del data
        return self.sample(_draw_key(key, "training", update), batch_size)

    def num_batches(self, split: str, batch_size: int) -> int:
        """How many batches cover the ``num_evaluation`` fixed sequences of a split."""
        if split not in SPLITS[1:]:
            raise ValueError(f"split: expected 'validation' or 'test', got {split!r}")
        return -(-self.num_evaluation // batch_size)

    def evaluation(self, data: PyTree, split: str, index: Array, key: PRNGKeyArray, batch_size: int) -> Batch:
        """Batch ``index`` of the split's fixed draws; the last one is filled up with weight 0."""
        del data
        batch = self.sample(_draw_key(key, split, index), batch_size)
        kept = index * batch_size + jnp.arange(batch_size) < self.num_evaluation
        # weights end in the batch axis (one prediction a sequence) or start with time: [b] and [t, b]
        return batch._replace(weights=jax.tree.map(lambda w: jnp.where(kept, w, 0.0), batch.weights))


def _draw_key(key: PRNGKeyArray, split: str, number: Array) -> PRNGKeyArray:
    return jax.random.fold_in(jax.random.fold_in(key, SPLITS.index(split)), number)
