"""``--match``: the hidden size of each run, chosen while it is planned."""

import sys
from collections.abc import Callable, Mapping
from typing import Any

from experiments.errors import Fault
from experiments.lab import planning
from experiments.lab.plan import cell_names, configs, fair_sizes
from experiments.lab.plan.configs import Config
from experiments.lab.plan.experiment import Experiment
from experiments.lab.storage.folders import Stored
from experiments.models import counts
from experiments.models.base import HasState, Model


def sized(experiment: Experiment, config: Config, stored: Stored | None) -> Config:
    """The configuration with the hidden size that its ``match`` asks for; itself where that is empty.

    The size is the largest with which the whole model has at most so many parameters, or its state at most so many real
    numbers; the smallest that the cell accepts where all have more, which a note on stderr says. A run that has been
    started keeps the size it was started with. A size in the cell's name wins, which a note says too.

    Raises:
        Fault: the cell accepts no size, none that is tried has more than asked for, or the model has no state to count.
    """
    if not config.match:
        return config
    if stored is not None:
        return configs.changed(
            config, hidden_size=configs.from_json(experiment.config, stored.config).hidden_size
        )
    name = cell_names.label(config.cell)
    given = dict(config.cell.options).get("hidden_size")
    if given is not None:
        print(f"note: {name} has its size in its name; --match does not change it", file=sys.stderr)
        return configs.changed(config, hidden_size=given)
    kind, number = fair_sizes.parse(config.match)
    refusals: list[Exception] = []
    size, exceeded = fair_sizes.search(_counter(experiment, config, kind, refusals), number)
    if size is None:
        raise Fault(f"--match: {name} accepts no size: {refusals[0]}") from refusals[0]
    if not exceeded:
        raise Fault(
            f"--match: {name} has no more than {size.count} {NOUNS[kind]} at any size up to {fair_sizes.LARGEST}, "
            f"asked for {number}"
        )
    if size.count > number:
        print(
            f"note: --match: {name} has {size.count} {NOUNS[kind]} at its smallest size, {size.hidden_size}; "
            f"asked for {number}",
            file=sys.stderr,
        )
    return configs.changed(config, hidden_size=size.hidden_size)


def _counter(
    experiment: Experiment, config: Config, kind: str, refusals: list[Exception]
) -> Callable[[int], int | None]:
    """The count of the model at each hidden size; None where a ValueError refuses it, which ``refusals`` keeps."""

    def count(hidden_size: int) -> int | None:
        try:
            parts = planning.build(experiment, configs.changed(config, hidden_size=hidden_size))
            return COUNTS[kind](parts.model)
        except (Fault, ValueError) as error:
            if isinstance(error, ValueError) or isinstance(error.__cause__, ValueError):
                refusals.append(error)
                return None
            raise

    return count


def _num_state(model: Model) -> int:
    if not isinstance(model, HasState):
        raise Fault(f"--match: {type(model).__name__} has no state to count; match parameters")
    return model.num_state()


COUNTS: Mapping[str, Callable[[Any], int]] = {"parameters": counts.num_parameters, "state": _num_state}
"""What ``--match`` can count of a model."""

NOUNS: Mapping[str, str] = {"parameters": "parameters", "state": "numbers of state"}
