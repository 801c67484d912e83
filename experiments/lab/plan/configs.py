"""Configurations: frozen, validated, stored as flat JSON, and compared when a run goes on.

A configuration holds its task. On the command line, in ``config.json`` and in hashes the task's fields stand beside the
configuration's own: ``--delay 50`` sets ``config.task.delay``.

Over 300 lines, because every flag stands here with its help.
"""

import dataclasses
import hashlib
import inspect
import json
import re
import typing
from collections.abc import Callable, Collection, Mapping
from typing import Annotated, Any, Literal, Self, TypeVar

import pydantic
import tyro
from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from experiments.errors import Fault
from experiments.lab.plan import cell_names, fair_sizes, optimizer_names, rules
from experiments.lab.plan.cell_names import CellSpec

Positive = Annotated[int, Field(gt=0)]
PositiveFloat = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegative = Annotated[int, Field(ge=0)]
Seed = Annotated[int, Field(ge=0, lt=2**31)]
TaskFlags = tyro.conf.OmitArgPrefixes
"""The annotation of a configuration's task: ``task: TaskFlags[Copying] = Copying()`` gives the flag ``--delay``."""

Kind = TypeVar("Kind")


@typing.dataclass_transform(frozen_default=True, kw_only_default=True)
def configuration(**defaults: Any) -> Callable[[type[Kind]], type[Kind]]:
    """The decorator of every configuration: frozen, by keyword, without unknown fields.

    ``defaults`` are new defaults of fields that the class inherits, so that an experiment's configuration starts at the
    values of its default preset. TypeError where one is no inherited field, or where a field of the task has the name
    of a field of the configuration: both would be one flag.
    """

    def decorated(kind: type[Kind]) -> type[Kind]:
        inherited = {
            name: hint for base in reversed(kind.__mro__[1:]) for name, hint in _annotations(base).items()
        }
        for name, value in defaults.items():
            if name not in inherited:
                raise TypeError(f"{kind.__name__}: {name} is no inherited field")
            kind.__annotations__[name] = inherited[name]
            setattr(kind, name, value)
        made = dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))(kind)
        fields = {field.name for field in dataclasses.fields(made)}
        clashes = fields & set(task_fields(made))
        if clashes:
            raise TypeError(
                f"{kind.__name__}: {min(clashes)} is a field of the configuration and of its task; rename the task's"
            )
        return typing.cast(type[Kind], made)

    return decorated


def _annotations(kind: type) -> dict[str, Any]:
    return inspect.get_annotations(kind)


def task_fields(kind: type) -> dict[str, Any]:
    """The fields of the task of a kind of configuration, by name, with the defaults that the kind gives them."""
    task = getattr(kind, "task", None)
    if not dataclasses.is_dataclass(task):
        return {}
    return {field.name: getattr(task, field.name) for field in dataclasses.fields(task) if field.init}


def _commas(words: str) -> str:
    return words.strip("()").replace(" ", ",") or "none"


