"""Optimizers as values: what the flags of a configuration stand for. The learning rate is an argument of theirs."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import PyTree

from experiments.errors import Fault, nearest
from experiments.lab.plan import foreign, optimizer_names
from experiments.lab.plan.configs import Config


@dataclasses.dataclass(frozen=True)
class Optimizer:
    """Clipping by the global norm, an update rule with its schedule, and multipliers of the rate for some parameters.

    It holds everything but the learning rate: runs that differ in it alone are one program, whose argument it is.

    Args:
        rule: ``adam``, ``adamw``, ``rmsprop`` (decay 0.9, as in the published protocols), ``sgd``, or
            ``module:function@digits``: a function of the learning rate as ``optax.adam`` is, which it is called with
            as a number, a scalar array, or, under a schedule, a function of the number of updates done.
        clip_norm: largest 2-norm of the whole gradient; None: not clipped.
        schedule: ``constant``, or ``cosine``: down to 0 at ``num_updates``.
        num_updates: of the whole run, warm-up included; a constant schedule does not read it.
        warmup: updates over which the rate rises linearly, from 0 at the first; the schedule follows.
        weight_decay: of adamw, for every parameter: rate * weight_decay * parameter is subtracted too.
        momentum: of sgd and rmsprop; 0: none.
        groups: ``(path, multiplier)``: the steps of the parameters at or below a path are multiplied; the longest
            path counts, 0 freezes.

    >>> import jax.numpy as jnp
    >>> sgd = Optimizer("sgd", groups=(("w", 0.5),)).transformation(0.1)
    >>> params = {"b": jnp.ones(()), "w": jnp.ones(())}
    >>> steps, _ = sgd.update(params, sgd.init(params))
    >>> {name: round(float(step), 3) for name, step in steps.items()}
    {'b': -0.1, 'w': -0.05}
    """

    rule: str = "adam"
    clip_norm: float | None = None
    schedule: str = "constant"
    num_updates: int = 0
    warmup: int = 0
    weight_decay: float = 0.0
    momentum: float = 0.0
    groups: tuple[tuple[str, float], ...] = ()

    def transformation(self, learning_rate: Any) -> optax.GradientTransformation:
        """The optimizer at a learning rate, a number or a scalar array (traced or not).

        Both have states of the same structure, and give the same bits in compiled programs but for ``groups``, where
        the compiler joins constant factors.

        Raises:
            Fault: a stranger's function makes no optimizer, or is no longer the one that the run was started with;
                and, at ``init``, no parameter is at a path of ``groups``.
        """
        parts = [] if self.clip_norm is None else [optax.clip_by_global_norm(self.clip_norm)]
        parts.append(self._rule(self.rate(learning_rate)))
        if self.groups:
            parts.append(scale_groups(self.groups))
        return optax.chain(*parts) if len(parts) > 1 else parts[0]

    def rate(self, learning_rate: Any) -> Any:
        """The rate itself where it is constant, else a function of the number of updates done."""
        after: Any = optax.constant_schedule(learning_rate)
        if self.schedule == "cosine":
            after = optax.cosine_decay_schedule(learning_rate, self.num_updates - self.warmup)
        elif not self.warmup:
            return learning_rate
        if not self.warmup:
            return after

        def warmed(count: Any) -> Any:
            rising = learning_rate * (count / self.warmup)
            return jnp.where(count < self.warmup, rising, after(count - self.warmup))

        return warmed

    def _rule(self, rate: Any) -> optax.GradientTransformation:
        # None and not 0: with a momentum of 0 the state would hold a sum that nobody reads, and old ones could not
        # be restored
        momentum = self.momentum or None
        if self.rule == "adam":
            return optax.adam(rate)
        if self.rule == "adamw":
            return optax.adamw(rate, weight_decay=self.weight_decay)
        if self.rule == "rmsprop":
            return optax.rmsprop(rate, decay=0.9, momentum=momentum)
        if self.rule == "sgd":
            return optax.sgd(rate, momentum=momentum)
        return _foreign(self.rule, rate)


def _foreign(rule: str, rate: Any) -> optax.GradientTransformation:
    name = rule.partition("@")[0]
    if optimizer_names.canonical(name) != rule:
        raise Fault(
            f"--optimizer: the source of {name} has changed since the run was started; give another --out"
        )
    try:
        found = foreign.load("--optimizer", name)(rate)
    except Fault:
        raise
    except Exception as error:  # a stranger's function may fail in any way
        raise Fault(f"--optimizer: {name}: {type(error).__name__}: {error}") from error
    if not isinstance(found, optax.GradientTransformation):
        raise Fault(
            f"--optimizer: {name} made a {type(found).__name__}, expected an optax.GradientTransformation"
        )
    return found


def param_labels(params: PyTree, paths: tuple[str, ...]) -> PyTree:
    """For each leaf the longest of ``paths`` that it is at or below; ``""`` where it is below none.

    A path is names with dots between: ``cell`` is all of a cell, ``cell.w_h`` one matrix. Labels like these are what
    ``optax.multi_transform`` takes.

    Raises:
        Fault: no parameter is at or below one of ``paths``.

    >>> param_labels({"cell": {"w_h": 0.0, "b": 0.0}, "readout": 0.0}, ("cell", "cell.w_h"))
    {'cell': {'b': 'cell', 'w_h': 'cell.w_h'}, 'readout': ''}
    """
    names = [_name(path) for path, _ in jax.tree.leaves_with_path(params)]
    for path in paths:
        if not any(_is_below(name, path) for name in names):
            raise Fault(
                f"--group-rates: no parameter {path!r}{nearest(path, names)} (parameters: {', '.join(names)})"
            )

    def label(path: Any, _: Any) -> str:
        return max((one for one in paths if _is_below(_name(path), one)), key=len, default="")

    return jax.tree.map_with_path(label, params)


def scale_groups(groups: tuple[tuple[str, float], ...]) -> optax.GradientTransformation:
    """Steps times the multipliers of `Optimizer.groups`; it keeps no state."""
    multipliers = dict(groups)

    def init(params: PyTree) -> optax.EmptyState:
        param_labels(params, tuple(multipliers))
        return optax.EmptyState()

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        del params
        labels = param_labels(updates, tuple(multipliers))
        return jax.tree.map(lambda step, label: step * multipliers.get(label, 1.0), updates, labels), state

    return optax.GradientTransformation(init, update)


def _name(path: Any) -> str:
    return jax.tree_util.keystr(path, simple=True, separator=".")


def _is_below(name: str, path: str) -> bool:
    return name == path or name.startswith(f"{path}.")


def make_optimizer(config: Config, param_groups: Mapping[str, tuple[str, ...]] | None = None) -> Optimizer:
    """The optimizer of a configuration, but for its learning rate.

    ``param_groups``: what a model `HasParamGroups` says; such a name in ``--group-rates`` stands for its paths.
    """
    known = param_groups or {}
    groups = [
        (path, multiplier)
        for name, multiplier in optimizer_names.parse_groups(config.group_rates)
        for path in known.get(name, (name,))
    ]
    return Optimizer(
        rule=config.optimizer,
        clip_norm=config.clip_norm,
        schedule=config.schedule,
        # runs that may go on to any length are one optimizer
        num_updates=config.num_updates if config.schedule == "cosine" else 0,
        warmup=config.warmup,
        weight_decay=config.weight_decay,
        momentum=config.momentum,
        groups=tuple(sorted(groups)),
    )
