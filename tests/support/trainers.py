"""Small trainers of the adding problem for the tests of training, and their functions, compiled once for each."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

import recurrent as rec
from experiments.lab.training.trainer import Trainer, TrainState
from experiments.models.base import LastStep
from experiments.models.cell_with_readout import CellWithReadout
from experiments.tasks.adding import Adding
from experiments.tasks.base import Batch

ADDING = Adding(num_steps=5, num_evaluation=12)
STEP = 1e-2
BATCH = 4


def trainer_of(task: Any = ADDING, model: Any = None, optimizer: Any = None, **options: Any) -> Trainer:
    """Batches of 4 sequences, evaluations of 5."""
    model = model or CellWithReadout(rec.Elman(2, 3), 1, LastStep())
    return Trainer(task, model, optimizer or optax.sgd(STEP), BATCH, 5, **options)


def compiled(method: Any) -> Any:
    """A method of a trainer as a function whose first argument is the trainer."""
    return jax.jit(method, static_argnums=0)


_init, _train = compiled(Trainer.init), compiled(Trainer.train)
evaluate, measure_test = compiled(Trainer.evaluate), compiled(Trainer.test)


def start(trainer: Trainer, seed: int = 0) -> TrainState:
    return _init(trainer, jax.random.key(seed))


def train(trainer: Trainer, state: TrainState, num_updates: int, data: Any = ()) -> tuple[TrainState, dict]:
    return _train(trainer, state, data, num_updates)


def num_programs() -> int:
    """How often `train` has been compiled."""
    return _train._cache_size()


def draw(task: Any, key: Any, number: int, batch_size: int = BATCH, split: int = 0) -> Batch:
    """A batch of a drawn task: split 0 is training, 1 validation, 2 test."""
    return _sample(task, jax.random.fold_in(jax.random.fold_in(key, split), number), batch_size)


_sample = jax.jit(lambda task, key, batch_size: task.sample(key, batch_size), static_argnums=(0, 2))
predict = jax.jit(
    lambda model, params, batch, carry=(), key=None: model.apply(params, batch, carry=carry, key=key)[0],
    static_argnums=0,
)


def assert_close(got: Any, want: Any, tolerance: float = 1e-6) -> None:
    """max|got - want| <= tolerance max(1, max|want|), leaf by leaf."""
    assert jax.tree.structure(got) == jax.tree.structure(want)
    for one, other in zip(jax.tree.leaves(got), jax.tree.leaves(want), strict=True):
        bound = tolerance * max(1.0, float(jnp.max(jnp.abs(other))))
        np.testing.assert_allclose(one, other, rtol=0, atol=bound)


def without_key(state: TrainState) -> TrainState:
    """A training state with the raw numbers of its key, which NumPy knows, in the key's place."""
    return state._replace(key=jax.random.key_data(state.key))
