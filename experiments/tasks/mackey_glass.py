"""The Mackey-Glass series: a chaotic equation with a delay, predicted fifteen units of time ahead."""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PRNGKeyArray

from experiments.tasks.base import Batch, require_at_least
from experiments.tasks.series import Series, Statistics, one_ahead, windows

WASHOUT = 500  # units of time until the orbits are on the attractor
SHIFT = 500  # about ten turns: a random share of them takes away the common phase of the orbits
LOW, HIGH = 0.5, 1.3  # the constant past that an orbit starts from


@dataclasses.dataclass(frozen=True)
class MackeyGlass(Series):
    """Predict s(t + ``horizon``) from s up to t: x' = 0.2 x(t - d) / (1 + x(t - d)^10) - x/10, d = ``delay``.

    s = tanh(x - 1) less its mean over a long orbit, one value a unit of time. Every step counts, from the first one on.
    Source: Mackey & Glass (1977); as a task Voelker, Kajic & Eliasmith (2019), Legendre memory units, in the corrected
    form of their code (branch ``fix-mackey-glass``): d is 17, 15 units ahead, 5,000 steps. The branch ``paper`` feeds
    the future and asks for the past: its errors are of another task. Published NRMSE in percent, corrected: LSTM 5.872,
    LMU 4.873, both in turns 4.473, and 162.40 for the input as the answer.
    Differs: 1,000 steps by default, for two cores; fresh series. Each orbit starts from a constant past uniform in
    [0.5, 1.3] and is seen from a random step in [500, 1000) on, so that no step has a phase of its own; theirs start
    from almost the same noise, 100 steps before. Theirs are Euler steps of 1/10, these are Runge-Kutta steps of order 4
    and length 1, with the past between two steps by Hermite's cubic; the error after 200 units is below 1e-4.

    Baseline: the variance of s, from 512 orbits of 3,000 units. The input as the answer costs more, an NRMSE of 162 %,
    for 15 units are about a third of a turn. The lag is d: s(t + 15) is a function of s on [t - d, t].

    >>> round(MackeyGlass().baseline, 3), MackeyGlass().lag
    (0.047, 17)
    >>> round((MackeyGlass().statistics.copying / MackeyGlass().statistics.variance) ** 0.5, 2)
    1.62
    """

    num_steps: int = 1000
    """Length of the sequences, in units of time."""
    horizon: int = 15
    """Units of time to predict ahead."""
    delay: int = 17
    """The equation's own delay d, in units of time; 17 is mildly chaotic, 30 more so."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_at_least("num_steps", self.num_steps, 1, "for Mackey-Glass")
        require_at_least("horizon", self.horizon, 1, "for Mackey-Glass")
        require_at_least("delay", self.delay, 2, "for Mackey-Glass")

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The series."""
        return (1,)

    @property
    def statistics(self) -> Statistics:
        """From long orbits."""
        return long_orbits(self.delay, self.horizon)[1]

    @property
    def lag(self) -> int:
        """The delay of the equation."""
        return self.delay

    def sample(self, key: PRNGKeyArray, batch_size: int) -> Batch:
        """Inputs and targets ``[t, b, 1]``, weights ``[t, b]``."""
        key_past, key_start = jax.random.split(key)
        past = jax.random.uniform(key_past, (1, batch_size), minval=LOW, maxval=HIGH)
        length = self.num_steps + self.horizon

        def step(carry: tuple[Array, Array], _: None) -> tuple[tuple[Array, Array], Array]:
            points, slopes = carry  # of the last d units, oldest first
            x, slope = advance(points[-1], points[:2], slopes[:2])
            carry = jnp.concatenate([points[1:], x[None]]), jnp.concatenate([slopes[1:], slope[None]])
            return carry, x[:, None]

        points = jnp.repeat(past, self.delay + 1, axis=0)
        values = jax.lax.scan(step, (points, jnp.zeros_like(points)), None, WASHOUT + SHIFT + length)[1]
        starts = WASHOUT + jax.random.randint(key_start, (batch_size,), 0, SHIFT)
        series = jnp.tanh(windows(values, starts, length) - 1) - long_orbits(self.delay, self.horizon)[0]
        return one_ahead(series[: self.num_steps], series[self.horizon :])


def advance(x: Any, past: Any, slopes: Any) -> tuple[Any, Any]:
    """x and its slope one unit of time later; ``past`` and ``slopes`` are x and x' one delay ago and a unit later."""
    between = (past[0] + past[1]) / 2 + (slopes[0] - slopes[1]) / 8
    left, middle, right = (0.2 * p / (1 + p**10) for p in (past[0], between, past[1]))
    k1 = left - 0.1 * x
    k2 = middle - 0.1 * (x + k1 / 2)
    k3 = middle - 0.1 * (x + k2 / 2)
    k4 = right - 0.1 * (x + k3)
    x = x + (k1 + 2 * k2 + 2 * k3 + k4) / 6
    return x, right - 0.1 * x


@functools.cache
def long_orbits(delay: int, horizon: int) -> tuple[float, Statistics]:
    """The mean of tanh(x - 1), and what trivial answers cost."""
    past = np.random.default_rng(0).uniform(LOW, HIGH, 512)
    points, slopes = [past] * (delay + 1), [np.zeros_like(past)] * (delay + 1)
    for _ in range(2 * WASHOUT + 3000 + horizon):
        x, slope = advance(points[-1], points[-delay - 1 :][:2], slopes[-delay - 1 :][:2])
        points.append(x)
        slopes.append(slope)
    series = np.tanh(np.array(points[-3000 - horizon :]) - 1)
    variance = float(np.var(series))
    copying = float(np.mean((series[horizon:] - series[:-horizon]) ** 2))
    return float(np.mean(series)), Statistics(variance, variance, copying)
