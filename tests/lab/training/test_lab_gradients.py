"""Training by the rules of ``--gradient``: exact ones end where backpropagation does, and runs go on to the bit."""

import dataclasses
import json
import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from lab_runs import assert_refused, hashes, interrupted_at, results, rows, run, steps
from trainers import ADDING, assert_close, start, train, trainer_of

import recurrent as rec
from experiments.adding_problem import AddingConfig
from experiments.errors import Fault
from experiments.lab import cli
from experiments.lab.plan import configs
from experiments.lab.plan.finding import load_experiment
from experiments.lab.plan.rules import label, parse
from experiments.lab.training.gradient_rules import through
from experiments.lab.training.trainer import Trainer
from experiments.models.base import LastStep
from experiments.models.cell_with_readout import CellWithReadout, LayerWithReadout
from experiments.tables import report
from experiments.tasks.adding import Adding
from recurrent import online

pytest_plugins = ["lab_fixtures"]
pytestmark = pytest.mark.usefixtures("compile_once", "trace_once")

PADDED = Adding(num_steps=10, variant="pascanu", num_evaluation=12)
LENGTH = PADDED.sample(jax.random.key(0), 1).inputs.shape[0]


@pytest.mark.parametrize(
    ("text", "rule", "spelled"),
    [
        ("bptt", online.BPTT(), "bptt"),
        (" rtrl ", online.RTRL(), "rtrl"),
        ("uoro()", online.UORO(), "uoro"),
        ("snap1", online.SnAp1(), "snap1"),
        ("eprop", online.EProp(), "eprop"),
        ("truncated( k2 = 10,\n k1 = 5 )", online.Truncated(5, 10), "truncated(k1=5,k2=10)"),
    ],
)
def test_a_rule_is_read_and_spelled_in_one_way(text, rule, spelled):
    assert parse(text) == rule
    assert (label(rule), parse(label(rule))) == (spelled, rule)
    config = AddingConfig(gradient=text)
    assert config == AddingConfig(gradient=spelled) and config.gradient == spelled
    assert configs.from_json(AddingConfig, json.loads(json.dumps(configs.as_json(config)))) == config


ONCE = "expected a name, or options each once as in truncated(k1=5,k2=10), got "
WRONG = {
    "rtlr": "unknown rule 'rtlr'; did you mean rtrl? (known: bptt, truncated, rtrl, uoro, snap1, eprop)",
    "truncated": "truncated needs k1, as in truncated(k1=5,k2=10)",
    "truncated(k1=5)": "truncated needs k2, as in truncated(k1=5,k2=10)",
    "truncated(k1=5,k3=10)": "truncated has no option 'k3'; did you mean k2? (its options: k1, k2)",
    "rtrl(k1=5)": "rtrl has no option 'k1'",
    "truncated(k1=5.0,k2=10)": "k1: expected an integer, got 5.0",
    "truncated(k1=True,k2=10)": "k1: expected an integer, got True",
    "truncated(k1=0,k2=10)": "k1: expected an integer of at least 1, got 0",
    "truncated(k1=5,k2=4)": "k2: expected at least k1 = 5, got 4",
    "truncated(5,10)": f"{ONCE}'truncated(5,10)'",
    "truncated(k1=1,k1=2)": f"{ONCE}'truncated(k1=1,k1=2)'",
    "truncated(k1=n,k2=10)": f"{ONCE}'truncated(k1=n,k2=10)'",
    "truncated(**{})": f"{ONCE}'truncated(**{{}})'",
    "truncated(": f"{ONCE}'truncated('",
    " ": f"{ONCE}' '",
    "a.b": f"{ONCE}'a.b'",
}


@pytest.mark.parametrize(("text", "complaint"), WRONG.items(), ids=WRONG)
def test_a_wrong_gradient_is_one_line(text, complaint, tmp_path):
    outcome = run(tmp_path / "out", f"--gradient={text}")
    assert (outcome.code, outcome.err) == (2, f"error: --gradient: {complaint}\n")
    stored = {**configs.as_json(AddingConfig()), "gradient": text}
    with pytest.raises(Fault) as raised:
        configs.from_json(AddingConfig, stored)
    assert str(raised.value) == f"not a configuration of this experiment: --gradient: {complaint}"
    assert not (tmp_path / "out").exists()


