"""Optimizers: old settings to the bit, new ones by hand, and the learning rate as a number or as an argument."""

import json
import sys
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import recurrent as rec
from experiments.adding_problem import AddingConfig
from experiments.errors import Fault
from experiments.lab.plan import configs
from experiments.lab.plan.cell_names import parse_cell
from experiments.lab.training.optimizers import Optimizer, make_optimizer, param_labels
from experiments.lab.training.trainer import named_leaves
from experiments.models.base import HasParamGroups, LastStep
from experiments.models.cell_with_readout import CellWithReadout

RATE, UPDATES = 0.3, 5
PARAMS = CellWithReadout(rec.Elman(2, 3), 1, LastStep()).init(jax.random.key(0))
GRADIENTS = [jax.tree.map(lambda leaf, n=n: jnp.sin(leaf * 7 + n) * (n + 1), PARAMS) for n in range(UPDATES)]
STACKED = jax.tree.map(lambda *leaves: jnp.stack(leaves), *GRADIENTS)


def as_before(rule: str, clip_norm: float | None, schedule: str) -> optax.GradientTransformation:
    """What runs of version 0.1 were trained with, word for word."""
    rate = optax.cosine_decay_schedule(RATE, UPDATES) if schedule == "cosine" else RATE
    rules = {"adam": optax.adam, "rmsprop": lambda step: optax.rmsprop(step, decay=0.9), "sgd": optax.sgd}
    rule = rules[rule](rate)
    return rule if clip_norm is None else optax.chain(optax.clip_by_global_norm(clip_norm), rule)


def trained(make, *rates):
    """The parameters after all updates, and the state of the optimizer ``make(*rates)``, by one compiled program."""

    def program(params, gradients, *rates):
        optimizer = make(*rates)

        def update(carry, gradient):
            steps, state = optimizer.update(gradient, carry[1], carry[0])
            return (optax.apply_updates(carry[0], steps), state), None

        return jax.lax.scan(update, (params, optimizer.init(params)), gradients)[0]

    # parameters and gradients are arguments: what is constant would be computed by the compiler, to other bits
    return jax.jit(program)(PARAMS, STACKED, *map(jnp.float32, rates))


def config_of(**options) -> AddingConfig:
    return AddingConfig(**{"learning_rate": RATE, "num_updates": UPDATES, **options})


@pytest.mark.optimised
@pytest.mark.parametrize("schedule", ["constant", "cosine"])
@pytest.mark.parametrize("clip_norm", [None, 0.5])
@pytest.mark.parametrize("rule", ["adam", "rmsprop", "sgd"])
def test_what_was_there_before_has_the_same_states_and_the_same_bits(rule, clip_norm, schedule):
    value = make_optimizer(config_of(optimizer=rule, clip_norm=clip_norm, schedule=schedule))
    before = trained(lambda: as_before(rule, clip_norm, schedule))
    number = trained(lambda: value.transformation(RATE))
    argument = trained(value.transformation, RATE)
    for found in (number, argument):
        assert jax.tree.structure(found) == jax.tree.structure(before)
        jax.tree.map(np.testing.assert_array_equal, found, before)
    assert not np.array_equal(before[0].cell.w_h, PARAMS.cell.w_h)


@pytest.mark.parametrize(
    "options",
    [
        {"optimizer": "adamw", "weight_decay": 0.1, "warmup": 2},
        {"optimizer": "rmsprop", "momentum": 0.9, "schedule": "cosine", "warmup": 2},
        {"optimizer": "sgd", "momentum": 0.9, "group_rates": "cell=0.5,cell.w_h=0"},
        {"optimizer": "optax:lion", "warmup": 2},
    ],
    ids=lambda options: options["optimizer"],
)
def test_the_rate_may_be_an_argument_of_every_optimizer(options):
    value = make_optimizer(config_of(**options))
    assert hash(value) == hash(make_optimizer(config_of(**options, learning_rate=1.0)))
    number = trained(lambda: value.transformation(RATE))
    argument, other = trained(value.transformation, RATE), trained(value.transformation, 2 * RATE)
    # with groups the compiler joins two constant factors, to other bits
    rtol = 1e-5 if value.groups else 0
    jax.tree.map(partial(np.testing.assert_allclose, rtol=rtol), argument, number)
    assert not np.array_equal(argument[0].readout.w, other[0].readout.w)


def by_hand(rule: str, decay: float, momentum: float) -> np.ndarray:
    """One parameter matrix after all updates, in NumPy."""
    w = np.array(PARAMS.cell.w_h, np.float64)
    mean, square, trace = np.zeros_like(w), np.zeros_like(w), np.zeros_like(w)
    for n, gradient in enumerate(GRADIENTS):
        g = np.array(gradient.cell.w_h, np.float64)
        if rule == "adamw":  # Loshchilov & Hutter (2019), algorithm 2
            mean, square = 0.9 * mean + 0.1 * g, 0.999 * square + 0.001 * g**2
            step = mean / (1 - 0.9 ** (n + 1)) / (np.sqrt(square / (1 - 0.999 ** (n + 1))) + 1e-8)
            step = step + decay * w
        else:
            square = 0.9 * square + 0.1 * g**2
            trace = momentum * trace + (g if rule == "sgd" else g / np.sqrt(square + 1e-8))
            step = trace
        w = w - RATE * step
    return w


