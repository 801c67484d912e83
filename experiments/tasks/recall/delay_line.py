"""The delay line: say what a smooth noise was at several moments of the past, at every step."""

import dataclasses
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from experiments.tasks import criteria
from experiments.tasks.base import Batch, Criterion, Generated, Total, require_at_least
from recurrent import losses

VARIANCE = 0.25  # of the noise: a root mean square of 1/2
STEPS_PER_DELAY = 2.5  # Voelker et al. (2019): a sequence is that many times the longest delay


@dataclasses.dataclass(frozen=True)
class DelayLine(Generated):
    """Give the input of 0, T/4, T/2, 3T/4 and T steps ago. T = ``delay``, and ``num_outputs`` delays evenly spaced.

    The input is noise of L = 2.5 T steps with the frequencies f = 1..F, F = 2.5 ``cycles``, in cycles a sequence: the
    sum of a_f cos(2 pi f t / L) + b_f sin(2 pi f t / L), a_f and b_f normal with variance 1 / (4 F), so that the input
    is normal with variance 1/4 at each step, and has up to ``cycles`` cycles in T steps. Targets are the input at
    t - floor(i T / (``num_outputs`` - 1)) for i = 0..``num_outputs`` - 1. The steps t >= T count.

    Source: the capacity experiment of Voelker, Kajic & Eliasmith (2019), Legendre memory units, and their code: T is
    25 to 1,600, with 5 delays and 10 cycles. Differs: they divide each sequence by its largest value and shift it to
    start at 0, so that its variance has no closed form; they train on the steps before T too, where the target is 0.

    Loss: squared error, the mean over the delays. Baseline: the input has mean 0 at every step, so that a constant
    costs its variance: 1/4. The lag is T. Solved: a mean squared error below 1 % of the variance; the paper has none.

    Example, T = 4: at step 9 the targets are the inputs of the steps 9, 8, 7, 6 and 5.

    >>> DelayLine().baseline, DelayLine().lag, DelayLine().delays
    (0.25, 100, (0, 25, 50, 75, 100))
    """

    length_field: ClassVar[str] = "delay"

    delay: int = 100
    """Longest delay T, in steps; a sequence has 2.5 T of them."""
    num_outputs: int = 5
    """Delays to give, from 0 to T."""
    cycles: int = 10
    """Highest frequency of the noise, in cycles in T steps."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_at_least("num_outputs", self.num_outputs, 2, "for a delay line")
        require_at_least("cycles", self.cycles, 1, "for a delay line")
        require_at_least(
            "delay", self.delay, 2 * self.cycles + 1, f"for {self.cycles} cycles, two steps for each"
        )

    @property
    def num_steps(self) -> int:
        """The length of every sequence."""
        return int(STEPS_PER_DELAY * self.delay)

    @property
    def delays(self) -> tuple[int, ...]:
        """The delays, in steps."""
        return tuple(i * self.delay // (self.num_outputs - 1) for i in range(self.num_outputs))

    @property
    def input_shape(self) -> tuple[int, ...]:
        """One number."""
        return (1,)

    @property
    def output_shape(self) -> tuple[int, ...]:
        """One number for each delay."""
        return (self.num_outputs,)

    @property
    def baseline(self) -> float:
        """The variance of the input."""
        return VARIANCE

    @property
    def lag(self) -> int:
        """The longest delay."""
        return self.delay

    @property
    def criterion(self) -> Criterion:
        """One per cent of the variance; summed over the delays, as the criterion counts."""
        return criteria.SquaredErrorBelow(0.01 * VARIANCE * self.num_outputs)

    def sample(self, key: PRNGKeyArray, batch_size: int) -> Batch:
        """Inputs ``[t, b, 1]``, targets ``[t, b, num_outputs]``, weights ``[t, b]``."""
        count = int(STEPS_PER_DELAY * self.cycles)
        phases = 2 * np.pi * np.outer(np.arange(self.num_steps), np.arange(1, count + 1)) / self.num_steps
        waves = jnp.asarray(np.concatenate([np.cos(phases), np.sin(phases)], axis=1), jnp.float32)
        amplitudes = jax.random.normal(key, (2 * count, batch_size)) * (VARIANCE / count) ** 0.5
        signal = waves @ amplitudes
        targets = jnp.stack([jnp.roll(signal, delay, axis=0) for delay in self.delays], axis=-1)
        weights = jnp.zeros(signal.shape, jnp.float32).at[self.delay :].set(1.0)
        return Batch(signal[..., None], targets, weights)

    def loss(self, outputs: Float[Array, "t b k"], batch: Batch) -> Total:
        """Squared error, the mean over the delays."""
        total, count = losses.squared_error(outputs, batch.targets, batch.weights)
        return total / self.num_outputs, count

    def metrics(self, outputs: Float[Array, "t b k"], batch: Batch) -> dict[str, Total]:
        """The mean squared error over the delays, and that of the longest."""
        longest = losses.squared_error(outputs[..., -1:], batch.targets[..., -1:], batch.weights)
        return {"mse": self.loss(outputs, batch), "mse_longest": longest}
