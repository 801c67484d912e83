"""Configurations: frozen, validated, stored as JSON, and compared when a run goes on."""

import dataclasses
import hashlib
import json
import typing
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self, TypeVar

import pydantic
import tyro
from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from experiments.errors import Fault
from experiments.lab.plan import cell_names, optimizer_names, rules
from experiments.lab.plan.cell_names import CellSpec

Positive = Annotated[int, Field(gt=0)]
PositiveFloat = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegative = Annotated[int, Field(ge=0)]
Seed = Annotated[int, Field(ge=0, lt=2**31)]

Kind = TypeVar("Kind")


@typing.dataclass_transform(frozen_default=True, kw_only_default=True)
def frozen(kind: type[Kind]) -> type[Kind]:
    """The decorator of every configuration: frozen, by keyword, and without unknown fields."""
    decorated = dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))(kind)
    return typing.cast(type[Kind], decorated)


@frozen
class Config:
    """One run: one cell on one task. A subclass adds the task's own sizes."""

    cell: tyro.conf.Suppress[CellSpec] = CellSpec("lstm")
    hidden_size: Positive = 64
    """Size of the state, in units."""
    num_updates: Positive = 1000
    """Optimizer steps."""
    batch_size: Positive = 64
    """Sequences an update."""
    optimizer: str = "adam"
    """Update rule: adam, adamw, rmsprop (decay 0.9) or sgd; or my_module:make, a function of the learning rate such
    as those of optax (optax:lion is one)."""
    learning_rate: PositiveFloat = 1e-3
    """Step size of the optimizer."""
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Decay of past steps, for sgd and rmsprop; 0: none."""
    weight_decay: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    """Part of each parameter that is subtracted with a step, times the learning rate, for adamw."""
    group_rates: str = ""
    """Multipliers of the learning rate by parameter path, as in cell.w_h=0.1,readout=2; the longest path counts, 0
    freezes. cell.recurrent: the parameters of an orthogonal or unitary matrix."""
    clip_norm: PositiveFloat | None = 1.0
    """Largest 2-norm of the whole gradient; None: not clipped."""
    schedule: Literal["constant", "cosine"] = "constant"
    """Of the learning rate over num_updates; cosine ends at 0."""
    warmup: NonNegative = 0
    """Updates over which the learning rate rises linearly from 0, before the schedule."""
    seed: Seed = 0
    """Of the first network; network i starts from seed + i."""
    num_seeds: Positive = 1
    """Networks, trained side by side."""
    log_every: Positive = 50
    """Updates between two lines of training metrics."""
    eval_every: Positive = 100
    """Updates between two passes over the validation split; a multiple of log_every."""
    checkpoint_every: Positive = 500
    """Updates between two checkpoints; a multiple of log_every."""
    evaluation_batch_size: Positive = 256
    """Sequences a batch of an evaluation."""
    evaluation_seed: Seed = 0
    """Of the validation and test draws: the same for all seeds and cells."""
    select: Literal["last", "validation"] = "last"
    """Which parameters are tested: the last, or those of the lowest validation loss."""
    solver: Literal["auto", "sequential", "checkpointed", "associative"] = "auto"
    """How the recurrence is computed."""
    gradient: str = "bptt"
    """What an update follows. bptt: the loss of a batch goes back through all of its steps. truncated(k1=5,k2=10):
    every k1 steps, the losses of the last k1 steps go back through the last k2 >= k1, whose first state is a
    constant; windows end with the batch. rtrl, uoro, snap1, eprop: the cell's gradient travels forward in time."""

    def __post_init__(self) -> None:
        """Check what concerns two fields, and what is spelled in one way: optimizer, group rates and gradient."""
        for name in ("eval_every", "checkpoint_every"):
            if getattr(self, name) % self.log_every:
                flag = name.replace("_", "-")
                raise ValueError(
                    f"--{flag}: expected a multiple of --log-every ({self.log_every}), got {getattr(self, name)}"
                )
        if self.seed + self.num_seeds > 2**31:
            raise ValueError(f"--seed: expected the last network's below 2**31, got {self.seed}")
        if self.schedule == "cosine" and self.warmup >= self.num_updates:
            raise ValueError(
                f"--warmup: expected less than --num-updates ({self.num_updates}) before a cosine, got {self.warmup}"
            )
        object.__setattr__(self, "optimizer", optimizer_names.canonical(self.optimizer))
        fields = {name: getattr(self, name) for name in optimizer_names.TAKES}
        optimizer_names.check_fields(self.optimizer, fields)
        groups = optimizer_names.parse_groups(self.group_rates)
        object.__setattr__(self, "group_rates", optimizer_names.label_groups(groups))
        # one spelling of each rule, so that the same rule always is the same run
        object.__setattr__(self, "gradient", rules.label(rules.parse(self.gradient)))

    def with_cell(self, spec: CellSpec) -> Self:
        """The same configuration of another cell."""
        return dataclasses.replace(self, cell=spec)


LATER = {"gradient": "bptt", "momentum": 0.0, "weight_decay": 0.0, "warmup": 0, "group_rates": ""}
"""Fields that runs were stored without, and what those runs had: such a run keeps its hash and its folder."""


def as_json(config: Config) -> dict[str, Any]:
    """A dictionary of plain values; the cell is ``{"cell": name, ...}``, and `LATER` is left out."""
    return {name: value for name, value in _plain(config).items() if (name, value) not in LATER.items()}


def _plain(config: Config) -> dict[str, Any]:
    plain = {field.name: getattr(config, field.name) for field in dataclasses.fields(config)}
    return {**plain, "cell": config.cell.as_json()}


def from_json(kind: type[Config], stored: Mapping[str, Any]) -> Config:
    """The inverse of `as_json`; Fault where a field is unknown, missing or out of range."""
    try:
        return kind(**{**stored, "cell": cell_names.from_json(stored["cell"])})
    except (pydantic.ValidationError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise Fault(f"not a configuration of this experiment: {explain(error)}") from error


def explain(error: Exception) -> str:
    """What pydantic found, in one line; the first complaint is enough to act on."""
    if not isinstance(error, pydantic.ValidationError):
        return str(error)
    first = error.errors()[0]
    where = ".".join(map(str, first["loc"]))
    message = first["msg"].removeprefix("Value error, ")
    got = "" if first["type"] == "value_error" else f", got {first['input']!r}"
    return f"--{where.replace('_', '-')}: {message[0].lower()}{message[1:]}{got}" if where else message


def identity(config: Config) -> dict[str, Any]:
    """What makes two runs the same: every field but, under a constant schedule, ``num_updates``."""
    every = _plain(config)
    if config.schedule == "constant":
        del every["num_updates"]
    return every


def config_hash(config: Config) -> str:
    """Eight digits for the name of a folder that may hold several cells: of the stored identity, without the cell."""
    same = identity(config)
    shared = {key: value for key, value in as_json(config).items() if key in same and key != "cell"}
    return hashlib.sha256(json.dumps(shared, sort_keys=True).encode()).hexdigest()[:8]