@pytest.mark.parametrize(
    ("rule", "decay", "momentum"), [("adamw", 0.1, 0.0), ("sgd", 0.0, 0.9), ("rmsprop", 0.0, 0.9)]
)
def test_weight_decay_and_momentum_are_what_their_papers_say(rule, decay, momentum):
    config = config_of(optimizer=rule, weight_decay=decay, momentum=momentum, clip_norm=None)
    found, _ = trained(lambda: make_optimizer(config).transformation(RATE))
    np.testing.assert_allclose(found.cell.w_h, by_hand(rule, decay, momentum), rtol=1e-4)
    assert np.max(np.abs(by_hand(rule, decay, momentum) - by_hand(rule, 0.0, 0.0))) > 1e-2


def test_the_rate_rises_from_zero_and_then_follows_the_schedule():
    rates = jax.jit(jax.vmap(Optimizer("sgd", warmup=4).rate(0.8)))(jnp.arange(7))
    np.testing.assert_allclose(rates, [0.0, 0.2, 0.4, 0.6, 0.8, 0.8, 0.8], rtol=1e-6)
    value = make_optimizer(config_of(num_updates=10, schedule="cosine", warmup=4))
    rates = jax.jit(jax.vmap(value.rate(0.8)))(jnp.arange(11))
    cosine = 0.4 * (1 + np.cos(np.pi * np.arange(7) / 6))
    np.testing.assert_allclose(rates, [0.0, 0.2, 0.4, 0.6, *cosine], atol=1e-7)


@pytest.mark.parametrize("rule", ["adamw", "rmsprop", "sgd"])
def test_a_group_has_the_rate_of_an_optimizer_of_its_own(rule):
    options = {"adamw": {"weight_decay": 0.1}}.get(rule, {"momentum": 0.9})
    groups = (("cell", 0.5), ("cell.w_h", 0.1), ("readout.b", 0.0))
    labels = param_labels(PARAMS, tuple(path for path, _ in groups))
    assert {name: label for name, label in named_leaves(labels) if "." in name} == {
        "cell.w_x": "cell",
        "cell.w_h": "cell.w_h",
        "cell.b": "cell",
        "readout.w": "",
        "readout.b": "readout.b",
    }
    alone = {
        label: Optimizer(rule, **options).transformation(RATE * multiplier)
        for label, multiplier in [("", 1.0), *groups]
    }
    expected, _ = trained(lambda: optax.multi_transform(alone, labels))
    found, _ = trained(lambda: Optimizer(rule, groups=groups, **options).transformation(RATE))
    for (name, one), (_, other) in zip(named_leaves(found), named_leaves(expected), strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-5, atol=1e-6, err_msg=name)
    np.testing.assert_array_equal(found.readout.b, PARAMS.readout.b)


@pytest.mark.parametrize("wrap", [lambda cell: cell, lambda cell: rec.zoneout(cell, h=0.1)])
def test_the_parameters_of_an_orthogonal_matrix_are_a_group_with_a_name(wrap):
    model = CellWithReadout(wrap(rec.ExpRNN(2, 4)), 1, LastStep())
    assert isinstance(model, HasParamGroups) and model.param_groups == {"cell.recurrent": ("cell.skew",)}
    assert CellWithReadout(rec.Elman(2, 4), 1, LastStep()).param_groups == {}
    config = config_of(optimizer="sgd", clip_norm=None, group_rates="cell.recurrent=0.1")
    optimizer = make_optimizer(config, model.param_groups).transformation(RATE)
    params = model.init(jax.random.key(0))
    ones = jax.tree.map(jnp.ones_like, params)
    steps, _ = optimizer.update(ones, optimizer.init(params), params)
    for name, step in named_leaves(steps):
        want = -0.1 * RATE if name == "cell.skew" else -RATE
        np.testing.assert_allclose(step, np.full_like(step, want), rtol=1e-6, err_msg=name)


MINE = """
import optax
def make(learning_rate):
    return optax.chain(optax.scale_by_sign(), optax.scale_by_learning_rate(learning_rate))
"""


def test_a_function_of_ones_own_is_stored_with_its_source(tmp_path, monkeypatch):
    path = tmp_path / "my_module.py"
    path.write_text(MINE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "my_module", raising=False)
    config = config_of(optimizer="my_module:make", clip_norm=None, warmup=2)
    stored = json.loads(json.dumps(configs.as_json(config)))
    assert (
        stored["optimizer"].startswith("my_module:make@") and len(stored["optimizer"].partition("@")[2]) == 16
    )
    assert configs.from_json(AddingConfig, stored) == config
    optimizer = make_optimizer(config).transformation(RATE)
    state = optimizer.init(PARAMS)
    for rate in (0.0, RATE / 2, RATE):
        steps, state = optimizer.update(GRADIENTS[0], state, PARAMS)
        expected = -rate * np.sign(GRADIENTS[0].cell.w_h)
        np.testing.assert_allclose(steps.cell.w_h, expected, rtol=1e-6, atol=0)
    path.write_text(MINE + "\n# another source")
    again = configs.from_json(AddingConfig, stored)
    assert again == config and again != config_of(optimizer="my_module:make", clip_norm=None, warmup=2)
    changed = "^--optimizer: the source of my_module:make has changed since the run was started; give another --out$"
    with pytest.raises(Fault, match=changed):
        make_optimizer(again).transformation(RATE)


def test_new_fields_at_their_defaults_are_not_stored():
    config = AddingConfig().with_cell(parse_cell("lstm"))
    assert not {"momentum", "weight_decay", "warmup", "group_rates"} & set(configs.as_json(config))
    one = AddingConfig(group_rates="readout=2, cell.w_h=0.1")
    assert one == AddingConfig(group_rates="cell.w_h=0.1,readout=2.0")
    assert configs.as_json(one)["group_rates"] == "cell.w_h=0.1,readout=2.0"
    assert configs.config_hash(one) != configs.config_hash(AddingConfig())