HASHES = {
    "adding_problem": ["94e67adc", "15929135", "bbc31720"],
    "copy_memory": ["a616db72", "234b532a", "a5448cae"],
    "temporal_order": ["28931f9a", "f87605dd", "c3821cbb"],
    "pixel_mnist": ["900f19c4", "a2bd7bda", "c6cc94e1"],
}
"""Hashes of default, smoke and paper, computed before configurations had a gradient."""


@pytest.mark.parametrize("name", HASHES)
def test_runs_from_before_there_was_a_choice_keep_their_folders(name):
    presets = load_experiment(name).presets
    assert [configs.config_hash(presets[word]) for word in ("default", "smoke", "paper")] == HASHES[name]
    for config in presets.values():
        assert "gradient" not in configs.as_json(config)
        assert configs.identity(config)["gradient"] == "bptt"
        other = dataclasses.replace(config, gradient="rtrl")
        assert configs.as_json(other)["gradient"] == "rtrl"
        assert configs.config_hash(other) != configs.config_hash(config)
        assert configs.identity(other) != configs.identity(config)


@pytest.mark.parametrize("gradient", ["bptt", "truncated(k1=5,k2=10)"])
def test_the_command_of_a_result_names_its_gradient(gradient, monkeypatch):
    experiment = load_experiment("adding_problem")
    presets = {**experiment.presets, "default": AddingConfig(gradient="rtrl")}
    monkeypatch.setattr(
        report, "load_experiment", lambda name: dataclasses.replace(experiment, presets=presets)
    )
    config = configs.as_json(AddingConfig(gradient=gradient))
    summary = {"experiment": "adding_problem", "preset": "default", "cell": "lstm", "config": config}
    shown = {"bptt": "bptt", "truncated(k1=5,k2=10)": "'truncated(k1=5,k2=10)'"}[gradient]
    assert report.command_of(summary) == f"{experiment.command} --cell lstm --gradient {shown}"


def difference(one, other) -> float:
    return max(jax.tree.leaves(jax.tree.map(lambda a, b: float(jnp.abs(a - b).max()), one, other)))


@pytest.mark.parametrize(
    "carries", [pytest.param(False, marks=pytest.mark.medium), True], ids=["fresh", "carried"]
)
def test_exact_rules_train_to_the_parameters_of_backpropagation(carries, float64):
    model = CellWithReadout(rec.zoneout(rec.Elman(2, 3), h=0.3), 1, LastStep(), carries=carries)
    plain = trainer_of(PADDED, model, optax.adam(1e-2))
    first = start(plain)

    def trained(text):
        return train(dataclasses.replace(plain, gradient=through(parse(text))), first, 4)

    exact, metrics = trained("bptt")
    for text in ("rtrl", f"truncated(k1={LENGTH},k2={LENGTH})"):
        state, found = trained(text)
        assert_close((state.params, state.carry), (exact.params, exact.carry), 1e-10)
        assert_close(found, metrics, 1e-10)
    assert exact.params.cell.w_h.dtype == jnp.float64
    shorter, _ = trained("truncated(k1=2,k2=4)")
    assert difference(shorter.params.cell, exact.params.cell) > 1e-4


def test_the_gradient_of_the_readout_is_exact_by_every_rule(float64):
    model, key = CellWithReadout(rec.Elman(2, 3), 1, LastStep()), jax.random.key(3)
    batch, params = PADDED.sample(jax.random.key(1), 4), model.init(jax.random.key(2))

    @jax.jit
    def found():
        options = {"carry": (), "key": key, "rule_key": key}
        rules = map(parse, ("bptt", "truncated(k1=1,k2=1)", "uoro", "snap1", "eprop"))
        return [through(rule)(model, PADDED.loss, params, batch, **options) for rule in rules]

    exact, *others = found()
    for step in others:
        assert_close(
            step._replace(grads=step.grads.readout), exact._replace(grads=exact.grads.readout), 1e-12
        )
        assert difference(step.grads.cell, exact.grads.cell) > 1e-5


