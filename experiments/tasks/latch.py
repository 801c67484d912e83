"""The latch problem: keep one bit, told by the first few inputs, through noise that could overwrite it."""

import dataclasses
import math
from collections.abc import Callable
from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from experiments.tasks.base import Batch, Criterion, Generated, Total, require_at_least, require_known
from experiments.tasks.error_criteria import FewErrors
from recurrent import losses


@dataclasses.dataclass(frozen=True)
class Variant:
    """One definition: the size of the targets, how many channels there are, and what they show.

    ``num_channels`` takes L; ``inputs`` takes the classes ``[b]``, the noise ``[t, b]`` (0 at the first L steps) and L.
    """

    target: float
    num_channels: Callable[[int], int]
    inputs: Callable[[Int[Array, "b"], Float[Array, "t b"], int], Float[Array, "t b d"]]


@dataclasses.dataclass(frozen=True)
class Latch(Generated):
    """Answer at the last of T = ``num_steps`` steps with the sign that the first L = ``num_informative`` inputs told.

    ``canonical``: two equally likely classes; the targets are 0.8 and -0.8. What the network gets at the first L
    steps is a number for each class and step that *learning tunes*, as if a module before the network were trained
    through it; at later steps it gets Gaussian noise of mean 0 and standard deviation s = ``noise_std``. Here those
    numbers are weights: channel c L + t is 1 at step t < L of a sequence of class c, else 0, so that its weight into
    the network is the number, and the last channel carries the noise. Source: Bengio, Simard & Frasconi (1994),
    the minimal task; the network there is one unit x' = tanh(w x + input), and its output is x itself. Differs:
    the weight of the noise is learned unless it is frozen at 1, sequences are fresh, and the loss lacks a factor 1/2.

    ``fixed_inputs``: one channel, 1 (class 1) or -1 (class 0) at the first L steps, then the noise; the targets are
    1 and -1. Source: the second variant of Schmidhuber, Hochreiter & Bengio (2001), "Evaluating benchmark problems by
    random guessing", where L = 1 and the variance of the noise is 0.2 (``noise_std`` 0.447).

    Baseline: the best constant is 0, so 0.64 and 1. Solved: no validation sequence is off by its target or more, so
    that every answer has the right sign. Differs: this rule is ours, as are the defaults of L, T and s.

    A sequence of ``canonical`` with L = 2 and of class 1 has ones in channel 2 at step 0 and in channel 3 at step 1,
    then noise in channel 4; the target is 0.8.

    >>> round(Latch().baseline, 4), Latch().lag, Latch().input_shape, Latch(variant="fixed_inputs").baseline
    (0.64, 17, (7,), 1.0)
    """

    num_steps: int = 20
    """Length T of every sequence, in steps."""
    num_informative: int = 3
    """First inputs L that tell the class."""
    noise_std: float = 0.2
    """Standard deviation s of the later inputs."""
    variant: Literal["canonical", "fixed_inputs"] = "canonical"
    """Definition of the task."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_known("variant", self.variant, VARIANTS)
        require_at_least("num_informative", self.num_informative, 1)
        require_at_least(
            "num_steps", self.num_steps, self.num_informative + 1, "(num_informative and one more)"
        )
        if not 0 <= self.noise_std < math.inf:
            raise ValueError(f"noise_std: expected a finite number of at least 0, got {self.noise_std}")

    @property
    def _variant(self) -> Variant:
        return VARIANTS[self.variant]

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The class and the step, one-hot, and the noise; or one number."""
        return (self._variant.num_channels(self.num_informative),)

    @property
    def output_shape(self) -> tuple[int, ...]:
        """One number."""
        return (1,)

    @property
    def baseline(self) -> float:
        """The mean squared error of 0."""
        return self._variant.target**2

    @property
    def lag(self) -> int:
        """From the last of the first inputs, which tells as much as the others, to the last step."""
        return self.num_steps - self.num_informative

    @property
    def criterion(self) -> Criterion:
        """The right sign for every validation sequence."""
        return FewErrors(error=self._variant.target)

    def sample(self, key: PRNGKeyArray, batch_size: int) -> Batch:
        """Inputs ``[t, b, d]``, targets and ``info`` ``[b, 1]``, weights ``[b]``."""
        key_class, key_noise = jax.random.split(key)
        classes = jax.random.bernoulli(key_class, shape=(batch_size,)).astype(jnp.int32)
        drawn = self.noise_std * jax.random.normal(key_noise, (self.num_steps, batch_size), jnp.float32)
        noise = drawn.at[: self.num_informative].set(0.0)
        inputs = self._variant.inputs(classes, noise, self.num_informative)
        targets = self._variant.target * (2.0 * classes[:, None] - 1.0)
        return Batch(inputs, targets, jnp.ones(batch_size, jnp.float32), info=targets)

    def loss(self, outputs: Float[Array, "b 1"], batch: Batch) -> Total:
        """Squared error."""
        return losses.squared_error(outputs, batch.targets, batch.weights)

    def metrics(self, outputs: Float[Array, "b 1"], batch: Batch) -> dict[str, Total]:
        """Squared error, and the fraction of answers with the right sign."""
        right = (outputs * batch.targets > 0)[:, 0]
        return {
            "mse": self.loss(outputs, batch),
            "fraction_correct": (jnp.sum(right * batch.weights), jnp.sum(batch.weights)),
        }


def _learned(
    classes: Int[Array, "b"], noise: Float[Array, "t b"], num_informative: int
) -> Float[Array, "t b d"]:
    steps = jnp.arange(len(noise))[:, None]
    none = -1  # whose one-hot vector is 0
    channels = jnp.where(steps < num_informative, classes[None, :] * num_informative + steps, none)
    told = jax.nn.one_hot(channels, 2 * num_informative, dtype=jnp.float32)
    return jnp.concatenate([told, noise[..., None]], axis=-1)


def _fixed(
    classes: Int[Array, "b"], noise: Float[Array, "t b"], num_informative: int
) -> Float[Array, "t b d"]:
    return noise.at[:num_informative].set(2.0 * classes[None, :] - 1.0)[..., None]


VARIANTS = {
    "canonical": Variant(0.8, lambda num_informative: 2 * num_informative + 1, _learned),
    "fixed_inputs": Variant(1.0, lambda _: 1, _fixed),
}
