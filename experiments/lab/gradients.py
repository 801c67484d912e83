"""Gradients by name: what ``--gradient`` takes, and how an update follows the rule that it names."""

import ast
import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
from jaxtyping import PyTree

from experiments.errors import Fault, nearest
from experiments.tasks.base import Batch
from recurrent import losses, online
from recurrent.arrays import Key

NAMES: Mapping[str, Any] = {
    "bptt": online.BPTT,
    "truncated": online.Truncated,
    "rtrl": online.RTRL,
    "uoro": online.UORO,
    "snap1": online.SnAp1,
    "eprop": online.EProp,
}
"""The rules that a configuration names."""
EXAMPLE = "truncated(k1=5,k2=10)"


def parse(text: str) -> online.Rule:
    """The rule that ``rtrl`` or ``truncated(k1=5, k2=10)`` stands for.

    Raises:
        ValueError: no such rule, no such option, or an option that is missing or out of range.

    >>> parse("truncated(k2=10, k1=5)")
    Truncated(k1=5, k2=10)
    """
    name, options = _read(text)
    if name not in NAMES:
        raise ValueError(
            f"--gradient: unknown rule {name!r}{nearest(name, NAMES)} (known: {', '.join(NAMES)})"
        )
    known = [field.name for field in dataclasses.fields(NAMES[name])]
    for option in options:
        if option not in known:
            listed = f" (its options: {', '.join(known)})" if known else ""
            raise ValueError(f"--gradient: {name} has no option {option!r}{nearest(option, known)}{listed}")
    for option in known:
        if option not in options:
            raise ValueError(f"--gradient: {name} needs {option}, as in {EXAMPLE}")
        if type(options[option]) is not int:
            raise ValueError(f"--gradient: {option}: expected an integer, got {options[option]!r}")
    try:
        return NAMES[name](**options)
    except ValueError as error:
        raise ValueError(f"--gradient: {error}") from error


def _read(text: str) -> tuple[str, dict[str, Any]]:
    """The name and the options that are written; ValueError where it is neither a name nor a call of one."""
    try:
        match ast.parse(text.strip(), mode="eval").body:
            case ast.Name(name):
                return name, {}
            case ast.Call(ast.Name(name), [], words):
                options = {str(word.arg): ast.literal_eval(word.value) for word in words}
                if len(options) == len(words) and all(word.arg for word in words):
                    return name, options
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        pass  # said below, like all else that is not understood
    raise ValueError(f"--gradient: expected a name, or options each once as in {EXAMPLE}, got {text!r}")


def label(rule: online.Rule) -> str:
    """How a configuration spells a rule; the inverse of `parse`.

    >>> label(parse("truncated(k2=10, k1=5)"))
    'truncated(k1=5,k2=10)'
    """
    name = next(name for name, kind in NAMES.items() if kind is type(rule))
    options = ",".join(f"{option}={value!r}" for option, value in vars(rule).items())
    return f"{name}({options})" if options else name


class Step(NamedTuple):
    """The mean loss of a batch, a gradient like ``params``, the outputs, and the carry after the batch."""

    loss: Any
    grads: PyTree
    outputs: PyTree
    carry: PyTree


@dataclasses.dataclass(frozen=True)
class Backpropagation:
    """Back through all steps of the batch, whatever the model is."""

    def __call__(
        self, model: Any, loss: Any, params: PyTree, batch: Batch, *, carry: PyTree, key: Key, rule_key: Key
    ) -> Step:
        """The gradient of the mean of ``loss(outputs, batch) -> (sum, count)``."""
        del rule_key

        def mean_loss(params: PyTree) -> tuple[Any, tuple[PyTree, PyTree]]:
            outputs, kept = model.apply(params, batch, carry=carry, key=key)
            return losses.mean(loss(outputs, batch)), (outputs, kept)

        (value, (outputs, kept)), grads = jax.value_and_grad(mean_loss, has_aux=True)(params)
        return Step(value, grads, outputs, kept)


@dataclasses.dataclass(frozen=True)
class ByRule:
    """By a rule of `recurrent.online` for the cell, exact for the readout; of a model with one cell."""

    rule: online.Rule

    def __call__(
        self, model: Any, loss: Any, params: PyTree, batch: Batch, *, carry: PyTree, key: Key, rule_key: Key
    ) -> Step:
        """What ``model.gradients`` makes of the rule; Fault where the model or its cell has nothing for it."""
        if not hasattr(model, "gradients"):
            raise Fault(
                f"--gradient: {label(self.rule)} needs a cell with a readout, got {type(model).__name__}"
            )
        return Step(
            *model.gradients(params, batch, loss, rule=self.rule, carry=carry, key=key, rule_key=rule_key)
        )


def through(rule: online.Rule) -> Backpropagation | ByRule:
    """The function of an update that follows a rule."""
    return Backpropagation() if rule == online.BPTT() else ByRule(rule)
