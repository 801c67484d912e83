"""The compiled functions of several networks, shared by runs that differ in learning rate or seed."""

from typing import Any, NamedTuple

import jax

from experiments.lab.training import seeds
from experiments.lab.training.trainer import Trainer

KEPT = 4  # programs of so many trainers stay: a grid goes through the rates of one cell before the next cell


class Programs(NamedTuple):
    """The methods of a `Trainer`, mapped over networks that are stacked along the first axis, and jitted."""

    init: Any
    train: Any
    evaluate: Any
    diagnose: Any
    test: Any


def compile_programs(trainer: Trainer, mapping: str) -> Programs:
    """The functions of one trainer under one seed mapping; each is compiled at its first call."""
    lift = seeds.MAPPINGS[mapping]
    return Programs(
        init=jax.jit(lift(trainer.init)),
        train=jax.jit(lift(trainer.train), donate_argnums=0),
        evaluate=jax.jit(lift(trainer.evaluate)),
        diagnose=jax.jit(lift(trainer.diagnose)),
        test=jax.jit(lift(trainer.test)),
    )


class ProgramCache:
    """Programs by trainer and mapping, for as long as a call of `experiments.lab.run` lasts.

    The learning rate and the seeds are arguments of the programs, and no part of a trainer; an optimizer of one's own
    is, by its identity. A trainer that cannot be hashed is compiled for each run.
    """

    def __init__(self) -> None:
        self._made: dict[Any, Programs] = {}

    def of(self, trainer: Trainer, mapping: str) -> Programs:
        """What `compile_programs` made, or makes now."""
        try:
            found = self._made.pop((trainer, mapping), None)
        except TypeError:
            return compile_programs(trainer, mapping)
        self._made[trainer, mapping] = found or compile_programs(trainer, mapping)
        while len(self._made) > KEPT:
            del self._made[next(iter(self._made))]
        return self._made[trainer, mapping]
