"""How far a network came on its way to a rule of 1997: when the parts of the rule first held."""

import dataclasses
import math
from typing import Any, ClassVar, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Int, PyTree

from experiments.tasks.base import Batch
from experiments.tasks.criteria import Streak
from experiments.tasks.error_criteria import RecentErrors

NEVER = -1


class MilestoneState(NamedTuple):
    """The state of the rule, how many sequences there were, and after how many each part first held."""

    rule: PyTree
    count: Int[Array, ""]
    first: dict[str, Int[Array, ""]]


@dataclasses.dataclass(frozen=True)
class Milestones:
    """``rule``, remembering after how many sequences its parts held first, over its window.

    ``mean_error``: the mean of |e| was below the rule's, where it has one. ``nearly_all``: at least ``share`` of the
    sequences had |e| below the rule's.
    """

    on: ClassVar[str] = "training"

    rule: Streak | RecentErrors
    share: float = 0.99

    def init(self) -> MilestoneState:
        """The state before the first batch."""
        names = ("mean_error", "nearly_all") if math.isfinite(self.rule.mean_error) else ("nearly_all",)
        never = jnp.array(NEVER, jnp.int32)
        return MilestoneState(self.rule.init(), jnp.zeros((), jnp.int32), dict.fromkeys(names, never))

    def update(self, state: MilestoneState, outputs: Any, batch: Batch) -> MilestoneState:
        """Append the sequences of one batch."""
        rule = self.rule.update(state.rule, outputs, batch)
        kept = jnp.any(jnp.atleast_2d(batch.weights) != 0, axis=0)
        count = state.count + jnp.sum(kept, dtype=jnp.int32)
        holds = {
            "mean_error": jnp.mean(rule.errors) < self.rule.mean_error,
            "nearly_all": jnp.mean(rule.errors < self.rule.error) >= self.share,
        }
        full = count >= self.rule.window
        first = {
            name: jnp.where((at == NEVER) & full & holds[name], count, at) for name, at in state.first.items()
        }
        return MilestoneState(rule, count, first)

    def solved(self, state: MilestoneState) -> Bool[Array, ""]:
        """Whether the rule holds."""
        return self.rule.solved(state.rule)

    def milestones(self, state: MilestoneState) -> dict[str, Int[Array, ""]]:
        """After how many sequences each part first held, -1 for never."""
        return state.first