def test_layers_and_models_without_a_cell_have_backpropagation_alone():
    layer = LayerWithReadout(rec.stack(rec.Elman(2, 3), rec.Elman(3, 3)), 1, LastStep())
    for text in ("rtrl", "truncated(k1=5,k2=5)"):
        trainer = trainer_of(model=layer, gradient=through(parse(text)))
        complaint = (
            f"--gradient: {text} needs one cell with a readout, got LayerWithReadout; bptt trains every model"
        )
        with pytest.raises(Fault, match=f"^{re.escape(complaint)}"):
            jax.eval_shape(trainer.update, start(trainer), ())
    other = trainer_of(model=object(), gradient=through(online.RTRL()))
    with pytest.raises(Fault, match=r"^--gradient: rtrl needs one cell with a readout, got object; "):
        other.gradient(other.model, ADDING.loss, (), None, carry=(), key=None, rule_key=None)


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        (
            ("--gradient", "rtrl", "--hidden-size", "300"),
            r"^--gradient: limit_bytes: expected at least \d+, .* RTRL\(\) keeps for Elman\(.*, got 1073741824$",
        ),
        (
            ("--gradient", "snap1", "--cell", "gru(reset='before')"),
            r"^--gradient: SnAp1\(\) cannot run GRU\(.*local_fields; RTRL",
        ),
    ],
    ids=["large", "undeclared"],
)
def test_a_rule_that_cannot_run_the_cell_is_one_line(flags, complaint, tmp_path):
    assert_refused(run(tmp_path / "out", *flags), complaint)
    assert not (tmp_path / "out").exists()


@pytest.mark.optimised
@pytest.mark.medium
def test_a_run_by_random_signs_goes_on_to_the_bit(tmp_path):
    flags = ("--gradient", "uoro", "--num-updates", "20")
    whole, out = tmp_path / "whole", tmp_path / "out"
    assert run(whole, *flags).code == 0
    with interrupted_at(10):
        assert run(out, *flags).code == 143
    assert steps(out / "elman") == [10]
    assert_refused(
        run(out, "--num-updates", "20"),
        "another configuration: --gradient is 'uoro' there, 'bptt' here$",
    )
    assert run(out, *flags).code == 0
    assert hashes(out / "elman") == hashes(whole / "elman")
    assert results(out / "elman") == results(whole / "elman")
    assert rows(out / "elman") == rows(whole / "elman")
    assert results(out / "elman")["config"]["gradient"] == "uoro"


@dataclasses.dataclass(frozen=True)
class Repeated(Adding):
    """An adding problem whose updates all get one batch."""

    def batch(self, data, key, update, batch_size):
        return super().batch(data, key, jnp.zeros_like(update), batch_size)


def test_signs_are_drawn_afresh_for_every_update():
    task = Repeated(num_steps=5, num_evaluation=12)
    trainer = trainer_of(task, gradient=through(online.UORO()))
    update = jax.jit(lambda state: trainer.update(state, ())[0].params)
    first = start(trainer)
    one, other = (update(first._replace(update=jnp.array(number, jnp.int32))) for number in (0, 1))
    assert difference(one.readout, other.readout) == 0
    assert difference(one.cell, other.cell) > 1e-5


def test_the_default_of_a_trainer_is_that_of_a_configuration():
    assert Trainer(ADDING, None, None, 1, 1).gradient == through(parse(AddingConfig().gradient))
    assert cli.parse(load_experiment("adding_problem"), []).configs[0].gradient == "bptt"


@pytest.mark.medium
def test_an_lstm_learns_by_eprop():
    """The loss falls far below 1/6, which is the loss of always answering 1."""
    task = Adding(num_steps=10, num_evaluation=12)
    trainer = dataclasses.replace(
        trainer_of(task, CellWithReadout(rec.LSTM(2, 16), 1, LastStep()), optax.adam(1e-2)),
        batch_size=32,
        gradient=through(online.EProp()),
    )
    state, first = train(trainer, start(trainer), 20)
    state, _ = train(trainer, state, 500)
    _, last = train(trainer, state, 50)
    assert float(first["loss"]) > 0.15 > 0.05 > float(last["loss"])
    assert np.isfinite(float(last["grad_norm"]))
