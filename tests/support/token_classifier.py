"""A split nnx module for tests: embedding, two recurrent layers, attention, dropout and dense layer; and its task."""

import dataclasses
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from flax import nnx

import recurrent as rec
from experiments.tasks.base import Batch, Generated
from recurrent import losses
from recurrent.nnx import Recurrent

TOKENS, WIDTH, CLASSES = 6, 8, 2
LOW, HIGH = rec.LSTM(WIDTH, WIDTH), rec.zoneout(rec.GRU(WIDTH, WIDTH), h=0.2)


class Classifier(nnx.Module):
    """One prediction a sequence."""

    def __init__(self, rngs: nnx.Rngs, dtype: Any = jnp.float32) -> None:
        self.embed = nnx.Embed(TOKENS, WIDTH, param_dtype=dtype, rngs=rngs)
        self.layers = nnx.List([Recurrent(LOW, rngs=rngs), Recurrent(HIGH, rngs=rngs)])
        self.scores = nnx.Linear(WIDTH, 1, param_dtype=dtype, rngs=rngs)
        self.dropout = nnx.Dropout(0.3, rngs=rngs)
        self.dense = nnx.Linear(WIDTH, CLASSES, param_dtype=dtype, rngs=rngs)
        self.rngs = rngs.fork()
        self.deterministic = False

    def __call__(self, batch: Batch) -> Any:
        _, ys = self.layers[0](self.embed(batch.inputs), mask=batch.mask)
        key = None if self.deterministic else self.rngs()
        _, ys = self.layers[1](ys, mask=batch.mask, key=key)
        return self.dense(self.dropout(attend(self.scores(ys)[..., 0], ys, batch.mask)))


def double(rngs: nnx.Rngs) -> Classifier:
    """A `Classifier` in float64: embeddings and dense layers keep the type that they are built in."""
    return Classifier(rngs, jnp.float64)


def attend(scores: Any, ys: Any, mask: Any) -> Any:
    """The mean of ``ys[t, b, h]`` over time, weighted by a softmax over the steps that exist."""
    weights = jax.nn.softmax(scores if mask is None else jnp.where(mask, scores, -jnp.inf), axis=0)
    return jnp.einsum("tb,tbh->bh", weights, ys)


def cell_params(cell: Any, given: Any) -> Any:
    """The parameters of a cell from the dictionary that a split module has of them."""
    return type(jax.eval_shape(cell.init, jax.random.key(0)))(**given)


def both(params: Any) -> list[Any]:
    """The parameters of a `Classifier`'s two cells."""
    cells = enumerate((LOW, HIGH))
    return [cell_params(cell, params["layers"][index]["params"]) for index, cell in cells]


def by_hand(params: Any, batch: Batch) -> Any:
    """What a `Classifier` computes in evaluation, without flax."""
    xs = params["embed"]["embedding"][batch.inputs]
    low, high = both(params)
    ys = rec.unroll(HIGH, high, rec.unroll(LOW, low, xs, mask=batch.mask)[1], mask=batch.mask)[1]
    scores = ys @ params["scores"]["kernel"] + params["scores"]["bias"]
    return attend(scores[..., 0], ys, batch.mask) @ params["dense"]["kernel"] + params["dense"]["bias"]


class Tagger(nnx.Module):
    """One prediction a step, from a state that goes on."""

    def __init__(self, rngs: nnx.Rngs) -> None:
        self.embed = nnx.Embed(TOKENS, WIDTH, rngs=rngs)
        self.recurrent = Recurrent(LOW, rngs=rngs)
        self.dense = nnx.Linear(WIDTH, CLASSES, rngs=rngs)

    def initial_carry(self, batch_size: int) -> Any:
        return self.recurrent.initial_state((batch_size,))

    def __call__(self, batch: Batch, carry: Any) -> tuple[Any, Any]:
        xs = self.embed(batch.inputs)
        state, ys = self.recurrent(xs, state=carry, mask=batch.mask, reset=batch.reset)
        return self.dense(ys), state


@dataclasses.dataclass(frozen=True)
class Never:
    """A criterion that is never met."""

    on: ClassVar[str] = "evaluation"

    def init(self) -> Any:
        return ()

    def update(self, state: Any, outputs: Any, batch: Batch) -> Any:
        return state

    def solved(self, state: Any) -> Any:
        return jnp.array(False)


@dataclasses.dataclass(frozen=True)
class MoreOnes(Generated):
    """Are there more ones than twos among the tokens? Sequences of 3 to 8 steps, padded with 0."""

    num_steps: int = 8
    criterion: ClassVar[Never] = Never()
    input_shape: ClassVar[tuple[int, ...]] = ()
    output_shape: ClassVar[tuple[int, ...]] = (CLASSES,)
    baseline: ClassVar[None] = None
    lag: ClassVar[None] = None

    def sample(self, key: Any, batch_size: int) -> Batch:
        keys = jax.random.split(key)
        tokens = jax.random.randint(keys[0], (self.num_steps, batch_size), 1, TOKENS)
        lengths = jax.random.randint(keys[1], (batch_size,), 3, self.num_steps + 1)
        mask = rec.mask_from_lengths(lengths, self.num_steps)
        tokens = jnp.where(mask, tokens, 0)
        targets = jnp.sum(tokens == 1, axis=0) > jnp.sum(tokens == 2, axis=0)
        return Batch(tokens, targets.astype(jnp.int32), jnp.ones(batch_size), mask)

    def loss(self, outputs: Any, batch: Batch) -> Any:
        return losses.cross_entropy(outputs, batch.targets, batch.weights)

    def metrics(self, outputs: Any, batch: Batch) -> Any:
        return {}
