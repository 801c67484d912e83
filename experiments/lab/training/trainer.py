"""Training one network: pure functions of a `TrainState`, scanned between two looks of the host.

Nothing here knows of seeds, files or clocks: `seeds.py` maps these functions over networks, `run.py` calls them.
"""

import dataclasses
import functools
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int, PyTree

import recurrent as rec
from experiments.lab.training.gradient_rules import Backpropagation, ByRule
from experiments.models.base import HasStateGradients, Loss, Model, target_step
from experiments.tasks.base import Batch, Task
from recurrent import arrays, losses
from recurrent.arrays import Key

# what a network's key is folded with; the task's base folds the same key with 0, 1 and 2
INIT, NOISE, SIGNS = 3, 4, 5
NEVER = -1
CAUSES = ("", "loss", "gradient", "parameters")
"""What was not finite where a network was lost, by the metric ``lost_to``."""
PEAKS = ("grad_norm_max", "lost_to")  # metrics of a chunk that are no mean over its updates
MAX_LAGS = 101
DIAGNOSED = 64  # sequences in the gradient diagnostics


class History(NamedTuple):
    """What a run remembers about its past, apart from the parameters.

    ``solved_at`` and ``frozen_at`` are updates, -1 for never. ``best_loss`` and ``best_at`` belong to the lowest
    validation loss. ``best_params`` are those that the configuration selects: of that loss, or those with which the
    criterion first held; () where it tests the last ones.
    """

    criterion: PyTree
    solved_at: Int[Array, ""]
    finite: Bool[Array, ""]
    frozen_at: Int[Array, ""]
    best_loss: Float[Array, ""]
    best_at: Int[Array, ""]
    best_params: PyTree


class TrainState(NamedTuple):
    """Everything that the next update depends on."""

    update: Int[Array, ""]
    params: PyTree
    opt_state: PyTree
    key: Key
    carry: PyTree
    records: History


