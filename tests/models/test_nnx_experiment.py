"""An nnx classifier outside the repository, with a helper module beside it, goes through the lab like our own."""

import json

import jax
import numpy as np
import pytest
from lab_runs import assert_refused, hashes, heard, rows, summary

from experiments import __main__ as package
from experiments import lab
from experiments.errors import guarded
from experiments.models.nnx_model import NNXModel

pytest_plugins = ["lab_fixtures", "own_experiment"]
pytestmark = pytest.mark.usefixtures("compile_once", "trace_once", "same_cores")

PARTS = '''"""The network, a helper beside the experiment."""
from flax import nnx
import jax, jax.numpy as jnp
import recurrent as rec
from recurrent.nnx import Recurrent

class Classifier(nnx.Module):
    def __init__(self, rngs):
        self.embed = nnx.Embed(6, 8, rngs=rngs)
        self.layers = nnx.List([Recurrent(rec.LSTM(8, 8), rngs=rngs), Recurrent(rec.GRU(8, 8), rngs=rngs)])
        self.scores = nnx.Linear(8, 1, rngs=rngs)
        self.dropout = nnx.Dropout(0.1, rngs=rngs)
        self.dense = nnx.Linear(8, 2, rngs=rngs)

    def __call__(self, batch):
        _, ys = self.layers[0](self.embed(batch.inputs), mask=batch.mask)
        _, ys = self.layers[1](ys, mask=batch.mask)
        scores = jnp.where(batch.mask, self.scores(ys)[..., 0], -jnp.inf)
        attended = jnp.einsum("tb,tbh->bh", jax.nn.softmax(scores, axis=0), ys)
        return self.dense(self.dropout(attended))
'''
EXPERIMENT = '''"""Question: does a one come among the tokens?"""
import dataclasses
import jax, jax.numpy as jnp
import recurrent as rec
from experiments import lab
from experiments.lab.training.optimizers import make_optimizer
from experiments.models.nnx_model import NNXModel
from experiments.tasks.base import Batch, Generated
from experiments.tasks.criteria import AccuracyAtLeast
from own_parts import Classifier

@dataclasses.dataclass(frozen=True)
class Contains(Generated):
    num_steps: int = 8  # Steps of the longest sequence.
    input_shape, output_shape, baseline, criterion = (), (2,), 0.6931, AccuracyAtLeast(0.95)
    lag = property(lambda self: self.num_steps - 1)

    def sample(self, key, batch_size):
        keys = jax.random.split(key)
        lengths = jax.random.randint(keys[1], (batch_size,), 3, self.num_steps + 1)
        mask = rec.mask_from_lengths(lengths, self.num_steps)
        tokens = jnp.where(mask, jax.random.randint(keys[0], mask.shape, 1, 6), 0)
        return Batch(tokens, jnp.any(tokens == 1, axis=0).astype(int), jnp.ones(batch_size), mask)

    def loss(self, outputs, batch):
        return rec.losses.cross_entropy(outputs, batch.targets, batch.weights)

    def metrics(self, outputs, batch):
        return {"accuracy": rec.losses.accuracy(outputs, batch.targets, batch.weights)}

@lab.configuration(num_updates=300, learning_rate=2e-2)
class ContainsConfig(lab.Config):
    task: lab.TaskFlags[Contains] = Contains()

def build(config):
    return lab.Parts(config.task, NNXModel(Classifier), make_optimizer(config))

PRESETS = lab.presets(ContainsConfig, smoke={"num_evaluation": 128, "num_updates": 20})
EXPERIMENT = lab.Experiment("contains", __doc__, ContainsConfig, PRESETS, build, minutes=1, cells=("lstm",))
'''


@pytest.fixture
def file(tmp_path):
    (tmp_path / "own_parts.py").write_text(PARTS)
    (tmp_path / "own_contains.py").write_text(EXPERIMENT)
    return tmp_path / "own_contains.py"


def command(*words):
    return heard(lambda: guarded(lambda: package.main(["run", *map(str, words), "--no-progress"])))


def test_it_trains_resumes_and_opens_like_an_experiment_of_ours(file, tmp_path):
    out, flags = tmp_path / "out", ("smoke", "--learning-rate", "2e-2")
    assert command(file, *flags, "--num-updates", "300", "--out", out).code == 0
    place = out / "lstm"
    assert summary(place)["test"]["accuracy"]["mean"] > 0.9  # a constant is right for 4 of 6 sequences
    short = tmp_path / "short"
    assert command(file, *flags, "--num-updates", "140", "--out", short).code == 0
    assert command(file, *flags, "--num-updates", "300", "--out", short).code == 0
    assert hashes(short / "lstm") == hashes(place) and rows(short / "lstm") == rows(place)
    run = lab.open_run(out)
    assert isinstance(run.model, NNXModel) and run.experiment.name == "contains"
    batch = run.task.sample(jax.random.key(5), 64)
    outputs, _ = run.model.apply(run.params, batch, carry=(), key=None)
    assert np.mean(np.argmax(outputs, axis=1) == batch.targets) > 0.85
    assert json.loads((place / "config.json").read_text())["source"] == str(file)
    frame = lab.frame(out)
    assert list(frame["test_accuracy"]) == summary(place)["test"]["accuracy"]["seeds"]


@pytest.mark.medium
def test_its_grids_and_its_mistakes_are_like_those_of_ours(file, tmp_path):
    out = tmp_path / "out"
    assert command(file, "smoke", "--num-steps", "5", "8", "--out", out).code == 0
    assert sorted(lab.frame(out)["num_steps"]) == [5, 8]
    assert_refused(
        command(file, "smoke", "--num-stps", "5"), "^--num-stps: unknown flag; did you mean --num-steps?"
    )
    assert_refused(command(tmp_path / "own_parts.py"), "declares no EXPERIMENT")
    assert command(file, "sample").out.count("target: ") == 1