@configuration()
class Config:
    """One run: one cell on one task. A subclass names its task: ``task: TaskFlags[Copying] = Copying()``."""

    task: tyro.conf.Suppress[Any] = None
    cell: tyro.conf.Suppress[CellSpec] = CellSpec("lstm")
    hidden_size: Positive = 64
    """Size of the state, in units."""
    match: str = ""
    """Fair sizes, in the place of hidden_size. parameters=50000: the largest hidden_size at which the whole model has
    at most so many parameters; state=128: at which its recurrent state has at most so many real numbers. Each cell gets
    its own; where even the smallest size has more, that one."""
    num_updates: Positive = 1000
    """Number of optimizer steps."""
    batch_size: Positive = 64
    """Sequences per update."""
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
    """Course of the learning rate over num_updates; cosine falls to 0."""
    warmup: NonNegative = 0
    """Updates over which the learning rate rises linearly from 0, before the schedule."""
    seed: Seed = 0
    """Seed of the first network; network i starts from seed + i."""
    num_seeds: Positive = 1
    """Number of networks, each from a seed of its own."""
    log_every: Positive = 50
    """Updates between two lines of training metrics."""
    eval_every: Positive = 100
    """Updates between two passes over the validation split; a multiple of log_every."""
    checkpoint_every: Positive = 500
    """Updates between two checkpoints; a multiple of log_every."""
    evaluation_batch_size: Positive = 256
    """Sequences per batch of an evaluation."""
    evaluation_seed: Seed = 0
    """Seed of the validation and test sequences, the same for all networks and cells."""
    select: Literal["last", "validation", "solved"] = "last"
    """Parameters that are tested: the last; those of the lowest validation loss; or those with which a network was
    first solved, the last where it never was."""
    solver: Literal["auto", "sequential", "fused", "checkpointed", "associative"] = "auto"
    """Solver of the recurrence: a way to compute it; all give the same numbers."""
    start_from: str = ""
    """Folder of a run whose networks this one starts from, network i from network i; empty: from new parameters."""
    stop: Literal["updates", "solved"] = "updates"
    """End of the run. updates: after num_updates; solved: as soon as every network is solved, at an evaluation."""
    test_lengths: Annotated[
        tuple[Positive, ...],
        tyro.conf.arg(metavar="INT,INT,...", help_behavior_hint=lambda text: f"(default: {_commas(text)})"),
    ] = ()
    """Further lengths of the task, with commas between, at which the trained networks are tested as well."""
    gradient: str = "bptt"
    """Gradient that an update follows. bptt: through all steps of the batch. truncated(k1=5,k2=10): every k1 steps, the
    losses of the last k1 steps go back through the last k2 >= k1 steps, whose first state is a constant; windows end
    with the batch. rtrl, uoro, snap1, eprop: forward in time, by the rule of that name."""

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
        if self.match:
            object.__setattr__(self, "match", fair_sizes.label(fair_sizes.parse(self.match)))
        # one spelling of each rule, so that the same rule always is the same run
        object.__setattr__(self, "gradient", rules.label(rules.parse(self.gradient)))

    def with_cell(self, spec: CellSpec) -> Self:
        """This configuration with another cell."""
        return dataclasses.replace(self, cell=spec)


LATER: dict[str, Any] = {
    "gradient": "bptt",
    "momentum": 0.0,
    "weight_decay": 0.0,
    "warmup": 0,
    "group_rates": "",
    "start_from": "",
    "stop": "updates",
    "test_lengths": (),
    "match": "",
}
"""Fields that runs were stored without, and the values with which those ran: at them a field enters neither a stored
configuration nor a hash, so that such a run keeps its folder."""


def flat(config: Config) -> dict[str, Any]:
    """Every field by the name of its flag, those of the task in the place of the task; the cell as JSON."""
    own = {field.name: getattr(config, field.name) for field in dataclasses.fields(config)}
    task = own.pop("task")
    inner = {name: getattr(task, name) for name in task_fields(type(config))}
    return {**own, **inner, "cell": config.cell.as_json()}


def changed(config: Config, **values: Any) -> Config:
    """The configuration with other values, each by the name of its flag; fields of the task are found there.

    Raises:
        Fault: there is no such field, or a value is out of range.
    """
    inner = {name: value for name, value in values.items() if name in task_fields(type(config))}
    own = {name: value for name, value in values.items() if name not in inner}
    if isinstance(own.get("cell"), str):
        own["cell"] = cell_names.parse_cell(own["cell"])
    try:
        if inner:
            own["task"] = _validated_task(type(config.task), {**_task_values(config), **inner})
        return dataclasses.replace(config, **own)
    except (pydantic.ValidationError, TypeError, ValueError) as error:
        raise Fault(explain(error)) from error


def _task_values(config: Config) -> dict[str, Any]:
    return {name: getattr(config.task, name) for name in task_fields(type(config))}


def _validated_task(kind: type, values: Mapping[str, Any]) -> Any:
    return pydantic.TypeAdapter(kind).validate_python(dict(values))