@dataclasses.dataclass(frozen=True)
class Trainer:
    """A task, a model and an optimizer, and the functions over their `TrainState`.

    ``optimizer`` is an optax transformation, or a value whose ``transformation(learning_rate)`` makes one: then the
    functions take the rate as an argument, and one program serves every rate. ``gradient`` is what an update follows,
    a value of `experiments.lab.training.gradient_rules`. ``select`` says which parameters are tested: the last, those
    of the lowest validation loss, or those with which the criterion first held, the last where it never did.
    """

    task: Task
    model: Model
    optimizer: Any
    batch_size: int
    evaluation_batch_size: int
    select: Literal["last", "validation", "solved"] = "last"
    gradient: Backpropagation | ByRule = dataclasses.field(default_factory=Backpropagation)

    def _transformation(self, learning_rate: Any) -> optax.GradientTransformation:
        given = self.optimizer
        return (
            given if isinstance(given, optax.GradientTransformation) else given.transformation(learning_rate)
        )

    def init(self, key: Key, learning_rate: Any = None) -> TrainState:
        """The state before the first update."""
        params = self.model.init(jax.random.fold_in(key, INIT))
        criterion = self.task.criterion
        # with their types, for a restored state has no weak ones and would be compiled for again
        never = jnp.array(NEVER, jnp.int32)
        records = History(
            criterion=criterion.init() if criterion.on == "training" else (),
            solved_at=never,
            finite=jnp.array(True),
            frozen_at=never,
            best_loss=jnp.array(jnp.inf, float),  # the widest: what a loss is compared with keeps its type
            best_at=never,
            best_params=() if self.select == "last" else params,
        )
        carry = self.model.initial_carry(params, self.batch_size)
        return TrainState(
            jnp.array(0, jnp.int32),
            params,
            self._transformation(learning_rate).init(params),
            key,
            carry,
            records,
        )

    def train(
        self, state: TrainState, data: PyTree, num_updates: Int[Array, ""], learning_rate: Any = None
    ) -> tuple[TrainState, dict]:
        """``num_updates`` updates, and the mean of their metrics.

        The bound is an argument, so that every chunk of a run, the last one too, is one program.
        Metrics: ``loss``, ``grad_norm`` (before clipping), ``grad_norm_max``, and ``grad_norm/<parameter>``. Beside
        them ``lost_to`` says whether the network was lost in one of these updates, and to what: an index of `CAUSES`.
        """
        zeros = jax.tree.map(
            lambda leaf: jnp.zeros(leaf.shape, leaf.dtype),
            jax.eval_shape(self.update, state, data, learning_rate)[1],
        )

        def body(_: Array, carry: tuple[TrainState, dict]) -> tuple[TrainState, dict]:
            new, metrics = self.update(carry[0], data, learning_rate)
            summed = jax.tree.map(jnp.add, carry[1], metrics)
            return new, {**summed, **{name: jnp.maximum(carry[1][name], metrics[name]) for name in PEAKS}}

        state, summed = jax.lax.fori_loop(0, num_updates, body, (state, zeros))
        means = {name: value / num_updates for name, value in summed.items()}
        return state, {**means, **{name: summed[name] for name in PEAKS}}

    def update(self, state: TrainState, data: PyTree, learning_rate: Any = None) -> tuple[TrainState, dict]:
        """One optimizer step. A network whose loss, gradient or step is not finite stays as it was, for good."""
        batch = self.task.batch(data, state.key, state.update, self.batch_size)
        key, rule_key = (
            jax.random.fold_in(jax.random.fold_in(state.key, kind), state.update) for kind in (NOISE, SIGNS)
        )
        loss, grads, outputs, carry = self.gradient(
            self.model,
            self.task.loss,
            state.params,
            batch,
            carry=state.carry,
            key=key,
            rule_key=rule_key,
        )
        squares = {name: jnp.sum(leaf**2) for name, leaf in named_leaves(grads)}
        grad_norm = jnp.sqrt(sum(squares.values()))
        optimizer = self._transformation(learning_rate)
        steps, opt_state = optimizer.update(grads, state.opt_state, state.params)
        params = optax.apply_updates(state.params, steps)
        are_finite = (jnp.isfinite(loss), jnp.isfinite(grad_norm), jnp.isfinite(optax.tree.norm(params)))
        finite = functools.reduce(jnp.logical_and, are_finite)
        cause = jnp.where(finite, 0, 1 + jnp.argmin(jnp.stack(are_finite))).astype(
            jnp.int32
        )  # the first of them
        records = self._keep_solved(state, self._after_update(state, outputs, batch, finite))
        params, opt_state, carry = jax.tree.map(
            lambda new, old: jnp.where(records.finite, new, old),
            (params, opt_state, carry),
            (state.params, state.opt_state, state.carry),
        )
        norms = {f"grad_norm/{name}": jnp.sqrt(square) for name, square in squares.items()}
        metrics = {"loss": loss, "grad_norm": grad_norm, "grad_norm_max": grad_norm, **norms}
        metrics["lost_to"] = jnp.where(state.records.finite, cause, 0)
        return TrainState(state.update + 1, params, opt_state, state.key, carry, records), metrics

    def _after_update(
        self, state: TrainState, outputs: PyTree, batch: Batch, finite: Bool[Array, ""]
    ) -> History:
        records, done = state.records, state.update + 1
        criterion = self.task.criterion
        records = records._replace(
            frozen_at=jnp.where(records.finite & ~finite, done, records.frozen_at),
            finite=records.finite & finite,
        )
        if criterion.on != "training":
            return records
        seen = criterion.update(records.criterion, outputs, batch)
        return records._replace(criterion=seen, solved_at=_first(records, criterion.solved(seen), done))

    def _keep_solved(self, state: TrainState, records: History) -> History:
        """``records``, with the parameters of ``state`` where these are the ones that first met the criterion."""
        if self.select != "solved":
            return records
        now = (state.records.solved_at == NEVER) & (records.solved_at != NEVER)
        return records._replace(best_params=arrays.where(now, state.params, records.best_params))

    def evaluate(self, state: TrainState, data: PyTree, key: Key) -> tuple[TrainState, dict]:
        """A pass over the validation split: its metrics, and the state that remembers them."""
        metrics, criterion_state = self.measure(state.params, data, "validation", key)
        records = state.records
        criterion = self.task.criterion
        if criterion.on == "evaluation":
            solved = criterion.solved(criterion_state)
            records = records._replace(solved_at=_first(records, solved, state.update))
            records = self._keep_solved(state, records)
        better = metrics["loss"] < records.best_loss
        kept = self.select == "validation"
        best = arrays.where(
            better,
            (metrics["loss"], state.update, state.params if kept else records.best_params),
            (records.best_loss, records.best_at, records.best_params),
        )
        records = records._replace(best_loss=best[0], best_at=best[1], best_params=best[2])
        return state._replace(records=records), metrics

    def measure(self, params: PyTree, data: PyTree, split: str, key: Key) -> tuple[dict, PyTree]:
        """The loss and the metrics over a whole split, and the state of the criterion after it."""
        criterion = self.task.criterion

        def one_batch(carry: tuple[PyTree, PyTree], index: Array) -> tuple[tuple[PyTree, PyTree], dict]:
            batch = self.task.evaluation(data, split, index, key, self.evaluation_batch_size)
            outputs, kept = self.model.apply(params, batch, carry=carry[0], key=None)
            seen = criterion.update(carry[1], outputs, batch) if criterion.on == "evaluation" else ()
            totals = {**self.task.metrics(outputs, batch), "loss": self.task.loss(outputs, batch)}
            return (kept, seen), totals

        count = self.task.num_batches(split, self.evaluation_batch_size)
        start = (
            self.model.initial_carry(params, self.evaluation_batch_size),
            criterion.init() if criterion.on == "evaluation" else (),
        )
        (_, seen), totals = jax.lax.scan(one_batch, start, jnp.arange(count))
        return {name: losses.mean(jax.tree.map(jnp.sum, total)) for name, total in totals.items()}, seen

    def tested_params(self, state: TrainState) -> PyTree:
        """The parameters that the test split, the summary and ``open_run`` use."""
        records = state.records
        if self.select == "solved":
            return arrays.where(records.solved_at != NEVER, records.best_params, state.params)
        return records.best_params if self.select == "validation" else state.params

    def test(self, state: TrainState, data: PyTree, key: Key) -> dict:
        """The metrics of the test split."""
        return self.measure(self.tested_params(state), data, "test", key)[0]

    def diagnose(self, state: TrainState, data: PyTree, key: Key) -> dict:
        """``{field: norm of the state gradient at each of `lags`}``: medians over sequences.

        ``all`` is the whole state, beside each of its fields. Empty for models without a common state.
        """
        batch = self.task.evaluation(data, "validation", jnp.array(0), key, DIAGNOSED)
        return gradients_by_lag(self.model, state.params, batch, self.task.loss)


