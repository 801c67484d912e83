"""The continual embedded Reber grammar, learned symbol by symbol as in 2000.

Question: Strings of the embedded Reber grammar follow one another in a stream, and nothing tells where one ends. A
network learns while it reads, one update a symbol, and has to forget what it no longer needs. How many symbols does it
then predict before its first error, with forget gates and without?

Source: Gers, Schmidhuber & Cummins (2000), experiment 1: four blocks of two cells, 424 weights, learning rate 0.5, at
most 30,000 training streams. Of 100 networks with forget gates 18 % end up right on ten streams of 10^6 symbols, 62 %
where the rate falls by 0.99 (--rate-decay 0.99); of those without forget gates none.

Run: python -m experiments.continual.reber

Expect: all begins with streams of three to five symbols. Two networks with forget gates made 12 and 15 symbols in a row
after 20,000 streams, and 14 and 15 with the falling rate; none was solved. No more is known here yet.

Deviations: ten networks; streams, in training and in tests, of at most 1,000 symbols, and a test on the same ten
streams after every thousandth: those of the validation split, and at the end those of the test split. Preset paper has
streams of 10^6 symbols and a test after each, but ten networks too. Without forget gates means gates that stand at 1
exactly: their bias is 1,000, so that they have no gradient; 360 weights learn. One update of the laboratory is one
training stream, of --num-steps symbols unless an error ends it, and --learning-rate is that of half the squared error,
as printed. That the rate starts anew with each stream is how we read the text; the paper's standard LSTM whose state is
reset at the ends of strings is not here. Units that all stand at one half are right by the printed rule, so that the
networks at update 0 make no error: solved asks that the legal symbols be the most active, too.
"""

import dataclasses
import sys
from typing import Annotated

import optax
from pydantic import Field

import recurrent as rec
from experiments.errors import Fault
from experiments.lab import cli
from experiments.lab.parts import parts
from experiments.lab.pictures import curves
from experiments.lab.plan import rules
from experiments.lab.plan.configs import Config, TaskFlags, configuration
from experiments.lab.plan.experiment import Experiment, Parts, presets
from experiments.models.base import EveryStep
from experiments.models.cell_with_readout import CellWithReadout
from experiments.models.stream_learner import StreamLearner
from experiments.tasks.continual_reber import ContinualReber
from recurrent.online.forward import Forward

FORGETS = "gers2000(block_size=2)"
NEVER_FORGETS = "gers2000(block_size=2,forget_gate_bias=(1000,))"
PLAIN = {
    "batch_size": 1,
    "optimizer": "sgd",
    "momentum": 0.0,
    "group_rates": "",
    "clip_norm": None,
    "schedule": "constant",
    "warmup": 0,
}
"""Plain gradient descent on one stream: a stream makes its own updates, and no optimizer changes them."""


@configuration(
    num_updates=30_000,
    log_every=1000,
    eval_every=1000,
    checkpoint_every=5000,
    batch_size=1,
    evaluation_batch_size=10,
    optimizer="sgd",
    clip_norm=None,
    learning_rate=0.5,
    hidden_size=8,
    num_seeds=10,
    gradient="rtrl",
    select="solved",
    stop="solved",
)
class ContinualReberConfig(Config):
    """The continual embedded Reber grammar, one update of weights a symbol."""

    task: TaskFlags[ContinualReber] = ContinualReber(num_steps=1000, stream_length=1000)
    rate_decay: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Factor of the learning rate from symbol to symbol, from the start of each training stream; 1: constant."""
    cut: str = "h"
    """Fields of the state, with commas between, whose gradient does not go back in time. h: errors go back through the
    memory cells alone, as in the paper; empty: no field, the whole gradient."""


def build(config: ContinualReberConfig) -> Parts:
    """A cell, cut, whose outputs are read with the inputs at every step, and which learns while it reads.

    Raises:
        Fault: an update is not one stream, or not plain gradient descent; or the cell has no such fields.
    """
    for name, expected in PLAIN.items():
        if getattr(config, name) != expected:
            raise Fault(
                f"--{name.replace('_', '-')}: each symbol is a step of plain gradient descent here; "
                f"expected {expected!r}, got {getattr(config, name)!r}"
            )
    if not isinstance(rules.parse(config.gradient), Forward):
        raise Fault(
            f"--gradient: expected a rule that travels forward in time, such as rtrl, got {config.gradient}"
        )
    if config.task.num_chunks != 1:
        raise Fault(
            f"--num-steps: an update is one stream; expected at least --stream-length ({config.task.stream_length}), "
            f"got {config.task.num_steps}"
        )
    task, model, _ = parts(config, EveryStep(), skip=True, init_range=0.2)
    if not isinstance(model, CellWithReadout):
        raise Fault(
            f"--cell: expected one cell, for rules that travel forward need one state, got {config.cell.name}"
        )
    fields = tuple(name.strip() for name in config.cut.split(",") if name.strip())
    try:
        cell = rec.cut(model.cell, fields) if fields else model.cell
    except ValueError as error:
        raise Fault(f"--cut: {error}") from error
    learner = StreamLearner(
        dataclasses.replace(model, cell=cell),
        judge=config.task.criterion,
        learning_rate=config.learning_rate / 2,  # the task's squared error lacks the factor 1/2
        rate_decay=config.rate_decay,
    )
    return Parts(task, learner, optax.sgd(1.0))


EXPERIMENT = Experiment(
    name="continual.reber",
    doc=__doc__ or "",
    config=ContinualReberConfig,
    presets=presets(
        ContinualReberConfig,
        smoke={
            "batch_size": 1,
            "num_seeds": 2,
            "hidden_size": 8,
            "learning_rate": 0.5,
            "num_steps": 200,
            "stream_length": 200,
            "evaluation_batch_size": 10,
        },
        paper={
            "num_steps": 1_000_000,
            "stream_length": 1_000_000,
            "log_every": 1,
            "eval_every": 1,
            "checkpoint_every": 100,
        },
    ),
    build=build,
    minutes=15,
    cells=(FORGETS, NEVER_FORGETS),
    pictures=(curves.draw,),
)

if __name__ == "__main__":
    sys.exit(cli.main(EXPERIMENT))