def as_json(config: Config) -> dict[str, Any]:
    """A flat dictionary of plain values; the cell is ``{"cell": name, ...}``, and `LATER` is left out."""
    return {name: value for name, value in flat(config).items() if not _is_later(name, value)}


def _is_later(name: str, value: Any) -> bool:
    return name in LATER and type(value) is type(LATER[name]) and value == LATER[name]


def from_json(kind: type[Config], stored: Mapping[str, Any]) -> Config:
    """The inverse of `as_json`; Fault where a field is unknown, missing or out of range."""
    known = task_fields(kind)
    own = {name: value for name, value in stored.items() if name not in known}
    later = {name: value for name, value in LATER.items() if name not in known}
    try:
        own = {**later, **own, "cell": cell_names.from_json(stored["cell"])}
        if known:
            own["task"] = _validated_task(
                type(kind.task), {name: stored.get(name, known[name]) for name in known}
            )
        return kind(**own)
    except (pydantic.ValidationError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise Fault(f"not a configuration of this experiment: {explain(error)}") from error


def explain(error: Exception) -> str:
    """What pydantic or a task found, in one line that names the flag; the first complaint is enough to act on."""
    if not isinstance(error, pydantic.ValidationError):
        return as_flag(str(error))
    first = error.errors()[0]
    where = ".".join(map(str, first["loc"]))
    message = first["msg"].removeprefix("Value error, ")
    if not where or first["type"] == "value_error":
        return as_flag(message)
    return f"--{where.replace('_', '-')}: {message[0].lower()}{message[1:]}, got {first['input']!r}"


def as_flag(message: str) -> str:
    """A complaint that begins with the name of a field, with the flag in its place.

    >>> as_flag("num_steps: expected at least 4, got 3")
    '--num-steps: expected at least 4, got 3'
    """
    return re.sub(r"^(\w+):", lambda found: f"--{found[1].replace('_', '-')}:", message)


def identity(config: Config) -> dict[str, Any]:
    """What makes two runs the same: every field but, under a constant schedule, ``num_updates``.

    With a ``match`` the hidden size is no such field either: it follows from the others, and is known later.
    """
    every = flat(config)
    every["cell"].pop("source_path", None)
    del every["stop"]  # it says how many updates there are, and none differs
    if config.match:
        del every["hidden_size"]
    if config.schedule == "constant":
        del every["num_updates"]
    return every


def identity_key(config: Config) -> str:
    """`identity` as a text that can be compared and looked up."""
    return json.dumps(identity(config), sort_keys=True, default=str)


def flags(config: Config, other: Config) -> list[str]:
    """The flags that make ``config`` of ``other``, but for the cell."""
    before = flat(other)
    chosen = {"cell", "hidden_size"} if config.match else {"cell"}
    return [
        f"--{name.replace('_', '-')} {as_word(value)}"
        for name, value in flat(config).items()
        if name not in chosen and value != before[name]
    ]


def as_word(value: Any) -> str:
    """A value as the command line has it: a list is one word with commas.

    >>> as_word((40, 100)), as_word(0.5)
    ('40,100', '0.5')
    """
    return ",".join(map(str, value)) if isinstance(value, tuple | list) else str(value)


def config_hash(config: Config, varying: Collection[str] = ()) -> str:
    """Eight digits for the name of a folder: of the stored identity, without the cell and without what varies there.

    Of the ``varying`` fields only the names count, so that a grid with one more value finds the same folder.
    """
    same = {*identity(config), "num_updates"} if "schedule" in varying else identity(config)
    apart = {"cell", *varying}
    if "match" in varying:
        apart.add("hidden_size")  # as where all have a match
    shared: dict[str, Any] = {
        key: value for key, value in as_json(config).items() if key in same and key not in apart
    }
    names = sorted(set(varying) - {"cell"})
    if names:
        shared["varying"] = names
    return hashlib.sha256(json.dumps(shared, sort_keys=True).encode()).hexdigest()[:8]
