"""An experiment of a stranger: its file, with replacements, and the commands that run it."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from lab_runs import Outcome, compiling_into, heard
from places import ROOT

from experiments import __main__ as package
from experiments.errors import guarded

OWN = '''"""Question: is the first bit one?"""
import dataclasses
import jax, jax.numpy as jnp
import recurrent as rec
from experiments import lab
from experiments.models.base import LastStep
from experiments.tasks.base import Batch, Generated
from experiments.tasks.criteria import AccuracyAtLeast


def surely_right(outputs, batch):
    right = jax.nn.softmax(outputs)[jnp.arange(len(batch.targets)), batch.targets]
    return jnp.sum((right > 0.9) * batch.weights), jnp.sum(batch.weights)


@dataclasses.dataclass(frozen=True)
class First(Generated):
    num_steps: int = 5  # Bits of a sequence.
    input_shape, output_shape = (1,), (2,)
    baseline, criterion = 0.6931, AccuracyAtLeast(0.99)
    lag = property(lambda self: self.num_steps - 1)

    def sample(self, key, batch_size):
        bits = jax.random.bernoulli(key, shape=(self.num_steps, batch_size, 1))
        return Batch(bits.astype(jnp.float32), bits[0, :, 0].astype(int), jnp.ones(batch_size))

    def loss(self, outputs, batch):
        return rec.losses.cross_entropy(outputs, batch.targets, batch.weights)

    def metrics(self, outputs, batch):
        right = rec.losses.accuracy(outputs, batch.targets, batch.weights)
        return {"accuracy": right, "surely_right": surely_right(outputs, batch)}


@lab.configuration()
class FirstConfig(lab.Config):
    task: lab.TaskFlags[First] = First()


def build(config):
    return lab.parts(config, LastStep())


PRESETS = lab.presets(FirstConfig, smoke={"num_evaluation": 64, "hidden_size": 4, "num_updates": 20})
EXPERIMENT = lab.Experiment("first", __doc__, FirstConfig, PRESETS, build, minutes=1, cells=("elman",))
END = None
if __name__ == "__main__":
    raise SystemExit(lab.main(EXPERIMENT))
'''


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    """What a test lets Python import, and where it lets Python look, is forgotten after it."""
    before, path = set(sys.modules), list(sys.path)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - before:
        if str(ROOT) not in str(getattr(sys.modules[name], "__file__", ROOT)) and name.startswith("own_"):
            del sys.modules[name]


def written(folder: Path, name: str, *changes: tuple[str, str]) -> Path:
    """The experiment in a file, with replacements."""
    text = OWN
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path = folder / f"{name}.py"
    path.write_text(text)
    return path


def packaged(*words: object) -> Outcome:
    """``python -m experiments`` in this process."""
    return heard(lambda: guarded(lambda: package.main([str(word) for word in words])))


def smoke(name: object, out: Path, *flags: object) -> Outcome:
    return packaged("run", name, "smoke", "--no-progress", "--out", out, *flags)


def other_process(*words: object, cwd: Path, cache: Path) -> Outcome:
    """Words for another Python, where only the repository is on the path."""
    environment = {**compiling_into(cache), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, *map(str, words)]
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)
    return Outcome(done.returncode, done.stdout, done.stderr)