def _first(records: History, solved: Bool[Array, ""], update: Int[Array, ""]) -> Int[Array, ""]:
    return jnp.where((records.solved_at == NEVER) & solved & records.finite, update, records.solved_at)


def lags(num_steps: int) -> tuple[int, ...]:
    """The lags at which a run records gradients: all of them, or `MAX_LAGS` spread evenly.

    >>> lags(3), len(lags(784))
    ((0, 1, 2), 101)
    """
    count = min(num_steps, MAX_LAGS)
    return tuple(round(i * (num_steps - 1) / max(count - 1, 1)) for i in range(count))


def gradients_by_lag(
    model: Model, params: PyTree, batch: Batch, loss: Loss
) -> dict[str, Float[Array, " lag"]]:
    """The median over sequences of the norm of the state gradient, by `lags` from each last prediction.

    Empty for a model without state gradients.
    """
    if not isinstance(model, HasStateGradients):
        return {}
    gradients = model.state_gradients(params, batch, loss)
    target = target_step(batch)

    def by_lag(field: str | None) -> Float[Array, " lag"]:
        norms = rec.diagnostics.gradient_norms(gradients, field)
        steps = target[None, :] - jnp.array(lags(norms.shape[0]))[:, None]
        aligned = jnp.take_along_axis(norms, jnp.maximum(steps, 0), axis=0)
        return jnp.nanmedian(jnp.where(steps >= 0, aligned, jnp.nan), axis=1)

    return {"all": by_lag(None), **{field: by_lag(field) for field in gradients._fields}}


def named_leaves(tree: PyTree) -> list[tuple[str, Array]]:
    """``(path, leaf)`` with paths like ``cell.w_x``."""
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return [(jax.tree_util.keystr(path, simple=True, separator="."), leaf) for path, leaf in leaves]
